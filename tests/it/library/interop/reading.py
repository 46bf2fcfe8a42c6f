# Everything that the library finds in a deployment, as one document.
import hashlib
import json

from library import *

if BACKEND == "postgresql":
    from actingweb.db.postgresql.connection import get_connection

    def select(columns, table, where="true", *arguments):
        with get_connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {table} WHERE {where}", arguments)
            return cursor.fetchall()


def moment(time):
    """A time that the library returned, as a text or not."""
    if not time:
        return None
    if isinstance(time, str):
        time = datetime.datetime.fromisoformat(time)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def actors():
    listed = DbActorList().fetch() or []
    found = []
    for row in listed:
        actor = DbActor().get(actor_id=row["id"])
        assert actor["creator"] == row["creator"]
        found.append(dict(actor))
    return sorted(found, key=lambda row: row["id"])


def properties(id):
    everything = DbPropertyList().fetch_all_including_lists(actor_id=id) or {}
    for name, value in everything.items():
        assert DbProperty().get(actor_id=id, name=name) == value, name
    plain = DbPropertyList().fetch(actor_id=id) or {}
    assert plain == {name: value for name, value in everything.items() if not name.startswith("list:")}
    return everything


def lookups():
    """The entries of the look-up table, which nothing of the library lists."""
    if BACKEND == "postgresql":
        rows = select("property_name, value, actor_id", "property_lookup")
        for name, value, actor_id in rows:
            assert DbPropertyLookup().get(property_name=name, value=value) == actor_id
        rows = [(hashlib.sha256(f"{name}\0{value}".encode()).hexdigest(), name, id) for name, value, id in rows]
    else:
        from actingweb.db.dynamodb.property_lookup import PropertyLookupV2

        rows = [(row.lookup_key, row.property_name, row.actor_id) for row in PropertyLookupV2.scan(consistent_read=True)]
    return sorted(rows)


def ttls(id):
    if BACKEND == "postgresql":
        return dict(select("bucket_name, ttl_timestamp", "attributes", "id = %s", id))
    from actingweb.db.dynamodb.attribute import Attribute

    return {row.bucket_name: row.ttl_timestamp for row in Attribute.query(id, consistent_read=True)}


def attributes(id):
    buckets = DbAttributeBucketList.fetch(actor_id=id) or {}
    ttl = ttls(id)
    found = []
    for bucket, rows in buckets.items():
        # Text: for what is not a number equals nothing. And PostgreSQL gives rows in the order of whatever plan it
        # makes, which is another one once it has analysed the table.
        again = DbAttribute.get_bucket(actor_id=id, bucket=bucket)
        assert repr(sorted(again.items())) == repr(sorted(rows.items())), bucket
        for name, row in rows.items():
            assert repr(DbAttribute.get_attr(actor_id=id, bucket=bucket, name=name)) == repr(row), name
            found.append({
                "bucket": bucket,
                "name": name,
                "data": json.dumps(row["data"]),
                "timestamp": moment(row["timestamp"]),
                "ttl_timestamp": ttl.pop(f"{bucket}:{name}"),
                "live": DbAttribute.get_attr_strict(actor_id=id, bucket=bucket, name=name) is not None,
            })
    assert ttl == {}
    return sorted(found, key=lambda row: (row["bucket"], row["name"]))


def trusts(id):
    found = []
    for listed in DbTrustList().fetch(id) or []:
        trust = DbTrust().get(actor_id=id, peerid=listed["peerid"])
        assert {k: v for k, v in listed.items() if v} == {k: v for k, v in trust.items() if v}
        # A name for the same time that the library's callers used to have.
        trust.pop("last_connected_at", None)
        for name in OPTIONAL:
            trust[name] = trust.get(name) or None
        for name in ("created_at", "last_accessed", "capabilities_fetched_at"):
            trust[name] = moment(trust[name])
        found.append(trust)
    return sorted(found, key=lambda row: row["peerid"])


def peer_trustees(id):
    found = DbPeerTrusteeList().fetch(actor_id=id) or []
    for row in found:
        assert dict(DbPeerTrustee().get(actor_id=id, peerid=row["peerid"])) == row
    return sorted(found, key=lambda row: row["peerid"])


