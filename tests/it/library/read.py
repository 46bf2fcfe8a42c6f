# What the library makes of what is left. `written` comes from write.py.
from actingweb.config import Config
from actingweb.db.postgresql.attribute import DbAttribute
from actingweb.deletion import DeletionStatus, get_deletion_status
from actingweb.oauth2_server.token_manager import ActingWebTokenManager
from actingweb.oauth_session import OAuth2SessionManager
from actingweb.oauth_state_store import StateNonceStore

config = Config(database="postgresql")
sessions = OAuth2SessionManager(config)
tokens = ActingWebTokenManager(config)
questions = {
    "sessions": sessions.get_session,
    "access": sessions.validate_access_token,
    "refresh": sessions.validate_refresh_token,
    "mcp": tokens.validate_access_token,
    "nonces": StateNonceStore(config).consume,
    "deleted": lambda actor: get_deletion_status(actor, config) is DeletionStatus.DELETED,
}
for kind, ask in questions.items():
    for name in written["now"][kind]:
        assert ask(name), f"{kind}: what lives is gone"
    for name in written["then"][kind]:
        assert not ask(name), f"{kind}: what has expired is still there"

alive = 0
for actor in range(7):
    for name, found in (DbAttribute.get_bucket(f"actor-{actor}", "application") or {}).items():
        n = int(name.removeprefix("n:"))
        data = {"n": n, "text": "æ𝄞\u2028", "nested": {"b": [1.5, None, True], "a": ""}}
        assert found["data"] == data, found
        assert DbAttribute.conditional_update_attr(f"actor-{actor}", "application", name, data, {"n": n})
        alive += 1
print(alive)
