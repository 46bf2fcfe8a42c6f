-- Revision d4e5f6a7b8c9: index over the attributes that carry a chain_id in
-- their data, so that revoking one chain of refresh tokens need not read all
-- tokens. As with Alembic, an index of that name that is already there stays
-- as it is, whatever its definition. Building it blocks writes to attributes.

CREATE INDEX IF NOT EXISTS idx_attributes_chain_id
    ON {schema}.attributes ((data ->> 'chain_id'))
    WHERE (data ->> 'chain_id') IS NOT NULL;
