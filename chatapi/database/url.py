"""DATABASE_URL, and URLs like it, as an entry of Django's DATABASES.

dj-database-url parses everything except the hosts: it accepts one, libpq several, each with a port of its own.
"""

import re
from typing import Any
from urllib.parse import unquote

import dj_database_url

from chatapi.database import lost_sessions

# The part before the hosts, the hosts, and the path with the query.
URL = re.compile(r"((?i:postgres(?:ql)?)://(?:[^/?#]*@)?)([^/?#]*)(.*)", re.DOTALL)
HOST = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]*))?")
REPLICA_SECONDS = 10  # of one statement; then the page reads from the primary


def database_settings(url: str) -> dict[str, Any]:
    """Returns NAME, USER, PASSWORD, HOST, PORT and OPTIONS of a PostgreSQL URL.

    Several hosts are returned in libpq's format: HOST "a,b" with PORT "5432,5433". If an option occurs twice, the last
    value counts, as in libpq.

    Raises:
        ValueError: not a PostgreSQL URL, or one without a database. Its text contains no part of the URL, because the
            URL contains the password.
    """
    parts = URL.fullmatch(url)
    if parts is None:
        raise ValueError("not a PostgreSQL URL")
    before, hosts, after = parts.groups()
    parsed: dict[str, Any] = dict(dj_database_url.parse(before + after))
    name = parsed["NAME"].strip("/")
    if not name:
        raise ValueError("no database in the URL")
    host, port = parse_hosts(hosts)
    options = parsed.get("OPTIONS", {})
    return {
        "NAME": name,
        "USER": parsed["USER"],
        "PASSWORD": parsed["PASSWORD"],
        "HOST": host,
        "PORT": port,
        "OPTIONS": {key: value[-1] if isinstance(value, list) else value for key, value in options.items()},
    }


def connection_options(
    options: dict[str, Any], *, server: str = "read-write", seconds: int = 10
) -> dict[str, Any]:
    """Returns libpq's parameters for these of a URL: with limits for servers that do not respond, unless it has some.

    Of several hosts, only a `server` of that kind is used (target_session_attrs), whatever the URL says: a standby
    grants advisory locks of its own, so a dispatcher there would believe that it has a slot. A connection may take so
    many `seconds`; 10 are enough for a busy machine.
    """
    limits = {"connect_timeout": seconds} | lost_sessions.CLIENT_OPTIONS
    return limits | options | {"target_session_attrs": server}


def replica_options(options: dict[str, Any]) -> dict[str, Any]:
    """Returns the same for a standby: its sessions are read-only, and a statement may take REPLICA_SECONDS.

    A query waits there while a lock is replayed, such as that of a dropped partition. The URL may set another time.
    """
    limit = f"-c statement_timeout={REPLICA_SECONDS}s"
    given = options.get("options", "")
    session = " ".join(filter(None, (limit, given, "-c default_transaction_read_only=on")))
    return connection_options(options | {"options": session}, server="standby", seconds=2)


def parse_hosts(text: str) -> tuple[str, str]:
    """Returns libpq's two comma-separated lists for `a:5432,[::1]:5433,%2Frun%2Fpg`: hosts and ports.

    A host without a port has libpq's default, 5432. The list of ports is empty if no host has one. Raises ValueError,
    whose text contains no part of the URL.
    """
    hosts, ports = [], []
    for one in text.split(","):
        found = HOST.fullmatch(one)
        if found is None:
            raise ValueError("a host in the URL is wrong")
        host, port = found.groups(default="")
        if port and not 1 <= int(port) <= 65535:
            raise ValueError("a port in the URL is wrong")
        hosts.append(unquote(host.strip("[]")))
        ports.append(port)
    return ",".join(hosts), ",".join(ports) if any(ports) else ""
