"""Captures are sent to another URL: one, unchanged or edited, or all in order; with the same limits as hooks."""

import pytest

from hooks import http
from testing_tools.verification import forwarding, replays
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.forwarding import Progress
from testing_tools.verification.models import BODY_LIMIT, Capture
from testing_tools.verification.replays import InvalidReplay
from tests.factories import AccountFactory, InstanceFactory
from tests.raw_server import RawServer
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db
HEADERS = [
    ("host", "old.example.org"), ("content-type", "application/x-odd"), ("content-length", "4"), ("x-twice", "a, b"),
    ("connection", "close"), ("x-empty", ""),
]  # fmt: skip


@pytest.fixture
def bin():
    return bin_actions.open_bin(InstanceFactory(owner=AccountFactory(email="alice@example.org")))


@pytest.fixture
def alice(client, bin):
    client.force_login(bin.instance.owner.owner)
    return client


@pytest.fixture(autouse=True)
def long_steps(monkeypatch):
    """On a busy machine, too, a step of a forwarding sends as many captures as it may."""
    monkeypatch.setattr(forwarding, "STEP_SECONDS", 60.0)


def captured(bin, body=b"\x00\xff\r\n", method="PUT", headers=HEADERS, path=""):
    result = capture_actions.capture(bin.key, method=method, body=body, headers=headers, path=path)
    assert result is not None
    found = Capture.objects.get(bin=bin, number=result.number)
    found.bin = bin
    return found


def address_of(found, what="replay"):
    return f"/testing/bins/{found.bin.key}/{found.public_id}/{what}/"


def test_an_unchanged_replay_has_the_method_headers_and_every_byte(alice, bin):
    with Receiver([(202, {}, b"taken")]) as receiver:
        page = alice.post(address_of(captured(bin)), {"as": "captured", "url": receiver.url}).content.decode()
        [got] = receiver.wait_for(1)
    assert (got.method, got.path, got.body) == ("PUT", "/hook", b"\x00\xff\r\n")
    assert got.headers == {
        "host": f"127.0.0.1:{receiver.port}", "content-type": "application/x-odd", "x-twice": "a, b", "x-empty": "",
        "content-length": "4",
    }  # fmt: skip
    assert "202 in " in page
    assert "taken" in page


def test_a_replay_sends_the_headers_as_captured(alice, bin):
    headers = [
        ("Host", "old.example.org"), ("X_Under", "1"), ("ALPHA", "1"), ("x-empty", ""), ("Alpha", "2"),
        ("Alpha", "3, 4"), ("X-Umlaut", "ä→"), ("Transfer-Encoding", "chunked"), ("TE", "trailers"),
    ]  # fmt: skip
    server = RawServer()
    found = captured(bin, b"abc", "POST", headers)
    page = alice.post(address_of(found), {"as": "captured", "url": f"{server.url}/%c3?x"}).content.decode()
    server.thread.join(60)
    assert "204 in " in page
    assert [line.decode() for line in server.head] == [
        "POST /%c3?x HTTP/1.1", f"Host: {server.url[7:]}", "X_Under: 1", "ALPHA: 1", "x-empty:", "Alpha: 2",
        "Alpha: 3, 4", "X-Umlaut: ä→", "Content-Length: 3",
    ]  # fmt: skip
    assert server.body == b"abc"


def test_an_edited_replay_is_what_the_form_says(alice, bin):
    found = captured(bin, b'{"a": 1}\n', "POST")
    form = {
        "as": "edited",
        "method": "PATCH",
        "headers": "X-New: 1\r\nContent-Type: text/plain",
        "body": "zwei\r\nü",
    }
    with Receiver() as receiver:
        page = alice.post(address_of(found), form | {"url": receiver.url}).content.decode()
        [got] = receiver.wait_for(1)
    assert (got.method, got.body.decode()) == ("PATCH", "zwei\nü")  # line breaks as they were captured
    assert (got.headers["x-new"], got.headers["content-type"]) == ("1", "text/plain")
    assert "The body was edited, so a signature in the headers no longer matches it." in page
    assert "Delivered: 127.0.0.1 responded with 200." in page


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_any_method_is_sent_without_waiting_for_a_missing_body(method):
    with Receiver([(200, {"Content-Length": "0"}, b"")]) as receiver:
        answer = http.send(method, receiver.url, [("X-A", "1")], b"")
        if method == "OPTIONS":  # the receiver does not support it, but it responded
            assert answer.status == 501
        else:
            assert (answer.status, receiver.requests[0].method) == (200, method)


def test_a_replay_reaches_nothing_that_a_hook_cannot_reach(alice, bin, settings):
    settings.HOOKS_ALLOW_NETWORKS = []
    with Receiver() as receiver:
        page = alice.post(address_of(captured(bin)), {"as": "captured", "url": receiver.url}).content.decode()
        assert receiver.requests == []
    assert "failed here" in page
    assert "loopback" in page


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"url": ""}, "The URL is empty."),
        ({"url": "ftp://x"}, "The URL must start with http:// or https://."),
        ({"method": "TRACE"}, "TRACE cannot be sent"),
        ({"headers": "nonsense"}, "Line 1 is not a header: use “Name: value”."),
        ({"headers": "X: \x07"}, "The header X contains a line break or another control character."),
    ],
)
def test_an_invalid_replay_is_explained_and_the_form_is_kept(alice, bin, form, words):
    with Receiver() as receiver:
        typed = {
            "as": "edited",
            "method": "POST",
            "headers": "X-Kept: 1",
            "body": "kept",
            "url": receiver.url,
        }
        answer = alice.post(address_of(captured(bin)), typed | form)
        assert receiver.requests == []
    page = answer.content.decode().replace("&#x27;", "’")
    assert answer.status_code == 422
    assert words in page
    assert "kept</textarea>" in page


