"""DATABASE_URL as an entry of Django's DATABASES.

dj-database-url reads everything but the hosts: it takes one, and libpq takes several, each with a port of its own.
"""

import re
from typing import Any
from urllib.parse import unquote

import dj_database_url

# The part before the hosts, the hosts, and the path with the query.
URL = re.compile(r"((?i:postgres(?:ql)?)://(?:[^/?#]*@)?)([^/?#]*)(.*)", re.DOTALL)
HOST = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]*))?")


def database_settings(url: str) -> dict[str, Any]:
    """NAME, USER, PASSWORD, HOST, PORT and OPTIONS of a PostgreSQL URL.

    Several hosts are given as libpq wants them: HOST "a,b" with PORT "5432,5433". An option given twice has its last
    value, as in libpq.

    Raises:
        ValueError: not a PostgreSQL URL, or one without a database. The text never holds a part of the URL, which has
            the password in it.
    """
    parts = URL.fullmatch(url)
    if parts is None:
        raise ValueError("not a PostgreSQL URL")
    before, hosts, after = parts.groups()
    parsed: dict[str, Any] = dict(dj_database_url.parse(before + after))
    name = parsed["NAME"].strip("/")
    if not name:
        raise ValueError("no database in the URL")
    host, port = hosts_and_ports(hosts)
    options = parsed.get("OPTIONS", {})
    return {
        "NAME": name,
        "USER": parsed["USER"],
        "PASSWORD": parsed["PASSWORD"],
        "HOST": host,
        "PORT": port,
        "OPTIONS": {key: value[-1] if isinstance(value, list) else value for key, value in options.items()},
    }


def hosts_and_ports(text: str) -> tuple[str, str]:
    """libpq's comma lists of `a:5432,[::1]:5433,%2Frun%2Fpg`; a host without a port has libpq's default, 5432.

    The list of ports is empty if no host has one. Raises ValueError, whose text holds nothing of the URL.
    """
    hosts, ports = [], []
    for one in text.split(","):
        found = HOST.fullmatch(one)
        if found is None:
            raise ValueError("a host of the URL is wrong")
        host, port = found.groups(default="")
        if port and not 1 <= int(port) <= 65535:
            raise ValueError("a port of the URL is wrong")
        hosts.append(unquote(host.strip("[]")))
        ports.append(port)
    return ",".join(hosts), ",".join(ports) if any(ports) else ""
