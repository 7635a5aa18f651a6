"""A captured request as commands and code that send it again; quoted by chatapi/ui/request_snippets.py.

A binary or long body is read from the file that the page's download creates.
"""

from chatapi.ui import request_snippets
from chatapi.ui.request_snippets import QuotedRequest
from testing_tools.verification.models import Capture


def file_name(capture: Capture) -> str:
    """Returns the name of the body's download."""
    return f"capture-{capture.number}.bin"


def full_url(capture: Capture) -> str:
    """Returns the complete URL that the request was sent to."""
    return f"{capture.bin.url}{capture.path}" + (f"?{capture.query}" if capture.query else "")


def quoted(capture: Capture) -> QuotedRequest:
    body = bytes(capture.body)
    return QuotedRequest(
        capture.method,
        full_url(capture),
        request_snippets.without_client_headers(capture.headers),
        has_body=bool(body),
        text=request_snippets.body_text(body),
        file=file_name(capture),
    )


def snippets(capture: Capture) -> list[tuple[str, str]]:
    """Returns [(name of the tool, text to paste), …]."""
    request = quoted(capture)
    return [
        ("curl", request_snippets.curl(request)),
        ("HTTPie", request_snippets.httpie(request)),
        ("Python", request_snippets.python(request)),
        ("JavaScript", request_snippets.javascript(request)),
    ]
