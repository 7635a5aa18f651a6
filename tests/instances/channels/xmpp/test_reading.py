"""A stanza means only what its address allows, and each kind of message is read as what it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.channels.xmpp.reading import ENCRYPTED, Found, Invitation, Reader, Room
from instances.channels.xmpp.xml import element, parse
from instances.models import Ack, MessageType
from instances.received_events import (
    ChatViewed,
    Media,
    MessageAcked,
    MessageFailed,
    MessageReceived,
    MessageTyped,
)

OWN, ANN, EVE, ROOM = "bot@example.org", "ann@example.org", "eve@example.net", "room@rooms.example.org"
SENT = "capi" + "0" * 28
ANNS_CHAT, ROOMS_CHAT = f"xmpp:{ANN}@c.us", f"xmpp:{ROOM}@g.us"


def read(xml: str) -> Found:
    rooms = {ROOM: Room(ROOM, "bot", was_entered=True, people={"Ann": ANN})}
    return Reader(OWN, rooms).read(parse(xml.encode()))


def message(
    inner: str,
    *,
    sender: str = f"{ANN}/phone",
    to: str = OWN,
    type: str = "chat",
    id: str = "a-random-id-1234",
) -> str:
    return f"<message from='{sender}' to='{to}' type='{type}' id='{id}'>{inner}</message>"


def copy(kind: str, inner: str, *, sender: str = OWN) -> str:
    inner = inner.replace("<message", "<message xmlns='jabber:client'")
    return (
        f"<message from='{sender}' to='{OWN}/x'><{kind} xmlns='urn:xmpp:carbons:2'>"
        f"<forwarded xmlns='urn:xmpp:forward:0'>{inner}</forwarded></{kind}></message>"
    )


def received(xml: str) -> MessageReceived:
    event = read(xml).event
    assert isinstance(event, MessageReceived), event
    return event


def test_a_text() -> None:
    found = read(message("<body>hi</body><request xmlns='urn:xmpp:receipts'/>"))
    assert found.event == MessageReceived(
        key="a-random-id-1234", sender=ANNS_CHAT, body="hi", sender_name="ann"
    )
    assert (found.receipt, found.sender) == ("a-random-id-1234", f"{ANN}/phone")


@pytest.mark.parametrize(
    ("inner", "fields"),
    [
        ("<body>geo:52.5,13.4</body>", {"type": MessageType.LOCATION, "body": "52.5;13.4"}),
        (
            (
                "<body>x</body><geoloc xmlns='http://jabber.org/protocol/geoloc'><lat>1</lat><lon>-2.5</lon>"
                "<text>here</text></geoloc>"
            ),
            {"type": MessageType.LOCATION, "body": "1;-2.5", "caption": "here"},
        ),
        (
            "<body>https://x.example/a%20b.png</body><x xmlns='jabber:x:oob'><url>https://x.example/a%20b.png</url></x>",
            {
                "type": MessageType.IMAGE,
                "media": Media("https://x.example/a%20b.png", content_type="image/png", filename="a b.png"),
            },
        ),
        (
            "<body>file:///etc/passwd</body><x xmlns='jabber:x:oob'><url>file:///etc/passwd</url></x>",
            {"body": "file:///etc/passwd"},
        ),
        (
            "<body>BEGIN:VCARD\nEND:VCARD</body>",
            {"type": MessageType.VCARD, "body": "BEGIN:VCARD\nEND:VCARD"},
        ),
        (
            (
                "<body>&gt; you\nyes</body><reply xmlns='urn:xmpp:reply:0' id='q1'/>"
                "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'><body start='0' end='6'/></fallback>"
            ),
            {"body": "yes", "quoted": "q1"},
        ),
        (
            (
                "<reactions xmlns='urn:xmpp:reactions:0' id='q1'><reaction>\U0001f44d</reaction><reaction>!</reaction>"
                "</reactions><body>&gt; yes\n\U0001f44d!</body>"
            ),
            {"body": "\U0001f44d!", "quoted": "q1"},
        ),
        (
            "<body>new</body><replace xmlns='urn:xmpp:message-correct:0' id='old'/>",
            {"body": "new", "quoted": "old"},
        ),
        (
            "<body>I sent you an OMEMO message</body><encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            {"key": f"encrypted {ANN}", "body": ENCRYPTED},
        ),
        ("<body>aesgcm://x.example/file</body>", {"key": f"encrypted {ANN}", "body": ENCRYPTED}),
    ],
    ids=["geo", "geoloc", "file", "file URL", "card", "reply", "reaction", "correction", "OMEMO", "aesgcm"],
)
def test_each_kind_of_message(inner: str, fields: dict[str, Any]) -> None:
    event = received(message(inner))
    assert {name: getattr(event, name) for name in fields} == fields


@pytest.mark.parametrize(
    "inner",
    [
        "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
        "<subject>only a subject</subject>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='x'/><body>I deleted a message</body>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='x'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='x'><reaction> </reaction></reactions><body>&gt; hi</body>",
    ],
)
def test_what_says_nothing_is_no_message(inner: str) -> None:
    assert read(message(inner)).event is None


def test_receipts_are_of_messages_to_their_sender() -> None:
    receipt = message(f"<received xmlns='urn:xmpp:receipts' id='{SENT}'/>", sender=f"{EVE}/x")
    assert read(receipt).event == MessageAcked(
        messenger_id=SENT, ack=Ack.DELIVERED, chat_id=f"xmpp:{EVE}@c.us"
    )
    marker = message(f"<displayed xmlns='urn:xmpp:chat-markers:0' id='{SENT}'/>", sender=f"{EVE}/x")
    assert read(marker).event == ChatViewed(f"xmpp:{EVE}@c.us", SENT)
    error = message(
        "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        sender=EVE, type="error", id=SENT,
    )  # fmt: skip
    event = read(error).event
    assert isinstance(event, MessageFailed) and event.chat_id == f"xmpp:{EVE}@c.us"


def test_copies_of_other_clients_come_from_the_account_alone() -> None:
    typed = message("<body>in a client</body>", sender=f"{OWN}/phone", to=ANN)
    assert read(copy("sent", typed)).event == MessageTyped("a-random-id-1234", ANNS_CHAT, "in a client")
    got = message("<body>hi</body>")
    event = read(copy("received", got)).event
    assert isinstance(event, MessageReceived) and event.sender == ANNS_CHAT
    for sender in (EVE, f"{EVE}/x", ANN, f"{OWN}/phone", "example.org"):
        assert read(copy("sent", typed, sender=sender)) == Found()
        assert read(copy("received", got, sender=sender)) == Found()


def test_what_this_product_has_sent_is_not_typed() -> None:
    sent = message("<body>by the API</body>", sender=f"{OWN}/chat-api", to=ANN, id=SENT)
    assert read(copy("sent", sent)) == Found(sent=SENT)
    assert read(message("<body>hi</body>", id=SENT)).sent == "", "an id of others says nothing"


def in_room(nick: str, inner: str = "<body>hi</body>", *, id: str = "x", room: str = ROOM) -> str:
    return message(inner, sender=f"{room}/{nick}", type="groupchat", id=id)


def test_messages_of_a_room() -> None:
    ids = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ROOM}' id='s1'/>"
    event = received(in_room("Ann", f"<body>hi</body>{ids}"))
    assert (event.key, event.chat_id, event.sender, event.sender_name) == ("s1", ROOMS_CHAT, ANNS_CHAT, "Ann")
    event = received(in_room("Ben"))
    assert event.sender == f"xmpp:{ROOM}/Ben@c.us", "who it is, the room does not say"
    assert read(in_room("bot", f"<body>hi</body>{ids}", id=SENT)) == Found(
        sent=SENT, archive_id="s1", sender=ROOM
    )
    assert isinstance(read(in_room("bot")).event, MessageTyped)
    assert read(in_room("Ann", room="other@rooms.example.org")) == Found(), "the account is not in this room"
    assert read(message("<subject>x</subject>", sender=ROOM, type="groupchat")).event is None


def test_a_private_message_of_an_occupant_is_a_chat_of_its_own() -> None:
    assert received(message("<body>psst</body>", sender=f"{ROOM}/Ann")).sender == f"xmpp:{ROOM}/Ann@c.us"


def test_only_rooms_of_the_own_server_say_who_a_nickname_is() -> None:
    foreign = Room("room@rooms.example.net", "bot")
    reader = Reader(OWN, {foreign.jid: foreign})
    reader.learn_person(foreign, "Ann", ANN)
    assert foreign.people == {}
    own = Room(ROOM, "bot")
    reader.learn_person(own, "Ann", f"{ANN}/phone")
    assert own.people == {"Ann": ANN}


def test_invitations() -> None:
    mediated = "<x xmlns='http://jabber.org/protocol/muc#user'><invite from='x@y'/><password>p</password></x>"
    assert read(message(mediated, sender="new@rooms.example.org")).invitation == Invitation(
        "new@rooms.example.org", "p"
    )
    direct = "<x xmlns='jabber:x:conference' jid='new@rooms.example.org'/>"
    assert read(message(direct)).invitation == Invitation("new@rooms.example.org")
    assert read(message("<x xmlns='jabber:x:conference' jid='not a jid'/>")).invitation is None


def test_ids_that_clients_use_again_are_not_keys() -> None:
    ids = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{OWN}' id='s1'/>"
    assert received(message(f"<body>hi</body>{ids}", id="1")).key == "s1"
    assert (
        received(message(f"<body>hi</body><origin-id xmlns='urn:xmpp:sid:0' id='1'/>{ids}", id="1")).key
        == "1"
    )
    forged = "<stanza-id xmlns='urn:xmpp:sid:0' by='eve@example.net' id='s2'/>"
    assert received(message(f"<body>hi</body>{forged}", id="1")).key not in ("s2", "1")


def test_others_cannot_say_when_a_message_was_written() -> None:
    def time_by(by: str) -> Any:
        delay = f"<delay xmlns='urn:xmpp:delay' from='{by}' stamp='2020-01-01T00:00:00Z'/>"
        return received(message(f"<body>hi</body>{delay}")).time

    assert time_by("example.org") is not None
    assert time_by(EVE) is None and time_by(ANN) is None


def test_addresses_that_are_too_long_are_left_out() -> None:
    assert read(message("<body>hi</body>", sender=f"{'a' * 300}@example.org")).event is None


MUC = "http://jabber.org/protocol/muc#user"
TAGS = st.sampled_from([
    "body", "subject", "error", "message", "{urn:xmpp:receipts}received", "{urn:xmpp:receipts}request",
    "{urn:xmpp:chat-markers:0}displayed", "{urn:xmpp:reply:0}reply", "{urn:xmpp:fallback:0}fallback",
    "{urn:xmpp:fallback:0}body", "{urn:xmpp:delay}delay", "{urn:xmpp:message-correct:0}replace",
    "{urn:xmpp:sid:0}stanza-id", "{urn:xmpp:sid:0}origin-id", "{jabber:x:oob}x", "{jabber:x:oob}url",
    "{http://jabber.org/protocol/geoloc}geoloc", "{http://jabber.org/protocol/geoloc}lat",
    "{http://jabber.org/protocol/geoloc}lon", f"{{{MUC}}}x", f"{{{MUC}}}invite", "{jabber:x:conference}x",
    "{urn:xmpp:carbons:2}sent", "{urn:xmpp:forward:0}forwarded", "{urn:xmpp:fasten:0}apply-to",
    "{urn:xmpp:message-retract:1}retract", "{urn:xmpp:reactions:0}reactions", "{urn:xmpp:reactions:0}reaction",
    "{http://jabber.org/protocol/nick}nick",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["geo:1,1_0", "geo:-0,²", "١", "nan", "-", "http://[", "https://x/%00%ff", OWN, ROOM, f"{ROOM}/a"]
    ),
    st.sampled_from(
        ["9" * 9, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2020", "urn:xmpp:reply:0"]
    ),
)
NAMES = st.sampled_from(["from", "to", "type", "id", "by", "stamp", "jid", "for", "start", "end", "password"])
ATTRIBUTES = st.dictionaries(NAMES, TEXTS, max_size=4)
ELEMENTS = st.recursive(
    st.builds(element, TAGS, ATTRIBUTES, TEXTS),
    lambda inner: st.builds(
        lambda tag, attributes, text, more: element(tag, attributes, text, *more),
        TAGS, ATTRIBUTES, TEXTS, st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(["chat", "groupchat", "error", "normal", "headline", "x"]),
    st.one_of(
        st.sampled_from([f"{ANN}/x", ROOM, f"{ROOM}/Ann", f"{ROOM}/bot", OWN, f"{OWN}/x", "", "/", "@"]),
        TEXTS,
    ),
    ATTRIBUTES,
    st.lists(ELEMENTS, max_size=4),
)
def test_no_message_of_others_fails(kind: str, sender: str, more: dict[str, str], inner: list[Any]) -> None:
    """One that fails would be left out, and its sender would wait for a response."""
    rooms = {ROOM: Room(ROOM, "bot", was_entered=True)}
    stanza = element("message", {**more, "type": kind, "from": sender}, "", *inner)
    Reader(OWN, rooms).read(stanza)
    Reader(OWN, rooms).read_of_room(ROOM, stanza, "s1", more.get("stamp", ""))
