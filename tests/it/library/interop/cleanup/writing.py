# Tokens and sessions as the library issues, rotates and consumes them: 40 days ago, three days ago and
# now. Every third of them then loses its TTL, as rows have none that were written before there were
# any, or stored again by a plain set_attr. Prints how many attributes each bucket has.
import collections
import json
import os
import time

from actingweb.config import Config
from actingweb.db import get_attribute
from actingweb.oauth2_server.client_registry import MCPClientRegistry
from actingweb.oauth2_server.token_manager import ActingWebTokenManager
from actingweb.oauth_session import OAuth2SessionManager
from actingweb.oauth_state_store import MobileTicketStore

COMMON = "_actingweb_oauth2"
config = Config(database=os.environ["DATABASE_BACKEND"])
sessions, tokens, clients = OAuth2SessionManager(config), ActingWebTokenManager(config), MCPClientRegistry(config)
wall_clock = time.time
actors = [f"actor-{n}" for n in range(4)]

for days in (40, 3, 0):
    time.time = lambda: wall_clock() - days * 86400
    for n, actor in enumerate(actors):
        sessions.store_session({"access_token": "t"}, {"sub": n}, state="s", provider="google")
        sessions.store_access_token(f"spa-{days}-{n}", actor, f"user{n}@example.com")
        spa = sessions.create_refresh_token(actor, f"user{n}@example.com")
        MobileTicketStore(config).create(code="c", redirect_uri="https://a.example/cb", provider="apple")
        access = tokens._create_access_token(actor, "client", {"access_token": "provider"})
        refresh = tokens._create_refresh_token(
            actor, "client", access["token"], google_token_key=access["google_token_key"]
        )
        tokens.create_authorization_code(actor, "client", {"access_token": "provider"})
        if n % 2:
            assert sessions.try_mark_refresh_token_used(spa)[0]
            assert tokens.refresh_access_token(refresh["token"], "client")
        clients._update_global_index(f"client-{days}-{n}", actor)
        if n % 2:
            get_attribute(config).set_attr(
                actor_id=actor, bucket="mcp_clients", name=f"client-{days}-{n}", data={"client_id": "c"}
            )

time.time = wall_clock
store = get_attribute(config)
buckets = collections.Counter()
number = 0
for actor in (COMMON, *actors):
    for bucket in (
        "_oauth_sessions", "spa_access_tokens", "spa_refresh_tokens", "_apple_exchange_tickets",
        "_access_token_index", "_refresh_token_index", "_auth_code_index", "_client_index",
        "mcp_tokens", "mcp_refresh_tokens", "mcp_auth_codes", "mcp_google_tokens", "mcp_clients",
    ):
        for name, row in sorted((store.get_bucket(actor_id=actor, bucket=bucket) or {}).items()):
            buckets[bucket] += 1
            number += 1
            if number % 3 == 0:
                store.set_attr(actor_id=actor, bucket=bucket, name=name, data=row["data"])
print(json.dumps(buckets))
