"""The playground: a contact's phone, and what became of the last message."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Endpoint, Hook
from instances.actions.messages import receive_message
from instances.models import Message
from instances.pages.received import turn_page
from tests.factories import UserFactory
from tests.matching import find_value

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/playground/"
ANNA = "17680561234@c.us"
QUERY = f"?instance=12345&chat={ANNA}"


def test_without_an_instance_the_page_links_to_creating_one():
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert "No instance yet" in bob.get(PAGE).content.decode()


def test_another_account_does_not_see_it(instance):
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert bob.get(f"{PAGE}{QUERY}").status_code == 404
    assert bob.get(f"{PAGE}news/{QUERY}").status_code == 404


def test_without_a_webhook_url_the_page_says_so(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "No webhook URL." in page
    Endpoint.objects.update(
        override_url="https://example.org/bin", override_until=timezone.now() + timedelta(minutes=30)
    )
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    assert "No webhook URL." not in page  # a verification is running
    assert "Nothing sent yet" in page


def test_the_poll_brings_the_last_message_with_its_hook_once(alice, instance):
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    cursor = {
        name: find_value(rf'id="phone-{name}" name="{name}" value="([^"]*)"', page)
        for name in ("after", "seen")
    }
    assert alice.get(f"{PAGE}news/{QUERY}", cursor, headers=HTMX).status_code == 204

    receive_message(instance, sender="17680561234", body="first")
    receive_message(instance, sender="17680561234", body="hello <b>")
    news = alice.get(f"{PAGE}news/{QUERY}", cursor, headers=HTMX).content.decode()
    newest = Message.objects.get(body="hello <b>")
    assert f"/instances/12345/messages/received/{newest.message_id}/" in news or newest.message_id in news
    assert "&quot;body&quot;: &quot;hello &lt;b&gt;&quot;" in news
    assert "Not sent: the instance had no webhook URL." in news
    assert "first" in news.partition('id="playground-earlier"')[2]

    cursor = {
        name: find_value(rf'id="phone-{name}" name="{name}" value="([^"]*)"', news)
        for name in ("after", "seen")
    }
    assert alice.get(f"{PAGE}news/{QUERY}", cursor, headers=HTMX).status_code == 204


def test_a_deleted_message_is_shown_without_its_text(alice, instance):
    for body in ("secret one", "secret two"):
        receive_message(instance, sender="17680561234", body=body)
    Message.objects.update(deleted_at=timezone.now())
    page = alice.get(f"{PAGE}{QUERY}").content.decode()
    right = page.partition('class="playground-turn"')[2].partition('id="phone-incoming"')[0]
    assert right.count("Message deleted") == 2
    assert "secret one" not in right
    received = alice.get("/instances/12345/received/").content.decode()
    assert received.count("Message deleted") == 2
    assert "secret" not in received


def test_a_hook_that_is_deleted_while_the_page_is_made_leaves_it_without_a_body(alice, instance, monkeypatch):
    receive_message(instance, sender="17680561234", body="hello")
    original = turn_page.read_view

    def read_and_delete(*given):
        view = original(*given)
        Hook.objects.all().delete()
        return view

    monkeypatch.setattr(turn_page, "read_view", read_and_delete)
    page = alice.get(f"{PAGE}{QUERY}")
    assert page.status_code == 200
    assert "What your server gets" not in page.content.decode()
