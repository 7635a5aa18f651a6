"""What a file is, and which files are refused (the choice of this project, documented in docs/media.md)."""

import pytest

from instances.media.kinds import WrongFile, clean_name, judge
from instances.models import MessageType

RUNS = "because they may run when they are opened."


@pytest.mark.parametrize(
    ("filename", "declared", "head", "extension", "content_type", "type"),
    [
        ("a.jpg", "", b"x", ".jpg", "image/jpeg", MessageType.IMAGE),
        ("a.jpg", "application/pdf", b"%PDF", ".jpg", "image/jpeg", MessageType.IMAGE),  # the name wins
        ("a", "application/pdf", b"x", ".pdf", "application/pdf", MessageType.DOCUMENT),
        ("a", "application/octet-stream", b"\x89PNG\r\n\x1a", ".png", "image/png", MessageType.IMAGE),
        ("a.unheard", "video/mp4", b"x", ".unheard", "video/mp4", MessageType.VIDEO),
        ("a.unheard", "x/y", b"x", ".unheard", "application/octet-stream", MessageType.DOCUMENT),
        ("a.with spaces", "", b"x", ".bin", "application/octet-stream", MessageType.DOCUMENT),
        ("a", "audio/opus", b"x", ".ogg", "audio/ogg", MessageType.AUDIO),
        ("A.WebP", "", b"x", ".webp", "image/webp", MessageType.STICKER),
    ],
)
def test_name_before_declaration_before_signature(
    filename: str, declared: str, head: bytes, extension: str, content_type: str, type: MessageType
) -> None:
    kind = judge(filename, declared, head)
    assert (kind.extension, kind.content_type, kind.type) == (extension, content_type, type)


@pytest.mark.parametrize("extension", ["html", "HTM", "svg", "js", "exe", "bat", "apk", "jar", "hta", "php"])
def test_a_name_of_what_runs_is_refused(extension: str) -> None:
    with pytest.raises(WrongFile, match=f"files that end in .{extension.lower()} are not sent, {RUNS}"):
        judge(f"a.{extension}", "image/jpeg", b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "declared", ["text/html", "Image/SVG+XML; charset=utf-8", "application/javascript", "application/x-msdownload"]
)  # fmt: skip
def test_a_declaration_of_what_runs_is_refused(declared: str) -> None:
    with pytest.raises(WrongFile, match="such files are not sent, because they may run"):
        judge("a.jpg", declared, b"\xff\xd8\xff")


@pytest.mark.parametrize(
    "head",
    [
        b"MZ\x90\x00", b"\x7fELF\x02", b"#!/bin/sh", b"<!DOCTYPE html>", b"\xef\xbb\xbf\n <HTML>",
        b"<!-- a --> <script>", b'<?xml version="1.0"?>\n<!-- x --><svg xmlns=', b"<!doctype svg PUBLIC",
    ],
)  # fmt: skip
def test_content_that_runs_is_refused_under_whatever_name(head: bytes) -> None:
    with pytest.raises(WrongFile, match="its content is a page or a program, whatever its name says"):
        judge("a.jpg", "image/jpeg", head)


@pytest.mark.parametrize(
    "head", [b"<p>a letter", b"<a", b"hello <html>", b"svg", b"<svgx", b"<" * 1024, b" " * 1024]
)
def test_other_texts_are_not_refused(head: bytes) -> None:
    assert judge("a.txt", "text/plain", head).type == MessageType.DOCUMENT


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
def test_a_name_is_cleaned(given: str, clean: str) -> None:
    assert clean_name(given) == clean


def test_a_beginning_of_many_comments_is_judged_at_once() -> None:
    """A pattern that tries every way to cut them up would need longer than the universe is old."""
    assert judge("notes.txt", "", (b"<!---->" * 200)[:1024]).content_type == "text/plain"
    with pytest.raises(WrongFile, match="its content is a page or a program"):
        judge("notes.txt", "", b'<?xml version="1.0"?>\n' + b"<!---->\n" * 100 + b"<svg onload=x>")


@pytest.mark.parametrize(
    "name", ["a.html\u200b", "a.ht\u200cml", "a.\u202ehtml", "a.html\u2028", "a.html.", "a.h\x85tml"]
)
def test_letters_that_nobody_sees_do_not_hide_what_runs(name: str) -> None:
    with pytest.raises(WrongFile, match=r"files that end in \.html are not sent"):
        judge(name, "", b"x")
