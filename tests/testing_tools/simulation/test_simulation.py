"""Webhook Simulation: a simulated hook arrives as a real one would, and the result is shown."""

import html
import json
import re
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from standardwebhooks import Webhook

from chatapi.ui.json_text import BadJson, compact
from hooks.actions.endpoints import configure
from hooks.models import Hook, Kind, Outcome, Side, State, Trigger
from instances import payloads
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.models import Instance, Message
from instances.pages.log.attempts import curl_of
from instances.sending.outgoing import send_due
from testing_tools.simulation import drafts
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import verifications as verification_actions
from tests.factories import UserFactory
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
PAGE = "/testing/simulation/"


def form_of(client: Client, what: str = "message") -> dict[str, str]:
    """The form's values on the page."""
    context = client.get(f"{PAGE}?instance=12345&what={what}").context
    fields = {field.name: value for field, value in context["draft"].fields}
    return {"what": what, "url": context["url"], "body": context["draft"].text, **fields}


def value_of(response: Any, name: str) -> str:
    """The value of the field `name` in the fragment of this response."""
    text = response.content.decode()
    found = re.search(rf'name="{name}"\s+value="([^"]*)"', text)
    found = found or re.search(rf'name="{name}"[^>]*>\n?(.*?)</textarea>', text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def send(client: Client, **changes: str) -> str:
    """Submit the form; returns the fragment as text."""
    what = changes.pop("what", "message")
    response = client.post(f"{PAGE}send/?instance=12345", form_of(client, what) | changes, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def test_a_simulated_message_arrives_signed_and_marked(alice, instance, receiver):
    text = send(alice)
    [request] = receiver.requests
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-attempt"] == "1/1"
    assert request.headers["webhook-simulated"] == "1"
    Webhook(instance.endpoint.secret).verify(request.body.decode(), request.headers)
    hook = Hook.objects.get()
    assert (hook.kind, hook.state, hook.simulated, hook.to_url) == (
        Kind.MESSAGE, State.DELIVERED, True, receiver.url,
    )  # fmt: skip
    assert hook.message == request.json()["messages"][0]["id"]
    assert hook.chat == "17680561234@c.us"
    assert hook.attempts.get().trigger == Trigger.SIMULATION
    assert "Delivered: 127.0.0.1 responded with 200." in text
    assert f"/log/{hook.public_id}/" in text


def test_the_example_has_the_bytes_of_a_real_message(alice, instance, receiver):
    send(alice)
    sent = receiver.requests[0].body
    item = json.loads(sent)["messages"][0]
    message = receive_message(instance, sender="17680561234", sender_name="Anna Example", body=item["body"])
    message.message_id = item["id"]
    message.time = datetime.fromtimestamp(item["time"], tz=timezone.get_current_timezone())
    assert payloads.message_body(message) == sent


@pytest.mark.parametrize(("what", "status"), [("delivered", "delivered"), ("viewed", "viewed")])
def test_an_ack_is_for_the_last_message_sent(alice, instance, receiver, what, status):
    outgoing = send_message(instance, chat_id="4912345678901", body="hello")
    send_due()
    assert Message.objects.get().message_id == outgoing.message_id
    send(alice, what=what)
    assert (
        receiver.requests[0].body
        == (
            f'{{"ack":[{{"id":"{outgoing.message_id}","queueNumber":1,"chatId":"4912345678901@c.us",'
            f'"status":"{status}"}}],"instanceId":"12345"}}'
        ).encode()
    )


def test_a_500_is_shown_and_the_endpoint_is_at_fault(alice, receiver):
    receiver.answers = [(500, {"X-Powered-By": "a bot"}, b'{"error": "KeyError"}')]
    text = send(alice)
    assert "Responded with 500, not 200" in text
    assert "failed here" in text
    assert "X-Powered-By" in text
    assert "KeyError" in text
    hook = Hook.objects.get()
    assert (hook.state, hook.last_outcome, hook.last_status) == (State.FAILED, Outcome.NOT_200, 500)
    assert hook.attempts.get().side == Side.ENDPOINT


def test_a_closed_port_is_not_reached(alice, receiver):
    with Receiver() as gone:
        closed = gone.url
    text = send(alice, url=closed)
    assert "Not reached" in text
    assert "nothing listens there" in text
    assert receiver.requests == []


def test_a_server_that_closes_the_connection_has_no_complete_response(alice, receiver):
    receiver.answers = lambda request: (_ for _ in ()).throw(ConnectionAbortedError)
    receiver.server.handle_error = lambda *arguments: None
    text = send(alice)
    assert "No complete response" in text
    assert "127.0.0.1 closed the connection without a response." in text


def test_a_url_entered_here_applies_to_this_test_only(alice, instance, receiver):
    with Receiver() as other:
        send(alice, url=other.url)
        assert len(other.requests) == 1
    assert receiver.requests == []
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.url == receiver.url


@pytest.mark.parametrize(
    ("url", "words"),
    [("", "The URL is empty."), ("ftp://x", "The URL must start with http:// or https://.")],
)
def test_nothing_is_sent_to_an_invalid_url(alice, receiver, url, words):
    text = send(alice, url=url)
    assert "Not sent" in text
    assert words in text
    assert Hook.objects.count() == 0


def test_invalid_json_is_not_sent_and_its_position_is_shown(alice, receiver):
    text = send(alice, body='{\n  "messages": [}\n')
    assert "Not sent" in text
    assert "Line 2, column 16: expecting value." in text
    assert (receiver.requests, Hook.objects.count()) == ([], 0)


def test_edited_json_is_sent_unchanged(alice, receiver):
    send(alice, body='{ "messages": [ {"n": 1.50, "s": "a  \\u00e9 é"} ] }')
    assert receiver.requests[0].body == '{"messages":[{"n":1.50,"s":"a  \\u00e9 é"}]}'.encode()


def test_an_unpaid_instance_shows_the_form_and_sends_nothing(alice, instance, receiver):
    Instance.objects.update(paid_until=timezone.now())
    page = alice.get(PAGE, {"instance": 12345}).content.decode()
    assert "You cannot send hooks: this instance is not paid." in page
    assert 'id="send" type="submit" disabled' in page
    assert "You cannot simulate hooks: this instance is not paid." in send(alice)
    assert (receiver.requests, Hook.objects.count()) == ([], 0)


def test_sending_again_creates_a_new_hook_with_the_same_bytes(alice, receiver):
    send(alice)
    first = Hook.objects.get()
    alice.post(f"{PAGE}again/{first.public_id}/", headers=HTMX)
    before, after = receiver.requests
    assert after.body == before.body
    assert after.headers["webhook-id"] != before.headers["webhook-id"]
    assert Hook.objects.count() == 2


def test_a_real_hook_cannot_be_sent_again_here(alice, instance):
    receive_message(instance, sender="17680561234", body="hello")
    hook = Hook.objects.filter(kind=Kind.MESSAGE).get()
    assert alice.post(f"{PAGE}again/{hook.public_id}/", headers=HTMX).status_code == 404


def test_the_20_most_recent_simulations_are_listed(alice, receiver):
    for _ in range(21):
        send(alice)
    context = alice.get(PAGE, {"instance": 12345}).context
    assert context["recent"] == list(Hook.objects.order_by("-pk")[:20])


def test_the_form_is_written_into_the_json_and_other_edits_are_kept(alice):
    form = form_of(alice)
    form["body"] = form["body"].replace('"metadata": null', '"metadata": 7')
    form |= {"sender": "+49 123 4567890", "sender_name": "Bob", "text": "Grüße"}
    response = alice.post(f"{PAGE}json/?instance=12345", form, headers=HTMX)
    item = json.loads(value_of(response, "body"))["messages"][0]
    assert (item["author"], item["chatId"], item["senderName"], item["chatName"], item["body"]) == (
        "491234567890@c.us", "491234567890@c.us", "Bob", "Bob", "Grüße",
    )  # fmt: skip
    assert item["id"].startswith("false_491234567890@c.us_")
    assert item["metadata"] == 7


def test_the_json_is_read_into_the_form(alice):
    form = form_of(alice, "delivered")
    form["body"] = form["body"].replace("17680561234", "4912345678901")
    response = alice.post(f"{PAGE}fields/?instance=12345", form, headers=HTMX)
    assert value_of(response, "recipient") == "4912345678901"


def test_invalid_json_does_not_change_the_form(alice):
    response = alice.post(f"{PAGE}fields/?instance=12345", {"what": "message", "body": "{"}, headers=HTMX)
    assert "Line 1, column 2: expecting property name enclosed in double quotes." in response.content.decode()
    assert 'id="fields"' not in response.content.decode()


@pytest.mark.parametrize("what", ["message", "delivered", "viewed"])
@pytest.mark.parametrize(
    "body",
    ["null", "[]", '{"messages": 1}', '{"messages": [1], "ack": [[]]}', '{"ack": [{"id": 1, "chatId": []}]}'],
)
def test_json_of_any_shape_is_accepted(alice, what, body):
    form = form_of(alice, what) | {"body": body}
    for path in ("json", "fields", "choose"):
        assert alice.post(f"{PAGE}{path}/?instance=12345", form, headers=HTMX).status_code == 200
    send(alice, what=what, body=body)
    assert Hook.objects.count() == 1


def test_the_origin_of_the_destination_is_shown(alice, instance, receiver):
    assert "From the settings of Shop." in alice.get(PAGE, {"instance": 12345}).content.decode()
    response = alice.post(f"{PAGE}url/?instance=12345", {"use": "bin"}, headers=HTMX)
    bin = bin_actions.open_bin(instance)
    assert value_of(response, "url") == bin.url
    assert "The instance's bin:" in response.content.decode()
    response = alice.post(f"{PAGE}url/?instance=12345", {"url": "https://other.example"}, headers=HTMX)
    assert (
        f'For this test only. The hooks of Shop still go to <span class="mono">{receiver.url}'
        in response.content.decode()
    )
    response = alice.post(f"{PAGE}url/?instance=12345", {"use": "own"}, headers=HTMX)
    assert value_of(response, "url") == receiver.url
    verification_actions.start_verification(instance, acting_user=None)
    context = alice.get(PAGE, {"instance": 12345}).context
    assert (context["url"], context["origin"]) == (bin.url, "verification")


def test_without_a_url_the_origin_is_none(alice, instance):
    configure(instance.endpoint, url="")
    context = alice.get(PAGE, {"instance": 12345}).context
    assert (context["url"], context["origin"]) == ("", "none")


def test_the_headers_shown_are_those_sent(alice, receiver):
    shown = {name.lower() for name, _value, _note in alice.get(PAGE, {"instance": 12345}).context["headers"]}
    send(alice)
    assert shown == receiver.requests[0].headers.keys() - {"host", "content-length"}


def test_another_account_gets_404(alice, instance, receiver):
    send(alice)
    hook = Hook.objects.get()
    bob = Client()
    bob.force_login(UserFactory(email="bob@example.org"))
    assert bob.get(PAGE, {"instance": 12345}).status_code == 404
    for path in ("choose/", "json/", "fields/", "url/", "send/"):
        assert bob.post(f"{PAGE}{path}?instance=12345", {"use": "bin"}).status_code == 404
    assert bob.post(f"{PAGE}again/{hook.public_id}/").status_code == 404
    assert len(receiver.requests) == 1
    assert "No instance yet" in bob.get(PAGE).content.decode()


def test_without_htmx_the_whole_page_is_returned_with_the_result(alice, receiver):
    page = alice.post(f"{PAGE}send/?instance=12345", form_of(alice)).content.decode()
    assert "<h1>Webhook Simulation</h1>" in page
    assert "Delivered: 127.0.0.1 responded with 200." in page


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', '{"a": 1,}', "", '"\ud800"', "[" * 100_000])
def test_text_that_is_not_json_is_rejected(text):
    with pytest.raises(BadJson):
        compact(text)


def test_the_curl_command_is_the_same_request(alice, receiver):
    text = send(alice, body='{"messages":[{"body":"it\'s"}]}')
    assert "Copy as curl" in text
    hook = Hook.objects.get()
    line = curl_of(hook.attempts.get(), bytes(hook.body))
    assert line.startswith(f"curl -i --globoff -X POST {receiver.url}")
    assert f"'webhook-id: {hook.webhook_id}'" in line
    assert """--data-raw '{"messages":[{"body":"it'"'"'s"}]}'""" in line


def test_a_body_over_the_limit_is_not_sent(alice, receiver):
    text = send(alice, body=json.dumps("x" * drafts.MAX_BODY))
    assert "the limit is 1,310,720." in text
    assert receiver.requests == []


LONG_NUMBER = f'{{"text": "{"1" * 5000}",\n "n": {"9" * 5000}}}'


def test_a_number_too_long_for_python_is_rejected_with_its_position():
    with pytest.raises(BadJson) as refusal:
        compact(LONG_NUMBER)
    assert str(refusal.value) == "Line 2, column 7: a number is too long to be read."


@pytest.mark.parametrize("path", ["send", "json", "fields"])
def test_a_number_too_long_for_python_breaks_no_page(alice, path):
    response = alice.post(
        f"{PAGE}{path}/?instance=12345", {**form_of(alice), "body": LONG_NUMBER}, headers=HTMX
    )
    assert response.status_code == 200
    assert not Hook.objects.exists()


@pytest.mark.parametrize("path", ["send", "json", "fields"])
@pytest.mark.parametrize("part", ["id", "author", "senderName", "body", "chatId"])
def test_half_a_surrogate_pair_breaks_no_page(alice, receiver, path, part):
    body = json.dumps({"messages": [{"id": "1", "author": "2@c.us", "body": "", part: "\ud800"}]})
    fields = {"what": "message", "url": receiver.url, "body": body}
    response = alice.post(f"{PAGE}{path}/?instance=12345", fields, headers=HTMX)
    assert response.status_code == 200
    if path == "send":
        hook = Hook.objects.get()
        assert bytes(hook.body).decode() == body.replace(": ", ":").replace(", ", ",")
        assert alice.get(f"/log/{hook.public_id}/").status_code == 200


def test_a_vcard_with_a_photo_is_simulated_whole(alice, receiver):
    vcard = "BEGIN:VCARD\nFN:Ann\nPHOTO;ENCODING=b:".ljust(1024 * 1024 - 10, "A") + "\nEND:VCARD"
    body = json.dumps({"messages": [{"type": "vcard", "body": vcard}], "instanceId": "12345"})
    send(alice, body=body)
    [request] = receiver.requests
    assert json.loads(request.body)["messages"][0]["body"] == vcard
