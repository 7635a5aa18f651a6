"""`sendTemplate` (contract.md §2)."""

from typing import Any

import pytest

from instances.channels import CHANNELS
from instances.models import Instance, OutgoingMessage
from tests.instances.channels.notepad import NotepadChannel, Pad
from tests.instances.contract.conftest import Call
from tests.instances.contract.sending.test_sending_cards import refused, sent

NAMED = {"template": "appointment", "language": "de"}


def test_send_template(post: Call, get: Call) -> None:
    message = sent(post, get, "sendTemplate", **NAMED, params=["Ann", "10 March, 9:00"])
    assert (message["type"], message["body"]) == ("chat", "appointment: Ann, 10 March, 9:00")
    assert message["metadata"]["template"] == {
        "name": "appointment",
        "language": {"code": "de"},
        "components": [
            {
                "type": "body",
                "parameters": [{"type": "text", "text": "Ann"}, {"type": "text", "text": "10 March, 9:00"}],
            }
        ],
    }


@pytest.mark.parametrize("params", [None, "", [], "[]"])
def test_a_template_without_values(post: Call, get: Call, params: Any) -> None:
    message = sent(post, get, "sendTemplate", template="hello_world", params=params)
    assert (message["body"], message["metadata"]["template"]) == (
        "hello_world",
        {"name": "hello_world", "language": {"code": "en_US"}},
    )


def test_the_components_of_whatsapp_are_taken_as_they_are(post: Call, get: Call) -> None:
    header = {
        "type": "header",
        "parameters": [{"type": "image", "image": {"link": "https://example.com/a.png"}}],
    }
    message = sent(post, get, "sendTemplate", **NAMED, params=[header])
    assert message["metadata"]["template"]["components"] == [header]


@pytest.mark.parametrize(
    "params", [[{"text": "no type"}], [["a"]], [None], ["a", {"type": "body"}], "x" * 70_000]
)
def test_wrong_values_are_refused(post: Call, params: Any) -> None:
    answer = post("sendTemplate", phone="17680561234", **NAMED, params=params)
    assert answer["sent"] is False
    assert not OutgoingMessage.objects.exists()


def test_a_messenger_without_templates_says_so(
    post: Call, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CHANNELS, instance.channel, NotepadChannel(Pad()))
    answer = post("sendTemplate", phone="17680561234", **NAMED)
    refused(answer, "Message was not sent: this instance's messenger has no message templates.")
    assert post("templates") == {"error": "This instance's messenger has no message templates."}


def test_templates_of_the_sandbox(get: Call) -> None:
    [template] = get("templates")["templates"]
    assert (template["name"], template["language"], template["status"]) == (
        "hello_world",
        "en_US",
        "APPROVED",
    )
