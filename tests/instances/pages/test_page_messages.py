"""The messages of an instance: chats, bubbles with their ticks, what comes live, and a reply."""

import re
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from instances.actions.messages import receive_message, record_ack
from instances.actions.sending.accept import send_message
from instances.models import Chat, Instance, Message, OutgoingMessage
from instances.pages.messages import conversations
from instances.sending.outgoing import send_due
from tests.factories import fail_message, member_of
from tests.matching import find_value

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/instances/12345/messages/"
ANNA = "17680561234@c.us"
CHAT = f"{PAGE}{ANNA}/"


def hears(instance, body, *, sender="17680561234", name="Anna", **more):
    return receive_message(instance, sender=sender, sender_name=name, body=body, **more)


def numbers(html):
    return [int(number) for number in re.findall(r'<li class="bubble-row[^"]*" id="m-(\d+)"', html)]


def names(client, **query):
    return [row.name for row in client.get(PAGE, query).context["chats"].rows]


def poll(client, page=None, **query):
    """A poll as the page makes it, from the cursors that the page before has left."""
    if page is not None:
        query = {
            name: find_value(rf'id="bubbles-{name}"\s+name="{name}"\s+value="([^"]*)"', page)
            for name in ("after", "seen")
        }
    return client.get(f"{CHAT}news/", query, headers=HTMX)


def test_without_a_chat_the_page_shows_the_way_to_the_first(alice):
    assert "No chats yet" in alice.get(PAGE).content.decode()


def test_the_chats_stand_in_the_order_of_their_last_message(alice, instance):
    hears(instance, "hello")
    hears(instance, "good morning", sender="4915112345678", name="Bert")
    hears(instance, "are you there?")
    rows = alice.get(PAGE).context["chats"].rows
    assert [(row.name, row.preview, row.chat.unread) for row in rows] == [
        ("Anna", "are you there?", 2),
        ("Bert", "good morning", 1),
    ]


def test_the_search_finds_names_and_numbers(alice, instance):
    hears(instance, "hello")
    hears(instance, "good morning", sender="4915112345678", name="Bert")
    assert names(alice, q="ber") == ["Bert"]
    assert names(alice, q="+1768") == ["Anna"]
    assert "No chats match" in alice.get(PAGE, {"q": "nobody"}).content.decode()


@pytest.mark.parametrize(
    ("sender", "shown"),
    [
        ("17680561234", "+17680561234"),
        ("telegram:123456789@c.us", "123456789"),
        ("matrix:@ann:example.org@c.us", "@ann:example.org"),
        ("xmpp:ann@example.org@c.us", "ann@example.org"),
        (
            "xmpp:team@rooms.example.org/Ann/news/?#%41 & <b>@c.us",
            "team@rooms.example.org/Ann/news/?#%41 & <b>",
        ),
        ("123456789012345@lid", "Hidden number 123456789012345"),
        ("120363025246125486@newsletter", "Newsletter 120363025246125486"),
        ("status@broadcast", "Status messages"),
    ],
)
def test_a_chat_without_a_name_is_shown_as_what_it_is(alice, instance, sender, shown):
    hears(instance, "hello", sender=sender, name="")
    assert names(alice) == [shown]
    page = alice.get(f"{PAGE}{quote(Chat.objects.get().chat_id)}/")
    assert page.status_code == 200
    assert page.context["chat_name"] == shown


def test_more_chats_go_on_behind_the_last(alice, instance, monkeypatch):
    for place in range(5):
        hears(instance, "hello", sender=f"4915100000{place:03}", name=f"Person {place}")
    monkeypatch.setattr(conversations, "CHATS_SHOWN", 2)
    shown, address = [], PAGE
    while address:
        page = alice.get(address)
        shown += [row.name for row in page.context["chats"].rows]
        more = re.search(
            r'class="chat-list-more">\s*<a\s+class="btn"\s+href="([^"]+)"', page.content.decode()
        )
        address = more[1].replace("&amp;", "&") if more else ""
    assert shown == [f"Person {place}" for place in (4, 3, 2, 1, 0)]


