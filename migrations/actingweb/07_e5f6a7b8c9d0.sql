-- Revision e5f6a7b8c9d0: property names lose their limit of 255 characters.
-- Changes the catalogue only: neither the table nor its primary key index is
-- rewritten. Refused by PostgreSQL while a view uses the column.

ALTER TABLE {schema}.properties ALTER COLUMN name TYPE text;
