"""Requests that leave because a person pressed a button: so many at once, and so many a minute."""

from contextlib import ExitStack

import pytest
from django.test import Client

from instances.models import Instance
from instances.pages import manual_request_limit
from instances.pages.manual_request_limit import TooMany, place
from tests.factories import UserFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db


def test_a_person_has_four_under_way_and_others_go_on() -> None:
    bob, alice = UserFactory(), UserFactory()
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(place(bob))
        with pytest.raises(TooMany, match="Too many requests are under way"), place(bob):
            pass
        with place(alice):
            pass
    with place(bob):
        pass


def test_the_site_has_only_so_many_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manual_request_limit._slots, "total", 1)
    with place(UserFactory()), pytest.raises(TooMany), place(UserFactory()):
        pass


def test_a_person_sends_only_so_many_a_minute(
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
            assert "These are more than 0 requests in a minute." in answer.content.decode(), page
        assert receiver.requests == []