def test_bubbles_say_who_when_and_how_far_each_message_got(alice, instance):
    hears(instance, "Is it <b>open</b>?")
    send_message(instance, chat_id=ANNA, body="Until six.")
    assert send_due() == 1
    page = alice.get(CHAT).content.decode()
    assert "Is it &lt;b&gt;open&lt;/b&gt;?" in page
    sent = Message.objects.get(from_me=True)
    assert re.search(rf'id="tick-{sent.number}"\s*>.*?</svg>\s+delivered\s*</span>', page, re.DOTALL)
    assert numbers(page) == [1, 2]


def test_files_are_links_and_other_kinds_are_said_in_words(alice, instance):
    hears(instance, "https://example.com/media/1/cat.jpg", type="image", caption="My cat")
    hears(instance, "[Call]", type="call_log")
    hears(instance, "BEGIN:VCARD\nFN:Bert Baker\nEND:VCARD", type="vcard")
    hears(instance, "javascript:alert(1)", type="document")
    deleted = hears(instance, "oops")
    Message.objects.filter(pk=deleted.pk).update(deleted_at=timezone.now())
    page = alice.get(CHAT).content.decode()
    assert 'href="https://example.com/media/1/cat.jpg" target="_blank" rel="noopener noreferrer"' in page
    for words in ("My cat", "Missed call", "Bert Baker", "This message was deleted"):
        assert words in page
    assert 'href="javascript' not in page
    assert ">oops<" not in page


def test_earlier_messages_go_on_by_their_number(alice, instance, monkeypatch):
    for place in range(5):
        hears(instance, f"text {place}")
    monkeypatch.setattr(conversations, "BUBBLES_SHOWN", 2)
    page = alice.get(CHAT).content.decode()
    assert numbers(page) == [4, 5]
    assert "?before=4" in page
    part = alice.get(CHAT, {"before": 4}, headers=HTMX).content.decode()
    assert numbers(part) == [2, 3]
    assert "<html" not in part


def test_a_poll_brings_what_is_new_and_nothing_twice(alice, instance):
    hears(instance, "hello")
    page = alice.get(CHAT).content.decode()
    assert poll(alice, page).status_code == 204
    hears(instance, "one")
    hears(instance, "elsewhere", sender="4915112345678")
    hears(instance, "two")
    news = poll(alice, page)
    assert numbers(news.content.decode()) == [2, 4]
    assert poll(alice, news.content.decode()).status_code == 204


def test_a_burst_comes_in_parts_and_whole(alice, instance, monkeypatch):
    hears(instance, "hello")
    monkeypatch.setattr(conversations, "NEWS_AT_ONCE", 3)
    page, shown = alice.get(CHAT).content.decode(), []
    for place in range(10):
        hears(instance, f"text {place}")
    while (answer := poll(alice, page)).status_code == 200:
        page = answer.content.decode()
        shown += numbers(page)
    assert shown == list(range(2, 12))


def test_a_poll_brings_the_ticks_as_they_come(alice, instance):
    hears(instance, "hello")
    outgoing = send_message(instance, chat_id=ANNA, body="Until six.")
    page = alice.get(CHAT).content.decode()
    assert "queued, no. 1" in page
    send_due()
    news = poll(alice, page).content.decode()
    assert numbers(news) == [2]
    assert "queued, no." not in news
    record_ack(instance, message_id=outgoing.message_id, status="viewed")
    news = poll(alice, news).content.decode()
    assert numbers(news) == []
    assert re.search(r'id="tick-2"\s+hx-swap-oob="true"\s*>.*?</svg>\s+viewed\s*</span>', news, re.DOTALL)


def test_the_list_of_chats_is_sent_again_only_when_it_has_changed(alice, instance):
    hears(instance, "hello")
    seen = alice.get(PAGE).context["chats"].cursor
    assert alice.get(f"{PAGE}list/", {"seen": seen}, headers=HTMX).status_code == 204
    hears(instance, "are you there?")
    answer = alice.get(f"{PAGE}list/", {"seen": seen}, headers=HTMX)
    assert "are you there?" in answer.content.decode()


def test_a_reply_goes_into_the_queue_and_the_box_is_empty_again(alice, instance):
    hears(instance, "hello")
    answer = alice.post(f"{CHAT}reply/", {"text": "Until six."}, headers=HTMX)
    assert "Until six." not in answer.content.decode()
    outgoing = OutgoingMessage.objects.get()
    assert (outgoing.chat_id, outgoing.body) == (ANNA, "Until six.")
    assert alice.post(f"{CHAT}reply/", {"text": "Bye."}).url == CHAT


