-- Revision 70d60420526: property_lookup, which finds the actor that owns a
-- given property value. Starts empty: existing properties are not copied in.
-- Its foreign key is the only one in the schema. It is checked at commit, so
-- an actor and its lookup rows may be written in either order.

CREATE TABLE {schema}.property_lookup (
    property_name varchar(255) NOT NULL,
    value         text         NOT NULL,
    actor_id      varchar(255) NOT NULL,
    CONSTRAINT fk_property_lookup_actor
        FOREIGN KEY (actor_id) REFERENCES {schema}.actors (id)
        ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (property_name, value)
);
CREATE INDEX idx_property_lookup_actor_id ON {schema}.property_lookup (actor_id);
