"""An example of each of the four kinds of hooks, with the exact bytes that instances/payloads.py creates."""

from typing import NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString

from instances import hook_examples
from instances.pages.docs.markup import highlight_code, render_inline


class Family(NamedTuple):
    """A kind of hook: its key, when it is sent, and the body of an example, plain and highlighted."""

    key: str
    title: str
    description: SafeString
    body: str
    html: SafeString


def build_families(number: int) -> list[Family]:
    """Returns the examples for the instance with this number. Nothing is saved."""
    instance = hook_examples.example_instance(number)
    return [
        build_family(
            "messages",
            "A message",
            "Every message, incoming and outgoing: `fromMe` is true for outgoing ones; `self` is 1 if the API sent it "
            "and 0 if it was typed on the phone. A missed call is a message of type `call_log`.",
            hook_examples.received(instance),
        ),
        build_family(
            "ack",
            "An ack",
            "With `ackNotificationsOn`. `id` and `queueNumber` are those of the send reply. A status never goes back, "
            "but one can be skipped. A message typed on the phone gets no acks.",
            hook_examples.delivered(instance),
        ),
        build_family(
            "chatUpdate",
            "A chat",
            "With `chatUpdateOn`: a chat is new (`old` is null), or its name, picture or members changed.",
            hook_examples.member_added(instance),
        ),
        build_family(
            "instanceStatus",
            "A status",
            "With `statusNotificationsOn`. *ours*: the original's key is not known.",
            hook_examples.authenticated(instance),
        ),
    ]


def build_family(key: str, title: str, description: str, body: bytes) -> Family:
    text = body.decode()
    return Family(key, title, render_inline(description), text, highlight_code(text, "json"))


HEADERS = (
    ("Content-Type", "application/json"),
    ("User-Agent", f"ChatAPI/{settings.VERSION}"),
    ("webhook-id", "hook_0192f4c65d7b7c33a1e04be1f1d6e1aa, the same for all attempts"),
    ("webhook-timestamp", "1794700801, Unix seconds"),
    (
        "webhook-signature",
        "v1,…: Standard Webhooks, with the instance's signing secret; several during a rotation",
    ),
    ("webhook-attempt", "3/20"),
    ("webhook-simulated", "1, on simulated hooks only"),
)
