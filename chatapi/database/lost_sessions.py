"""Ends sessions whose network is cut, on both sides, LOST_SECONDS after the last packet.

A machine that loses its power or its network does not close its connections. By default, PostgreSQL keeps such a
session, with its advisory locks and row locks, for two hours (the kernel's tcp_keepalive_time), and a process waits for
a response for 15 minutes (tcp_retries2): no other machine takes the slots over, and a call may wait for a row lock as
long. The kernel answers probes, so a busy or stopped process keeps its session. It loses it if more than what fits into
the sockets' buffers (3 MB, measured on loopback) is on its way to it, and it reads none for LOST_SECONDS:
tcp_user_timeout counts that too. Unix sockets ignore all of this.
"""

from __future__ import annotations

from typing import Any

LOST_SECONDS = 6
PROBE_AFTER = 3  # seconds without a packet, and then a probe each second

# libpq's parameters; DATABASE_URL may have other values.
CLIENT_OPTIONS = {
    "keepalives_idle": PROBE_AFTER,
    "keepalives_interval": 1,
    "keepalives_count": LOST_SECONDS - PROBE_AFTER,
    "tcp_user_timeout": LOST_SECONDS * 1000,
}
# The same of the server, for this session. Not in libpq's `options`, which PgBouncer refuses.
SERVER_SETTINGS = {
    "tcp_keepalives_idle": PROBE_AFTER,
    "tcp_keepalives_interval": 1,
    "tcp_keepalives_count": LOST_SECONDS - PROBE_AFTER,
    "tcp_user_timeout": LOST_SECONDS * 1000,
}
# Without an error on an engine that has no such setting: start checks refuse it with a sentence.
SET = (
    "SELECT set_config(name, value, false) FROM (VALUES {}) AS wanted (name, value)".format(
        ", ".join(f"('{name}', '{value}')" for name, value in SERVER_SETTINGS.items())
    )
    + " WHERE current_setting(name, true) IS NOT NULL"
)


def end_if_lost(session: Any) -> None:
    """Have the server end this session LOST_SECONDS after the last packet of this machine. One query."""
    with session.cursor() as cursor:
        cursor.execute(SET)
