"""What goes wrong in the wire contract, with the exact answers of contract.md section 1, table "Errors".

Every sentence that clients compare stands here, once.
"""

from typing import Any

from accounts import blocking
from instances.models import Instance, StopReason

WRONG_TOKEN = "Wrong token. Please provide token as a GET parameter."
WRONG_UID = "Wrong uid. Please provide the key of your account as uid."
NO_INSTANCE = "Instance not found"
NOT_PAID = "Instance is not paid. Please pay for it in your account."
NOT_AUTHENTICATED = "Status of the account not equals authenticated"
EMPTY_TEXT = "Message was not sent: empty body. Please provide message text in body parameter in JSON POST."
AWAY = "The database does not answer. Try again in a few seconds."
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


def stopped(instance: Instance) -> WireError:
    """Of an instance that staff has stopped, by itself or with its account; contract.md has no such case."""
    if instance.stop_reason == StopReason.BLOCKED:
        return WireError(403, blocking.blocked_message())
    return WireError(403, f"Instance is stopped. Ask {blocking.support_contact()}.")


def unknown_method(name: str) -> WireError:
    return WireError(404, f"Unknown method {name[:100]}")


def verb_not_allowed(verb: str) -> WireError:
    return WireError(
        405, f"{verb} is not allowed here; use GET or POST.", {"Allow": "GET, POST, HEAD, OPTIONS"}
    )


def too_many_calls(seconds: int) -> WireError:
    return WireError(429, f"Too many calls. Try again in {seconds} seconds.", {"Retry-After": str(seconds)})
