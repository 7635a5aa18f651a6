"""What a server sends is bounded, and nothing that a person writes is broken or dangerous XML."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instances.channels.xmpp import xml
from instances.channels.xmpp.xml import (
    CLIENT,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_NAMES,
    MAX_STANZA_BYTES,
    NEXT_EXPAT_BYTES,
    STREAMS,
    BadXml,
    StanzaParser,
    child_text,
    element,
    memory_of,
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
        OPENING + b"<message>" + b"x" * (MAX_STANZA_BYTES + 100_000),
        OPENING + b"<message a='" + b"x" * (MAX_STANZA_BYTES + 100_000),
        OPENING + b"<message><!--" + b"x" * (MAX_STANZA_BYTES + 100_000),
    ],
    ids=range(12),
)
def test_hostile_xml_is_refused(sent: bytes) -> None:
    with pytest.raises(BadXml, match=r"\.$"):
        fed(sent)


def test_a_long_tag_may_come_in_usual_packets_but_not_in_thousands() -> None:
    [stanza] = fed(OPENING, b"<message a='", *[b"x" * 1_400] * 190, b"'/>")
    assert len(stanza.get("a", "")) == 190 * 1_400
    with pytest.raises(BadXml, match="tag"):
        fed(OPENING, b"<message a='", *[b"x" * 10] * 4_000)


@pytest.mark.parametrize(
    "hostile",
    [b"<a>" * 5_000 + b"x" + b"</a>" * 5_000, b"<a/>" * (MAX_ELEMENTS + 9), b"<a>x</a>" * (MAX_ELEMENTS + 9)],
    ids=["deep", "many", "many texts"],
)
def test_what_anyone_can_send_does_not_end_the_stream(hostile: bytes) -> None:
    """The archive would send it again at each connection."""
    body = b"<body>hi</body>"
    sent = b"<message id='1'>" + body + hostile + b"</message><message id='2'>" + body + b"</message>"
    first, second = fed(OPENING, sent)
    depth = 0
    assert (first.get("id"), child_text(first, BODY)) == ("1", "hi")
    assert (second.get("id"), child_text(second, BODY), len(second)) == ("2", "hi", 1)
    assert sum(1 for _ in first.iter()) <= MAX_ELEMENTS
    while len(first):
        first, depth = first[-1], depth + 1
    assert depth < MAX_DEPTH


def test_a_long_namespace_takes_memory_once() -> None:
    [stanza] = fed(OPENING, b"<message xmlns='" + b"u" * 5_000 + b"'>" + b"<a/>" * 10_000 + b"</message>")
    assert len({id(each.tag) for each in stanza}) == 1
    assert memory_of(stanza) < 3_000_000


def test_names_that_are_made_up_are_forgotten() -> None:
    parser = StanzaParser(lambda _: None, lambda _: None)
    parser.feed(OPENING)
    for start in range(0, 50_000, 100):
        names = range(start, start + 100)
        made_up = "".join(f"<a{name} b{name}='1'/>" for name in names)
        parser.feed(f"<message>{made_up}</message>".encode())
    assert len(parser.names) <= MAX_NAMES + 202
    assert len(parser.names_of_expat) <= MAX_NAMES + 202


@pytest.mark.parametrize("size", [1, 7, 1_000, 1_000_000], ids="packets of {} bytes".format)
def test_the_next_expat_reads_on_exactly_where_the_last_one_ended(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(xml, "NEXT_EXPAT_BYTES", 300)
    opening = f"""<?xml version='1.0'?> <s:stream to="a>b" x='"' xmlns='{CLIENT}' xmlns:s="{STREAMS}" >"""
    stanzas = [
        f"""<message id='{number}'><body>Grüße 👋 &lt;/></body></message>\n<presence/> <s:error a="/>"></s:error>"""
        for number in range(200)
    ]
    data = f"{opening}{''.join(stanzas)}</s:stream>".encode()
    opened: list[Mapping[str, str]] = []
    found: list[Element] = []
    parser = StanzaParser(opened.append, found.append)
    expats = set()
    for at in range(0, len(data), size):
        parser.feed(data[at : at + size])
        expats.add(parser.parser)
    assert [each["to"] for each in opened] == ["a>b"]
    assert [each.get("id") for each in found[::3]] == [str(number) for number in range(200)]
    assert {child_text(each, BODY) for each in found[::3]} == {"Grüße 👋 </>"}
    assert {each.tag for each in found[1::3]} == {f"{{{CLIENT}}}presence"}
    assert {each.tag for each in found[2::3]} == {f"{{{STREAMS}}}error"}
    assert parser.is_closed
    assert len(expats) > 10 or size != 1_000


def test_an_expat_reads_no_more_than_its_limit() -> None:
    """It remembers each name and each prefix."""
    parser, expats = StanzaParser(lambda _: None, lambda _: None), set()
    parser.feed(OPENING)
    for number in range(100):
        names = "".join(f"<p{number}-{name}:a xmlns:p{number}-{name}='x'/>" for name in range(2_000))
        parser.feed(f"<message>{names}</message>".encode())
        expats.add(parser.parser)
        assert parser.expat_bytes <= NEXT_EXPAT_BYTES + MAX_STANZA_BYTES
    assert len(expats) > 3


def test_a_server_that_keeps_its_expat_is_refused() -> None:
    stanzas = [b"<me", b"ssage>" + b"<a/>" * 10_000 + b"</message>"] * 1_000
    with pytest.raises(BadXml, match="begins"):
        fed(OPENING, *stanzas)


def test_broken_xml_is_refused_by_the_next_expat_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml, "NEXT_EXPAT_BYTES", 300)
    for bad in (b"<message></body>", b"<!-- a comment -->", b"<message>&b;</message>", b"</stream>", b"text"):
        with pytest.raises(BadXml):
            fed(OPENING, *[b"<message><body>x</body></message>"] * 20, bad)


def test_a_long_text_with_escapes_is_no_long_tag() -> None:
    long = "Grüße & <Привет> 👋 " * 10_000
    escaped = "".join(f"&#{ord(letter)};" if letter > "~" else letter for letter in long)
    escaped = escaped.replace("& ", "&amp; ").replace("<", "&lt;").replace(">", "&gt;")
    [stanza] = fed(OPENING, f"<message><body>{escaped}</body></message>".encode())
    assert child_text(stanza, BODY) == long


def test_many_stanzas_and_spaces_in_between_are_no_long_stanza() -> None:
    stanza = to_bytes(element("message", None, "", element("body", None, "x" * 10_000)))
    assert len(fed(OPENING, *[stanza + b" " * 10_000] * 200)) == 200


def test_only_one_stanza_is_accepted_from_a_sender() -> None:
    for sent in (b"", b"<a/><b/>", b"<a>", b"</stream>", b"text"):
        with pytest.raises(BadXml):
            parse(sent)
