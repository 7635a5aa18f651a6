"""The errors of the wire contract, with the exact responses of contract.md §1, table "Errors".

Each sentence that clients compare is here, once.
"""

from typing import Any

from accounts import blocking
from chatapi.ui.error_texts import shorten
from hooks import own_hooks
from instances.models import Instance, StopReason

WRONG_TOKEN = "Wrong token. Please provide token as a GET parameter."
WRONG_UID = "Wrong uid. Please provide the key of your account as uid."
NO_INSTANCE = "Instance not found"
NOT_PAID = "Instance is not paid. Please pay for it in your account."
NOT_AUTHENTICATED = "Status of the account not equals authenticated"
EMPTY_TEXT = "Message was not sent: empty body. Please provide message text in body parameter in JSON POST."
DATABASE_UNAVAILABLE = "The database is not available. Try again in a few seconds."
INTERNAL = "Internal error. It was logged on the server."


class WireError(Exception):
    """Responds with this HTTP status and JSON object instead of a result."""

    def __init__(self, status: int, error: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.body: dict[str, Any] = {"error": shorten(error)}
        self.headers = headers or {}


class CallFailed(Exception):
    """The call was understood but not done: HTTP 200, the method's boolean is false, `message` says why."""


class BadArgument(Exception):
    """An invalid argument: 400 with its name, or as CallFailed if the method has a boolean."""


def instance_stopped(instance: Instance) -> WireError:
    """For an instance that staff stopped, or whose account is blocked. contract.md has no such case."""
    if instance.stop_reason == StopReason.BLOCKED:
        return WireError(403, blocking.blocked_message())
    return WireError(403, f"Instance is stopped. Ask {blocking.support_contact()}.")


def unknown_method(name: str) -> WireError:
    return WireError(404, f"Unknown method {name[:100]}")


def verb_not_allowed(verb: str) -> WireError:
    return WireError(
        405, f"{verb[:20]} is not allowed here; use GET or POST.", {"Allow": "GET, POST, HEAD, OPTIONS"}
    )


def loop_detected(error: str) -> WireError:
    """For a call that is a hook of this site; the sentence is instances/loop_detection.py's."""
    return WireError(own_hooks.STATUS, error)


def too_many_calls(seconds: int) -> WireError:
    return WireError(429, f"Too many calls. Try again in {seconds} seconds.", {"Retry-After": str(seconds)})
