"""Limits of requests that a person starts with a button: simultaneous, and per minute."""

from contextlib import ExitStack

import pytest
from django.test import Client

from chatapi.runtime.web import server
from instances.limits import manual_request_limit, waiting_threads
from instances.limits.manual_request_limit import TooMany, place
from instances.media.fetch import FetchFailed, fetch_slot
from instances.models import Instance
from tests.factories import UserFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db


def test_an_account_has_a_share_of_the_threads_and_others_are_not_limited() -> None:
    bob, alice = UserFactory(), UserFactory()
    with ExitStack() as stack:
        for _ in range(waiting_threads.MAX_WAITING_PER_ACCOUNT):
            stack.enter_context(place(bob))
        with pytest.raises(TooMany, match="Too many of your requests are in progress"), place(bob):
            pass
        with place(alice):
            pass
    with place(bob):
        pass


def test_requests_and_fetches_share_one_budget(instance: Instance) -> None:
    account = instance.owner
    with ExitStack() as stack:
        for _ in range(waiting_threads.MAX_WAITING_PER_ACCOUNT - 1):
            stack.enter_context(place(account.owner))
        stack.enter_context(fetch_slot(account.pk))
        with pytest.raises(FetchFailed), fetch_slot(account.pk):
            pass
        with pytest.raises(TooMany), place(account.owner):
            pass


def test_the_site_limits_simultaneous_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_threads.slots, "total", 1)
    with place(UserFactory()), pytest.raises(TooMany), place(UserFactory()):
        pass


def test_waiting_threads_leave_half_of_the_web_server() -> None:
    assert waiting_threads.MAX_WAITING * 2 <= server.THREADS


def test_a_person_is_limited_per_minute(
    client: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manual_request_limit, "A_MINUTE", 0)
    client.force_login(instance.owner.owner)
    with Receiver() as receiver:
        for page, form in (
            (f"/instances/{instance.number}/address/test/", {}),
            (
                f"/testing/simulation/send/?instance={instance.number}",
                {"what": "message", "text": "{}", "body": "{}"},
            ),
        ):
            answer = client.post(page, form | {"url": receiver.url}, headers={"HX-Request": "true"})
            assert "You have sent more than 0 requests in a minute." in answer.content.decode(), page
        assert receiver.requests == []
