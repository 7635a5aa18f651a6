"""A body is readable whatever its charset and coding; what cannot be read is said."""

import gzip
import zlib

import pytest

from chatapi.ui.body_reading import MAX_UNPACKED, ReadableBody, cut_text, readable

RUSSIAN = "Бот упал: заказ № 5"


def declared(charset: str) -> list[list[str]]:
    return [["Content-Type", f"text/plain; charset={charset}"]]


def packed(coding: str) -> list[list[str]]:
    return [["content-encoding", coding]]


@pytest.mark.parametrize(
    ("body", "headers", "text", "decoded_from"),
    [
        (b"", [], "", ""),
        ("é".encode(), [], "é", ""),
        ("é".encode(), declared("UTF-8"), "é", ""),
        ("é".encode(), declared("us-ascii"), "é", ""),
        (RUSSIAN.encode("cp1251"), declared("windows-1251"), RUSSIAN, "windows-1251"),
        (RUSSIAN.encode("koi8-r", "replace"), declared('"KOI8-R"'), "Бот упал: заказ ? 5", "koi8-r"),
        (b"\xe9", declared("latin-1"), "é", "latin-1"),
        (b"\xe9", declared("ISO-8859-1;boundary=x"), "é", "iso-8859-1"),
        (RUSSIAN.encode("utf-16"), declared("utf-16"), RUSSIAN, "utf-16"),
        (RUSSIAN.encode("utf-16-be"), declared("utf-16be"), RUSSIAN, "utf-16be"),
        (b"\xfe\xff" + RUSSIAN.encode("utf-16-be"), [], RUSSIAN, "utf-16"),
        ("注文".encode("shift_jis"), declared("Shift_JIS"), "注文", "shift_jis"),
        (gzip.compress(b"hello", mtime=0), packed("gzip"), "hello", "gzip"),
        (gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), packed("x-gzip"), "ab", "x-gzip"),
        (zlib.compress(b"hello"), packed("deflate"), "hello", "deflate"),
        (zlib.compress(b"hello")[2:-4], packed("Deflate"), "hello", "deflate"),
        (
            zlib.compress(gzip.compress(RUSSIAN.encode("cp1251"), mtime=0)),
            packed("gzip, deflate") + declared("windows-1251"),
            RUSSIAN,
            "gzip, deflate, windows-1251",
        ),
        (b"plain", packed("identity"), "plain", ""),
    ],
)
def test_what_is_declared_is_undone(
    body: bytes, headers: list[list[str]], text: str, decoded_from: str
) -> None:
    assert readable(body, headers) == ReadableBody(text, True, decoded_from, "")


@pytest.mark.parametrize(
    ("body", "headers", "text", "note"),
    [
        (b"\xe9a", [], "\ufffda", "Some bytes are not UTF-8; as text they are shown as \ufffd."),
        (
            b"\x98a",
            declared("windows-1251"),
            "\ufffda",
            "Some bytes are not WINDOWS-1251; as text they are shown as \ufffd.",
        ),
        (
            b"a",
            declared("klingon"),
            "a",
            "The charset 'klingon' is unknown here, so the body is read as UTF-8.",
        ),
        (
            b"a",
            declared("base64"),
            "a",
            "The charset 'base64' is unknown here, so the body is read as UTF-8.",
        ),
        (
            b"a",
            declared("punycode"),
            "a",
            "The charset 'punycode' is unknown here, so the body is read as UTF-8.",
        ),
        (b"a", declared("\x00"), "a", "The charset '\\x00' is unknown here, so the body is read as UTF-8."),
        (b"text", packed("gzip"), "text", "The body is damaged, or is not gzip."),
        (b"text", packed("br"), "text", "This server cannot unpack 'br'."),
        (b"text", packed("a,a,a,a,a"), "text", "The body is packed 5 times and is not unpacked."),
        (gzip.compress(b"hello", mtime=0)[:-8], packed("gzip"), "hello", "The gzip body is incomplete."),
    ],
)
def test_what_cannot_be_read_is_said(body: bytes, headers: list[list[str]], text: str, note: str) -> None:
    found = readable(body, headers)
    assert (found.text, found.note) == (text, note)


def test_a_gzip_bomb_is_unpacked_up_to_the_limit() -> None:
    bomb = gzip.compress(bytes(50 * 1024 * 1024).replace(b"\x00", b"0"))
    found = readable(bomb, packed("gzip"))
    assert (len(found.text), found.note) == (
        MAX_UNPACKED,
        "Only the first 256 KB of the unpacked body are shown.",
    )
    twice = readable(gzip.compress(bomb), packed("gzip, gzip"))
    assert len(twice.text) <= MAX_UNPACKED
    assert readable(gzip.compress(b"0" * MAX_UNPACKED), packed("gzip")).note == ""


def test_a_body_cut_inside_a_character_ends_before_it() -> None:
    for charset in ("utf-8", "utf-16", "gb18030"):
        body = ("ж" * 10).encode(charset)[:-1]
        assert readable(body, declared(charset), is_cut=True).text == "ж" * 9
        assert not readable(body, declared(charset)).is_text
    assert cut_text("жж".encode()[:-1], is_cut=True) == "ж"
    with pytest.raises(UnicodeDecodeError):
        cut_text("жж".encode()[:-1], is_cut=False)
