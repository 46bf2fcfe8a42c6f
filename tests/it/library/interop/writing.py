# Writes the contents by the library, and prints what it then finds.
import json

from library import *
from reading import document


def write():
    for row in CONTENTS["actors"]:
        made = DbActor().create(actor_id=row["id"], creator=row["creator"], passphrase=row["passphrase"])
        assert made, row
    for row in CONTENTS["properties"]:
        # As the library's lists do, and everybody else.
        is_item = row["name"].startswith("list:")
        store = DbProperty().create_if_not_exists if is_item else DbProperty().set
        assert store(actor_id=row["id"], name=row["name"], value=row["value"]), row
    DbPropertyLookup()
    attributes = DbAttribute()
    for row in CONTENTS["attributes"]:
        stored = attributes.set_attr(
            actor_id=row["id"],
            bucket=row["bucket"],
            name=row["name"],
            data=json.loads(row["data"]),
            timestamp=parsed(row.get("timestamp")),
            ttl_seconds=row.get("ttl_seconds"),
        )
        assert stored, row
    for row in CONTENTS["trusts"]:
        fields = without(row, "id", "type")
        assert DbTrust().create(actor_id=row["id"], peer_type=row["type"], **fields), row
    for row in CONTENTS["peertrustees"]:
        fields = without(row, "id", "type")
        assert DbPeerTrustee().create(actor_id=row["id"], peer_type=row["type"], **fields), row
    for row in CONTENTS["subscriptions"]:
        assert DbSubscription().create(actor_id=row["id"], **without(row, "id")), row
    for row in CONTENTS["subscription_diffs"]:
        assert DbSubscriptionDiff().create(actor_id=row["id"], **without(row, "id")), row
    for row in CONTENTS["subscription_suspensions"]:
        assert DbSubscriptionSuspension(row["id"]).suspend(row["target"], row["subtarget"]), row


write()
print(json.dumps(document()))
