# Deletes everything that is left, by the library, and prints what it then finds.
import json

from library import *
from reading import attributes, document, of_each, peer_trustees, subscriptions, trusts

for id, rows in of_each(subscriptions).items():
    subscription = DbSubscription()
    assert subscription.get(actor_id=id, peerid=rows[0]["peerid"], subid=rows[0]["subscriptionid"])
    assert subscription.delete()
    left = DbSubscriptionList()
    left.fetch(id)
    assert left.delete()
for id in IDS:
    diffs = DbSubscriptionDiffList()
    diffs.fetch(actor_id=id)
    diffs.delete()
    assert DbSubscriptionSuspension(id).delete_all()
for id, rows in of_each(trusts).items():
    trust = DbTrust()
    assert trust.get(actor_id=id, token=rows[0]["secret"])
    assert trust.delete()
    left = DbTrustList()
    left.fetch(id)
    assert left.delete()
for id, rows in of_each(peer_trustees).items():
    peer = DbPeerTrustee()
    assert peer.get(actor_id=id, peerid=rows[0]["peerid"])
    assert peer.delete()
    left = DbPeerTrusteeList()
    left.fetch(actor_id=id)
    assert left.delete()
for id, rows in of_each(attributes).items():
    assert DbAttribute.delete_attr_conditional(actor_id=id, bucket=rows[0]["bucket"], name=rows[0]["name"])
    assert DbAttribute().delete_attr(actor_id=id, bucket=rows[-1]["bucket"], name=rows[-1]["name"])
    assert DbAttribute.delete_bucket(actor_id=id, bucket=rows[0]["bucket"])
    assert DbAttributeBucketList.delete(actor_id=id)
for id in IDS:
    everything = DbPropertyList()
    everything.fetch(actor_id=id)
    assert everything.delete()
    actor = DbActor()
    assert actor.get(actor_id=id) is None or actor.delete()
print(json.dumps(document()))
