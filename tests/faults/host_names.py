"""`manage.py dispatch` with host names defined by a test: `python -m tests.faults.host_names`.

The names in the file NAMES (JSON: {"host:port": ["address", …]}, read for each request) resolve to the addresses given
there; all other names are resolved as usual. Nothing else differs from the real dispatcher: libcurl gets the result of
the lookup (its option RESOLVE) and continues, so the guard sees what it would see after a response of a DNS server.
A DNS server of the test would need port 53 and this machine's resolv.conf.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit


def main() -> None:
    import django

    django.setup()
    import pycurl
    from django.core.management import call_command

    from hooks.http import Transfer

    file = Path(os.environ["NAMES"])
    start = Transfer.start

    def start_with_names(transfer: Transfer, url: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(url)
        name = f"{parts.hostname}:{parts.port or 80}"
        addresses = json.loads(file.read_text()).get(name)
        # "-" removes the result given to an earlier request
        entries = [f"-{name}", f"{name}:{','.join(addresses)}"] if addresses else []
        transfer.curl.setopt(pycurl.RESOLVE, entries)
        start(transfer, url, headers, body)

    with mock.patch.object(Transfer, "start", start_with_names):
        call_command("dispatch")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatapi.settings")
    main()
    sys.exit(0)
