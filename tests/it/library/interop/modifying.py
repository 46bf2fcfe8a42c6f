# Changes everything that the contents became, by whatever way the library has for it, and prints
# what it then finds. The same is done by our side (`modify.rs`).
import json

from library import *
from reading import document

AT = "2026-03-04T05:06:07.000008"


def backwards(value):
    """The same for Python, with all keys in another order."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(item) for item in value] if isinstance(value, list) else value


def actors():
    for row in CONTENTS["actors"]:
        actor = DbActor()
        assert not DbActor().create(actor_id=row["id"], creator="x", passphrase="x")
        assert actor.get(actor_id=row["id"])
        assert actor.modify(creator=row["creator"] + "~", passphrase=(row["passphrase"] + "~").encode())
    actor = DbActor()
    assert actor.get(actor_id="actor-3")
    assert actor.modify(creator="NEW@example.com")


def properties():
    for row in CONTENTS["properties"]:
        id, name, value = row["id"], row["name"], row["value"]
        db = DbProperty()
        assert not db.create_if_not_exists(actor_id=id, name=name, value="x")
        if name in ("email", "oauthId", "externalUserId"):
            assert db.set(actor_id=id, name=name, value=value + "~")
            continue
        assert not db.set_if_value_equals(actor_id=id, name=name, expected=value + " ", value="x")
        assert not db.delete_if_value_equals(actor_id=id, name=name, value=value + " ")
        assert db.set_if_value_equals(actor_id=id, name=name, expected=value, value=value + "~")
    id = "actor-1"
    assert db.create_if_not_exists(actor_id=id, name="list:x-#a1", value="{\"new\": true}")
    assert db.delete_if_value_equals(actor_id=id, name="list:x-#Zz", value="{\"k\": 1}~")
    assert not db.delete_if_value_equals(actor_id=id, name="list:x-#Zz", value="{\"k\": 1}~")
    db.batch_delete(actor_id=id, names=["list:ü-0", "list:ü-1", "list:ü-7"])
    assert DbProperty().set(actor_id=id, name="plain", value="")
    db = DbProperty()
    assert db.get(actor_id="actor-Zürich-𝄞", name="externalUserId") == "x~"
    assert db.delete()


def attributes():
    db = DbAttribute()
    for row in survivors(CONTENTS["attributes"]):
        key = {"actor_id": row["id"], "bucket": row["bucket"], "name": row["name"]}
        old = json.loads(row["data"])
        new = {"before": old, "n": 1.5}
        # A time that is not given goes on PostgreSQL, and stays on DynamoDB.
        at = parsed(row.get("timestamp"))
        assert not db.conditional_update_attr(**key, old_data={"other": 1}, new_data=1, timestamp=at)
        assert db.conditional_update_attr(**key, old_data=backwards(old), new_data=new, timestamp=at), row
        assert not db.conditional_update_attr(**key, old_data=old, new_data=1, timestamp=at)
        newer = {**new, "n": 2}
        ttl = 86400 if row["bucket"] == "spa_refresh_tokens" else None
        assert db.conditional_update_attr(**key, old_data=new, new_data=newer, timestamp=at, ttl_seconds=ttl), row
    lost = {"actor_id": "actor-1", "bucket": "a", "name": "b:c"}
    assert db.get_attr(**lost) is None
    assert not db.conditional_update_attr(**lost, old_data={"n": 2}, new_data=1)
    assert not db.delete_attr_conditional(**lost)
    single = {"actor_id": "actor-1", "bucket": "remote:abc", "name": "x"}
    assert db.delete_attr_conditional(**single)
    assert not db.delete_attr_conditional(**single)
    assert db.set_attr("actor-1", "types", "int", {"chain_id": "chain-3", "n": 1}, ttl_seconds=60)
    assert db.set_attr("actor-1", "types", "big", [], ttl_seconds=60)
    chain = ["types", "remote:abc"]
    assert db.delete_by_chain(actor_id="actor-1", buckets=chain, chain_id="chain-3", defer_name="int") == 1
    assert db.set_attr("actor-1", "bücket ☃", "nämé 𝄞", {"no": "end"})


def trusts():
    for row in CONTENTS["trusts"]:
        trust = DbTrust()
        assert trust.get(actor_id=row["id"], peerid=row["peerid"])
        assert trust.modify(
            baseuri=row["baseuri"] + "~",
            secret=row["secret"] + "~",
            desc=row["desc"] + "~",
            approved=not row["approved"],
            peer_approved=not row["peer_approved"],
            verified=not row["verified"],
            verification_token="vt~",
            last_accessed=AT,
            last_connected_via="oauth2:interactive",
            client_name="ñ",
            aw_version="9.9",
            capabilities_fetched_at=AT,
        )
    trust = DbTrust()
    assert trust.get(actor_id="actor-2", peerid="actor-1")
    assert trust.modify(peer_identifier="x", established_via="trust", created_at=AT, client_version="2",
                        client_platform="p", oauth_client_id="o", aw_supported="a,b")


def peer_trustees():
    for row in CONTENTS["peertrustees"]:
        peer = DbPeerTrustee()
        assert peer.get(actor_id=row["id"], peerid=row["peerid"])
        assert peer.modify(peer_type=row["type"] + "~", baseuri=row["baseuri"] + "~", passphrase="new")


def subscriptions():
    for row in CONTENTS["subscriptions"]:
        subscription = DbSubscription()
        assert not subscription.create(actor_id=row["id"], peerid=row["peerid"], subid=row["subid"])
        assert subscription.get(actor_id=row["id"], peerid=row["peerid"], subid=row["subid"])
        assert subscription.modify(seqnr=row["seqnr"] + 1, granularity="low", callback=not row["callback"], subtarget="ß")


def diffs():
    diffs = DbSubscriptionDiffList()
    assert diffs.fetch(actor_id="actor-1", subid="sub")
    assert diffs.delete(seqnr=9)
    diff = DbSubscriptionDiff()
    assert diff.get(actor_id="actor-1", subid="sub", seqnr=12)
    assert diff.delete()
    assert DbSubscriptionDiff().create(actor_id="actor-1", subid="sub", diff="{\"new\": 1}", seqnr=13)


def suspensions():
    first = DbSubscriptionSuspension("actor-1")
    assert not first.suspend("properties", "email")
    assert first.resume("properties", None)
    assert not first.resume("properties", None)
    assert first.resume("ressources/ü", "a:b")
    assert DbSubscriptionSuspension("actor-3").suspend("properties", None)


for modify in (actors, properties, attributes, trusts, peer_trustees, subscriptions, diffs, suspensions):
    modify()
print(json.dumps(document()))
