# The operations by the Python library, one after the other. Reads the plan, prints how many
# nanoseconds each of them took.
import json
import os
import sys
import time

if os.environ["DATABASE_BACKEND"] == "postgresql":
    from actingweb.db.postgresql.actor import DbActor
    from actingweb.db.postgresql.property import DbProperty
    from actingweb.db.postgresql.trust import DbTrustList
else:
    from actingweb.db.dynamodb.actor import DbActor
    from actingweb.db.dynamodb.property import DbProperty
    from actingweb.db.dynamodb.trust import DbTrustList

plan = json.load(sys.stdin)


def held(id, passphrase):
    # An actor is changed by whoever holds it.
    actor = DbActor()
    assert actor.get(actor_id=id)
    return actor, passphrase.encode()


# What goes before each of them and does not count, itself, and whether it did what it should.
def arguments(*given):
    return given


operations = {
    "create_actor": (arguments, lambda i, c, p: DbActor().create(actor_id=i, creator=c, passphrase=p), bool),
    "read_actor": (arguments, lambda i: DbActor().get(actor_id=i), bool),
    "update_actor": (held, lambda actor, passphrase: actor.modify(passphrase=passphrase), bool),
    "write_property": (arguments, lambda i, n, v: DbProperty().set(actor_id=i, name=n, value=v), bool),
    "write_looked_up": (arguments, lambda i, n, v: DbProperty().set(actor_id=i, name=n, value=v), bool),
    "read_property": (arguments, lambda i, n: DbProperty().get(actor_id=i, name=n), bool),
    "list_trusts": (arguments, lambda i: DbTrustList().fetch(i), lambda found: len(found) == plan["trusts"]),
}

taken = {}
for name, calls in plan["operations"].items():
    prepare, operation, is_right = operations[name]
    times = taken[name] = []
    for call in calls:
        prepared = prepare(*call)
        begun = time.perf_counter_ns()
        answer = operation(*prepared)
        times.append(time.perf_counter_ns() - begun)
        assert is_right(answer), (name, call, answer)
    del times[: plan["warm_up"]]
print(json.dumps(taken))
