"""The code on the pages of an instance: from the form to the scan, by QR code or by the phone's number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actions.keys import issue_key
from instances.limits import manual_request_limit
from instances.models import (
    AccountStatus,
    ChannelLink,
    Instance,
    ReceiverState,
    StoredCallback,
    Substatus,
)
from tests.doubles.waha import Waha
from tests.instances.channels.waha.messenger import CHANNEL, callback_of

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def waha(settings: Any) -> Iterator[Waha]:
    with Waha() as server:
        settings.WAHA_SERVERS = {server.url: server.api_key}
        yield server


@pytest.fixture
def shop(bob: Client, waha: Waha) -> Instance:
    """Linked to a session of the site's server; its events do not reach the tests' process."""
    bob.post("/instances/new/", {"name": "Shop", "channel": "waha"})
    shop = Instance.objects.get(name="Shop")
    answer = bob.post(f"/instances/{shop.number}/account/", {"next": "setup"})
    assert answer.status_code == 302, answer.content.decode()
    return shop


def text(response: Any) -> str:
    return " ".join(response.content.decode().split())


def report(instance: Instance, waha: Waha) -> None:
    """Record what the session has reported last."""
    from instances.actions.received import record_events

    link = CHANNEL.link(instance)
    request = callback_of(waha.only.events[-1], link.credentials["hmac_key"])
    record_events(instance, CHANNEL.read_callback(link, request), is_patient=False)
    instance.refresh_from_db()


def test_the_setup_continues_from_the_form_to_the_code_and_to_the_next_step(
    bob: Client, shop: Instance, waha: Waha
) -> None:
    setup = f"/instances/{shop.number}/setup/"
    page = bob.get(setup)
    assert "Link the phone" in text(page) and "Check and link" not in text(page)
    report(shop, waha)
    page = bob.get(setup, {"step": "link", "wait": "before"}, headers=HTMX)
    assert "qr-code" in text(page) and "Linked devices" in text(page)
    cursor = page.context["status"].cursor
    before = len(waha.requests)
    assert bob.get(setup, {"step": "link", "wait": cursor}, headers=HTMX).status_code == 204
    assert len(waha.requests) == before, "a poll does not ask the messenger"
    waha.only.next_code()
    report(shop, waha)
    renewed = bob.get(setup, {"step": "link", "wait": cursor}, headers=HTMX)
    assert renewed.context["code"].svg != page.context["code"].svg
    waha.only.scan("15550001111", "Tea Shop")
    report(shop, waha)
    assert (shop.account_status, shop.own_chat_id) == (AccountStatus.AUTHENTICATED, "15550001111@c.us")
    assert ChannelLink.objects.get().name == "Tea Shop (+15550001111)"
    assert bob.get(setup).context["step"] == "address"


def test_an_expired_code_is_replaced(bob: Client, shop: Instance, waha: Waha) -> None:
    for _ in range(6):
        waha.only.next_code()
    report(shop, waha)
    assert (shop.account_status, shop.substatus) == (AccountStatus.GOT_QR_CODE, Substatus.EXPIRED)
    page = text(bob.get(f"/instances/{shop.number}/"))
    assert "This code has expired" in page and "Get a new code" in page
    bob.post(f"/instances/{shop.number}/press/expiry/")
    assert waha.only.status == "SCAN_QR_CODE"
    report(shop, waha)
    assert "is-stale" not in text(bob.get(f"/instances/{shop.number}/"))


def test_a_phone_that_is_logged_out_is_a_lost_link_until_the_next_scan(
    bob: Client, shop: Instance, waha: Waha
) -> None:
    def is_lost() -> bool:
        return ReceiverState.objects.get(instance=shop).lost_at is not None

    waha.only.scan()
    report(shop, waha)
    bob.post(f"/instances/{shop.number}/press/logout/")
    report(shop, waha)
    assert not is_lost(), "it was logged out here"
    waha.only.scan()
    report(shop, waha)
    waha.only.log_out()
    waha.only.next_code()
    report(shop, waha)
    assert is_lost() and shop.account_status == AccountStatus.GOT_QR_CODE
    waha.only.scan()
    report(shop, waha)
    assert not is_lost() and shop.is_authenticated


def test_callbacks_that_failed_are_shown_beside_the_connection(bob: Client, shop: Instance) -> None:
    now = timezone.now()
    StoredCallback.objects.create(
        instance=shop, key="evt_1", method="POST", body=b"{}", failed_at=now, error="ValueError: x"
    )
    page = text(bob.get(f"/instances/{shop.number}/"))
    assert "A callback failed: ValueError: x" in page and "Handle the failed callbacks again" in page


def test_a_server_that_is_away_shows_no_code(bob: Client, shop: Instance, waha: Waha) -> None:
    report(shop, waha)
    waha.is_away = True
    page = bob.get(f"/instances/{shop.number}/")
    assert page.status_code == 200 and page.context["code"] is None
    pressed = bob.post(f"/instances/{shop.number}/press/reboot/", headers=HTMX)
    assert pressed.status_code == 200


def test_the_phone_is_linked_by_its_number(bob: Client, shop: Instance, waha: Waha) -> None:
    report(shop, waha)
    assert "Link with the phone number instead" in text(bob.get(f"/instances/{shop.number}/"))
    url = f"/instances/{shop.number}/pair/"
    card = text(bob.post(url, {"phone": "+1 555 000 1111"}, headers=HTMX))
    assert "1111-" in card and "Link with phone number instead" in card
    assert waha.only.calls[-1] == ("request-code", {"phoneNumber": "15550001111"})
    assert "country code" in text(bob.post(url, {"phone": "12"}, headers=HTMX))
    waha.is_away = True
    assert "WAHA" in text(bob.post(url, {"phone": "15550001111"}, headers=HTMX))
    assert bob.post(url, {"phone": "15550001111"}).status_code == 302


def test_a_program_gets_a_code_for_a_phone_number(
    client: Client, bob: Client, shop: Instance, waha: Waha, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = issue_key(shop.owner, acting_user=shop.owner.owner)

    def pair(phone: str) -> tuple[int, Any]:
        response = client.post(
            f"/api/v1/instances/{shop.number}/link/pairing-code",
            {"phone": phone},
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        return response.status_code, response.json()

    status, found = pair("+1 555 000 1111")
    assert status == 200 and found["code"].startswith("1111-")
    assert waha.only.calls[-1] == ("request-code", {"phoneNumber": "15550001111"})
    calls = len(waha.only.calls)
    for wrong in ("12", "120363000000000001@g.us", "98765432101234@lid", "ann@example.org"):
        status, refused = pair(wrong)
        assert status == 400 and "country code" in refused["fields"]["phone"], wrong
    assert len(waha.only.calls) == calls
    waha.only.scan()
    status, refused = pair("15550001111")
    assert status == 409 and "WAHA" in refused["error"], "it is linked already"
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    asked = len(waha.requests)
    status, refused = pair("15550001111")
    assert status == 409 and "more than 0 requests" in refused["error"] and len(waha.requests) == asked


def test_a_code_to_confirm_is_shown(bob: Client, shop: Instance, waha: Waha) -> None:
    waha.only.ask_for_passkey("4711")
    report(shop, waha)
    assert (shop.account_status, shop.substatus) == (AccountStatus.LOADING, Substatus.PAIRING)
    page = text(bob.get(f"/instances/{shop.number}/"))
    assert "Pairing" in page and "4711" in page


def test_the_wire_contract_shows_the_code(client: Client, shop: Instance, waha: Waha) -> None:
    report(shop, waha)
    path = f"/instance{shop.number}"
    assert client.get(f"{path}/status", {"token": shop.token}).json()["accountStatus"] == "got qr code"
    assert client.get(f"{path}/qr_code", {"token": shop.token}).content.startswith(b"\x89PNG")
    logged_out = client.post(f"{path}/logout?token={shop.token}").json()
    assert logged_out["result"] == "Logout request sent to WhatsApp"
    refused = client.post(f"{path}/reboot?token={shop.token}")
    assert refused.json() == {"success": True}
