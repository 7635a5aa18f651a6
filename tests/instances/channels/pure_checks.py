"""The checks of `prepare` and `read`, which are pure functions of plain values, and of `limits` and `link`.

A channel that prepares Local for every message passes those of requests and responses: it makes none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import unquote, urlsplit

import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hooks import http
from hooks.models import Outcome
from instances import chat_ids
from instances.channels.base import Can, Channel
from instances.channels.masking import mask_request
from instances.channels.requests import (
    Failed,
    File,
    Link,
    Local,
    MessageToSend,
    Moved,
    Prepared,
    Rate,
    Refused,
    Request,
    Result,
    Sent,
    Unlinked,
    Uploaded,
    Wait,
)
from instances.channels.responses import MAX_WAIT_SECONDS
from instances.models import FILE_TYPES, Ack, Instance, MessageType

if TYPE_CHECKING:
    from tests.instances.channels.conformance import Messenger

ANN, BEN, GROUP = "17680561234@c.us", "4915112345678@c.us", "17680561234-1479621234@g.us"
ODD_TEXT = 'Grüße 👋\r\nX-Injected: yes\n"quoted" \\ \' <b>&amp;</b> \t{}'
BODIES = {
    MessageType.CHAT: ODD_TEXT,
    MessageType.LOCATION: "52.5200;13.4050",
    MessageType.VCARD: "BEGIN:VCARD\nVERSION:3.0\nFN:Ben\nTEL:+4915112345678\nEND:VCARD",
}


@dataclass(frozen=True)
class People:
    """Whom a channel's messages reach, by their chat ids, and a message in the messenger's form of ids.

    A Messenger without phone numbers has its own as `people`.
    """

    ann: str = ANN
    ben: str = BEN
    group: str = GROUP
    message: str = "1234567"
    author: str = ""  # Ann as an author, if this differs from her chat


def people_of(messenger: object) -> People:
    people: People = getattr(messenger, "people", People())
    return people


METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_REASON = 1000  # characters

RESPONSE_BODIES: tuple[bytes, ...] = (
    b"",
    b"\x16\x03\x01\x00\xff\xfe",
    b"<!doctype html><title>Sign in</title>",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b'"text"',
    b'{"id": "1", "deleted": true, "ok": true}',
    b'{"error": {"code": []}}',
    b'{"error": null, "message": 7, "description": [1], "scope": {}, "id": {}, "ok": "no"}',
    b'{"error": "\xff"}',
    '{"error": "two\\nlines\\u0000 and ünïcode", "scope": "nobody"}'.encode(),
    b'{"error": "' + b"x" * 8000,
    b'{"error": "' + b"y" * 8000 + b'"}',
    b"[" * 8192,
    "\ufeff{}".encode("utf-16"),
)
RETRY_AFTER = (
    None, "", "0", "-1", "7", "9" * 30, "1e309", "nan", "soon", "\u0663", "Wed, 21 Oct 2015 07:28:00 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT", "Wed, 21 Oct 2015 07:28:00 +9999",
)  # fmt: skip


class Samples:
    """Messages to the people of a messenger."""

    def __init__(self, messenger: object) -> None:
        self.people = people_of(messenger)

    def message(self, type: str = MessageType.CHAT, **more: Any) -> MessageToSend:
        body = BODIES.get(MessageType(type), f"https://example.com/{type}.bin")
        chat_id = more.pop("chat_id", self.people.ann)
        return MessageToSend(f"true_{chat_id}_3EB0957AD66BAFF57D1D", chat_id, type, body, **more)

    def file_message(self, type: str) -> MessageToSend:
        link = f"https://example.com/media/key/{type}.bin"
        stored = File('fü"\r\nX: y.png', "image/png", 12, f"1/{type}.bin", link)
        return dataclasses.replace(self.message(type, file=stored, caption=ODD_TEXT), body=link)

    def quoting(self, messenger_id: str) -> MessageToSend:
        """A quote; `messenger_id` is empty if the messenger has not said what it calls the quoted message."""
        known = {"id": f"false_{self.people.ann}_AAAA", "body": ODD_TEXT, "type": "chat"}
        return self.message(quoted=known | {"messenger_id": messenger_id})

    def deletion(self, messenger_id: str) -> MessageToSend:
        return dataclasses.replace(
            self.message(),
            body="",
            deletes=f"true_{self.people.ann}_3EB0AAAAAAAAAAAAAAAA",
            deletes_messenger_id=messenger_id,
        )

    def all(self) -> list[MessageToSend]:
        """Returns a message of each kind that a channel may have to send."""
        sent = [type for type in MessageType if type != MessageType.CALL_LOG]
        return [
            *map(self.message, sent),
            *map(self.file_message, FILE_TYPES),
            self.message(chat_id=self.people.group),
            self.quoting(self.people.message),
            self.quoting(""),
            self.message(metadata={"key": ODD_TEXT}, forwarded=3),
            self.deletion(self.people.message),
            self.deletion(""),
        ]


def samples(messenger: object) -> list[MessageToSend]:
    return Samples(messenger).all()


def is_allowed_to_refuse(channel: Channel, refused: MessageToSend, reason: str) -> bool:
    """Only what is in `cannot`, and to delete a message that the messenger has not named."""
    if refused.deletes and not refused.deletes_messenger_id:
        return True
    words = (
        {Can.DELETE}
        if refused.deletes
        else {MessageType(refused.type), *({Can.QUOTE} if refused.quoted else ())}
    )
    return any(channel.cannot.get(word) == reason for word in words)


def prepared_requests(channel: Channel, messenger: object, link: Link) -> list[Request]:
    """Returns all requests that the channel prepares for the samples: uploads, messages and deletions."""
    found: list[Request] = []
    for sample in samples(messenger):
        prepared = channel.prepare(sample, link)
        if isinstance(prepared, Request) and prepared.is_upload:
            found.append(prepared)
            prepared = channel.prepare(sample, link, "uploaded-1")
        if isinstance(prepared, Request):
            found.append(prepared)
    return found


def has_sane_limits(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    limits = channel.limits
    assert 1 <= limits.in_flight <= 1000, "from 1 to 1 000 requests of an instance at once"
    for rate in (limits.per_number, limits.per_recipient, limits.per_group):
        assert rate is None or isinstance(rate, Rate), "a Rate, or None"
        assert rate is None or (1 <= rate.messages <= 100_000 and 0 < rate.seconds <= 86_400), (
            f"{rate} can be kept: at least one message in at most a day"
        )
    assert isinstance(channel.is_idempotent(channel.link(instance)), bool), "is_idempotent is True or False"


def links_with_at_most_one_query(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    with CaptureQueriesContext(connection) as queries:
        link = channel.link(instance)
    assert len(queries) <= 1, "the sender calls `link` for every claim"
    assert (link.number, link.own_chat_id) == (instance.number, instance.own_chat_id), "the instance's link"
    for name, value in link.credentials.items():
        assert isinstance(value, str) and len(value) >= 4, (
            f"the credential {name} is long enough to be masked"
        )


def prepares_every_message(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    link = channel.link(instance)
    for sample in samples(messenger):
        prepared = channel.prepare(sample, link)
        if isinstance(prepared, Request) and prepared.is_upload:
            assert sample.file is not None, "only a file is uploaded"
            assert prepared.body_path in ("", sample.file.path), "the body is the message's file"
            assert_is_a_request(prepared)
            prepared = channel.prepare(sample, link, "uploaded-1")
            assert not (isinstance(prepared, Request) and prepared.is_upload), "a file is uploaded once"
        assert_is_prepared(channel, sample, prepared)


def assert_is_prepared(channel: Channel, sample: MessageToSend, prepared: Prepared) -> None:
    if isinstance(prepared, Refused):
        assert is_allowed_to_refuse(channel, sample, prepared.reason), (
            f"{sample.type}: refused with the sentence of `cannot`, not {prepared.reason!r}"
        )
    elif isinstance(prepared, Request):
        assert_is_a_request(prepared)
    else:
        assert isinstance(prepared, Local), "a Request, Local or Refused"


def assert_is_a_request(request: Request) -> None:
    url = urlsplit(request.url)
    assert request.method in METHODS, f"{request.method} is a method of HTTP"
    assert url.scheme in ("http", "https") and url.hostname, f"{request.url} is an absolute URL"
    assert request.url.isascii() and request.url.isprintable() and " " not in request.url, (
        f"{request.url!r} is percent-encoded"
    )
    assert len(request.url) <= 2000, "a URL has at most 2 000 characters"
    for name, value in request.headers.items():
        assert isinstance(value, str) and f"{name}{value}".isprintable(), f"{name}: no line breaks in headers"
        value.encode("latin-1")
    assert isinstance(request.body, bytes), "the body is bytes"
    assert request.body_path or not request.body_end, "only a file has bytes after it"


def prepares_the_same_request_again(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    link = channel.link(instance)
    for sample in samples(messenger):
        for uploaded in (None, "uploaded-1"):
            first = channel.prepare(sample, link, uploaded)
            with time_machine.travel(timezone.now() + timedelta(days=1)):
                assert channel.prepare(sample, link, uploaded) == first, "neither clock nor chance matters"


@contextmanager
def values_only() -> Iterator[None]:
    """Fails on a query and on a socket."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("`prepare` and `read` make no queries and open no sockets")

    with (
        connection.execute_wrapper(refuse),
        mock.patch("socket.socket.connect", refuse),
        mock.patch("socket.getaddrinfo", refuse),
        mock.patch.object(http.Transfer, "start", refuse),
    ):
        yield