def subscriptions(id):
    found = DbSubscriptionList().fetch(id) or []
    for row in found:
        assert DbSubscription().get(actor_id=id, peerid=row["peerid"], subid=row["subscriptionid"]) == row
    return sorted(found, key=lambda row: (row["peerid"], row["subscriptionid"]))


def diffs(id):
    found = []
    for row in DbSubscriptionDiffList().fetch(actor_id=id) or []:
        one = DbSubscriptionDiff().get(actor_id=id, subid=row["subscriptionid"], seqnr=row["sequence"])
        assert (one["data"], one["timestamp"]) == (row["diff"], row["timestamp"])
        found.append({**row, "timestamp": moment(row["timestamp"])})
    for subid in {row["subscriptionid"] for row in found}:
        listed = DbSubscriptionDiffList().fetch(actor_id=id, subid=subid)
        assert len(listed) == sum(row["subscriptionid"] == subid for row in found)
    return sorted(found, key=lambda row: (row["subscriptionid"], row["sequence"]))


def suspensions(id):
    if BACKEND == "postgresql":
        rows = select("target, subtarget, suspended_at", "subscription_suspensions", "id = %s", id)
        since = {(target, subtarget or None): at for target, subtarget, at in rows}
    else:
        from actingweb.db.dynamodb.subscription_suspension import SubscriptionSuspension

        rows = SubscriptionSuspension.query(id, consistent_read=True)
        since = {(row.target, row.subtarget): row.suspended_at for row in rows}
    pairs = DbSubscriptionSuspension(id).get_all_suspended()
    assert set(pairs) == since.keys()
    found = [{"target": t, "subtarget": s or "", "suspended_at": moment(at)} for (t, s), at in since.items()]
    return sorted(found, key=lambda row: (row["target"], row["subtarget"]))


def of_each(read):
    return {id: rows for id in IDS if (rows := read(id))}


def answers():
    """What the library finds by something else than the key."""
    creators = {}
    for creator in ASKED["creators"]:
        found = DbActor().get_by_creator(creator=creator) or []
        creators[creator] = sorted(actor["id"] for actor in found)
    values = [DbProperty().get_actor_id_from_property(name=name, value=value) for name, value in ASKED["values"]]
    secrets = []
    for id, secret in ASKED["secrets"]:
        trust = DbTrust().get(actor_id=id, token=secret)
        assert DbTrust.is_token_in_db(actor_id=id, token=secret) == (trust is not None)
        secrets.append(trust and trust["peerid"])
    types = []
    for id, type in ASKED["types"]:
        peer = DbPeerTrustee().get(actor_id=id, peer_type=type)
        types.append(peer and peer["peerid"])
    targets = [DbSubscriptionSuspension(id).is_suspended(*which) for id, *which in ASKED["targets"]]
    prefixes = [sorted(DbProperty().get_prefix(id, prefix)) for id, prefix in ASKED["prefixes"]]
    ranges = [sorted(DbProperty().get_range(*which)) for which in ASKED["ranges"]]
    lasts = [DbProperty().get_last_in_range(*which) for which in ASKED["ranges"]]
    firsts = []
    for id, subid in ASKED["firsts"]:
        diff = DbSubscriptionDiff().get(actor_id=id, subid=subid)
        firsts.append(diff and diff["sequence"])
    return {
        "creators": creators, "values": values, "secrets": secrets, "types": types, "targets": targets,
        "prefixes": prefixes, "ranges": ranges, "lasts": lasts, "firsts": firsts,
    }


def document():
    return {
        "actors": actors(),
        "properties": of_each(properties),
        "lookups": lookups(),
        "attributes": of_each(attributes),
        "trusts": of_each(trusts),
        "peertrustees": of_each(peer_trustees),
        "subscriptions": of_each(subscriptions),
        "subscription_diffs": of_each(diffs),
        "subscription_suspensions": of_each(suspensions),
        "answers": answers(),
    }


if __name__ == "__main__":
    print(json.dumps(document()))
