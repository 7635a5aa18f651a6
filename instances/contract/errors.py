"""What goes wrong in the wire contract, with the exact answers of contract.md section 1, table "Errors".

Every sentence that clients compare stands here, once.
"""

from typing import Any

WRONG_TOKEN = "Wrong token. Please provide token as a GET parameter."
NO_INSTANCE = "Instance not found"
NOT_PAID = "Instance is not paid. Please pay for it in your account."
NOT_AUTHENTICATED = "Status of the account not equals authenticated"
EMPTY_TEXT = "Message was not sent: empty body. Please provide message text in body parameter in JSON POST."
INTERNAL = "Internal error. It was written to the log of the server."


class WireError(Exception):
    """An answer instead of a result: HTTP status, and the JSON object as it is sent."""

    def __init__(self, status: int, error: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.body: dict[str, Any] = {"error": error}
        self.headers = headers or {}


class Refused(Exception):
    """The call was understood and not carried out: HTTP 200, the method's boolean false, `message` says why."""


class BadArgument(Exception):
    """An argument that a method does not take: 400 with its name, or Refused where the method has a boolean."""


def unknown_method(name: str) -> WireError:
    return WireError(404, f"Unknown method {name[:100]}")


def verb_not_allowed(verb: str) -> WireError:
    return WireError(
        405, f"{verb} is not allowed here; use GET or POST.", {"Allow": "GET, POST, HEAD, OPTIONS"}
    )


def too_many_calls(seconds: int) -> WireError:
    return WireError(429, f"Too many calls. Try again in {seconds} seconds.", {"Retry-After": str(seconds)})
