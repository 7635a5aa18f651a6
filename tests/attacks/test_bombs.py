"""Bombs: small requests whose reading would take much memory, time or disk.

Each is answered at once with an error or a short response, and the site's own limits refuse it. Slow bodies are in
tests/chatapi/runtime/web.
"""

from __future__ import annotations

import base64
import functools
import gzip
import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from chatapi.wsgi import Request
from hooks import http
from instances.ban_masks import compile_mask
from instances.media import fetch
from instances.models import Media
from tests.attacks.world import Target
from tests.receiver import Receiver

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]

MAX_ERROR = 16 * 1024  # bytes of an error's response
MEGABYTE = 1024 * 1024


def client() -> Client:
    return Client(raise_request_exception=False)


def peak_of(action: Callable[[], Any]) -> tuple[Any, int]:
    """The result, and the most memory that Python held meanwhile, in bytes."""
    tracemalloc.start()
    try:
        result = action()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def places(target: Target) -> dict[str, Callable[[bytes, str], Any]]:
    """Where a body may be sent: a page, the wire contract, REST and a bin."""
    at = f"/instance{target.instance.number}"
    token = target.instance.token
    owner, rest = target.client("owner"), target.client("owner", by_key=True)
    paths = {
        "page": (owner, "POST", target.address("testing:simulation-json")),
        "contract": (client(), "POST", f"{at}/sendMessage?token={token}"),
        "account method": (client(), "POST", f"/newInstance?uid={'x' * 40}"),
        "REST": (rest, "PATCH", target.address("instances-api:instance")),
        "bin": (client(), "POST", f"/bin/{target.bin.key}"),
        "sign-in": (client(), "POST", "/accounts/login/"),
    }

    def sender(who: Client, method: str, path: str) -> Callable[[bytes, str], Any]:
        return lambda body, kind: who.generic(method, path, body, kind)

    return {name: sender(*given) for name, given in paths.items()}


JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PARTS = (
    b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%d"\r\n\r\n1\r\n' % number for number in range(3000)
    )
    + b"--x--\r\n"
)
FILES = (
    b"".join(
        b'--x\r\nContent-Disposition: form-data; name="f%d"; filename="f"\r\n\r\n1\r\n' % number
        for number in range(500)
    )
    + b"--x--\r\n"
)
BODIES: dict[str, tuple[bytes, str]] = {
    "nested arrays": (b"[" * 500_000, JSON),
    "nested and closed": (b"[" * 50_000 + b"]" * 50_000, JSON),
    "nested objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, JSON),
    "nested in a field": (b'{"body":' + b"[" * 20_000 + b"]" * 20_000 + b"}", JSON),
    "many fields": (b"{" + b",".join(b'"%d":0' % number for number in range(150_000)) + b"}", JSON),
    "many unknown fields": (b"{" + b",".join(b'"%dxxxxxxxxxxxxxxxx":{}' % n for n in range(40_000)) + b"}", JSON),
    "many values": (b'{"phones":[' + b"0," * 900_000 + b"0]}", JSON),
    "empty arrays": (b"[" + b"[]," * 600_000 + b"[]]", JSON),
    "a long number": (b'{"body":' + b"9" * 1_000_000 + b"}", JSON),
    "a long exponent": (b'{"body":1e' + b"9" * 100_000 + b"}", JSON),
    "a long text": (b'{"body":"' + b"x" * 1_900_000 + b'"}', JSON),
    "escapes": (b'{"body":"' + b"\\u0000" * 300_000 + b'"}', JSON),
    "keys that collide": (b"{" + b",".join(b'"%d":1' % (n * (2**61 - 1)) for n in range(40_000)) + b"}", JSON),
    "more than 2 MB": (b'{"body":"' + b"x" * 3_000_000 + b'"}', JSON),
    "form fields": (b"&".join(b"a%d=1" % number for number in range(100_000)), FORM),
    "empty form fields": (b"&" * 1_000_000, FORM),
    "one field many times": (b"a=1&" * 200_000, FORM),
    "a form of brackets": (b"&".join(b"a[%d][b]=1" % number for number in range(50_000)), FORM),
    "percent signs": (b"a=" + b"%" * 1_000_000, FORM),
    "multipart fields": (PARTS, "multipart/form-data; boundary=x"),
    "multipart files": (FILES, "multipart/form-data; boundary=x"),
    "headers of a part": (b"--x\r\n" + b"A: b\r\n" * 100_000 + b"\r\n1\r\n--x--", "multipart/form-data; boundary=x"),
    "a part without an end": (
        b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n" + b"-" * 900_000, "multipart/form-data; boundary=x"
    ),
    "boundaries": (b"--x" * 300_000, "multipart/form-data; boundary=x"),
    "gzip of 50 MB": (gzip.compress(bytes(50 * MEGABYTE), 1), JSON),
    "gzip in gzip": (gzip.compress(gzip.compress(bytes(50 * MEGABYTE), 1), 9), FORM),
    "a zip": (b"PK\x03\x04" + zlib.compress(bytes(50 * MEGABYTE), 9), "application/zip"),
    "entities of XML": (b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><x>&b;</x>", "application/xml"),
}  # fmt: skip


def test_no_body_expands() -> None:
    """No error of the server, no long response, and no more memory than twenty times the body's 2 MB."""
    target = Target()
    for name in BODIES:
        check_no_body_expands(target, name)


def check_no_body_expands(target: Target, name: str) -> None:
    body, kind = BODIES[name]
    for place, send in places(target).items():
        # measuring makes Python slow; one place is measured, since all have the same parsers
        action = functools.partial(send, body, kind)
        response, peak = peak_of(action) if place == "contract" else (action(), 0)
        assert response.status_code < 500, (place, response.status_code)
        if response.status_code >= 400 and "html" not in response.headers["Content-Type"]:
            assert len(response.content) <= MAX_ERROR, (place, len(response.content))
        assert len(response.content) <= 400_000, (place, len(response.content))
        assert peak <= 20 * max(len(body), 2 * MEGABYTE), (place, peak)


CODINGS = ["gzip", "br", "deflate", "zstd", "gzip, gzip", "x-gzip"]  # fmt: skip


def test_a_compressed_body_is_not_unpacked() -> None:
    """No place reads Content-Encoding: the bytes are what they are, whatever they would be unpacked."""
    target = Target()
    for coding in CODINGS:
        check_a_compressed_body_is_not_unpacked(target, coding)


def check_a_compressed_body_is_not_unpacked(target: Target, coding: str) -> None:
    body = gzip.compress(bytes(50 * MEGABYTE), 1)
    number, token = target.instance.number, target.instance.token
    for path in (
        f"/instance{number}/sendMessage?token={token}",
        f"/bin/{target.bin.key}",
        "/accounts/login/",
    ):
        response, peak = peak_of(
            lambda path=path: client().generic("POST", path, body, JSON, headers={"Content-Encoding": coding})  # type: ignore[misc]
        )
        assert response.status_code < 500
        assert peak <= 20 * MEGABYTE, (path, peak)
    page = target.client("owner").get(target.address("testing:bin-page"))
    assert page.status_code == 200
    assert len(page.content) < MEGABYTE


def test_a_page_shows_a_compressed_capture_without_unpacking_it_all() -> None:
    target = Target()
    bomb = gzip.compress(bytes(100 * MEGABYTE), 1)
    client().generic("POST", f"/bin/{target.bin.key}", bomb, JSON, headers={"Content-Encoding": "gzip"})
    capture = target.bin.captures.latest("pk")
    owner = target.client("owner")
    for path in (f"/testing/bins/{target.bin.key}/{capture.public_id}/", target.address("testing:bin-page")):
        response, peak = peak_of(lambda path=path: owner.get(path))  # type: ignore[misc]
        assert response.status_code == 200
        assert len(response.content) <= 2 * MEGABYTE
        assert peak <= 40 * MEGABYTE, peak


def test_a_compressed_response_of_an_endpoint_is_not_unpacked(settings: Any) -> None:
    """A hook keeps 64 KB of the bytes as sent; a file that is compressed is refused."""
    bomb = gzip.compress(bytes(50 * MEGABYTE), 1)
    with Receiver([(200, {"Content-Encoding": "gzip", "Content-Type": "image/jpeg"}, bomb)]) as server:
        response, peak = peak_of(lambda: http.post(server.url, {}, b"{}"))
        assert response.size <= 64 * 1024
        assert peak <= 5 * MEGABYTE
        with (
            pytest.raises(fetch.FetchFailed, match="compressed"),
            fetch.fetch(server.url, max_bytes=MEGABYTE),
        ):
            pass


def test_an_endless_response_ends_at_the_limit() -> None:
    with Receiver([(200, {}, b"x" * (3 * MEGABYTE))]) as server:
        assert http.post(server.url, {}, b"{}").size == 64 * 1024
        with (
            pytest.raises(fetch.FetchFailed, match="larger"),
            fetch.fetch(server.url, max_bytes=MEGABYTE) as found,
        ):
            list(found.blocks)


def png(width: int, height: int) -> bytes:
    """A picture of a few bytes that says it has this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunk = b"IHDR" + head
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def archive() -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for number in range(20):
            file.writestr(f"{number}.txt", bytes(5 * MEGABYTE))
    return found.getvalue()


EXPANDING_FILES = [
        ("x.png", png(2**31 - 1, 2**31 - 1)),
        ("x.jpg", b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(100)),
        ("x.gif", b"GIF89a\xff\xff\xff\xff" + bytes(100)),
        ("x.webp", b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\xff" * 40),
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>&a;</svg>"),
        ("x.zip", archive()),
        ("x.docx", archive()),
        ("x.pdf", b"%PDF-1.7\n" + b"<</Filter/FlateDecode/Length 999999999>>" * 100),
        ("x.ogg", b"OggS" + b"\xff" * 5000),
    ]  # fmt: skip


def test_files_are_stored_and_not_opened() -> None:
    """Sizes of pictures and contents of archives are not read, so they cannot expand."""
    target = Target()
    for name, content in EXPANDING_FILES:
        check_files_are_stored_and_not_opened(target, name, content)


def check_files_are_stored_and_not_opened(target: Target, name: str, content: bytes) -> None:
    path = f"/instance{target.instance.number}/sendFile?token={target.instance.token}"
    uri = f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"
    sent, peak = peak_of(
        lambda: client().post(path, json.dumps({"chatId": target.chat, "filename": name, "body": uri}), JSON)
    )
    assert sent.status_code < 500
    assert peak <= 20 * max(len(uri), MEGABYTE), peak
    if sent.json()["sent"]:
        assert Media.objects.latest("pk").size == len(content)
    page = target.client("owner").get(target.address("instances:chat"))
    assert page.status_code == 200


SLOW_MASKS = [
        ("(a+)+$", "a" * 60 + "!"), ("(a|aa)+$", "a" * 60 + "!"),
        ("([0-9]+)*x", "1" * 60), ("(.*)(.*)(.*)(.*)x", "1" * 500),
        ("^(([0-9])+.)+$", "1" * 200 + "\n"), ("(1|1?)+$", "1" * 60 + "x"), ("1" + "*" * 1 + "?" * 1 + "2", "1" * 5000),
    ]  # fmt: skip


def test_masks_match_in_linear_time() -> None:
    """Each would take a backtracking engine longer than the test's time limit."""
    for mask, text in SLOW_MASKS:
        check_masks_match_in_linear_time(mask, text)


def check_masks_match_in_linear_time(mask: str, text: str) -> None:
    for _ in range(50):
        compiled = compile_mask(mask)
        assert compiled.fullmatch(text) is None or compiled.pattern


LARGE_MASKS = [
        "((((1{1000}){1000}){1000}){1000})",
        "(" * 5000,
        "[" + "a-z" * 5000 + "]",
        "1{1,999999999}",
        "(?:" * 300 + ")" * 300,
        "x" * 100_000,
    ]  # fmt: skip


def test_a_mask_that_is_too_large_is_refused() -> None:
    target = Target()
    for mask in LARGE_MASKS:
        check_a_mask_that_is_too_large_is_refused(target, mask)


def check_a_mask_that_is_too_large_is_refused(target: Target, mask: str) -> None:
    path = f"/instance{target.instance.number}/banSettings?token={target.instance.token}"
    response, peak = peak_of(lambda: client().post(path, json.dumps({"banPhoneMask": mask}), JSON))
    assert response.status_code < 500
    assert len(response.content) <= MAX_ERROR
    assert peak <= 30 * MEGABYTE
    assert (
        client()
        .post(f"/instance{target.instance.number}/banTest?token={target.instance.token}", {"phone": "1" * 14})
        .status_code
        < 500
    )


def test_quotes_in_a_cookie_are_not_unpacked() -> None:
    """Python takes 17 s for 60,000 escaped quotes (CVE-2024-7592); such a header has no cookies here."""
    cookie = 'sessionid=x; a="' + '\\"' * 60_000 + '"'
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": io.BytesIO(), "HTTP_COOKIE": cookie}
    assert Request(environ).COOKIES == {}
    assert Request(environ | {"HTTP_COOKIE": 'sessionid=x; a="\\""'}).COOKIES["sessionid"] == "x"
