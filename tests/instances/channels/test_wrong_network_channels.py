"""Each check of requests and responses fails a channel that breaks its requirement: the sandbox over HTTP, spoilt."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone

from hooks.http import Response
from instances.channels import CHANNELS
from instances.channels.requests import (
    Failed,
    Limits,
    Link,
    MessageToSend,
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
from instances.channels.sandbox import over_http
from instances.channels.sandbox.channel import SandboxChannel
from instances.models import Instance, MessageType
from tests.factories import InstanceFactory
from tests.instances.channels import conformance, pure_checks
from tests.instances.channels.messengers import SandboxMessengerOverHttp
from tests.instances.channels.sandbox.messenger_process import MessengerProcess


class Spoilt(SandboxChannel):
    """Changes each request by `spoil`, and each result by `misread`."""

    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return self.spoil(over_http.prepare(message, link, uploaded), message, link)

    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return request

    def read(self, request: Request, response: Response) -> Result:
        return self.misread(over_http.read(request, response), request, response)

    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return result


def with_header(request: Request, name: str, value: str) -> Request:
    return replace(request, headers={**request.headers, name: value})


class SendsNothingAtOnce(Spoilt):
    limits = Limits(in_flight=0)


class HasAnImpossibleRate(Spoilt):
    limits = Limits(per_number=Rate(0))


class LinksWithManyQueries(Spoilt):
    def link(self, instance: Instance) -> Link:
        Instance.objects.filter(pk=instance.pk).exists()
        return Link(Instance.objects.get(pk=instance.pk).number, instance.own_chat_id)


class LinksAnotherAccount(Spoilt):
    def link(self, instance: Instance) -> Link:
        return replace(super().link(instance), number=instance.number + 1)


class HasAShortCredential(Spoilt):
    def link(self, instance: Instance) -> Link:
        return replace(super().link(instance), credentials={"token": "abc"})


class PutsTextIntoAHeader(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return with_header(request, "X-Text", message.body)


class PutsTextIntoTheUrl(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return replace(request, url=f"{request.url}?text={message.body}")


class PreparesARelativeUrl(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return replace(request, url="/messages")


class UploadsWithoutEnd(Spoilt):
    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return over_http.prepare(message, link)


class UploadsAnotherFile(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return replace(request, body_path="other") if request.is_upload else request


class RefusesWithoutASentence(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return Refused("no") if message.type == MessageType.STICKER else request


class PreparesByChance(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return with_header(request, "Idempotency-Key", str(uuid.uuid4()))


class PreparesByTheClock(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return with_header(request, "X-Day", f"{timezone.now():%Y-%m-%d}")


class QueriesWhilePreparing(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        Instance.objects.exists()
        return request


class ConnectsWhilePreparing(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()
        return request


class QueriesWhileReading(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        Instance.objects.exists()
        return result


class PutsTheTokenIntoTheBody(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return replace(request, body=json.dumps(link.credentials).encode()) if request.body else request


class HidesTheTokenFromTheMask(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return replace(request, url=f"{request.url}?key={link.credentials['token'].encode().hex()}")


class RaisesOnWhatIsNoJson(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        json.loads(response.body)
        return result


class BelievesEveryPage(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Sent() if response.status == 200 and not request.is_upload else result


class BelievesEveryStatus(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Sent() if not request.is_upload else result


class TakesAnUploadForTheMessage(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Sent() if isinstance(result, Uploaded) else result


class GivesUpOnA500(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Refused("It broke.") if response.status == 500 else result


class CopiesTheBodyIntoTheReason(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Failed(response.body.decode("latin-1")) if isinstance(result, Failed) else result


class WaitsAsLongAsItIsTold(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        given = response.header("retry-after")
        return (
            replace(result, seconds=float(given))
            if isinstance(result, Wait) and given.isdecimal()
            else result
        )


class WaitsForAPastDate(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        given = response.header("retry-after")
        return replace(result, seconds=-1.0) if isinstance(result, Wait) and "2015" in given else result


class IgnoresLimits(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Failed(result.reason) if isinstance(result, Wait) else result


class WaitsForAnHour(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return replace(result, seconds=3600) if isinstance(result, Wait) else result


class IgnoresARevokedToken(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return Failed(result.reason) if isinstance(result, Unlinked) else result


class SendsFilesAsLinks(Spoilt):
    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return over_http.prepare(replace(message, file=None), link)


class SendsDeletionsAsMessages(Spoilt):
    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return over_http.prepare(replace(message, deletes=""), link, uploaded)


class ForgetsWhatItQuotes(Spoilt):
    def prepare(self, message: MessageToSend, link: Link, uploaded: str | None = None) -> Prepared:
        return over_http.prepare(replace(message, quoted=None), link, uploaded)


class DeletesTheLastMessage(Spoilt):
    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        return replace(request, url="https://example.com/last") if message.deletes else request


class GivesAllMessagesOneId(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return replace(result, messenger_id="1") if isinstance(result, Sent) else result


class TakesTheBodyForAnId(Spoilt):
    def misread(self, result: Result, request: Request, response: Response) -> Result:
        return replace(result, messenger_id="1\x00") if isinstance(result, Sent) else result


class ForgetsTheIdempotencyKey(Spoilt):
    sent = 0

    def spoil(self, request: Request, message: MessageToSend, link: Link) -> Prepared:
        self.sent += 1
        return with_header(request, "Idempotency-Key", str(self.sent))


class CarriesOutTheFirst(Spoilt):
    def carry_out(self, taken: Any) -> list[Sent | Refused]:
        return super().carry_out(taken[:1])


class SendsFromOneAccount(Spoilt):
    number = 0

    def link(self, instance: Instance) -> Link:
        self.number = self.number or instance.number
        return replace(super().link(instance), number=self.number)


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        (SendsNothingAtOnce, "has_sane_limits"),
        (HasAnImpossibleRate, "has_sane_limits"),
        (LinksWithManyQueries, "links_with_at_most_one_query"),
        (LinksAnotherAccount, "links_with_at_most_one_query"),
        (HasAShortCredential, "links_with_at_most_one_query"),
        (PutsTextIntoAHeader, "prepares_every_message"),
        (PutsTextIntoTheUrl, "prepares_every_message"),
        (PreparesARelativeUrl, "prepares_every_message"),
        (UploadsWithoutEnd, "prepares_every_message"),
        (UploadsAnotherFile, "prepares_every_message"),
        (RefusesWithoutASentence, "prepares_every_message"),
        (PreparesByChance, "prepares_the_same_request_again"),
        (PreparesByTheClock, "prepares_the_same_request_again"),
        (QueriesWhilePreparing, "prepares_and_reads_without_queries_and_sockets"),
        (ConnectsWhilePreparing, "prepares_and_reads_without_queries_and_sockets"),
        (QueriesWhileReading, "prepares_and_reads_without_queries_and_sockets"),
        (PutsTheTokenIntoTheBody, "keeps_credentials_where_they_are_masked"),
        (HidesTheTokenFromTheMask, "keeps_credentials_where_they_are_masked"),
        (RaisesOnWhatIsNoJson, "reads_every_response"),
        (BelievesEveryPage, "reads_every_response"),
        (BelievesEveryStatus, "reads_every_response"),
        (TakesAnUploadForTheMessage, "reads_every_response"),
        (GivesUpOnA500, "reads_every_response"),
        (CopiesTheBodyIntoTheReason, "reads_every_response"),
        (WaitsAsLongAsItIsTold, "waits_for_a_sane_time"),
        (WaitsForAPastDate, "waits_for_a_sane_time"),
        (IgnoresLimits, "waits_as_long_as_a_limit_asks"),
        (WaitsForAnHour, "waits_as_long_as_a_limit_asks"),
        (IgnoresARevokedToken, "reads_revoked_credentials_as_unlinked"),
        (SendsFilesAsLinks, "sends_a_stored_file"),
        (SendsDeletionsAsMessages, "deletes_a_message"),
        (ForgetsWhatItQuotes, "names_other_messages_as_the_messenger_does"),
        (DeletesTheLastMessage, "names_other_messages_as_the_messenger_does"),
        (GivesAllMessagesOneId, "returns_the_messengers_id_of_each_message"),
        (TakesTheBodyForAnId, "returns_the_messengers_id_of_each_message"),
        (ForgetsTheIdempotencyKey, "sends_once_when_sent_twice"),
        (CarriesOutTheFirst, "carries_out_several_messages_in_one_call"),
        (SendsFromOneAccount, "keeps_accounts_separate"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_wrong_channel_fails_its_check(
    db: None,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    messenger: MessengerProcess,
    wrong: type[Spoilt],
    check: str,
) -> None:
    settings.SANDBOX_OVER_HTTP, settings.SANDBOX_MESSENGER_URL = True, messenger.url
    channel = wrong()
    monkeypatch.setitem(CHANNELS, "sandbox", channel)
    instance = InstanceFactory(url="https://example.com/hook")
    function = getattr(pure_checks, check, None) or getattr(conformance, check)
    with pytest.raises((AssertionError, ValueError, RecursionError)):
        function(channel, SandboxMessengerOverHttp(messenger), instance)
