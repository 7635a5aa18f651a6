"""How a file is identified, and which files are rejected (this project's own rules, documented in docs/media.md)."""

import pytest

from instances.media.kinds import WrongFile, clean_filename, identify_file
from instances.models import MessageType

WHY = "because they may run when they are opened."


@pytest.mark.parametrize(
    ("filename", "declared", "head", "extension", "content_type", "type"),
    [
        ("a.jpg", "", b"x", ".jpg", "image/jpeg", MessageType.IMAGE),
        ("a.jpg", "application/pdf", b"%PDF", ".jpg", "image/jpeg", MessageType.IMAGE),  # the name decides
        ("a", "application/pdf", b"x", ".pdf", "application/pdf", MessageType.DOCUMENT),
        ("a", "application/octet-stream", b"\x89PNG\r\n\x1a", ".png", "image/png", MessageType.IMAGE),
        ("a.unheard", "video/mp4", b"x", ".unheard", "video/mp4", MessageType.VIDEO),
        ("a.unheard", "x/y", b"x", ".unheard", "application/octet-stream", MessageType.DOCUMENT),
        ("a.with spaces", "", b"x", ".bin", "application/octet-stream", MessageType.DOCUMENT),
        ("a", "audio/opus", b"x", ".ogg", "audio/ogg", MessageType.AUDIO),
        ("A.WebP", "", b"x", ".webp", "image/webp", MessageType.STICKER),
        ("a.webm", "", b"x", ".webm", "video/webm", MessageType.VIDEO),
        ("a.webm", "video/webm", b"x", ".webm", "video/webm", MessageType.VIDEO),
        ("a.webm", "audio/webm;codecs=opus", b"x", ".webm", "audio/webm", MessageType.AUDIO),
        ("a.mp4", "audio/mp4", b"x", ".mp4", "audio/mp4", MessageType.AUDIO),
        ("a.mp4", "Audio/X-M4A", b"x", ".mp4", "audio/mp4", MessageType.AUDIO),
        ("a.mp4", "audio/unheard", b"x", ".mp4", "audio/mp4", MessageType.AUDIO),
        ("a.3gp", "audio/3gpp", b"x", ".3gp", "audio/3gpp", MessageType.AUDIO),
        ("a.ogg", "audio/opus", b"x", ".ogg", "audio/ogg", MessageType.AUDIO),
        ("a.jpg", "audio/webm", b"x", ".jpg", "image/jpeg", MessageType.IMAGE),
    ],
)
def test_the_name_decides_before_the_declared_type_and_the_signature(
    filename: str, declared: str, head: bytes, extension: str, content_type: str, type: MessageType
) -> None:
    kind = identify_file(filename, declared, head)
    assert (kind.extension, kind.content_type, kind.type) == (extension, content_type, type)


PAGE = b"<!DOCTYPE html><script>alert(1)</script>"


@pytest.mark.parametrize("extension", ["html", "HTM", "xhtml", "svg", "xml", "mht"])
@pytest.mark.parametrize(
    "declared", ["", "text/html; charset=utf-8", "image/svg+xml", "image/jpeg", "text/plain"]
)
@pytest.mark.parametrize("head", [PAGE, b"\xff\xd8\xff", b"hello"])
def test_a_page_that_is_named_as_one_is_binary(extension: str, declared: str, head: bytes) -> None:
    kind = identify_file(f"offer.{extension}", declared, head)
    assert kind == (
        f"offer.{extension}",
        f".{extension.lower()}",
        "application/octet-stream",
        MessageType.DOCUMENT,
    )


@pytest.mark.parametrize(
    ("declared", "head"),
    [("application/x-msdownload", b"hello"), ("text/html", b"MZ\x90\x00"), ("", b"#!/bin/sh")],
)
def test_a_program_that_is_named_as_a_page_is_rejected(declared: str, head: bytes) -> None:
    with pytest.raises(WrongFile):
        identify_file("offer.html", declared, head)


@pytest.mark.parametrize("extension", ["js", "exe", "bat", "apk", "jar", "hta", "php"])
def test_an_active_extension_is_rejected(extension: str) -> None:
    with pytest.raises(WrongFile, match=f"files with the extension .{extension.lower()} are rejected, {WHY}"):
        identify_file(f"a.{extension}", "image/jpeg", b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "declared", ["text/html", "Image/SVG+XML; charset=utf-8", "application/javascript", "application/x-msdownload"]
)  # fmt: skip
def test_an_active_declared_type_is_rejected(declared: str) -> None:
    with pytest.raises(WrongFile, match=r"files of type .* are rejected, because they may run"):
        identify_file("a.jpg", declared, b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "head",
    [
        b"MZ\x90\x00", b"\x7fELF\x02", b"#!/bin/sh", b"<!DOCTYPE html>", b"\xef\xbb\xbf\n <HTML>",
        b"<!-- a --> <script>", b'<?xml version="1.0"?>\n<!-- x --><svg xmlns=', b"<!doctype svg PUBLIC",
    ],
)  # fmt: skip
def test_active_content_is_rejected_whatever_the_name(head: bytes) -> None:
    with pytest.raises(
        WrongFile, match="the content is a web page or a program, whatever the file name says"
    ):
        identify_file("a.jpg", "image/jpeg", head)


@pytest.mark.parametrize(
    "head", [b"<p>a letter", b"<a", b"hello <html>", b"svg", b"<svgx", b"<" * 1024, b" " * 1024]
)
def test_other_text_is_accepted(head: bytes) -> None:
    assert identify_file("a.txt", "text/plain", head).type == MessageType.DOCUMENT


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\anna\\photo.jpg", "photo.jpg"),
        ("a\r\nX-Header: 1.txt", "aX-Header 1.txt"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("...", "file"),
        ("", "file"),
        ("x" * 300 + ".jpeg", "x" * 145 + ".jpeg"),
    ],
)
def test_a_file_name_is_cleaned(given: str, clean: str) -> None:
    assert clean_filename(given) == clean


def test_content_with_many_comments_is_identified_at_once() -> None:
    """A regular expression that backtracks would try 2**200 ways to split them."""
    assert identify_file("notes.txt", "", (b"<!---->" * 200)[:1024]).content_type == "text/plain"
    with pytest.raises(WrongFile, match="the content is a web page or a program"):
        identify_file("notes.txt", "", b'<?xml version="1.0"?>\n' + b"<!---->\n" * 100 + b"<svg onload=x>")


@pytest.mark.parametrize(
    "name", ["a.exe\u200b", "a.e\u200cxe", "a.\u202eexe", "a.exe\u2028", "a.exe.", "a.e\x85xe"]
)
def test_invisible_characters_do_not_hide_an_active_extension(name: str) -> None:
    with pytest.raises(WrongFile, match=r"files with the extension \.exe are rejected"):
        identify_file(name, "", b"x")
