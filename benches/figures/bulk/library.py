# Whole tables by the Python library. Reads what to do, prints how many seconds it took.
import json
import sys
import time

from actingweb.db.dynamodb.property import Property

work = json.load(sys.stdin)
# Connects, and asks for the table's keys once.
Property.count("nobody")
begun = time.perf_counter()
if work["write"]:
    with Property.batch_write() as batch:
        for id, name, value in work["write"]:
            batch.save(Property(id=id, name=name, value=value))
else:
    rows = [(row.id, row.name, row.value) for row in Property.scan()]
    assert len(rows) == work["count"], len(rows)
print(time.perf_counter() - begun)
