"""Reads a captured form: its fields and files. It accepts any bytes; `error` describes what could not be read."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from testing_tools.verification.models import Capture
from testing_tools.verification.reading.images import Image, read_image

MAX_PARTS = 200
MAX_TEXT = 4000  # characters of a field that are shown
CONTENT_TYPE = re.compile(r"^content-type:(.*)$", re.MULTILINE | re.IGNORECASE)


class Part(NamedTuple):
    """A field or a file; a file has the name that the client sent, its type and its bytes."""

    name: str
    value: str
    file: str | None = None
    type: str = ""
    content: bytes = b""

    @property
    def image(self) -> Image | None:
        """Returns the picture that the file is, if it is one."""
        return read_image(self.content)


class Form(NamedTuple):
    """`kind` is "", "urlencoded" or "multipart"; `error`: why a body declared as a form could not be read."""

    kind: str
    parts: list[Part]
    error: str = ""


def content_type(capture: Capture) -> str:
    return next((value for name, value in capture.headers if name.lower() == "content-type"), "")


def read(capture: Capture) -> Form:
    """Returns the form of a capture; an empty one for any other body."""
    declared = content_type(capture)
    kind = declared.partition(";")[0].strip().lower()
    body = bytes(capture.body)
    if not body:
        return Form("", [])
    if kind == "application/x-www-form-urlencoded":
        try:
            pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_PARTS)
        except ValueError:
            return Form("urlencoded", [], f"The form has more than {MAX_PARTS} fields. See them in Raw.")
        return Form("urlencoded", [Part(name, value[:MAX_TEXT]) for name, value in pairs])
    if kind == "multipart/form-data":
        return read_multipart(declared, body)
    return Form("", [])


def read_multipart(declared: str, body: bytes) -> Form:
    """Returns the parts. No library parser is used: bytes stay bytes, and names are UTF-8, as browsers send them."""
    boundary = re.search(r'boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))', declared, re.IGNORECASE)
    sections = (b"\r\n" + body).split(b"\r\n--" + ((boundary[1] or boundary[2]) if boundary else "").encode())
    if boundary is None or len(sections) < 2:
        return Form(
            "multipart", [], "The content-type is multipart/form-data, but its boundary is not in the body."
        )
    parts = []
    for section in sections[1 : MAX_PARTS + 1]:
        if section.startswith(b"--"):  # the end
            break
        head, _, content = section.partition(b"\r\n\r\n")
        text = head.decode(errors="replace")
        name, file = parameter(text, "name"), parameter(text, "filename")
        if file is None:
            parts.append(Part(name or "", content.decode(errors="replace")[:MAX_TEXT]))
        else:
            type = CONTENT_TYPE.search(text)
            parts.append(Part(name or "", "", file, type[1].strip() if type else "", content))
    return Form("multipart", parts)


def parameter(head: str, name: str) -> str | None:
    """Returns a parameter of Content-Disposition, unquoted; None if it is missing."""
    match = re.search(rf'[;\s]{name}=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', head, re.IGNORECASE)
    if match is None:
        return None
    return re.sub(r'\\(["\\])', r"\1", match[1]) if match[1] is not None else match[2]
