"""The templates of a business account, listed at the double over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from instances.channels.base import CannotDo
from instances.channels.receiving import ReceiveFailed
from instances.channels.requests import Link
from instances.channels.templates import Template
from instances.channels.whatsapp_cloud import listed_templates
from instances.channels.whatsapp_cloud.channel import WhatsAppCloudChannel
from instances.channels.whatsapp_cloud.graph import BUSINESS_ACCOUNT, TOKEN
from instances.receiving.messenger_calls import call_messenger
from tests.doubles.whatsapp_cloud import Number, WhatsAppCloud


@pytest.fixture
def number(monkeypatch: pytest.MonkeyPatch) -> Iterator[Number]:
    with WhatsAppCloud() as whatsapp:
        monkeypatch.setattr(settings, "WHATSAPP_URL", whatsapp.url)
        yield whatsapp.add_number()


def templates(number: Number, account: str) -> list[Template]:
    link = Link(1, "", {TOKEN: number.token}, number.phone_number_id, {BUSINESS_ACCOUNT: account})
    return list(call_messenger(lambda network: WhatsAppCloudChannel().templates(link, network)))


def test_templates_are_listed_page_by_page(number: Number, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed_templates, "PAGE", 2)
    body = [{"type": "BODY", "text": "Hello {{1}}"}]
    number.templates = [
        {
            "name": f"t{index}",
            "language": "de",
            "status": "APPROVED",
            "category": "UTILITY",
            "components": body,
        }
        for index in range(5)
    ]
    found = templates(number, number.business_account_id)
    assert [one.name for one in found] == ["t0", "t1", "t2", "t3", "t4"]
    assert found[0] == Template("t0", "de", "APPROVED", "UTILITY", body)
    assert sum("message_templates" in path for _, path in number.server.requests) == 3


def test_an_account_that_is_not_known_or_refuses_is_named(number: Number) -> None:
    with pytest.raises(CannotDo, match="enter it where the number is linked"):
        templates(number, "")
    number.is_revoked = True
    with pytest.raises(ReceiveFailed, match="The access token is invalid"):
        templates(number, number.business_account_id)
