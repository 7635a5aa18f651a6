"""Quotes an HTTP request as a command or a few lines of code: curl, HTTPie, Python, JavaScript.

Uses no models. A request whose body is binary or long is quoted with the name of a file that holds the body.
"""

import json
import re
import shlex
from collections.abc import Iterable
from typing import NamedTuple

# Headers that every client sets itself, or that belong to one connection only.
CLIENT_HEADERS = {
    "host", "content-length", "connection", "accept-encoding", "expect", "transfer-encoding", "keep-alive", "upgrade",
}  # fmt: skip
DOT_SEGMENT = re.compile(
    r"/(?:\.|%2e){1,2}(?:[/?]|$)", re.IGNORECASE
)  # curl, HTTPie and browsers resolve these
MAX_INLINE_BODY = 8 * 1024  # bytes of a body that is quoted inline


class QuotedRequest(NamedTuple):
    """A request without the client's own headers. `text` is the body; None: it is read from `file`, if `has_body`."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    has_body: bool
    text: str | None
    file: str = ""


def without_client_headers(headers: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in headers if name.lower() not in CLIENT_HEADERS)


def body_text(body: bytes, limit: int = MAX_INLINE_BODY) -> str | None:
    """Returns the body as text; None if it is not UTF-8, contains a NUL, or is longer than `limit` bytes."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if len(body) > limit or "\x00" in text else text


def join_lines(parts: list[list[str]]) -> str:
    return " \\\n  ".join(shlex.join(part) for part in parts)


def curl(request: QuotedRequest) -> str:
    """Returns a command for a POSIX shell that sends the same method, URL, headers and body.

    curl adds its own User-Agent and Accept if the request has none. `--globoff`: brackets in a URL are no pattern;
    `--path-as-is`: `/../` stays in the path.
    """
    start = ["curl", "-i", "--globoff"]
    if DOT_SEGMENT.search(request.url):
        start.append("--path-as-is")
    if request.method != "HEAD":
        start += ["-X", request.method]
    elif request.has_body:  # -I allows no body, and with -X curl would wait for the body of the response
        start += ["-X", "HEAD", "--max-time", "10"]
    else:
        start.append("-I")
    parts = [[*start, request.url]]
    # `X;` makes curl send a header without a value; `X:` would remove it
    parts += [["-H", f"{name}: {value}" if value else f"{name};"] for name, value in request.headers]
    if request.has_body:
        if not any(name.lower() == "content-type" for name, _ in request.headers):
            parts.append(["-H", "content-type:"])  # otherwise curl sends the type of a form
        inline = request.text is not None
        parts.append(["--data-raw", request.text or ""] if inline else ["--data-binary", f"@{request.file}"])
    return join_lines(parts)


def short_curl(url: str, *, method: str = "", json: object = None, output: str = "") -> str:
    """Returns a command for a POSIX shell that is shorter than that of curl(), to be read and edited.

    `json` is sent as JSON, with POST. `method` is shown as -X; without it, curl chooses GET or POST. `output` is the
    name of a file for the response.
    """
    parts = [["curl", *(["-o", output] if output else []), *(["-X", method] if method else []), url]]
    if json is not None:
        parts += [["-H", "Content-Type: application/json"], ["-d", to_json(json)]]
    return join_lines(parts)


def httpie(request: QuotedRequest) -> str:
    """Returns an HTTPie command. `--ignore-stdin`: without a terminal HTTPie would wait for a body."""
    from_file = request.has_body and request.text is None
    begin = ["http", "--verbose", *([] if from_file else ["--ignore-stdin"])]
    if DOT_SEGMENT.search(request.url):
        begin.append("--path-as-is")
    if request.has_body and not from_file:
        begin += ["--raw", request.text or ""]
    parts = [[*begin, request.method, request.url]]
    parts += [[httpie_header(name, value)] for name, value in request.headers]
    return join_lines(parts) + (f" \\\n  < {shlex.quote(request.file)}" if from_file else "")


def httpie_header(name: str, value: str) -> str:
    """Returns a header as HTTPie reads it: `X:` would remove it, `X:@…` read a file and `X:=…` send a JSON field."""
    if not value:
        return f"{name};"
    return f"{name}:\\{value}" if value[0] in "@=" else f"{name}:{value}"


def python(request: QuotedRequest) -> str:
    """Returns Python code that uses the requests package."""
    pairs = "".join(f"\n        {name!r}: {value!r}," for name, value in request.headers)
    data = ""
    if request.has_body:
        content = f"open({request.file!r}, 'rb')" if request.text is None else repr(request.text.encode())
        data = f"\n    data={content},"
    end = "\n    " if pairs else ""
    return (
        "import requests\n\n"
        f"response = requests.request(\n    {request.method!r},\n    {request.url!r},\n"
        f"    headers={{{pairs}{end}}},{data}\n    timeout=10,\n)\n"
        "print(response.status_code, response.text)"
    )


def javascript(request: QuotedRequest) -> str:
    """Returns code for Node.js 18 and later, whose fetch is the browsers'."""
    body, begin = "", ""
    if request.has_body and request.method not in ("GET", "HEAD"):  # fetch refuses a body with these
        if request.text is not None:
            body = f",\n  body: {to_json(request.text)}"
        else:
            begin = 'import { readFile } from "node:fs/promises";\n\n'
            body = f",\n  body: await readFile({to_json(request.file)})"
    pairs = json.dumps(dict(request.headers), indent=4, ensure_ascii=False).replace("\n}", "\n  }")
    return (
        f"{begin}const response = await fetch({to_json(request.url)}, {{\n  method: {to_json(request.method)},\n"
        f"  headers: {pairs}{body},\n}});\nconsole.log(response.status, await response.text());"
    )


def to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
