"""The other sides for receiving_conformance.py. A new channel that pushes or is received from adds its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from django.test import override_settings

from instances.channels.receiving import CallbackRequest
from instances.models import Channel
from tests.doubles.matrix import MatrixDouble
from tests.doubles.telegram import Telegram
from tests.instances.channels.matrix import messenger as matrix
from tests.instances.channels.receiving_conformance import PushingMessenger, ReceivingMessenger
from tests.instances.channels.telegram import messenger as telegram
from tests.instances.channels.waha import messenger as waha
from tests.instances.channels.whatsapp_cloud import messenger as whatsapp
from tests.instances.channels.xmpp import messenger as xmpp
from tests.instances.receiving import polling, pushing, streaming
from tests.instances.receiving.polling import PollingMessenger
from tests.instances.receiving.streaming import StreamingMessenger

ANN = "17680561234"
ACCOUNT = "alice"


class Pusher:
    credentials: Mapping[str, str] = pushing.CREDENTIALS

    def callback(self, *, key: str, body: str) -> CallbackRequest:
        sent, headers = pushing.pushed({"kind": "message", "key": key, "sender": ANN, "body": body})
        return CallbackRequest("POST", "", tuple(headers.items()), sent)

    def handshake(self) -> tuple[CallbackRequest, str] | None:
        query = f"hub.mode=subscribe&hub.challenge=4711&hub.verify_token={self.credentials['verify_token']}"
        return CallbackRequest("GET", query, (), b""), "4711"


class Writer:
    """An account of a test messenger."""

    def __init__(self, messenger: PollingMessenger | StreamingMessenger) -> None:
        self.messenger = messenger
        self.credentials: Mapping[str, str] = messenger.credentials(ACCOUNT)

    def write(self, *, key: str, body: str) -> None:
        self.messenger.add(ACCOUNT, {"kind": "message", "key": key, "sender": ANN, "body": body})

    def revoke(self) -> None:
        self.credentials = {**self.credentials, "token": "a-token-that-was-revoked"}


@contextlib.contextmanager
def poller() -> Iterator[ReceivingMessenger]:
    with PollingMessenger() as messenger:
        yield Writer(messenger)


@contextlib.contextmanager
def streamer() -> Iterator[ReceivingMessenger]:
    with StreamingMessenger() as messenger:
        yield Writer(messenger)


@contextlib.contextmanager
def homeserver() -> Iterator[ReceivingMessenger]:
    with MatrixDouble() as double:
        yield matrix.Writer(double)


@contextlib.contextmanager
def telegram_bot() -> Iterator[ReceivingMessenger]:
    with Telegram() as double, override_settings(TELEGRAM_URL=double.url):
        yield telegram.Writer(double)


@contextlib.contextmanager
def xmpp_account() -> Iterator[ReceivingMessenger]:
    yield xmpp.Writer(xmpp.MESSENGER)


PUSHING_MESSENGERS: dict[str, PushingMessenger] = {
    pushing.NAME: Pusher(),
    Channel.WHATSAPP_CLOUD: whatsapp.Pusher(),
    Channel.TELEGRAM: telegram.Pusher(),
    Channel.WAHA: waha.Pusher(),
}
RECEIVING_MESSENGERS: dict[str, Callable[[], AbstractContextManager[ReceivingMessenger]]] = {
    polling.NAME: poller,
    streaming.NAME: streamer,
    Channel.MATRIX: homeserver,
    Channel.TELEGRAM: telegram_bot,
    Channel.WAHA: waha.writer,
    Channel.XMPP: xmpp_account,
}
