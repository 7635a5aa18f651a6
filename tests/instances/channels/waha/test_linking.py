"""How an instance gets its session: at a server of this site or a person's own, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TypeVar

import pytest

from instances.channels.linking import Found, NotLinkable
from instances.channels.media import FileUnavailable
from instances.channels.receiving import MAX_RESPONSE_BYTES, LinkLost, Network, ReceiveFailed
from instances.channels.requests import Link
from instances.channels.waha.channel import WahaChannel
from instances.channels.waha.files import request_of
from instances.models import AccountStatus, LoadingReason, Substatus
from instances.received_events import Media, StatusReported
from instances.receiving.network import LoopNetwork
from tests.doubles.waha import Waha

CHANNEL = WahaChannel()
CALLBACK = "http://127.0.0.1:1/channels/waha/a-secret"
T = TypeVar("T")


@pytest.fixture
def servers() -> Iterator[list[Waha]]:
    with Waha("key-of-the-first") as first, Waha("key-of-the-second") as second:
        yield [first, second]


@pytest.fixture
def waha(servers: list[Waha]) -> Waha:
    return servers[0]


@pytest.fixture(autouse=True)
def site_servers(settings: Any) -> None:
    settings.WAHA_SERVERS = {}


def of_site(settings: Any, servers: list[Waha]) -> None:
    settings.WAHA_SERVERS = {f"{server.url}/": server.api_key for server in servers}


def ask(job: Callable[[Network], Awaitable[T]]) -> T:
    async def main() -> T:
        network = LoopNetwork()
        try:
            return await job(network)
        finally:
            network.close()

    return asyncio.run(main())


def check(**entered: str) -> Found:
    values = CHANNEL.setup.complete(entered)
    assert CHANNEL.setup.mistakes(values) == {}
    return ask(lambda network: CHANNEL.check(values, network))


def link_of(found: Found, **more: Any) -> Link:
    return Link(7, "@c.us", found.credentials, found.external_id, found.options, **more)


def connect(link: Link) -> None:
    ask(lambda network: CHANNEL.connect(link, CALLBACK, network))


def health(link: Link) -> StatusReported | None:
    return ask(lambda network: CHANNEL.health(link, network))


def test_a_session_at_ones_own_server(waha: Waha) -> None:
    found = check(url=f"{waha.url}/", api_key=waha.api_key)
    session = found.options["session"]
    assert found.options == {"url": waha.url, "session": session}
    assert found.external_id == f"{session}@{waha.url.removeprefix('http://')}"
    assert found.credentials["api_key"] == waha.api_key and len(found.credentials["hmac_key"]) >= 32
    assert not waha.sessions, "checking changes nothing at WAHA"
    connect(link_of(found))
    assert waha.only.config["webhooks"] == [
        {
            "url": CALLBACK,
            "events": [
                "session.status", "message.any", "message.reaction", "message.edited", "message.ack",
                "message.ack.group", "call.received", "group.v2.join", "group.v2.leave",
                "group.v2.participants", "group.v2.update",
            ],
            "hmac": {"key": found.credentials["hmac_key"]},
            "retries": {"policy": "exponential", "delaySeconds": 1, "attempts": 15},
        }
    ]  # fmt: skip
    assert waha.only.config["metadata"] == {"chatapi.instance": "7"}
    assert waha.only.status == "SCAN_QR_CODE"


def test_connecting_again_keeps_the_phone_and_restarts_nothing(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    connect(link)
    waha.only.scan()
    before = len(waha.only.events)
    connect(link)
    assert (waha.only.status, len(waha.only.events)) == ("WORKING", before)
    again = check(url=waha.url, api_key=waha.api_key, session=waha.only.name)
    assert again.credentials == link.credentials
    assert again.status == StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL)
    connect(link_of(again))
    assert len(waha.only.events) == before
    waha.only.config["webhooks"][0]["hmac"]["key"] = "short"
    connect(link_of(check(url=waha.url, api_key=waha.api_key, session=waha.only.name)))
    assert waha.only.status == "WORKING" and len(waha.only.events) > before, "with a new key it is restarted"


def test_a_stopped_session_is_started(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    connect(link)
    waha.only.stop()
    connect(link)
    assert waha.only.status == "SCAN_QR_CODE"


def test_the_proxy_of_the_instance_is_passed_on(waha: Waha) -> None:
    found = check(url=waha.url, api_key=waha.api_key)
    connect(link_of(found, proxy="192.0.2.1:1080"))
    assert waha.only.config["proxy"] == {"server": "socks5://192.0.2.1:1080"}
    connect(link_of(found))
    assert "proxy" not in waha.only.config


def test_defaults_that_waha_adds_are_no_change(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    connect(link)
    waha.only.scan()
    waha.only.config |= {"debug": False, "proxy": None}
    waha.only.config["webhooks"][0] |= {"customHeaders": None}
    before = len(waha.only.events)
    connect(link)
    assert len(waha.only.events) == before, "it is not restarted"


def test_instances_are_shared_out_among_the_sites_servers(servers: list[Waha], settings: Any) -> None:
    of_site(settings, servers)
    for _ in range(6):
        found = check()
        assert "api_key" not in found.credentials, "the site's key is not saved with the link"
        connect(link_of(found))
    assert [len(server.sessions) for server in servers] == [3, 3]


def test_a_server_that_is_away_gets_no_session(servers: list[Waha], settings: Any) -> None:
    of_site(settings, servers)
    servers[0].is_away = True
    assert check().options["url"] == servers[1].url
    servers[1].is_away = True
    with pytest.raises(NotLinkable, match="None of this site"):
        check()


def test_the_session_stays_where_it_is(servers: list[Waha], settings: Any) -> None:
    of_site(settings, servers)
    servers[1].add_session("another")
    servers[1].add_session("and-another")
    first = check()
    connect(link_of(first))
    for name in ("a", "b", "c"):
        servers[0].add_session(name)
    again = check(**first.options)
    assert (again.options, again.external_id) == (first.options, first.external_id)


def test_a_new_key_of_the_site_is_used_at_once(servers: list[Waha], settings: Any) -> None:
    of_site(settings, servers)
    link = link_of(check())
    connect(link)
    for server in servers:
        server.keys = {"a-rotated-key"}
    with pytest.raises(LinkLost):
        health(link)
    settings.WAHA_SERVERS = {server.url: "a-rotated-key" for server in servers}
    assert health(link) == StatusReported(AccountStatus.GOT_QR_CODE)


@pytest.mark.parametrize(
    ("entered", "field", "words"),
    [
        ({}, "url", "this site has none"),
        ({"api_key": "some-api-key"}, "url", "Enter the URL"),
        ({"url": "{url}"}, "api_key", "Enter the API key"),
        ({"url": "{url}", "api_key": "a-wrong-api-key"}, "api_key", "does not accept"),
        ({"url": "{url}/not/here", "api_key": "{key}"}, "url", "no WAHA server"),
    ],
)
def test_a_wrong_value_is_named(waha: Waha, entered: Mapping[str, str], field: str, words: str) -> None:
    values = {name: value.format(url=waha.url, key=waha.api_key) for name, value in entered.items()}
    with pytest.raises(NotLinkable) as refused:
        check(**values)
    assert refused.value.field == field and words in refused.value.sentence


def test_the_session_of_another_at_the_sites_server_cannot_be_named(
    servers: list[Waha], settings: Any
) -> None:
    of_site(settings, servers)
    servers[0].add_session("default")
    with pytest.raises(NotLinkable) as refused:
        check(url=servers[0].url, session="default")
    assert refused.value.field == "session"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "waha.example.com"),
        ("url", "https://user:secret@waha.example.com"),
        ("url", "https://waha.example.com?x=1"),
        ("url", f"https://{'a' * 200}.example.com"),
        ("api_key", "short"),
        ("api_key", "with a space in it"),
        ("session", "a b"),
        ("session", "../x"),
    ],
)
def test_the_form_of_each_value_is_checked_before(name: str, value: str) -> None:
    mistakes = CHANNEL.setup.mistakes({name: value})
    assert list(mistakes) == [name] and mistakes[name].endswith(".")


def test_an_address_that_is_not_allowed(waha: Waha, settings: Any) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    with pytest.raises(ReceiveFailed, match="HOOKS_ALLOW_NETWORKS"):
        check(url=waha.url, api_key=waha.api_key)


def test_all_texts_are_sentences() -> None:
    setup = CHANNEL.setup
    for text in (setup.summary, *setup.needs, *setup.steps, *setup.facts):
        assert text.endswith(".") and text[0].isupper()
    for field in setup.fields:
        assert field.help.endswith(".") and field.mistake.endswith(".")


def test_of_one_session_little_is_read(waha: Waha) -> None:
    """A person's own server may respond with megabytes each time."""
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    connect(link)
    waha.only.me = {"id": "15550001111@c.us", "pushName": "x" * MAX_RESPONSE_BYTES}
    with pytest.raises(ReceiveFailed, match="longer than 256 KiB"):
        health(link)


