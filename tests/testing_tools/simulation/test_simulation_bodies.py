"""The bodies of a simulation, on its result, in the log, in a bin and over REST: the bytes that were on the wire."""

import base64
import gzip
import html
import json
import zlib
from typing import Any

import pytest
from django.test import Client

from hooks.models import Hook
from instances.models import Instance
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.models import Capture
from testing_tools.verification.views.captures import capture_url
from tests.receiver import Receiver
from tests.testing_tools.simulation.test_simulation import send

pytestmark = pytest.mark.django_db
TOKENS = '{"ok":false,"ok":true,"price":1.10,"e":1E5,"u":"\\u00e9\\/","big":123456789012345678901234567890}'
SHOWN = """{
  "ok": false,
  "ok": true,
  "price": 1.10,
  "e": 1E5,
  "u": "\\u00e9\\/",
  "big": 123456789012345678901234567890
}"""


def text_of(response: Any) -> str:
    return html.unescape(response.content.decode())


def test_json_is_shown_token_for_token_on_every_page(
    alice: Client, instance: Instance, receiver: Receiver
) -> None:
    receiver.answers = [(200, {"Content-Type": "application/json"}, TOKENS.encode())]
    result = html.unescape(send(alice, body=TOKENS))
    [request] = receiver.requests
    assert request.body == TOKENS.encode()
    page = text_of(alice.get(f"/log/{Hook.objects.get().public_id}/"))
    for shown in (result, page):
        assert shown.count(f"<code>{SHOWN}</code>") == 2  # the request's body and the response's
    bin = bin_actions.open_bin(instance)
    alice.generic("POST", f"/bin/{bin.key}", request.body, "application/json")
    capture = alice.get(capture_url(Capture.objects.get()), {"tab": "body"})
    assert capture.context["shown"].text == SHOWN


RUSSIAN = "Бот упал: заказ № 5"
DECLARED = {"Content-Type": "text/plain; charset=windows-1251"}


@pytest.mark.parametrize(
    ("headers", "body", "text", "decoded_from"),
    [
        (DECLARED, RUSSIAN.encode("cp1251"), RUSSIAN, "windows-1251"),
        ({"Content-Encoding": "gzip"}, gzip.compress(TOKENS.encode(), mtime=0), TOKENS, "gzip"),
        (
            DECLARED | {"Content-Encoding": "deflate"},
            zlib.compress(RUSSIAN.encode("cp1251")),
            RUSSIAN,
            "deflate, windows-1251",
        ),
        (
            {"Content-Type": "text/plain; charset=utf-16"},
            RUSSIAN.encode("utf-16"),
            RUSSIAN,
            "utf-16",
        ),
    ],
    ids=["windows-1251", "gzip", "both", "utf-16"],
)
def test_a_response_is_decoded_as_it_declares_beside_its_bytes(
    alice: Client, receiver: Receiver, headers: dict[str, str], body: bytes, text: str, decoded_from: str
) -> None:
    receiver.answers = [(500, headers, body)]
    result = html.unescape(send(alice))
    page = text_of(alice.get(f"/log/{Hook.objects.get().public_id}/"))
    for shown in (result, page):
        assert f"Body, decoded from {decoded_from}" in shown
        assert f"<code>{SHOWN if text == TOKENS else text}</code>" in shown
        assert f"00000000  {body[:8].hex(' ')}" in shown
    answer = exported_answer(alice)
    assert (answer["body"], answer["bodyEncoding"]) == (base64.b64encode(body).decode(), "base64")
    assert (answer["decodedBody"], answer["decodedFrom"]) == (text, decoded_from)
    assert answer["decodingNote"] is None


def exported_answer(client: Client) -> dict[str, Any]:
    """The response of the only attempt as REST and the export show it."""
    response: Any = client.get("/log/export/?as=ndjson")
    answer: dict[str, Any] = json.loads(response.getvalue())["attempts"][0]["answer"]
    return answer


def test_a_response_cut_inside_a_letter_is_text_up_to_it(alice: Client, receiver: Receiver) -> None:
    body = ("a" + "ж" * 8000).encode()
    receiver.answers = [(500, {}, body)]
    send(alice)
    page = text_of(alice.get(f"/log/{Hook.objects.get().public_id}/"))
    assert "The log stores the first 8 KB of a response's body." in page
    answer = exported_answer(alice)
    assert (answer["body"], answer["bodyEncoding"]) == ("a" + "ж" * 4095, "text")
    assert (answer["size"], answer["decodedBody"], answer["decodingNote"]) == (len(body), None, None)


def test_a_capture_is_decoded_as_it_declares(alice: Client, instance: Instance) -> None:
    bin = bin_actions.open_bin(instance)
    packed = gzip.compress(TOKENS.encode())
    alice.generic("POST", f"/bin/{bin.key}", packed, "application/json", headers={"Content-Encoding": "gzip"})
    page = alice.get(capture_url(Capture.objects.get()), {"tab": "body"})
    assert page.context["shown"].text == SHOWN
    assert "decoded from gzip" in text_of(page)
    assert page.context["dump"].startswith(f"00000000  {packed[:8].hex(' ')}")
    exported: Any = alice.get(f"/testing/bins/{bin.key}/export/?as=ndjson")
    row = json.loads(exported.getvalue())
    assert (row["bodyBase64"], row["decodedBody"], row["decodedFrom"]) == (
        base64.b64encode(packed).decode(),
        TOKENS,
        "gzip",
    )
    har: Any = alice.get(f"/testing/bins/{bin.key}/export/?as=har")
    posted = json.loads(har.getvalue())["log"]["entries"][0]["request"]["postData"]
    assert (posted["_decodedText"], posted["_decodedFrom"]) == (TOKENS, "gzip")
