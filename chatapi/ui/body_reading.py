"""A body as text: decompressed by its Content-Encoding, and decoded by its charset.

The log and the bins store the original bytes; pages, REST and exports show the text beside them.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from chatapi.ui.header_fields import combined

MAX_UNPACKED = 256 * 1024  # bytes; 1 MB of gzip may hold 1 GB
BLOCK = 16 * 1024  # bytes decompressed at a time
MAX_CODINGS = 4
MAX_MEMBERS = 100  # of a gzip body
CHARSET = re.compile(r';\s*charset\s*=\s*("[^"]*"|[^;\s]*)', re.IGNORECASE)
# The longest first: UTF-32's begins with UTF-16's.
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Python's codecs that are no charset of a body, or whose text UTF-8 cannot hold.
NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
UTF8 = {"utf-8", "utf-8-sig", "ascii"}  # a body that declares ASCII is read as UTF-8, which contains it


class ReadableBody(NamedTuple):
    """The text of a body, and how it was read.

    `text` has U+FFFD in place of bytes that are invalid in the charset. `is_text` is False if there are such bytes or a
    NUL. `decoded_from` lists the codings and the charset, `gzip, windows-1251`; empty if the body was sent as UTF-8.
    `note` says in sentences what is missing from the text and why; empty if it is complete.
    """

    text: str
    is_text: bool
    decoded_from: str
    note: str


def readable(body: bytes, headers: Iterable[Sequence[str]] = (), *, is_cut: bool = False) -> ReadableBody:
    """Returns the text of a body with these headers; it accepts any bytes.

    With `is_cut` the body was cut off somewhere: an incomplete character at its end is left out.
    """
    fields = combined(headers)
    unpacked, codings, note = unpack(body, fields.get("content-encoding", ""))
    notes = [note] if note else []
    charset, note = charset_of(fields.get("content-type", ""), unpacked)
    notes += [note] if note else []
    is_cut = is_cut or bool(notes)
    text = decoded(unpacked, charset, is_cut=is_cut)
    is_text = text is not None and "\x00" not in text
    if text is None:
        text = decoded(unpacked, charset, errors="replace", is_cut=is_cut) or ""
        notes.append(
            f"Some bytes are not {charset.upper()}; as text they are shown as \N{REPLACEMENT CHARACTER}."
        )
    steps = codings + ([charset] if charset != "utf-8" else [])
    return ReadableBody(text, is_text, ", ".join(steps), " ".join(notes))


def cut_text(body: bytes, *, is_cut: bool) -> str:
    """Returns UTF-8 as text; with `is_cut` without an incomplete character at its end. Raises UnicodeDecodeError."""
    return codecs.getincrementaldecoder("utf-8")().decode(body, not is_cut)


def decoded(body: bytes, charset: str, *, errors: str = "strict", is_cut: bool) -> str | None:
    """Returns the text, or None if the bytes are not of this charset."""
    try:
        return codecs.getincrementaldecoder(charset)(errors).decode(body, not is_cut)
    except UnicodeError:
        return None


def charset_of(content_type: str, body: bytes) -> tuple[str, str]:
    """Returns the charset that is declared, or that a byte order mark shows; UTF-8 without one. And a note."""
    found = CHARSET.search(content_type)
    name = found[1].strip('"').strip().lower()[:40] if found else ""
    if not name:
        return next((charset for mark, charset in BYTE_ORDER_MARKS if body.startswith(mark)), "utf-8"), ""
    try:
        known = codecs.lookup(name).name.replace("_", "-")
        "a".encode(name)  # a LookupError for base64 and others that are no charset
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        known = ""
    if not known or known in NO_CHARSETS:
        return "utf-8", f"The charset {name!r} is unknown here, so the body is read as UTF-8."
    return ("utf-8" if known in UTF8 else name), ""


def unpack(body: bytes, content_encoding: str) -> tuple[bytes, list[str], str]:
    """Returns the unpacked bytes, the codings undone in the order they were applied, and a note."""
    declared = [coding.strip().lower() for coding in content_encoding.split(",")]
    left = [coding for coding in declared if coding not in ("", "identity")]
    done: list[str] = []
    if len(left) > MAX_CODINGS:
        return body, done, f"The body is packed {len(left)} times and is not unpacked."
    while left and body:
        coding = left.pop()
        if coding not in ("gzip", "x-gzip", "deflate"):
            return body, done, f"This server cannot unpack {coding[:40]!r}."
        unpacked, note = inflate(body, coding)
        if not unpacked and note:
            return body, done, note
        body, done = unpacked, [coding, *done]
        if note:
            return body, done, note
    return body, done, ""


def inflate(body: bytes, coding: str) -> tuple[bytes, str]:
    """Returns at most MAX_UNPACKED bytes, and a note if that is not all. Damaged ones up to the damage."""
    window = 31 if coding != "deflate" else 15
    if coding == "deflate" and not (body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0):
        window = -15  # without zlib's header, as some servers send it
    unpacker, found, at, members = zlib.decompressobj(window), bytearray(), 0, 1
    try:
        while at < len(body):
            if unpacker.eof:
                if window != 31 or members == MAX_MEMBERS:
                    break
                unpacker, members = zlib.decompressobj(window), members + 1
            block = body[at : at + BLOCK]
            # one byte more than is shown, to know whether there is more
            found += unpacker.decompress(block, MAX_UNPACKED + 1 - len(found))
            if len(found) > MAX_UNPACKED:
                note = f"Only the first {MAX_UNPACKED // 1024} KB of the unpacked body are shown."
                return bytes(found[:MAX_UNPACKED]), note
            at += len(block) - len(unpacker.unused_data)
    except zlib.error:
        return bytes(found), f"The body is damaged, or is not {coding}."
    return bytes(found), "" if unpacker.eof else f"The {coding} body is incomplete."
