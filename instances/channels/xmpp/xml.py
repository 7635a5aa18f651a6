"""XML as XMPP allows it (RFC 6120, section 11): building elements, and a parser for a stream that a stranger may send.

Elements are those of xml.etree, with names such as `{jabber:client}message`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from sys import getsizeof
from xml.etree.ElementTree import Element
from xml.parsers import expat

MAX_STANZA_BYTES = 1024 * 1024  # servers usually allow 64 to 512 KB
# Anyone can send a message to the account, and its archive keeps it. A stanza that ended the stream would end each
# later one too, so what is over these two limits is left out of the stanza.
MAX_DEPTH, MAX_ELEMENTS = 64, 20_000
# The parser reads an unfinished tag again with each packet: 3.6 ms for 1 MB. A server that sends a tag of 1 MB in small
# packets would block the other accounts of a receiver for an hour. A tag of 256 KB in packets of 1.4 KB takes 23 MB.
MAX_READ_AGAIN = 64 * 1024 * 1024  # bytes, of one tag
READ_BYTES = 64 * 1024  # that are parsed at once
# Expat never forgets a name or prefix that it has read: 40 MB of made-up ones took 290 MB until the stream ended, and
# anyone can send them to the account. After so many bytes another expat reads on, from the next stanza whose tag does
# not begin in an earlier part. Few do; a server that sends no other is refused after MAX_EXPAT_BYTES.
NEXT_EXPAT_BYTES, MAX_EXPAT_BYTES = 1024 * 1024, 16 * 1024 * 1024
ROOT = re.compile(rb"""<(?:"[^"]*"|'[^']*'|[^"'>])*>""")  # the start tag of a stream
MAX_NAMES = 1_000  # that are remembered; a stream has fewer than 300, unless someone makes them up
ELEMENT_BYTES, ATTRIBUTE_BYTES = 120, 100  # of memory, besides names and texts (measured: 115, 85)

CLIENT = "jabber:client"
STREAMS = "http://etherx.jabber.org/streams"
# XML has no form for these, not even an escaped one.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class BadXml(ValueError):
    """This is not XML as XMPP allows it. The text is a sentence."""


class NextExpat(Exception):
    """Another expat is to read on from here: `start` is the place in the part that was fed."""

    def __init__(self, start: int) -> None:
        self.start = start


def text_of(text: str) -> str:
    """Returns the text with U+FFFD for each character that XML cannot hold. A line ends with \\n, as XML reads it."""
    return NOT_XML.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def name_of(tag: str) -> str:
    """Returns the full name of a tag: `{namespace}local`; those without a namespace are of jabber:client."""
    return tag if tag.startswith("{") else f"{{{CLIENT}}}{tag}"


def element(
    tag: str, attributes: Mapping[str, str] | None = None, text: str = "", *children: Element
) -> Element:
    """Returns an element. Attributes with empty values are left out."""
    made = Element(
        name_of(tag), {name: text_of(value) for name, value in (attributes or {}).items() if value}
    )
    made.text = text_of(text) or None
    made.extend(children)
    return made


def to_bytes(stanza: Element) -> bytes:
    """Returns the bytes of a stanza, with the namespaces as default ones, as all servers read them."""
    return "".join(written(stanza, CLIENT)).encode()


def written(node: Element, outer: str) -> Iterator[str]:
    namespace, _, local = node.tag[1:].partition("}")
    yield f"<{local}"
    if namespace != outer:
        yield f' xmlns="{escaped(namespace)}"'
    for name, value in node.attrib.items():
        name = name.replace(XML_PREFIX, "xml:")
        if not name.startswith("{"):  # of another namespace: XMPP defines none
            yield f' {name}="{escaped(value)}"'
    if not (node.text or len(node)):
        yield "/>"
        return
    yield ">"
    yield escaped(node.text or "")
    for child in node:
        yield from written(child, namespace)
        yield escaped(child.tail or "")
    yield f"</{local}>"


XML_PREFIX = "{http://www.w3.org/XML/1998/namespace}"
ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
ESCAPED = re.compile('[&<>"\r]')


def escaped(text: str) -> str:
    return ESCAPED.sub(lambda found: ESCAPES[found[0]], text)


def shown(stanza: Element) -> str:
    """Returns the XML of a stanza, for people."""
    return to_bytes(stanza).decode()


def child(parent: Element | None, tag: str) -> Element | None:
    """Returns the first child with this full name."""
    return None if parent is None else parent.find(tag)


def child_text(parent: Element | None, tag: str) -> str:
    """Returns the text of the first child with this full name; "" without one."""
    return "" if parent is None else parent.findtext(tag) or ""


def memory_of(stanza: Element) -> int:
    """Returns about how many bytes of memory a stanza takes: 35 times its XML if that is `<a/>` a thousand times."""
    size, names = 0, set()
    for each in stanza.iter():
        names.add(each.tag)
        attributes = each.items()
        names.update(name for name, _ in attributes)
        size += ELEMENT_BYTES + getsizeof(each.text) + getsizeof(each.tail)
        size += sum(ATTRIBUTE_BYTES + getsizeof(value) for _, value in attributes)
    return size + sum(map(getsizeof, names))


