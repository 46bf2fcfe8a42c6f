# The library's own classes on the backend that the environment names, and what the scripts beside
# this one write.
import datetime
import importlib
import json
import os
import pathlib

BACKEND = os.environ["DATABASE_BACKEND"]
UTC = datetime.timezone.utc


def classes(module, *names):
    module = importlib.import_module(f"actingweb.db.{BACKEND}.{module}")
    return [getattr(module, name) for name in names]


DbActor, DbActorList = classes("actor", "DbActor", "DbActorList")
DbProperty, DbPropertyList = classes("property", "DbProperty", "DbPropertyList")
(DbPropertyLookup,) = classes("property_lookup", "DbPropertyLookup")
DbAttribute, DbAttributeBucketList = classes("attribute", "DbAttribute", "DbAttributeBucketList")
DbTrust, DbTrustList = classes("trust", "DbTrust", "DbTrustList")
DbPeerTrustee, DbPeerTrusteeList = classes("peertrustee", "DbPeerTrustee", "DbPeerTrusteeList")
DbSubscription, DbSubscriptionList = classes("subscription", "DbSubscription", "DbSubscriptionList")
DbSubscriptionDiff, DbSubscriptionDiffList = classes(
    "subscription_diff", "DbSubscriptionDiff", "DbSubscriptionDiffList"
)
(DbSubscriptionSuspension,) = classes("subscription_suspension", "DbSubscriptionSuspension")

CONTENTS = json.loads(pathlib.Path(__file__).with_name("contents.json").read_text("utf-8"))
ASKED = CONTENTS.pop("asked")
for table, rows in CONTENTS.items():
    CONTENTS[table] = [row for row in rows if row.get("only", BACKEND) == BACKEND]
IDS = sorted({row["id"] for rows in CONTENTS.values() for row in rows})

# The fields of a trust that may be missing.
OPTIONAL = [
    "peer_identifier", "established_via", "created_at", "last_accessed", "last_connected_via", "client_name",
    "client_version", "client_platform", "oauth_client_id", "aw_supported", "aw_version", "capabilities_fetched_at",
]


def without(row, *names):
    return {name: value for name, value in row.items() if name not in ("only", *names)}


def parsed(text):
    """A time of the contents, as the library's callers have it: UTC without saying so."""
    return text and datetime.datetime.fromisoformat(text)


def survivors(attributes):
    """Of those that share a key, the one that came last."""
    return list({(row["id"], f"{row['bucket']}:{row['name']}"): row for row in attributes}.values())
