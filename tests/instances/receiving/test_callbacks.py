"""Callbacks over a real socket: the web server stores them, a receiver handles them afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from hooks.models import Hook
from instances.actions.callbacks import retry_failed_callbacks
from instances.actions.channel_links import remove_link, rotate_callback_secret
from instances.models import Ack, Instance, Message, StoredCallback
from instances.receiving import callbacks
from instances.sending import outgoing
from tests.hooks.dispatch.dispatching import wait_until
from tests.instances.channels.conformance import waiting
from tests.instances.receiving import pushing
from tests.instances.receiving.conftest import Link
from tests.instances.receiving.processes import Receive, Web
from tests.instances.receiving.pushing import CREDENTIALS, NAME, SIGNATURE, pushed, signature
from tests.instances.receiving.wire_format import message

pytestmark = pytest.mark.usefixtures("checked")


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Iterator[Web]:
    """The web server, which takes 8 s to start."""
    with Web(tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def alice(transactional_db: None, link: Link) -> Instance:
    return link(NAME, CREDENTIALS)


def path_of(instance: Instance) -> str:
    instance.refresh_from_db()
    return f"/channels/{NAME}/{instance.channel_link.callback_secret}"


def push(web: Web, instance: Instance, *events: dict[str, Any], id: str = "") -> requests.Response:
    body, headers = pushed(*events, id=id)
    return requests.post(web.url + path_of(instance), data=body, headers=headers, timeout=120)


def handle_all() -> None:
    while callbacks.handle_due():
        pass


def bodies(instance: Instance) -> list[str]:
    return list(Message.objects.filter(instance=instance).order_by("number").values_list("body", flat=True))


def test_a_callback_is_stored_before_its_response_and_handled_afterwards(
    web: Web, alice: Instance, tmp_path: Path
) -> None:
    assert push(web, alice, message(1), message(2)).status_code == 200
    [stored] = StoredCallback.objects.all()
    assert (stored.handled_at, bodies(alice)) == (None, [])
    with Receive(tmp_path / "receive"):
        wait_until(lambda: bodies(alice) == ["1", "2"], "the receiver handles it")
        assert push(web, alice, message(3)).status_code == 200
        wait_until(lambda: bodies(alice) == ["1", "2", "3"], "a notification wakes it")
    assert not StoredCallback.objects.waiting().exists()
    assert Hook.objects.filter(endpoint=alice.pk, kind="message").count() == 3


def test_the_handshake_is_completed_and_not_stored(web: Web, alice: Instance) -> None:
    url = web.url + path_of(alice)
    query = {
        "hub.mode": "subscribe",
        "hub.challenge": "4711",
        "hub.verify_token": CREDENTIALS["verify_token"],
    }
    completed = requests.get(url, query, timeout=120)
    assert (completed.status_code, completed.text) == (200, "4711")
    assert requests.get(url, query | {"hub.verify_token": "guessed"}, timeout=120).status_code == 403
    assert requests.put(url, timeout=120).status_code == 405
    assert not StoredCallback.objects.exists()


def test_strangers_get_404_and_forgers_nothing_stored(web: Web, alice: Instance) -> None:
    body, headers = pushed(message(1))
    for path in (f"/channels/{NAME}/guessed", f"/channels/other/{alice.channel_link.callback_secret}"):
        assert requests.post(web.url + path, data=body, headers=headers, timeout=120).status_code == 404
    url = web.url + path_of(alice)
    assert requests.post(url, data=body, timeout=120).status_code == 401
    forged = {SIGNATURE: signature(body, "another secret")}
    assert requests.post(url, data=body, headers=forged, timeout=120).status_code == 403
    too_long = b" " * (4 * 1024 * 1024 + 1)
    assert requests.post(url, data=too_long, timeout=120).status_code == 413
    assert not StoredCallback.objects.exists()


def test_a_rotated_or_removed_link_makes_its_url_one_of_a_stranger(web: Web, alice: Instance) -> None:
    old = path_of(alice)
    rotate_callback_secret(alice.channel_link, acting_user=None)
    assert path_of(alice) != old
    body, headers = pushed(message(1))
    assert requests.post(web.url + old, data=body, headers=headers, timeout=120).status_code == 404
    assert push(web, alice, message(1)).status_code == 200
    new = path_of(alice)
    remove_link(alice, acting_user=None)
    assert requests.post(web.url + new, data=body, headers=headers, timeout=120).status_code == 404


def test_credentials_are_masked_and_the_body_is_kept_byte_for_byte(web: Web, alice: Instance) -> None:
    body, headers = pushed(
        {"kind": "message", "key": "k", "sender": "17680561234", "body": "äöü \u0000".strip()}
    )
    more = {"X-Note": f"uses {CREDENTIALS['app_secret']}", "Cookie": "a=b"}
    url = f"{web.url}{path_of(alice)}?key={CREDENTIALS['verify_token']}"
    assert requests.post(url, data=body, headers=headers | more, timeout=120).status_code == 200
    [stored] = StoredCallback.objects.all()
    assert stored.body_bytes() == body
    shown = json.dumps(stored.headers) + stored.query
    assert not [secret for secret in (*CREDENTIALS.values(), "messenger's-own", "a=b") if secret in shown]
    assert stored.key and len(stored.key) == 64


@pytest.mark.parametrize("id", ["", "callback 1"], ids=["by its content", "by the messenger's id"])
def test_a_repeated_callback_is_stored_once(web: Web, alice: Instance, id: str) -> None:
    for _ in range(3):
        assert push(web, alice, message(1), id=id).status_code == 200
    handle_all()
    assert push(web, alice, message(1), id=id).status_code == 200
    handle_all()
    assert (StoredCallback.objects.count(), bodies(alice)) == (1, ["1"])


def test_a_callback_handled_twice_changes_nothing(web: Web, alice: Instance) -> None:
    push(web, alice, message(1), {"kind": "typed", "key": "typed", "chat_id": "17680561234", "body": "2"})
    handle_all()
    hooks = Hook.objects.filter(endpoint=alice.pk).count()
    StoredCallback.objects.update(handled_at=None, tries=0)
    handle_all()
    assert bodies(alice) == ["1", "2"]
    assert Hook.objects.filter(endpoint=alice.pk).count() == hooks


def test_callbacks_of_many_instances_are_handled_in_order_by_two_receivers(
    web: Web, link: Link, tmp_path: Path
) -> None:
    instances = [link(NAME, CREDENTIALS) for _ in range(5)]
    with Receive(tmp_path / "one"), Receive(tmp_path / "two"):
        for number in range(20):
            for instance in instances:
                assert push(web, instance, message(number)).status_code == 200
        wait_until(lambda: not StoredCallback.objects.waiting().exists(), "all are handled")
    assert [bodies(instance) for instance in instances] == [[str(number) for number in range(20)]] * 5


def test_a_killed_receiver_loses_and_doubles_nothing(web: Web, alice: Instance, tmp_path: Path) -> None:
    with Receive(tmp_path / "killed") as killed:
        for number in range(60):
            push(web, alice, message(number))
            if number == 30:
                killed.kill()
    with Receive(tmp_path / "next"):
        wait_until(lambda: len(bodies(alice)) == 60, "the rest is handled")
    assert bodies(alice) == [str(number) for number in range(60)]


def test_the_next_callbacks_wait_for_one_that_is_tried_again_and_then_fails_visibly(
    web: Web, alice: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_event = {"kind": "message", "key": "k", "sender": "17680561234", "body": "later"}
    push(web, alice, {"kind": "unheard of"})
    push(web, alice, other_event)
    handle_all()
    first = StoredCallback.objects.order_by("pk")[0]
    assert (first.tries, first.error) == (1, "KeyError: 'unheard of'")
    assert first.failed_at is None
    assert bodies(alice) == []
    for tries in range(2, 7):
        StoredCallback.objects.waiting().filter(pk=first.pk).update(next_try_at="2020-01-01T00:00Z")
        handle_all()
        first.refresh_from_db()
        assert first.tries == tries
    assert first.failed_at is not None
    assert bodies(alice) == ["later"]

    monkeypatch.setattr(pushing, "read_events", lambda found: [])  # the next version can read it
    assert retry_failed_callbacks(alice, acting_user=None) == 1
    handle_all()
    first.refresh_from_db()
    assert (first.failed_at, first.error) == (None, "") and first.handled_at is not None


def test_a_refused_event_does_not_stop_the_others_and_is_shown(web: Web, alice: Instance) -> None:
    push(web, alice, message(1), message(2, sender="no number"), message(3))
    handle_all()
    [stored] = StoredCallback.objects.failed()
    assert stored.error.startswith("MessageReceived: phone parameter should contain only numbers")
    assert bodies(alice) == ["1", "3"]


def test_an_ack_waits_until_its_message_is_recorded(web: Web, alice: Instance) -> None:
    sent = waiting(alice)
    push(web, alice, {"kind": "ack", "message_id": sent.message_id, "status": "delivered"})
    handle_all()
    assert StoredCallback.objects.get().error.endswith("a message that is still being sent.")
    while outgoing.send_due():
        pass
    StoredCallback.objects.update(next_try_at="2020-01-01T00:00Z")
    handle_all()
    assert Message.objects.get(message_id=sent.message_id).ack == Ack.DELIVERED
    assert StoredCallback.objects.get().handled_at is not None


def test_groups_are_looked_up_after_their_callback_is_recorded(
    web: Web, alice: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found earlier, of a group that is not there yet, would be left out, and not be asked for again."""
    lookup: Any = object()
    monkeypatch.setattr(callbacks, "wanted_lookups", lambda *_: [lookup])
    sent, fetches = waiting(alice), callbacks.Fetches()
    push(web, alice, {"kind": "ack", "message_id": sent.message_id, "status": "delivered"})
    for expected in ([], [lookup]):
        assert callbacks.handle_due(fetches) == 1
        assert fetches.lookups == expected
        while outgoing.send_due():
            pass
        StoredCallback.objects.update(next_try_at="2020-01-01T00:00Z")


def test_an_ack_of_an_unknown_message_and_a_banned_contact_hold_up_nothing(web: Web, alice: Instance) -> None:
    Instance.objects.filter(pk=alice.pk).update(ban_phone_mask="1768.*", pre_ban_message="Please call.")
    push(web, alice, {"kind": "ack", "message_id": "true_1@c.us_A", "status": "viewed"}, message(1))
    push(web, alice, message(2, sender="4915112345678"))
    handle_all()
    assert bodies(alice) == ["2"]
    assert list(alice.outgoing.values_list("body", flat=True)) == ["Please call."]
    assert not StoredCallback.objects.exclude(error="").exists()
