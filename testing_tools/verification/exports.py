"""Captures as files: NDJSON for programs, CSV for spreadsheets, HAR for the network tools of browsers.

Streamed, so 500 captures of 1 MB are never in memory at the same time.
"""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from django.conf import settings

from chatapi.ui.body_reading import readable
from chatapi.ui.downloads import csv_line
from testing_tools.verification import copy_as
from testing_tools.verification.models import Bin, Capture, CaptureQuerySet
from testing_tools.verification.reading.form_parts import content_type
from testing_tools.verification.reading.request_as_sent import NOT_SHOWN

CHUNK = 10  # captures in memory


class Format(NamedTuple):
    name: str
    extension: str
    type: str
    write: Callable[[Bin, Iterable[Capture]], Iterator[str]]


def body_of(capture: Capture) -> dict[str, str]:
    """Returns the body as text if it is UTF-8, otherwise as Base64; and decoded, if it is packed or has a charset."""
    body = bytes(capture.body)
    read = readable(body, capture.headers)
    more = {"decodedBody": read.text, "decodedFrom": read.decoded_from} if read.decoded_from else {}
    if read.note:
        more["decodingNote"] = read.note
    try:
        return {"body": body.decode()} | more
    except UnicodeDecodeError:
        return {"bodyBase64": base64.b64encode(body).decode()} | more


def to_object(capture: Capture) -> dict[str, Any]:
    return {
        "number": capture.number,
        "id": capture.public_id,
        "at": capture.at.isoformat(),
        "method": capture.method,
        "path": capture.path,
        "query": capture.query,
        "httpVersion": capture.http_version,
        "headers": capture.headers,
        "remoteAddress": capture.remote_address,
        "kind": capture.family,
        "label": capture.label,
        "attempt": capture.attempt,
        "size": capture.size,
        "tooLarge": capture.too_large,
        "answer": capture.status,
        "answerNote": capture.answer_note,
        "note": capture.note,
    } | body_of(capture)


def ndjson(bin: Bin, captures: Iterable[Capture]) -> Iterator[str]:
    """Yields one JSON object per line."""
    for capture in captures:
        yield json.dumps(to_object(capture), ensure_ascii=False) + "\n"


COLUMNS = (
    "number", "at", "method", "path", "query", "kind", "label", "attempt", "size", "answer", "answerNote",
    "remoteAddress", "note", "headers", "body", "bodyBase64",
    "decodedBody", "decodedFrom", "decodingNote", "httpVersion",
)  # fmt: skip


def csv_lines(bin: Bin, captures: Iterable[Capture]) -> Iterator[str]:
    """Yields one line per request. It starts with a byte order mark; otherwise Excel does not read it as UTF-8."""
    yield "\ufeff" + csv_line(COLUMNS)
    for capture in captures:
        row = to_object(capture)
        row["headers"] = "\n".join(f"{name}: {value}" for name, value in capture.headers)
        yield csv_line([row.get(name, "") for name in COLUMNS])


def har(bin: Bin, captures: Iterable[Capture]) -> Iterator[str]:
    """Yields an HTTP Archive 1.2, which the network tools of browsers and many others open."""
    creator = json.dumps({"name": "Chat API", "version": settings.VERSION})
    comment = json.dumps(NOT_SHOWN, ensure_ascii=False)
    yield f'{{"log":{{"version":"1.2","creator":{creator},"comment":{comment},"entries":['
    for index, capture in enumerate(captures):
        capture.bin = bin
        yield ("," if index else "") + json.dumps(har_entry(capture), ensure_ascii=False)
    yield "]}}\n"


def har_entry(capture: Capture) -> dict[str, Any]:
    body = body_of(capture)
    request: dict[str, Any] = {
        "method": capture.method,
        "url": copy_as.full_url(capture),
        "httpVersion": f"HTTP/{capture.http_version or '1.1'}",
        "cookies": [],
        "headers": name_value_pairs(capture.headers),
        "queryString": name_value_pairs(parse_qsl(capture.query, keep_blank_values=True)),
        "headersSize": -1,
        "bodySize": capture.size,
    }
    if capture.body:
        text = body.get("body", body.get("bodyBase64", ""))
        request["postData"] = {"mimeType": content_type(capture), "text": text, "params": []}
        if "bodyBase64" in body:
            request["postData"]["comment"] = "base64"
        if "decodedFrom" in body:  # names of our own begin with "_", as HAR 1.2 asks
            request["postData"]["_decodedText"] = body["decodedBody"]
            request["postData"]["_decodedFrom"] = body["decodedFrom"]
    try:
        phrase = HTTPStatus(capture.status).phrase
    except ValueError:
        phrase = ""
    return {
        "startedDateTime": capture.at.isoformat(),
        "time": 0,
        "request": request,
        "response": {
            "status": capture.status, "statusText": phrase, "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
            "content": {"size": 0, "mimeType": ""}, "redirectURL": "", "headersSize": -1, "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
        "comment": capture.note,
    }  # fmt: skip


def name_value_pairs(values: Iterable[Any]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values]


FORMATS = {
    "ndjson": Format("NDJSON", "ndjson", "application/x-ndjson", ndjson),
    "csv": Format("CSV", "csv", "text/csv; charset=utf-8", csv_lines),
    "har": Format("HAR", "har", "application/json", har),
}


def export(bin: Bin, captures: CaptureQuerySet, format: Format) -> Iterator[str]:
    """Yields the file of these captures, newest first; those that are deleted meanwhile are left out."""
    return format.write(bin, in_chunks(captures))


def in_chunks(captures: CaptureQuerySet) -> Iterator[Capture]:
    """Yields the captures with CHUNK of them in memory. Not by a cursor, which a web process may not keep open."""
    keys = list(captures.values_list("pk", flat=True))
    for start in range(0, len(keys), CHUNK):
        yield from captures.filter(pk__in=keys[start : start + CHUNK])
