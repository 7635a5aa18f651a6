"""Uploads as multipart/form-data (RFC 7578): the bytes before and after a file, which is not read to memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from instances.channels.requests import File, Request

LINE_END = b"\r\n"


def with_form(request: Request, fields: Mapping[str, str], *, file_field: str, file: File) -> Request:
    """Returns the request with a form of these fields and a file as its body. The file is the last part.

    The boundary depends on the form alone, so the same message makes the same request. That a file contains it by
    chance is as likely as guessing 128 random bits.
    """
    seed = "\n".join([*fields, *fields.values(), file_field, file.filename, file.path])
    boundary = hashlib.sha256(seed.encode(errors="replace")).hexdigest()[:32]
    parts = [
        part_head(boundary, f'name="{escape(name)}"') + value.encode(errors="replace") + LINE_END
        for name, value in fields.items()
    ]
    disposition = f'name="{escape(file_field)}"; filename="{escape(file.filename)}"'
    parts.append(part_head(boundary, disposition, file.content_type))
    return replace(
        request,
        headers={**request.headers, "Content-Type": f"multipart/form-data; boundary={boundary}"},
        body=b"".join(parts),
        body_path=file.path,
        body_end=f"\r\n--{boundary}--\r\n".encode(),
    )


def part_head(boundary: str, disposition: str, content_type: str = "") -> bytes:
    lines = [f"--{boundary}", f"Content-Disposition: form-data; {disposition}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    return "\r\n".join([*lines, "", ""]).encode(errors="replace")


def escape(name: str) -> str:
    """Returns a name as browsers write it into a form: the WHATWG standard escapes these three."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
