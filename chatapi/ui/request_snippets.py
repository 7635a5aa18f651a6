"""Quotes an HTTP request as a command or a few lines of code: curl, HTTPie, Python, JavaScript.

A client that sends a request to a bin chooses its method, headers and body, and a user pastes them into a terminal. So
no part of the request is read as an option, a file name, an expression or a key press. Instead of a command that would
change the request, there is a comment with the reason.

Uses no models. A request whose body is binary or long is quoted with the name of a file that holds the body.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

# Headers that every client sets itself, or that belong to one connection only.
CLIENT_HEADERS = {
    "host", "content-length", "connection", "accept-encoding", "expect", "transfer-encoding", "keep-alive", "upgrade",
}  # fmt: skip
DOT_SEGMENT = re.compile(
    r"/(?:\.|%2e){1,2}(?:[/?]|$)", re.IGNORECASE
)  # curl, HTTPie and browsers resolve these
# curl writes these escapes in upper case, escapes these characters, and sends no fragment.
CHANGED_BY_CURL = re.compile(r"%(?:[a-f]|[0-9A-F][a-f])|[^\x21-\x7e]|#")
# Without --path-as-is, HTTPie unescapes these: letters, digits and -._~
CHANGED_BY_HTTPIE = re.compile(r"%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f|7e)", re.IGNORECASE)
WITH_LENGTH = ("POST", "PUT", "PATCH")  # methods that have a Content-Length also without a body
# a method, or the name of a header (RFC 9110, section 5.6.2)
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NO_VALUE = re.compile(r"[\0\r\n]")  # not in a header's value
# Key presses to a terminal: ESC ends its protection of pasted text, ^C the quotes; CR is Enter.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What HTTPie sends as it is, in a path and in a query. It escapes other characters.
HTTPIE_TARGET = re.compile(
    r"(?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*(?:\?(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})+)?", re.ASCII
)
# HTTPie removes a backslash before these, and has no way to write it.
HTTPIE_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[:;=@]")
# Node.js sends other methods with `Transfer-Encoding: chunked` if they have no length.
NODE_WITHOUT_BODY = ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT")
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
    return " \\\n  ".join(" ".join(map(shell_quote, part)) for part in parts)


def shell_quote(text: str) -> str:
    """Returns a word for a POSIX shell. Control characters are written as escapes of printf, see CONTROL."""
    if not CONTROL.search(text):
        return shlex.quote(text)
    parts = re.split(f"({CONTROL.pattern})", text)
    return "".join(
        (f"\"$(printf '{octal(part)}')\"" if CONTROL.fullmatch(part) else shlex.quote(part))
        for part in parts
        if part
    )


def octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode())


def is_valid(request: QuotedRequest) -> bool:
    """Returns whether the method and the headers are what HTTP allows; the web server accepts no others."""
    return TOKEN.fullmatch(request.method) is not None and all(
        TOKEN.fullmatch(name) and not NO_VALUE.search(value) for name, value in request.headers
    )


def cannot(tool: str, reason: str, *, comment: str = "#") -> str:
    """Returns a comment in place of a command. `reason` must not contain parts of the request."""
    return f"{comment} {tool} cannot send this request: {reason}. Copy it for another tool."


INVALID = "its method or a header is not valid HTTP"


def curl(request: QuotedRequest) -> str:
    """Returns a command for a POSIX shell that sends the same method, URL, headers and body.

    curl adds its own User-Agent and Accept if the request has none. `--globoff`: brackets in a URL are no pattern;
    `--path-as-is`: `/../` stays in the path. `--request-target`: escapes stay as they are.
    """
    if not is_valid(request):
        return cannot("curl", INVALID)
    start = ["curl", "-i", "--globoff"]
    if CHANGED_BY_CURL.search(request.url):
        start += ["--request-target", url_parts(request.url)[2]]
    if DOT_SEGMENT.search(request.url):
        start.append("--path-as-is")
    if request.method != "HEAD":
        start += ["-X", request.method]
    elif request.has_body:  # -I allows no body, and with -X curl would wait for the body of the response
        start += ["-X", "HEAD", "--max-time", "10"]
    else:
        start.append("-I")
    parts = [[*start, *(["--url"] if request.url.startswith("-") else []), request.url]]
    # `X;` makes curl send a header without a value; `X:` would remove it
    parts += [["-H", f"{name}: {value}" if value else f"{name};"] for name, value in request.headers]
    if request.has_body:
        if not any(name.lower() == "content-type" for name, _ in request.headers):
            parts.append(["-H", "content-type:"])  # otherwise curl sends the type of a form
        inline = request.text is not None
        parts.append(["--data-raw", request.text or ""] if inline else ["--data-binary", f"@{request.file}"])
    return join_lines(parts)


def short_curl(
    url: str,
    *,
    method: str = "",
    json: object = None,
    output: str = "",
    headers: Mapping[str, str] | None = None,
) -> str:
    """Returns a command for a POSIX shell that is shorter than that of curl(), to be read and edited.

    `json` is sent as JSON, with POST. `method` is shown as -X; without it, curl chooses GET or POST. `output` is the
    name of a file for the response.
    """
    globoff = ["--globoff"] if re.search(r"[\[\]{}]", url) else []
    parts = [
        ["curl", *globoff, *(["-o", output] if output else []), *(["-X", method] if method else []), url]
    ]
    parts += [["-H", f"{name}: {value}"] for name, value in (headers or {}).items()]
    if json is not None:
        parts += [["-H", "Content-Type: application/json"], ["-d", to_json(json)]]
    return join_lines(parts)


def httpie(request: QuotedRequest) -> str:
    """Returns an HTTPie command, or a comment if HTTPie would change the request.

    `--ignore-stdin`: without a terminal HTTPie would wait for a body. `--`: a header's name that begins with "-" is no
    option; `-o:file` would write the response into a file.

    `--path-as-is` keeps `/../` and escapes of letters in the path. Without an option, HTTPie unescapes letters in the
    query, writes escapes in upper case, escapes `{` and sends no fragment (measured with 3.2.4).
    """
    if reason := httpie_problem(request):
        return cannot("HTTPie", reason)
    from_file = request.has_body and request.text is None
    begin = ["http", "--verbose", *([] if from_file else ["--ignore-stdin"])]
    if DOT_SEGMENT.search(request.url) or CHANGED_BY_HTTPIE.search(request.url):
        begin.append("--path-as-is")
    if request.has_body and not from_file:
        begin.append(f"--raw={request.text or ''}")
    parts = [[*begin, "--", request.method, request.url]]
    parts += [[httpie_header(name, value)] for name, value in request.headers]
    if request.has_body and not any(name.lower() == "content-type" for name, _ in request.headers):
        parts.append(["content-type:"])  # otherwise HTTPie sends JSON's
    return join_lines(parts) + (f" \\\n  < {shlex.quote(request.file)}" if from_file else "")


def httpie_problem(request: QuotedRequest) -> str:
    """Returns why HTTPie would change the request; empty if it sends it as it is."""
    if not is_valid(request):
        return INVALID
    if not re.fullmatch("[A-Z]+", request.method):
        return "it takes methods of the letters A to Z only"
    target = url_parts(request.url)[2]
    if not HTTPIE_TARGET.fullmatch(target) or CHANGED_BY_HTTPIE.search(target.partition("?")[2]):
        return "it would escape characters of the URL"
    if any(HTTPIE_ESCAPE.search(value) for _, value in request.headers):
        return "it would remove a backslash from a header"
    return ""


def httpie_header(name: str, value: str) -> str:
    """Returns a header as HTTPie reads it: `X:` would remove it, `X:@…` read a file and `X:=…` send a JSON field."""
    if not value:
        return f"{name};"
    return f"{name}:\\{value}" if value[0] in "@=" else f"{name}:{value}"


def python(request: QuotedRequest) -> str:
    """Returns Python code that uses the standard library: the requests package changes paths and joins headers."""
    if not is_valid(request):
        return cannot("Python", INVALID)
    scheme, host, target = url_parts(request.url)
    lines = [
        "import http.client",
        "",
        f"connection = http.client.HTTP{'S' if scheme == 'https' else ''}Connection({host!r}, timeout=10)",
        f"connection.putrequest({request.method!r}, {ascii_target(target)!r}, skip_accept_encoding=True)",
        *(f"connection.putheader({name!r}, {python_value(value)})" for name, value in request.headers),
    ]
    if request.has_body:
        content = (
            f"open({request.file!r}, 'rb').read()" if request.text is None else repr(request.text.encode())
        )
        lines += [
            f"body = {content}",
            "connection.putheader('Content-Length', str(len(body)))",
            "connection.endheaders(body)",
        ]
    else:
        if request.method in WITH_LENGTH:
            lines.append("connection.putheader('Content-Length', '0')")
        lines.append("connection.endheaders()")
    lines += [
        "response = connection.getresponse()",
        "print(response.status, response.read().decode(errors='replace'))",
    ]
    return "\n".join(lines)


def python_value(value: str) -> str:
    """Returns the literal of a header's value; http.client would send text as Latin-1."""
    return repr(value) if value.isascii() else f"{value!r}.encode()"


