# What an application writes by the library: 40 days ago, which has expired since, and now.
# Prints what to ask for afterwards.
import json
import time

from actingweb.config import Config
from actingweb.db.postgresql.attribute import DbAttribute
from actingweb.deletion import mark_actor_deleted
from actingweb.oauth2_server.token_manager import ActingWebTokenManager
from actingweb.oauth_session import OAuth2SessionManager
from actingweb.oauth_state_store import MobileTicketStore, StateNonceStore

config = Config(database="postgresql")
sessions = OAuth2SessionManager(config)
tokens = ActingWebTokenManager(config)
wall_clock = time.time
written = {}

for when, days in (("then", 40), ("now", 0)):
    time.time = lambda: wall_clock() - days * 86400
    names = written[when] = {}
    for n in range(50):
        actor = f"actor-{n}"
        session = sessions.store_session({"access_token": "t"}, {"sub": n}, state="s", provider="google")
        names.setdefault("sessions", []).append(session)
        access = f"spa-{when}-{n}"
        sessions.store_access_token(access, actor, f"user{n}@example.com")
        names.setdefault("access", []).append(access)
        names.setdefault("refresh", []).append(sessions.create_refresh_token(actor, f"user{n}@example.com"))
        mcp = tokens._create_access_token(actor, "client", {"access_token": "provider"})
        names.setdefault("mcp", []).append(mcp["token"])
        tokens._create_refresh_token(actor, "client", mcp["token"])
        tokens.create_authorization_code(actor, "client", {"access_token": "provider"})
        nonce = StateNonceStore(config).create({"provider": "google", "n": n})
        names.setdefault("nonces", []).append(nonce)
        MobileTicketStore(config).create(code="c", redirect_uri="https://a.example/cb", provider="apple")
        assert mark_actor_deleted(f"{when}-deleted-{n}", config)
        names.setdefault("deleted", []).append(f"{when}-deleted-{n}")

time.time = wall_clock
# The library adds an hour of its own. Nothing expires while the test runs.
lives = [None, 600, 3600, 86400, 10**9, -3000, -3700, -3601 - 60, -86400, -(10**8), -(10**9)]
for n in range(2200):
    data = {"n": n, "text": "æ𝄞\u2028", "nested": {"b": [1.5, None, True], "a": ""}}
    assert DbAttribute.set_attr(f"actor-{n % 7}", "application", f"n:{n}", data, ttl_seconds=lives[n % len(lives)])
print(json.dumps(written))