def prepares_and_reads_without_queries_and_sockets(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    link = channel.link(instance)
    with values_only():
        for request in prepared_requests(channel, messenger, link):
            for status in (200, 201, 401, 429, 500):
                channel.read(request, response(status, b'{"id": "1", "error": "x"}'))


def keeps_credentials_where_they_are_masked(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    """Masked, the requests of two links that differ in their credentials only are the same."""
    link = channel.link(instance)
    others = {name: f"other-{value[::-1]}" for name, value in link.credentials.items()}
    other = dataclasses.replace(link, credentials=others)
    requests = (prepared_requests(channel, messenger, each) for each in (link, other))
    for one, two in zip(*requests, strict=True):
        assert one.body == two.body, "a body contains no credentials"
        assert mask_request(one, link) == mask_request(two, other), (
            "nothing of the credentials is left of a request that is stored"
        )


def response(
    status: int | None, body: bytes, retry_after: str | None = None, date: str = ""
) -> http.Response:
    headers = [["Content-Type", "application/json"], *([["Date", date]] if date else [])]
    if retry_after is not None:
        headers.append(["Retry-After", retry_after])
    outcome = Outcome.OK if status == 200 else Outcome.NOT_200 if status else Outcome.RESET
    return http.Response(outcome, status, headers, body, len(body))


def kinds_of_requests(channel: Channel, messenger: object, link: Link) -> list[Request]:
    """Returns one request of each kind: upload, message, deletion."""
    by_kind = {(each.method, each.is_upload): each for each in prepared_requests(channel, messenger, link)}
    return list(by_kind.values())


def reads_every_response(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    for request in kinds_of_requests(channel, messenger, channel.link(instance)):
        for status in (None, *range(100, 600)):
            for body in RESPONSE_BODIES:
                result = channel.read(request, response(status, body))
                assert_is_a_result(request, status, body, result)


def assert_is_a_result(request: Request, status: int | None, body: bytes, result: Result) -> None:
    shown = f"{status} with {body[:40]!r} is read as {result}"
    if isinstance(result, Sent | Uploaded):
        assert status is not None and 200 <= status < 300, f"only a 2xx is a success: {shown}"
        assert body[:1] != b"<", f"a page is not a success: {shown}"
        assert isinstance(result, Uploaded) == request.is_upload, f"an upload alone is Uploaded: {shown}"
        if isinstance(result, Sent):
            assert result.acks[:1] in ((), (Ack.SENT,)), f"the first ack is SENT: {shown}"
            assert is_an_id(result.messenger_id), f"the messenger's id can be stored: {shown}"
        return
    assert isinstance(result, Moved | Refused | Wait | Failed | Unlinked), f"a Result: {shown}"
    assert isinstance(result.reason, str) and 0 < len(result.reason) <= MAX_REASON, f"a reason: {shown}"
    assert result.reason.isprintable(), f"the reason is one line: {shown}"
    if status is None or status < 200 or status >= 500:
        assert isinstance(result, Failed | Wait), f"the messenger's own fault is tried again: {shown}"


def is_an_id(given: str) -> bool:
    return isinstance(given, str) and chat_ids.storable_messenger_id(given) == given


def names_other_messages_as_the_messenger_does(
    channel: Channel, messenger: Messenger, instance: Instance
) -> None:
    """The messenger knows no id of this product, except an idempotency key."""
    link, people = channel.link(instance), people_of(messenger)
    for sample in (Samples(messenger).quoting(people.message), Samples(messenger).deletion(people.message)):
        prepared = channel.prepare(sample, link)
        if isinstance(prepared, Request):
            named = unquote(prepared.url).encode() + prepared.body
            assert people.message.encode() in named or (
                sample.deletes and sample.deletes.encode() in named
            ), "the request has the messenger's id of the message that it quotes or deletes"


def waits_for_a_sane_time(channel: Channel, messenger: Messenger, instance: Instance) -> None:
    for request in kinds_of_requests(channel, messenger, channel.link(instance)):
        for status in (403, 413, 420, 429, 503):
            for retry_after in RETRY_AFTER:
                for date in ("", "Wed, 21 Oct 2015 07:00:00 GMT", "never"):
                    for body in (
                        b"",
                        b'{"error": "x", "retry_after": -5, "parameters": {"retry_after": 1e308}}',
                    ):
                        result = channel.read(request, response(status, body, retry_after, date))
                        if isinstance(result, Wait) and result.seconds is not None:
                            assert 0 < result.seconds <= MAX_WAIT_SECONDS, (
                                f"Retry-After: {retry_after} is read as {result.seconds} s"
                            )


PURE_CHECKS: Iterable[Callable[[Channel, Any, Instance], None]] = (
    has_sane_limits,
    links_with_at_most_one_query,
    prepares_every_message,
    prepares_the_same_request_again,
    prepares_and_reads_without_queries_and_sockets,
    keeps_credentials_where_they_are_masked,
    reads_every_response,
    names_other_messages_as_the_messenger_does,
    waits_for_a_sane_time,
)