def test_an_empty_reply_is_refused(alice, instance):
    hears(instance, "hello")
    answer = alice.post(f"{CHAT}reply/", {"text": "  "}, headers=HTMX)
    assert answer.status_code == 422
    assert "The message is empty. Enter a text." in answer.content.decode()
    assert OutgoingMessage.objects.count() == 0


def test_an_instance_that_is_not_paid_sends_no_reply_and_keeps_the_text(alice, instance):
    hears(instance, "hello")
    Instance.objects.update(paid_until=timezone.now())
    answer = alice.post(f"{CHAT}reply/", {"text": "Until six."}, headers=HTMX)
    assert (
        "This instance is not paid: messages, hooks and simulations are stopped." in answer.content.decode()
    )
    assert "Until six." in answer.content.decode()
    assert OutgoingMessage.objects.count() == 0


def test_a_chat_can_be_marked_as_read(alice, instance):
    hears(instance, "hello")
    assert "Mark as read" in alice.get(CHAT).content.decode()
    alice.post(f"{CHAT}read/")
    assert Chat.objects.get().unread == 0
    assert "Mark as read" not in alice.get(CHAT).content.decode()


def test_a_viewer_reads_along_and_has_no_reply_box(instance):
    hears(instance, "hello")
    vera = Client()
    vera.force_login(member_of(instance.owner, "viewer", "vera@example.org"))
    page = vera.get(CHAT).content.decode()
    assert "hello" in page
    assert "<textarea" not in page
    assert vera.post(f"{CHAT}reply/", {"text": "Hi"}).status_code == 403
    assert vera.post(f"{CHAT}read/").status_code == 403
    assert OutgoingMessage.objects.count() == 0


@pytest.mark.parametrize("path", ["", f"{ANNA}/", f"{ANNA}/news/", "list/"])
def test_a_stranger_finds_no_messages(bob, instance, path):
    hears(instance, "hello")
    assert bob.get(PAGE + path).status_code == 404
    assert bob.post(f"{CHAT}reply/", {"text": "Hi"}).status_code == 404


@pytest.mark.parametrize("path", ["nobody/", "4915112345678@c.us/", "%00/", f"{ANNA}%00/"])
def test_a_chat_that_is_not_there_is_not_found(alice, path):
    assert alice.get(PAGE + path).status_code == 404


@pytest.mark.parametrize(
    "chats", ["x", ",", "2026-01-01,1", "2026-13-45T00:00:00+00:00,1", f"{'9' * 400},{'9' * 400}"]
)
def test_a_place_in_the_list_that_cannot_be_is_the_start(alice, instance, chats):
    hears(instance, "hello")
    assert names(alice, chats=chats) == ["Anna"]


def test_the_pages_ask_at_most_so_many_queries(alice, instance, django_assert_max_num_queries):
    for place in range(20):
        hears(instance, "hello", sender=f"4915100000{place:03}", name=f"Person {place}")
        hears(instance, f"text {place}")
    with django_assert_max_num_queries(19):  # four are the first steps
        page = alice.get(CHAT).content.decode()
    with django_assert_max_num_queries(8):
        poll(alice, page)
    seen = alice.get(PAGE).context["chats"].cursor
    with django_assert_max_num_queries(6):
        alice.get(f"{PAGE}list/", {"seen": seen}, headers=HTMX)


def test_a_message_that_failed_is_shown_in_its_chat_for_a_day(alice, instance):
    hears(instance, "hello")
    page = alice.get(CHAT).content.decode()
    message = fail_message(
        send_message(instance, chat_id=ANNA, body="no way"), reason="Blocked by the recipient"
    )
    news = poll(alice, page).content.decode()
    assert "failed: Blocked by the recipient" in news
    assert f'href="/instances/12345/queue/{message.message_id}/"' in news
    OutgoingMessage.objects.update(failed_at=timezone.now() - conversations.FAILED_FOR)
    assert "Blocked by the recipient" not in alice.get(CHAT).content.decode()
