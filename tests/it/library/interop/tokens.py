# Rotates a refresh token that was written by somebody else, as an application does, and makes one
# for somebody else to rotate.
import json
import os

from actingweb.config import Config
from actingweb.oauth_session import OAuth2SessionManager

sessions = OAuth2SessionManager(Config(database=os.environ["DATABASE_BACKEND"]))
taken, data = sessions.try_mark_refresh_token_used(os.environ["TOKEN"])
again, used = sessions.try_mark_refresh_token_used(os.environ["TOKEN"])
print(json.dumps({
    "taken": taken,
    "again": again,
    "data": data,
    "used": used,
    "made": sessions.create_refresh_token("actor-1", "alice@example.com"),
}))
