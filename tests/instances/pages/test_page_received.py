"""The pages of received messages: the list by response, and the turn of one message."""

from __future__ import annotations

import pytest
from django.test import Client

from hooks.models import Hook
from instances.models import Instance
from tests.factories import member_of
from tests.instances.turns.playing import ANNA, BERT, call, receive

pytestmark = pytest.mark.django_db
LIST = "/instances/12345/received/"


def html_of(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_the_turn_links_to_the_hook_its_attempt_and_the_messages(alice: Client, instance: Instance) -> None:
    message, hook = receive(instance, ANNA, "Where is my order?", at=0)
    reply = call(instance, ANNA, "It arrives tomorrow.", at=0.003)
    html = html_of(alice, f"{LIST}{message.message_id}/")
    assert "Where is my order?" in html and "It arrives tomorrow." in html
    assert f'href="/log/{hook.public_id}/"' in html
    assert f'href="/log/{hook.public_id}/#attempt-1"' in html and "Delivered · 200 in 5 ms" in html
    assert f'href="/instances/12345/queue/{reply.message_id}/"' in html
    assert "In the same chat, during the webhook request." in html and "Certain" in html
    assert "Your bot responded." in html


def test_a_silent_bot_is_named_with_the_next_step(alice: Client, instance: Instance) -> None:
    message, hook = receive(instance, ANNA, "hello", at=0)
    html = html_of(alice, f"{LIST}{message.message_id}/")
    assert "Your bot never responded: it sent nothing to this chat within 5 min." in html
    assert "look into the log of your bot" in html and "Nothing sent by your bot" in html
    Hook.objects.filter(pk=hook.pk).delete()
    html = html_of(alice, f"{LIST}{message.message_id}/")
    assert "No hook is stored" in html and "no hook was delivered" in html


def test_a_response_to_a_later_message_is_not_part_of_the_turn(alice: Client, instance: Instance) -> None:
    first, _ = receive(instance, ANNA, "hello", at=0)
    second, _ = receive(instance, ANNA, "are you there?", at=10)
    call(instance, ANNA, "yes", at=10.003)
    html = html_of(alice, f"{LIST}{first.message_id}/")
    assert "A message was sent to this chat, but another message was the reason, or none." in html
    assert "Your bot responded." in html_of(alice, f"{LIST}{second.message_id}/")


def test_the_live_part_is_sent_only_when_it_changes(alice: Client, instance: Instance) -> None:
    message, _ = receive(instance, ANNA, "hello", at=0)
    url = f"{LIST}{message.message_id}/"
    seen = alice.get(url).context["shown"].cursor
    assert alice.get(url, {"seen": seen}).status_code == 204
    call(instance, ANNA, "reply", at=1)
    changed = alice.get(url, {"seen": seen})
    assert changed.status_code == 200 and b"<html" not in changed.content and b"reply" in changed.content


def test_the_list_finds_the_messages_that_got_no_response(alice: Client, instance: Instance) -> None:
    receive(instance, ANNA, "with a response", at=0)
    call(instance, ANNA, "reply", at=1)
    silent, _ = receive(instance, BERT, "without one", at=2)
    both = html_of(alice, LIST)
    assert "with a response" in both and "without one" in both and "after 1.0 s" in both
    html = html_of(alice, f"{LIST}?response=none")
    assert "with a response" not in html
    assert f'href="{LIST}{silent.message_id}/"' in html
    assert 'aria-current="true" >No response' in html
    call(instance, BERT, "reply", at=3)
    assert "No message without a response was found." in html_of(alice, f"{LIST}?response=none")


def test_the_messages_page_leads_to_the_list_and_each_bubble_to_its_turn(
    alice: Client, instance: Instance
) -> None:
    message, _ = receive(instance, ANNA, "hello", at=0)
    html = html_of(alice, f"/instances/12345/messages/{ANNA}/")
    assert f'href="{LIST}?response=none"' in html
    assert f'href="{LIST}{message.message_id}/"' in html


def test_without_messages_the_list_says_so(alice: Client, instance: Instance) -> None:
    assert "No messages yet" in html_of(alice, LIST)


def test_viewers_read_it_and_strangers_get_404(alice: Client, bob: Client, instance: Instance) -> None:
    message, _ = receive(instance, ANNA, "hello", at=0)
    sent = call(instance, ANNA, "reply", at=1)
    viewer = Client()
    viewer.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    for url in (LIST, f"{LIST}{message.message_id}/"):
        assert (viewer.get(url).status_code, bob.get(url).status_code) == (200, 404)
    assert alice.get(f"{LIST}{sent.message_id}/").status_code == 404
