"""The product's settings with a deadline of 2 s, or TEST_DEADLINE_MS, for tests with servers that hang."""

import os

from chatapi.settings import *  # noqa: F403

HOOKS_DEADLINE_MS = int(os.environ.get("TEST_DEADLINE_MS", "2000"))
HOOKS_CONNECT_MS = HOOKS_DEADLINE_MS // 2