def test_the_health_of_a_session(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    with pytest.raises(LinkLost, match="does not exist"):
        health(link)
    connect(link)
    assert health(link) == StatusReported(AccountStatus.GOT_QR_CODE)
    waha.only.scan()
    assert health(link) == StatusReported(AccountStatus.AUTHENTICATED, Substatus.NORMAL)
    waha.only.change("STARTING")
    assert health(link) == StatusReported(AccountStatus.LOADING, Substatus.NORMAL, LoadingReason.CONNECTING)
    waha.only.log_out_on_phone()
    assert health(link) == StatusReported(AccountStatus.GOT_QR_CODE, Substatus.EXPIRED)
    waha.is_away = True
    with pytest.raises(ReceiveFailed) as failed:
        health(link)
    assert not isinstance(failed.value, LinkLost)
    waha.is_away, waha.keys = False, set()
    with pytest.raises(LinkLost, match="API key"):
        health(link)


def test_the_key_goes_to_the_server_of_the_link_alone() -> None:
    link = Link(1, "", {"api_key": "an-api-key"}, options={"url": "https://waha.example/w", "session": "s1"})
    for url in ("http://localhost:3000/api/files/s1/a.jpg", "https://waha.example/w/api/files/s1/a.jpg"):
        request = request_of(link, url)
        assert request.url == "https://waha.example/w/api/files/s1/a.jpg"
        assert request.headers["X-Api-Key"] == "an-api-key"
    for url in ("https://bucket.example/api/file/a.jpg?sig=1", "https://evil.example/x/api/files/a.jpg"):
        request = request_of(link, url)
        assert (request.url, request.headers) == (url, {})
    for url in (
        "file:///etc/passwd",
        "https://waha.example/w/api/files/../sessions",
        "http://localhost:3000/api/files/s1/%2E%2e/../%2e./sessions",
        "/api/files/s1/..%2f..%2fsessions",
    ):
        with pytest.raises(FileUnavailable):
            request_of(link, url)


@pytest.mark.parametrize("failures", [0, 1])
def test_a_file_is_fetched_with_the_key(waha: Waha, failures: int) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    session = waha.add_session(link.options["session"])
    media = session.file(b"content", "image/png")["media"]
    [stored] = session.files.values()
    stored.failures = failures

    async def fetch(network: Network) -> bytes:
        return (await CHANNEL.fetch(link, Media(media["url"], media["mimetype"]), network)).content.read()

    if failures:
        with pytest.raises(ReceiveFailed):
            ask(fetch)
    assert ask(fetch) == b"content"
    session.files.clear()
    with pytest.raises(FileUnavailable, match="no longer has"):
        ask(fetch)


def disconnect(link: Link) -> str:
    return ask(lambda network: CHANNEL.disconnect(link, network))


def test_a_session_of_this_site_is_deleted_with_its_link(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    connect(link)
    assert [disconnect(link), disconnect(link)] == ["", ""]
    assert not waha.sessions


def test_another_session_keeps_its_phone_and_loses_its_webhooks(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key, session="my-own"))
    connect(link)
    waha.only.scan()
    assert "my-own still keeps the phone linked" in disconnect(link)
    assert (waha.only.config["webhooks"], waha.only.status) == ([], "WORKING")


def test_a_session_whose_settings_cannot_be_read_keeps_them(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key, session="my-own"))
    connect(link)
    waha.is_away = True
    with pytest.raises(ReceiveFailed):
        disconnect(link)
    assert waha.requests[-1][0] == "GET", "a PUT without them could be taken a moment later"


def test_a_server_that_is_away_has_not_confirmed_it(waha: Waha) -> None:
    link = link_of(check(url=waha.url, api_key=waha.api_key))
    connect(link)
    waha.is_away = True
    with pytest.raises(ReceiveFailed):
        disconnect(link)
    waha.is_away, waha.keys = False, set()
    assert disconnect(link) == "", "with a key that is not valid, nothing can be done"
