"""The product's settings with a deadline of two seconds, for a dispatcher among servers that hang."""

from chatapi.settings import *  # noqa: F403

HOOKS_DEADLINE_MS = 2_000
HOOKS_CONNECT_MS = 1_000
