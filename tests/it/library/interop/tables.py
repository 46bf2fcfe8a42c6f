# Makes every table that the library makes by itself. Prints the names of the models.
import json

from actingweb.db.dynamodb._ensure import _ensured
from library import *

for make in (DbActor, DbProperty, DbPropertyList, DbAttribute, DbTrust, DbPeerTrustee, DbSubscription,
             DbSubscriptionDiff, lambda: DbSubscriptionSuspension("a")):
    make()
# As its first use does: where properties are looked up by an index, there is none.
if os.environ["USE_PROPERTY_LOOKUP_TABLE"] == "true":
    DbPropertyLookup()
print(json.dumps(sorted(model.__name__ for model in _ensured)))
