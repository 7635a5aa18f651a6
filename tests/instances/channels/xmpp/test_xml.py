"""What a server sends is bounded, and nothing that a person writes is broken or dangerous XML."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.channels.xmpp.xml import (
    CLIENT,
    MAX_DEPTH,
    MAX_STANZA_BYTES,
    BadXml,
    StanzaParser,
    child_text,
    element,
    parse,
    text_of,
    to_bytes,
)

BODY = f"{{{CLIENT}}}body"
LAUGHS = b"""<!DOCTYPE stream [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>"""
OPENING = f"<stream:stream xmlns='{CLIENT}' xmlns:stream='http://etherx.jabber.org/streams'>".encode()


def fed(*parts: bytes) -> list[Element]:
    found: list[Element] = []
    parser = StanzaParser(lambda _: None, found.append)
    for part in parts:
        parser.feed(part)
    return found


@given(st.text(), st.text())
def test_any_text_survives_except_what_xml_cannot_hold(body: str, sender: str) -> None:
    stanza = element("message", {"from": sender}, "", element("body", None, body))
    read = parse(to_bytes(stanza))
    assert child_text(read, BODY) == text_of(body)
    assert (read.get("from") or "").split() == text_of(sender).split()  # XML normalises spaces of attributes


@given(st.lists(st.integers(1, 20), max_size=20))
def test_a_stanza_may_come_in_any_pieces(sizes: list[int]) -> None:
    data = OPENING + to_bytes(element("message", {"id": "1"}, "", element("body", None, "Grüße 👋 <&>"))) * 2
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    assert [child_text(stanza, BODY) for stanza in fed(*parts, data[at:])] == ["Grüße 👋 <&>"] * 2


@pytest.mark.parametrize(
    "sent",
    [
        LAUGHS + OPENING + b"<message>&b;</message>",
        OPENING + b"<message>&b;</message>",
        OPENING + b"<!-- a comment -->",
        OPENING + b"<?php x?>",
        OPENING + b"<message><body></message>",
        OPENING + b"text between stanzas",
        OPENING + b"<message xmlns:a='b' a:c='1' a:c='2'/>",
        OPENING + b"<message>\xff\xfe</message>",
        OPENING + b"<message>&#0;</message>",
        OPENING + b"<a>" * (MAX_DEPTH + 1),
        OPENING + b"<message>" + b"x" * (MAX_STANZA_BYTES + 100_000),
        OPENING + b"<message a='" + b"x" * (MAX_STANZA_BYTES + 100_000),
    ],
    ids=range(12),
)
def test_hostile_xml_is_refused(sent: bytes) -> None:
    with pytest.raises(BadXml, match=r"\.$"):
        fed(sent)


def test_many_stanzas_and_spaces_in_between_are_no_long_stanza() -> None:
    stanza = to_bytes(element("message", None, "", element("body", None, "x" * 10_000)))
    assert len(fed(OPENING, *[stanza + b" " * 10_000] * 200)) == 200


def test_only_one_stanza_is_accepted_from_a_sender() -> None:
    for sent in (b"", b"<a/><b/>", b"<a>", b"</stream>", b"text"):
        with pytest.raises(BadXml):
            parse(sent)