class StanzaParser:
    """Parses one stream: calls `on_open` with the root's attributes, `on_stanza` with each of its children.

    Comments, processing instructions, a document type (and so entities of its own), stanzas over MAX_STANZA_BYTES and
    tags over MAX_READ_AGAIN raise BadXml from `feed`, as broken XML does.
    """

    def __init__(
        self, on_open: Callable[[Mapping[str, str]], None], on_stanza: Callable[[Element], None]
    ) -> None:
        self.on_open, self.on_stanza = on_open, on_stanza
        self.path: list[Element] = []  # the stanza that is being read, and within it
        self.depth = 0
        self.stanza_bytes = 0  # fed since the last stanza ended
        self.elements = 0  # of the stanza
        self.skipped_depth = 0  # the depth of the element that is left out; 0: none is
        self.tag_bytes = self.read_again = 0  # fed since the last tag or text, and read again because of that
        self.is_closed = False  # has the other side ended the stream?
        self.last: Element | None = None  # the element that ended last, whose tail follows
        # Full names by expat's, each once: 10 000 elements of a namespace of 5 KB would take 51 MB.
        self.names: dict[str, str] = {}
        self.names_of_expat: dict[str, str] = {}  # it would never forget one
        self.head = bytearray()  # what was fed before the root's start tag ended
        self.root = b""  # the root's start tag, which the next expat has to know
        self.begin_expat()

    def begin_expat(self) -> None:
        """Read what follows by a new expat, within the root."""
        self.parser = parser = expat.ParserCreate("utf-8", "}", intern=self.names_of_expat)
        parser.buffer_text = True
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)  # a stanza must not wait for the next one
        parser.Parse(self.root, False)
        self.expat_bytes = len(self.root)  # that this expat has read
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        for name in ("StartDoctypeDecl", "Comment", "ProcessingInstruction", "EntityDecl"):
            setattr(parser, f"{name}Handler", self.refuse)

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises BadXml."""
        for start in range(0, len(data), READ_BYTES):
            part = data[start : start + READ_BYTES]
            self.stanza_bytes += len(part)
            self.tag_bytes += len(part)
            self.read_again += self.tag_bytes
            if self.stanza_bytes > MAX_STANZA_BYTES + READ_BYTES:
                raise BadXml(f"The server sent a stanza of more than {MAX_STANZA_BYTES // 1024} KB.")
            if self.depth == 0:
                self.head += part
            try:
                self.parse(part)
            except NextExpat as found:
                self.begin_expat()
                self.parse(part[found.start :])
            if self.expat_bytes > MAX_EXPAT_BYTES:
                raise BadXml("The server sent too much without a stanza that begins within a packet.")
            if self.read_again > MAX_READ_AGAIN:
                raise BadXml("The server sent a long tag in too many packets.")

    def parse(self, part: bytes) -> None:
        """Raises BadXml, NextExpat."""
        try:
            self.parser.Parse(part, False)
        except expat.ExpatError as error:
            raise BadXml(f"The server sent broken XML ({error}).") from None
        self.expat_bytes += len(part)

    def refuse(self, *_: object) -> None:
        raise BadXml("The server sent XML that XMPP does not allow: a comment, a document type or an entity.")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self.depth == 1 and self.expat_bytes > NEXT_EXPAT_BYTES:
            begins = self.parser.CurrentByteIndex - self.expat_bytes
            if begins >= 0:  # otherwise an earlier part has the beginning of the tag
                raise NextExpat(begins)
        self.depth += 1
        self.tag_bytes = self.read_again = 0
        if self.depth == 1:
            if found := ROOT.match(self.head, self.parser.CurrentByteIndex):
                self.root = bytes(found[0])
            self.head.clear()
            self.on_open(attributes)
            return
        self.elements += 1
        if not self.skipped_depth and (self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS):
            self.skipped_depth = self.depth
        if self.skipped_depth:
            return
        made = Element(
            self.full_name(name),
            {self.full_name(key): value for key, value in attributes.items()} if attributes else {},
        )
        if self.path:
            self.path[-1].append(made)
        self.path.append(made)
        self.last = None

    def end(self, _name: str) -> None:
        self.depth -= 1
        self.tag_bytes = self.read_again = 0
        if self.depth == 0:
            self.is_closed = True
            return
        if self.skipped_depth:
            self.skipped_depth = self.skipped_depth if self.skipped_depth <= self.depth else 0
            return
        self.last = self.path.pop()
        if self.depth == 1:
            stanza, self.last, self.stanza_bytes, self.elements = self.last, None, 0, 0
            if len(self.names_of_expat) > MAX_NAMES:
                self.names.clear()
                self.names_of_expat.clear()
            self.on_stanza(stanza)

    def text(self, data: str) -> None:
        self.tag_bytes = self.read_again = 0
        if self.skipped_depth:
            return
        if not self.path:
            if data.strip():
                raise BadXml("The server sent text between two stanzas.")
            self.stanza_bytes = 0  # spaces that keep the connection open
        elif self.last is None:
            self.path[-1].text = (self.path[-1].text or "") + data
        else:
            self.last.tail = (self.last.tail or "") + data

    def full_name(self, name: str) -> str:
        found = self.names.get(name)
        if found is None:
            found = self.names[name] = f"{{{name}" if "}" in name else name
        return found


def parse(data: bytes) -> Element:
    """Returns the one stanza that these bytes are. Raises BadXml."""
    found: list[Element] = []
    parser = StanzaParser(lambda _: None, found.append)
    parser.feed(f'<stream xmlns="{CLIENT}">'.encode() + data)
    if len(found) != 1 or parser.depth != 1:
        raise BadXml("This is not one stanza.")
    return found[0]
