"""The queue of an instance and the page of one message: waits, tries, and the buttons that cancel, clear and resend."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hooks.models import Outcome
from instances.actions.sending.accept import send_message
from instances.models import Ack, Instance, Message, OutgoingMessage, OutgoingQueue, SendState, TryResult
from instances.pages.queue import message_page, queue_rows
from instances.sending.outgoing import send_due
from tests.factories import create_try, fail_message, member_of, start_sending

pytestmark = pytest.mark.django_db
PAGE = "/instances/12345/queue/"
ANNA, BERT = "17680561234@c.us", "4915112345678@c.us"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def three(instance: Instance) -> list[OutgoingMessage]:
    """Three waiting messages, two of them to Anna."""
    return [
        send_message(instance, chat_id=chat_id, body=text)
        for chat_id, text in ((ANNA, "first"), (BERT, "second"), (ANNA, "third"))
    ]


def address(message: OutgoingMessage | Message, action: str = "") -> str:
    return f"{PAGE}{message.message_id}/{action}"


def html_of(client: Client, url: str = PAGE, **query: Any) -> str:
    response = client.get(url, query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def waits(client: Client) -> list[tuple[str, str]]:
    """Text and reason of each wait, in the order of the page."""
    return [(row.text, row.wait.words) for row in client.get(PAGE).context["queue"].rows]


def press(client: Client, url: str) -> str:
    """What the page says after a button was pressed."""
    response = client.post(url, follow=True)
    return " ".join(str(message) for message in response.context["messages"])


def test_an_empty_queue_shows_the_next_step(alice: Client) -> None:
    html = html_of(alice)
    assert "The queue is empty" in html
    assert 'href="/testing/sending/?instance=12345"' in html
    assert "No message has failed." in html


def test_each_message_shows_what_it_waits_for(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    assert waits(alice) == [
        ("first", "Its turn comes next"),
        ("second", "Its turn comes next"),
        ("third", "Sent after no. 1, to the same chat"),
    ]
    until = timezone.now() + timedelta(seconds=40)
    OutgoingQueue.objects.update(
        waits_until=until, wait_reason="graph.example.com allows no more until then."
    )
    html = html_of(alice)
    assert "<strong>Graph.example.com allows no more until then.</strong>" in html
    assert 'due <time datetime="' in html
    Instance.objects.update(account_status="got qr code")
    assert waits(alice)[0] == ("first", "The instance is not linked")


def test_the_rate_and_the_time_until_the_queue_is_empty(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    send_due()
    Message.objects.filter(body="first").update(time=timezone.now() - timedelta(minutes=2))
    for text in ("fourth", "fifth", "sixth"):
        send_message(instance, chat_id=ANNA, body=text)
    view = alice.get(PAGE).context["queue"]
    assert (view.rate.words, view.remaining) == ("2 in the last minute", "in about 1 min 30 s")
    now = timezone.now()
    Instance.objects.update(send_delay=6)
    OutgoingQueue.objects.update(next_send_at=now + timedelta(minutes=1))
    html = html_of(alice)
    assert "one every 6 s" in html
    assert "in about 18 s" in html
    first, second, _ = alice.get(PAGE).context["queue"].rows
    assert first.due == now + timedelta(minutes=1)
    assert second.due is None  # it waits for the first: it is to the same chat


def test_many_messages_in_a_minute_are_shown_per_second() -> None:
    assert queue_rows.Rate(500, 41.6).words == "42 per second"


def test_a_poll_gets_the_page_when_something_has_changed(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    seen = alice.get(PAGE).context["queue"].cursor
    assert alice.get(PAGE, {"seen": seen}, headers=HTMX).status_code == 204
    OutgoingMessage.objects.filter(body="second").update(state=SendState.SENDING)
    response = alice.get(PAGE, {"seen": seen}, headers=HTMX)
    assert "Being sent now" in response.content.decode()
    assert "<html" not in response.content.decode()


def test_one_message_is_cancelled(alice: Client, instance: Instance, three: list[OutgoingMessage]) -> None:
    assert press(alice, address(three[1], "cancel/")) == "The message was cancelled. It is not sent."
    assert [text for text, _ in waits(alice)] == ["first", "third"]
    start_sending(OutgoingMessage.objects.earliest("queue_number"))
    assert "is being sent now" in press(alice, address(three[0], "cancel/"))
    assert "no message with the id" in press(alice, address(three[1], "cancel/"))
    assert OutgoingQueue.objects.get().length == 2


def test_a_message_whose_id_has_slashes_is_shown_and_cancelled(alice: Client, instance: Instance) -> None:
    chat_id = "xmpp:team@rooms.example.org/Ann/cancel@c.us"
    message = send_message(instance, chat_id=chat_id, body="hello")
    assert "team@rooms.example.org/Ann/cancel" in html_of(alice)
    assert "hello" in html_of(alice, address(message))
    press(alice, address(message, "cancel/"))
    assert not OutgoingMessage.objects.exists()


def test_the_queue_is_cleared(alice: Client, instance: Instance, three: list[OutgoingMessage]) -> None:
    start_sending(OutgoingMessage.objects.earliest("queue_number"))
    assert press(alice, f"{PAGE}clear/") == (
        "2 messages were removed from the queue. 1 is being sent now and can't be removed."
    )
    assert [text for text, _ in waits(alice)] == ["first"]


def test_a_failed_message_is_shown_with_its_reason_and_resent(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    fail_message(three[0], reason="The recipient has blocked this number.", tries=2, maybe_twice=True)
    html = html_of(alice)
    assert "Failed after 2 tries: The recipient has blocked this number." in html
    assert "May have been sent twice" in html
    assert press(alice, address(three[0], "resend/")) == "The message is in the queue again, as no. 4."
    view = alice.get(PAGE).context["queue"]
    assert ([row.text for row in view.rows], view.failed) == (["second", "third", "first"], [])
    assert "still in the queue" in press(alice, address(three[0], "resend/"))


def test_an_instance_that_is_not_paid_resends_nothing(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    fail_message(three[0])
    Instance.objects.update(paid_until=timezone.now() - timedelta(seconds=1))
    assert "messages are not sent" in press(alice, address(three[0], "resend/"))
    assert OutgoingMessage.objects.failed().count() == 1


def test_failed_messages_are_paged(
    alice: Client, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_rows, "FAILED_SHOWN", 2)
    now = timezone.now()
    for number in range(5):  # two failed at the same moment
        message = send_message(instance, chat_id=ANNA, body=f"{number}")
        fail_message(message, failed_at=now + timedelta(seconds=number // 2))
    pages: list[list[str]] = []
    before = None
    while before is not None or not pages:
        view = alice.get(PAGE, {"before": before} if before else {}).context["queue"]
        pages.append([row.text for row in view.failed])
        before = view.older_failed
    assert pages == [["4", "3"], ["2", "1"], ["0"]]
    assert "Show older" in html_of(alice)


def test_long_texts_and_deletions_are_shown_in_a_few_words(alice: Client, instance: Instance) -> None:
    send_message(instance, chat_id=ANNA, body="x" * 60_000)
    send_message(instance, chat_id=ANNA, body="", deletes="true_1@c.us_3EB0")
    rows = alice.get(PAGE).context["queue"].rows
    assert [row.text for row in rows] == ["x" * queue_rows.TEXT_SHOWN, "Deletes a message"]


def test_a_viewer_reads_the_queue_without_buttons(instance: Instance, three: list[OutgoingMessage]) -> None:
    fail_message(three[0])
    viewer = Client()
    viewer.force_login(member_of(instance.owner, "viewer"))
    for url in (PAGE, address(three[0]), address(three[1])):
        html = html_of(viewer, url)
        assert "/cancel/" not in html
        assert "/resend/" not in html
        assert "/clear/" not in html


def test_a_message_shows_its_tries_whole(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    started = timezone.now() - timedelta(minutes=1)
    busy = {"status": 503, "result": TryResult.RETRY, "response_body": b"try later", "response_size": 9}
    create_try(three[0], 1, started_at=started, **busy)
    create_try(
        three[0],
        2,
        started_at=started + timedelta(seconds=10),
        result=TryResult.REFUSED,
        status=400,
        reason="(#131030) Not in the allowed list",
        response_body=b'{"code":131030}',
        response_size=15,
    )
    fail_message(three[0], reason="(#131030) Not in the allowed list", tries=2)
    html = html_of(alice, address(three[0]))
    assert "Failed after 2 tries: (#131030) Not in the allowed list." in html
    assert "graph.example.com responded with 503: it is temporarily unavailable." in html
    assert "Nothing to do: the message is tried again." in html  # the first
    assert "graph.example.com refused the message: (#131030) Not in the allowed list." in html
    assert "<dd>The messenger</dd>" in html
    assert "<dd>The message</dd>" in html
    assert "Bearer ••••" in html
    assert "try later" in html
    assert "131030" in html
    timeline = alice.get(address(three[0])).context["shown"].timeline
    words = [entry.words for entry in timeline]
    assert words == ["Try 1: Responded with 503", "Try 2: Refused", "Queued again", "Failed"]


def test_many_tries_do_not_bury_the_page(
    alice: Client, three: list[OutgoingMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_page, "TRIES_SHOWN", 2)
    for number in (1, 2, 3):
        create_try(three[0], number, status=503, result=TryResult.RETRY)
    response = alice.get(address(three[0]))
    assert [shown.attempt.number for shown in response.context["shown"].tries] == [3, 2]
    assert "The newest 2 tries." in response.content.decode()


def test_a_message_that_may_have_been_sent_twice_says_so(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    OutgoingMessage.objects.filter(pk=three[0].pk).update(maybe_twice=True, tries=1)
    create_try(three[0], result=TryResult.UNKNOWN, outcome=Outcome.OK, status=None, response_body=b"")
    html = html_of(alice, address(three[0]))
    assert "This message may have been sent twice" in html
    assert "This server stopped before it could record the response" in html
    assert "The messenger received the request and may have sent the message." in html


def test_a_try_without_a_request_has_no_boxes(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    reason = "Stickers can't be sent with this messenger."
    create_try(three[0], result=TryResult.REFUSED, status=None, url="", reason=reason, outcome=Outcome.OK)
    fail_message(three[0], reason=reason, tries=1)
    html = html_of(alice, address(three[0]))
    assert "Not sent: Stickers can&#x27;t be sent with this messenger." in html
    assert "Copy as curl" not in html
    assert 'class="boxes' not in html


def test_a_sent_message_shows_the_times_of_its_acks(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    send_due()
    message = Message.objects.get(body="second")
    Message.objects.filter(pk=message.pk).update(ack=Ack.VIEWED)
    shown = alice.get(address(message)).context["shown"]
    assert (shown.state, shown.is_final, shown.can_resend) == ("viewed", True, False)
    words = [entry.words for entry in shown.timeline]
    assert words == ["Queued", "Sent", "Delivered", "Viewed"]
    assert shown.timeline[0].at is not None
    assert shown.timeline[1].at is not None
    assert "without a request" in html_of(alice, address(message))
    assert f'href="/instances/12345/messages/{BERT}/"' in html_of(alice, address(message))


def test_a_message_that_failed_after_it_was_sent_is_resent_as_a_new_one(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    send_due()
    Message.objects.filter(body="second").update(ack=Ack.SENT, failed_at=timezone.now(), failure="expired")
    message = Message.objects.get(body="second")
    assert "reported later: expired." in html_of(alice, address(message))
    response = alice.post(address(message, "resend/"))
    resent = OutgoingMessage.objects.get()
    assert response.headers["Location"] == address(resent)
    assert resent.message_id != message.message_id


def test_a_waiting_message_shows_its_place_and_its_next_try(
    alice: Client, instance: Instance, three: list[OutgoingMessage]
) -> None:
    shown = alice.get(address(three[2])).context["shown"]
    assert (shown.place, shown.wait.words) == (3, "Sent after no. 1, to the same chat")
    assert shown.timeline[-1].words == "Try 1, planned"
    seen = shown.cursor
    assert alice.get(address(three[2]), {"seen": seen}, headers=HTMX).status_code == 204
    OutgoingMessage.objects.filter(pk=three[0].pk).delete()
    assert "place 2 in the queue" in html_of(alice, address(three[2]), seen=seen)


def test_messages_that_the_api_has_not_accepted_have_no_page(
    alice: Client, bob: Client, three: list[OutgoingMessage]
) -> None:
    assert alice.get(f"{PAGE}true_nothing/").status_code == 404
    assert alice.get(f"{PAGE}%00/").status_code == 404
    assert bob.get(address(three[0])).status_code == 404
    assert bob.post(address(three[0], "cancel/")).status_code == 404
