"""Channels and links in the REST API: values go in, and no secret comes out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from accounts.audit import AuditEntry
from instances.actions.lifecycle import create_instance
from instances.channels import CHANNELS
from instances.models import ChannelLink, Instance
from tests.instances.api.conftest import ApiClient
from tests.instances.receiving.all_channels import TEST_CHANNELS
from tests.instances.receiving.desk import NAME as DESK
from tests.instances.receiving.desk import TOKEN, Desk

NAME = "telegram"  # a name that instances may have; its channel is the desk


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setitem(CHANNELS, NAME, TEST_CHANNELS[DESK])
    with Desk() as desk:
        yield desk


@pytest.fixture
def link(alice: ApiClient, desk: Desk) -> str:
    """The path of the link of a new instance."""
    alice.instance = create_instance(alice.account, channel=NAME, acting_user=None)
    return f"instances/{alice.instance.number}/link/"


def test_the_channels_say_what_they_need(alice: ApiClient, desk: Desk) -> None:
    status, found = alice.get("channels/")
    assert status == 200
    channels = {channel["name"]: channel for channel in found}
    assert channels["sandbox"]["fields"] == []
    shown = channels[NAME]
    assert (shown["title"], [field["name"] for field in shown["fields"]]) == (
        "Desk",
        ["token", "url", "note"],
    )
    assert [field["secret"] for field in shown["fields"]] == [True, False, False]
    assert shown["cannot"]["viewed"] == "A notepad does not know when it is read."
    assert shown["callbackSteps"] and shown["steps"] and shown["needs"] and shown["facts"]


def test_an_account_is_linked_read_and_unlinked(
    alice: ApiClient, desk: Desk, link: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert alice.get(link)[1]["linked"] is False
    status, found = alice.call("PUT", link, {"values": desk.add()})
    assert status == 200
    saved = ChannelLink.objects.get()
    changed_at = found.pop("changedAt")
    assert changed_at and found == {
        "channel": NAME,
        "linked": True,
        "account": "@desk1",
        "externalId": "desk 1",
        "options": {"url": desk.url, "note": ""},
        "callbackUrl": saved.callback_url,
        "lostAt": None,
        "lostReason": "",
        "notice": "",
    }
    assert alice.get(alice.home)[1]["accountStatus"] == "authenticated"
    assert TOKEN not in json.dumps(alice.get(link)[1]) and TOKEN not in caplog.text
    entry = AuditEntry.objects.get(action="instance.linked")
    assert entry.actor == alice.account.owner and TOKEN not in json.dumps(entry.detail)
    for _ in range(2):
        status, found = alice.call("DELETE", link)
        assert (status, found["linked"], found["notice"]) == (200, False, "")
    assert alice.get(link)[1]["linked"] is False
    assert alice.get(alice.home)[1]["accountStatus"] == "init"


def test_what_is_wrong_is_named_by_its_field(alice: ApiClient, desk: Desk, link: str) -> None:
    values = desk.add()
    for given, field in (
        ({"values": values | {"token": "1"}}, "values.token"),
        ({"values": values | {"token": "desk-0000"}}, "values.token"),
        ({"values": values | {"other": "1"}}, "values.other"),
        ({"values": {"token": ["1"]}}, "values.token"),
        ({"values": "x"}, "values"),
        ({"token": "x"}, "token"),
    ):
        status, found = alice.call("PUT", link, given)
        assert (status, next(iter(found["fields"]))) == (400, field), found
        assert "desk-0000" not in json.dumps(found)
    desk.faults["/account"] = 503
    assert alice.call("PUT", link, {"values": values}) == (400, {"error": "The desk responded with 503."})
    assert not ChannelLink.objects.exists()


def test_a_stranger_gets_404(alice: ApiClient, bob: ApiClient, desk: Desk, link: str) -> None:
    number = Instance.objects.get(pk=alice.instance.pk).number
    for method in ("GET", "PUT", "DELETE"):
        expected = (404, {"error": f"Your account has no instance {number}."})
        assert bob.call(method, link, {"values": desk.add()}) == expected
    assert not desk.asked


def test_rest_refuses_a_channel_that_is_not_offered(alice: ApiClient) -> None:
    status, found = alice.patch(alice.home, {"channel": "pigeon"})
    assert (status, list(found["fields"])) == (400, ["channel"])
    status, found = alice.patch(alice.home, {"channel": "sandbox", "name": "Box"})
    assert (status, found["channel"], found["name"], found["accountStatus"]) == (
        200,
        "sandbox",
        "Box",
        "authenticated",
    )
