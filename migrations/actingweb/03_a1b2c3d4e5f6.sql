-- Revision a1b2c3d4e5f6: trusts remember what the peer can do (supported
-- options, protocol version) and when that was fetched. NULL on existing rows.
-- capabilities_fetched_at has a time zone, unlike the other times in trusts.

ALTER TABLE {schema}.trusts ADD COLUMN aw_supported text;
ALTER TABLE {schema}.trusts ADD COLUMN aw_version varchar(50);
ALTER TABLE {schema}.trusts ADD COLUMN capabilities_fetched_at timestamp with time zone;
