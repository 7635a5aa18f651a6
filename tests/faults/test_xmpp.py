"""XMPP in and out while its server too is killed, beside web server, receiver and sender: nothing is lost.

What was in flight at a kill of the server may come twice. test_channels.py has the same without such kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import messages_under_kills
from tests.messengers.xmpp import XmppService
from tests.product import Product
from tests.servers.prosody import Prosody


@pytest.mark.timeout(3600)  # for CHANNEL_MESSAGES=10000
def test_nothing_is_lost_while_the_server_is_killed_too(tmp_path: Path) -> None:
    with (
        Prosody(tmp_path / "prosody") as prosody,
        XmppService(lambda: prosody) as service,
        Product(tmp_path / "product", HOOKS_ALLOW_NETWORKS="127.0.0.0/8") as product,
    ):
        messages_under_kills.run(product, "xmpp", service, service.restart)
