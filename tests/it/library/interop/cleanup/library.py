# What the library's own clean-up finds, which nothing of the library ever calls.
import json
import os

from actingweb.config import Config
from actingweb.oauth2_server.token_manager import ActingWebTokenManager
from actingweb.oauth_session import OAuth2SessionManager

config = Config(database=os.environ["DATABASE_BACKEND"])
sessions = OAuth2SessionManager(config)
print(json.dumps({
    "sessions": sessions.clear_expired_sessions(),
    "spa": sessions.cleanup_expired_tokens(),
    "mcp": sum(ActingWebTokenManager(config).cleanup_expired_tokens().values()),
}))
