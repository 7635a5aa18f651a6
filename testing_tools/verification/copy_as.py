"""A captured request as a line of curl or HTTPie, or as a few lines of Python or JavaScript, to be made again.

A body that is no text, or a long one, is read from the file that the page's download makes.
"""

import json
import shlex

from testing_tools.verification.models import Capture

# what each client makes itself, and what was only about that one connection
OWN = {
    "host", "content-length", "connection", "accept-encoding", "expect", "transfer-encoding", "keep-alive", "upgrade",
}  # fmt: skip
LONGEST = 8 * 1024  # bytes of a body that stands in the line itself


def file_name(capture: Capture) -> str:
    """The name of the body's download."""
    return f"capture-{capture.number}.bin"


def address(capture: Capture) -> str:
    """Where it was sent to, whole."""
    return f"{capture.bin.url}{capture.path}" + (f"?{capture.query}" if capture.query else "")


def headers(capture: Capture) -> list[tuple[str, str]]:
    return [(name, value) for name, value in capture.headers if name.lower() not in OWN]


def text_of(capture: Capture, longest: int = LONGEST) -> str | None:
    """The body as text; None where it is none, or longer."""
    body = bytes(capture.body)
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return None if len(body) > longest or "\x00" in text else text


def snippets(capture: Capture) -> list[tuple[str, str]]:
    """[(name of the tool, what to paste), …]"""
    return [
        ("curl", curl(capture)),
        ("HTTPie", httpie(capture)),
        ("Python", python(capture)),
        ("JavaScript", javascript(capture)),
    ]


def lines(parts: list[list[str]]) -> str:
    return " \\\n  ".join(shlex.join(part) for part in parts)


def curl(capture: Capture) -> str:
    """For a POSIX shell. `--globoff`: brackets in an address are no pattern."""
    method = ["-I"] if capture.method == "HEAD" else ["-X", capture.method]
    parts = [["curl", "-i", "--globoff", *method, address(capture)]]
    given = headers(capture)
    parts += [["-H", f"{name}: {value}"] for name, value in given]
    text = text_of(capture)
    if capture.body:
        if not any(name == "content-type" for name, _ in given):
            parts.append(["-H", "content-type:"])  # curl would say it is a form
        parts.append(
            ["--data-raw", text] if text is not None else ["--data-binary", f"@{file_name(capture)}"]
        )
    return lines(parts)


def httpie(capture: Capture) -> str:
    """`--ignore-stdin`, for it would wait for a body where it is not typed by hand."""
    text = text_of(capture)
    from_file = bool(capture.body) and text is None
    begin = ["http", "--verbose", *([] if from_file else ["--ignore-stdin"])]
    if capture.body and not from_file:
        begin += ["--raw", text or ""]
    parts = [[*begin, capture.method, address(capture)]]
    parts += [[f"{name}:{value}"] for name, value in headers(capture)]
    return lines(parts) + (f" \\\n  < {shlex.quote(file_name(capture))}" if from_file else "")


def python(capture: Capture) -> str:
    """With the requests package."""
    text = text_of(capture)
    pairs = "".join(f"\n        {name!r}: {value!r}," for name, value in headers(capture))
    data = ""
    if capture.body:
        data = f"\n    data={text.encode()!r}," if text is not None else (
            f"\n    data=open({file_name(capture)!r}, 'rb'),"
        )  # fmt: skip
    return (
        "import requests\n\n"
        f"answer = requests.request(\n    {capture.method!r},\n    {address(capture)!r},\n"
        f"    headers={{{pairs}{chr(10) + '    ' if pairs else ''}}},{data}\n    timeout=10,\n)\n"
        "print(answer.status_code, answer.text)"
    )


def javascript(capture: Capture) -> str:
    """For Node.js 18 and later, whose fetch is the browsers'."""
    text = text_of(capture)
    body, begin = "", ""
    if capture.body and capture.method not in ("GET", "HEAD"):  # fetch refuses a body there
        if text is not None:
            body = f",\n  body: {script(text)}"
        else:
            begin = 'import { readFile } from "node:fs/promises";\n\n'
            body = f",\n  body: await readFile({script(file_name(capture))})"
    pairs = json.dumps(dict(headers(capture)), indent=4, ensure_ascii=False).replace("\n}", "\n  }")
    return (
        f"{begin}const answer = await fetch({script(address(capture))}, {{\n  method: {script(capture.method)},\n"
        f"  headers: {pairs}{body},\n}});\nconsole.log(answer.status, await answer.text());"
    )


def script(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
