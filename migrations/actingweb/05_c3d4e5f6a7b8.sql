-- Revision c3d4e5f6a7b8: drops the index on properties.value, which refused
-- values longer than about 2700 bytes. property_lookup does its work.
-- Deliberately without IF EXISTS: as with Alembic, a database where somebody
-- dropped the index by hand is refused and left as it was.

DROP INDEX {schema}.idx_properties_value;
