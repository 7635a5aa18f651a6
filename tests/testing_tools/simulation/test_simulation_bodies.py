"""The bodies of a simulation, on its result, in the log, in a bin and over REST: the bytes that were on the wire."""

import html
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