def javascript(request: QuotedRequest) -> str:
    """Returns code for Node.js 18 and later. Its fetch changes paths, joins headers and sends no body with GET."""
    if not is_valid(request):
        return cannot("Node.js", INVALID, comment="//")
    if request.method != request.method.upper():
        return cannot("Node.js", "it sends methods in capital letters only", comment="//")
    if any(re.search(r"[\x01-\x08\x0b-\x1f\x7f]", value) for _, value in request.headers):
        return cannot("Node.js", "it refuses control characters in headers", comment="//")
    scheme, host, target = url_parts(request.url)
    body, imports = "", ""
    pairs = [("Host", to_json(host)), *((name, javascript_value(value)) for name, value in request.headers)]
    if request.has_body:
        if request.text is not None:
            body = f"const body = Buffer.from({to_json(request.text)});\n"
        else:
            imports = 'import { readFile } from "node:fs/promises";\n'
            body = f"const body = await readFile({to_json(request.file)});\n"
        pairs.append(("Content-Length", "String(body.length)"))
    elif request.method not in NODE_WITHOUT_BODY:
        pairs.append(("Content-Length", '"0"'))
    headers = "".join(f"\n    {to_json(name)}, {value}," for name, value in pairs)
    return (
        f'{imports}import {{ request }} from "node:{scheme}";\nimport {{ text }} from "node:stream/consumers";\n\n'
        f"{body}const outgoing = request({to_json(f'{scheme}://{host}')}, {{\n  method: {to_json(request.method)},\n"
        f"  path: {javascript_value(target)},\n  headers: [{headers}\n  ],\n}});\n"
        "const response = await new Promise((resolve, reject) => {\n"
        f'  outgoing.on("response", resolve).on("error", reject).end({"body" if body else ""});\n}});\n'
        "console.log(response.statusCode, await text(response));"
    )


def javascript_value(value: str) -> str:
    """Returns the literal of a header's value or path; Node.js sends each character as one byte."""
    return to_json(value) if value.isascii() else f'Buffer.from({to_json(value)}).toString("latin1")'


def url_parts(url: str) -> tuple[str, str, str]:
    """Returns the scheme, the host with its port, and the target: path and query, unchanged."""
    scheme, _, rest = url.partition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    target = rest[len(host) :]
    return scheme.lower(), host, target if target.startswith("/") else f"/{target}"


def ascii_target(target: str) -> str:
    return re.sub(r"[^\x21-\x7e]", lambda found: quote(found[0]), target)


def to_json(value: object) -> str:
    """Returns JSON with readable letters; control characters and line separators are escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub(r"[\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
