"""The filters of an endpoint in plain English."""

import pytest

from hooks.filters import Filters
from instances.endpoint_filters import describe_filters

TWO_CHATS = ("17680561234@c.us", "17680561235@c.us")


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (Filters(), "All events"),
        (
            Filters(("message", "ack"), "in", chat_ids=TWO_CHATS),
            "Messages and acks, incoming only, from 2 chats",
        ),
        (Filters(("status", "message", "chat")), "Messages, status changes and chat changes"),
        (Filters(direction="out", chat_ids=TWO_CHATS[:1]), "All events, outgoing only, to 1 chat"),
        (Filters(chat_ids=TWO_CHATS), "All events, in 2 chats"),
        (Filters(("message",), chat_kinds="group"), "Messages, groups only"),
        (Filters(("ack",), chat_kinds="direct"), "Acks, direct chats only"),
        (Filters(message_types=("image",)), "All events, type image"),
        (Filters(("message",), message_types=("ptt", "image")), "Messages, types image and voice"),
        (
            Filters(("message",), message_types=("ptt", "image", "audio", "video")),
            "Messages, 4 message types",
        ),
    ],
)
def test_filters_are_one_phrase(filters, words):
    assert describe_filters(filters) == words