def test_a_body_that_was_not_stored_is_not_replayed_as_empty(alice, bin):
    found = captured(bin, b"x" * (BODY_LIMIT + 1))
    with Receiver() as receiver:
        answer = alice.post(address_of(found), {"as": "captured", "url": receiver.url})
        assert receiver.requests == []
    assert answer.status_code == 422
    assert "The captured body was not stored." in answer.content.decode()


def test_headers_that_are_never_sent_do_not_count_against_the_limit(bin):
    pairs = [*HEADERS, *[("x-many", str(number)) for number in range(replays.MAX_HEADERS - 3)]]
    assert len(replays.changed_request(captured(bin, headers=pairs), "http://127.0.0.1/").headers) == 100


def test_a_header_cannot_contain_a_line_break(bin):
    found = captured(bin, headers=[("x", "1\r\nHost: evil")])
    with pytest.raises(InvalidReplay, match="line break"):
        replays.changed_request(found, "http://127.0.0.1/")


def test_the_destination_is_prefilled_with_the_instances_url(alice):
    instance = InstanceFactory(
        owner=AccountFactory(email="carol@example.org"), url="https://example.org/mine"
    )
    found = captured(bin_actions.open_bin(instance))
    alice.force_login(instance.owner.owner)
    assert 'value="https://example.org/mine"' in alice.get(address_of(found)).content.decode()


def test_all_are_forwarded_oldest_first(alice, bin):
    for text in (b"one", b"two", b"three"):
        captured(bin, text, "POST", [])
    capture_actions.capture(
        bin.key, method="POST", body=b"", size=2 * 1024 * 1024
    )  # its body was not stored, so it is skipped
    with Receiver([(200, {}, b""), (500, {}, b""), (204, {}, b"")]) as receiver:
        answer = alice.post(f"/testing/bins/{bin.key}/forward/", {"url": receiver.url})
        assert [got.body for got in receiver.requests] == [b"one", b"two", b"three"]
    assert answer.context["progress"][:5] == (3, 2, 1, 0, 0)
    assert "Finished." in answer.content.decode()


def test_only_matching_captures_are_forwarded(alice, bin):
    captured(bin, b"one", "POST", [])
    captured(bin, b"two", "PUT", [])
    with Receiver() as receiver:
        alice.post(f"/testing/bins/{bin.key}/forward/", {"url": receiver.url, "q": "method:PUT"})
        assert [got.body for got in receiver.requests] == [b"two"]


def test_many_captures_are_forwarded_in_steps(alice, bin):
    for number in range(forwarding.BATCH + 3):
        captured(bin, b"%d" % number, "POST", [])
    address = f"/testing/bins/{bin.key}/forward/"
    with Receiver() as receiver:
        first = alice.post(address, {"url": receiver.url})
        assert (first.context["progress"].sent, first.context["more"]) == (forwarding.BATCH, True)
        captured(bin, b"later", "POST", [])  # a capture that arrives meanwhile is left out
        again = {**first.context["progress"]._asdict(), "url": receiver.url, "upto": first.context["upto"]}
        second = alice.post(address, again)
        assert (second.context["progress"].sent, second.context["more"]) == (forwarding.BATCH + 3, False)
        assert [got.body for got in receiver.requests] == [b"%d" % n for n in range(forwarding.BATCH + 3)]


def test_an_unreachable_url_stops_it_after_three(alice, bin):
    for _ in range(5):
        captured(bin, b"x", "POST", [])
    with Receiver() as receiver:
        url = receiver.url
    answer = alice.post(f"/testing/bins/{bin.key}/forward/", {"url": url})
    assert answer.context["progress"].unreached == 3
    assert "Stopped: three requests in a row did not reach the URL." in answer.content.decode()


def test_a_bin_is_not_forwarded_into_itself(alice, bin):
    captured(bin, b"x", "POST", [])
    for url in (bin.url, f"{bin.url}/a", f"{bin.url}?x=1"):
        answer = alice.post(f"/testing/bins/{bin.key}/forward/", {"url": url})
        assert answer.status_code == 422
        assert (
            "This is the URL of the same bin: it would capture every request again."
            in answer.content.decode()
        )
    assert Capture.objects.count() == 1


def test_another_account_gets_404(client, bin):
    found = captured(bin)
    client.force_login(AccountFactory(email="bob@example.org").owner)
    with Receiver() as receiver:
        for address in (address_of(found), f"/testing/bins/{bin.key}/forward/"):
            assert client.post(address, {"as": "captured", "url": receiver.url}).status_code == 404
        assert receiver.requests == []


def test_invalid_progress_starts_at_the_beginning(alice, bin):
    captured(bin, b"one", "POST", [])
    with Receiver() as receiver:
        form = {"url": receiver.url, "last": "x", "accepted": "-1", "upto": "²"}
        answer = alice.post(f"/testing/bins/{bin.key}/forward/", form)
        assert answer.context["progress"] == Progress(1, accepted=1)
