"""The playground: a contact's phone, and what became of the last message."""

import pytest
from django.test import Client

from instances.actions.messages import receive_message
from instances.models import Message
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
