# Which attributes the rules for tokens and index entries let go, computed from everything that is
# stored. It shares nothing with what it judges.
import json
import math
import os
import pathlib

SCENE = json.loads(pathlib.Path(os.environ["SCENE"]).read_text("utf-8"))
NOW, GRACE = SCENE["now"], SCENE["grace"]
ROWS = {(row["id"], row["bucket_name"]): row for row in SCENE["rows"]}
COMMON = "_actingweb_oauth2"
TWO_DAYS = 172800


def data_of(row):
    return None if row["data"] is None else json.loads(row["data"])


def belongs_to_an_actor(row):
    return not row["id"].startswith("_actingweb_")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


# Rule 2: what has no TTL goes an hour after its end, if it says when that is.
def verdict(row):
    """gone, stays, undated or undecided; None for what the rule is not about."""
    place = (row["bucket"], row["id"] == COMMON, belongs_to_an_actor(row))
    data = data_of(row)
    match place:
        case ("_oauth_sessions", True, _):
            field, lasts = "created_at", 600
        case ("spa_access_tokens" | "_apple_exchange_tickets", True, _):
            field, lasts = "expires_at", 0
        case ("mcp_tokens" | "mcp_auth_codes", _, True):
            field, lasts = "expires_at", 0
        case ("spa_refresh_tokens", True, _) | ("mcp_refresh_tokens", _, True):
            used = isinstance(data, dict) and data.get("used")
            field, lasts = ("used_at", TWO_DAYS) if used else ("expires_at", 0)
        case _:
            return None
    if row["ttl"] is not None:
        return "stays"
    if not isinstance(data, dict):
        return "undecided"
    if not is_number(data.get(field)):
        return "undated"
    return "gone" if data[field] + lasts + GRACE < NOW else "stays"


gone = set()
left = {"undated": 0, "undecided": 0, "provider_tokens": 0}
for key, row in ROWS.items():
    match verdict(row):
        case "gone":
            gone.add(key)
        case "undated" | "undecided" as why:
            left[why] += 1
    # Rule 5: it says nothing about its end.
    if row["bucket"] == "mcp_google_tokens" and belongs_to_an_actor(row) and row["ttl"] is None:
        left["provider_tokens"] += 1

# Rule 3: an index entry goes with what it points at, or when there is nothing.
INDEXES = {
    "_access_token_index": "mcp_tokens",
    "_refresh_token_index": "mcp_refresh_tokens",
    "_auth_code_index": "mcp_auth_codes",
}
for key, row in ROWS.items():
    if row["id"] != COMMON or row["bucket"] not in INDEXES:
        continue
    actor, bucket = data_of(row), INDEXES[row["bucket"]]
    if not actor:
        gone.add(key)
        continue
    if not isinstance(actor, str):
        left["undecided"] += 1
        continue
    target_key = (actor, f"{bucket}:{row['name']}")
    target = ROWS.get(target_key)
    if target is None:
        gone.add(key)
    elif (target["bucket"], target["name"]) != (bucket, row["name"]):
        # Another row has the key.
        left["undecided"] += 1
    elif target["ttl"] is not None and target["ttl"] <= NOW:
        gone |= {key, target_key}
    elif target_key in gone:
        gone.add(key)
    elif not isinstance(data_of(target), dict):
        left["undecided"] += 1

# Rule 4: the same about clients, which never end.
for key, row in ROWS.items():
    if row["id"] != COMMON or row["bucket"] != "_client_index":
        continue
    actor = data_of(row)
    if not isinstance(actor, str) or not actor:
        left["undecided"] += 1
        continue
    target = ROWS.get((actor, f"mcp_clients:{row['name']}"))
    if target is None:
        gone.add(key)
    elif (target["bucket"], target["name"]) != ("mcp_clients", row["name"]):
        left["undecided"] += 1

# An access token takes its provider token along.
for key in list(gone):
    row = ROWS[key]
    data = data_of(row)
    name = data.get("google_token_key") if row["bucket"] == "mcp_tokens" and isinstance(data, dict) else None
    if isinstance(name, str) and name:
        provider = ROWS.get((row["id"], f"mcp_google_tokens:{name}"))
        if provider is not None and (provider["bucket"], provider["name"]) == ("mcp_google_tokens", name):
            gone.add((row["id"], provider["bucket_name"]))

print(json.dumps({"gone": sorted(gone), "left": {why: rows for why, rows in left.items() if rows}}))
