"""Orders: how the sandbox messenger behaves towards an instance, as POST /control sets it.

{"instance": 1234, "latency": 0.1, "rate": {"messages": 80, "seconds": 1}, "revoked": false,
 "faults": [{"kind": "status", "status": 503, "share": 0.1, "retryAfter": 5}, {"kind": "hang", "times": 3}]}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FAULT_KINDS = ("status", "hang", "reset", "garbage")
SCOPES = ("number", "chat", "message")
MAX_SECONDS = 86_400


class BadOrder(Exception):
    """An order is not valid. The text is a sentence for the caller."""


@dataclass(slots=True)
class Fault:
    """What happens to a share of the requests, evenly spread: of 0.25, every fourth.

    If `accepts`, the message has arrived nevertheless, as when a response is lost on its way.
    """

    kind: str
    share: float = 1.0
    status: int = 503
    retry_after: float | None = None  # seconds
    scope: str = "number"  # of a 429
    error: str = ""
    times: int | None = None  # requests; None: until the next order
    accepts: bool = False
    due: float = 0.0  # share of the next request that has added up

    def applies(self) -> bool:
        """Returns whether the present request has this fault, and counts it."""
        if self.times == 0:
            return False
        self.due += self.share
        if self.due < 1 - 1e-9:
            return False
        self.due -= 1
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(slots=True)
class Bucket:
    """A token bucket: `messages` per `seconds`, all of them at once after a quiet time."""

    messages: int
    seconds: float
    tokens: float = -1.0
    filled_at: float = 0.0

    def take(self, now: float) -> float:
        """Take a token; returns 0.0, or the seconds until there is one."""
        rate = self.messages / self.seconds
        if self.tokens < 0:
            self.tokens = float(self.messages)
        else:
            self.tokens = min(self.messages, self.tokens + (now - self.filled_at) * rate)
        self.filled_at = now
        if self.tokens >= 1 - 1e-9:
            self.tokens = max(self.tokens - 1, 0.0)
            return 0.0
        return (1 - self.tokens) / rate


@dataclass(slots=True)
class Order:
    """The behaviour towards one instance, or all. The limits are (messages, seconds)."""

    latency: float = 0.0  # seconds
    faults: list[Fault] = field(default_factory=list)
    rate: tuple[int, float] | None = None  # of each instance
    recipient_rate: tuple[int, float] | None = None  # of each chat
    revoked: bool = False  # 401: the token is not valid


def parse_order(given: Any) -> tuple[int | None, Order]:
    """Returns the instance's number, or None for all, and its order. Raises BadOrder."""
    fields = object_of(
        given,
        "The order",
        {"instance": number_of_instance, "latency": seconds, "rate": rate, "recipientRate": rate,
         "revoked": boolean, "faults": faults},
    )  # fmt: skip
    return fields.get("instance"), Order(
        latency=fields.get("latency") or 0.0,
        faults=fields.get("faults") or [],
        rate=fields.get("rate"),
        recipient_rate=fields.get("recipientRate"),
        revoked=fields.get("revoked") or False,
    )


def object_of(given: Any, what: str, parsers: dict[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    """Returns the parsed fields of a JSON object; null is left out. Raises BadOrder."""
    if not isinstance(given, dict):
        raise BadOrder(f"{what} must be a JSON object.")
    for name in given.keys() - parsers.keys():
        raise BadOrder(f"`{name}` is not one of {', '.join(parsers)}.")
    return {name: parsers[name](name, value) for name, value in given.items() if value is not None}


def faults(name: str, given: Any) -> list[Fault]:
    if not isinstance(given, list):
        raise BadOrder(f"`{name}` must be a list.")
    return [fault(each) for each in given]


def fault(given: Any) -> Fault:
    fields = object_of(
        given,
        "A fault",
        {"kind": one_of(FAULT_KINDS), "share": share, "status": status, "retryAfter": seconds,
         "scope": one_of(SCOPES), "error": text, "times": count, "accepts": boolean},
    )  # fmt: skip
    if "kind" not in fields:
        raise BadOrder("A fault needs a `kind`.")
    if "retryAfter" in fields:
        fields["retry_after"] = fields.pop("retryAfter")
    return Fault(**fields)


def rate(name: str, given: Any) -> tuple[int, float]:
    fields = object_of(given, f"`{name}`", {"messages": count, "seconds": seconds})
    messages, period = fields.get("messages", 0), fields.get("seconds", 1.0)
    if not messages or not period:
        raise BadOrder(f"`{name}` needs `messages` of at least 1, and `seconds` over 0.")
    return messages, period


def one_of(words: tuple[str, ...]) -> Callable[[str, Any], str]:
    def parse(name: str, given: Any) -> str:
        if given not in words:
            raise BadOrder(f"`{name}` must be one of {', '.join(words)}.")
        return str(given)

    return parse


def is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def seconds(name: str, given: Any) -> float:
    if not is_number(given) or not 0 <= given <= MAX_SECONDS:
        raise BadOrder(f"`{name}` must be a number of seconds from 0 to {MAX_SECONDS}.")
    return float(given)


def share(name: str, given: Any) -> float:
    if not is_number(given) or not 0 < given <= 1:
        raise BadOrder(f"`{name}` must be over 0 and at most 1.")
    return float(given)


def status(name: str, given: Any) -> int:
    if type(given) is not int or not 200 <= given <= 599:
        raise BadOrder(f"`{name}` must be a status code from 200 to 599.")
    return given


def count(name: str, given: Any) -> int:
    if type(given) is not int or given < 0:
        raise BadOrder(f"`{name}` must be a whole number.")
    return given


def number_of_instance(name: str, given: Any) -> int:
    return count(name, given)


def boolean(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise BadOrder(f"`{name}` must be true or false.")
    return given


def text(name: str, given: Any) -> str:
    if not isinstance(given, str):
        raise BadOrder(f"`{name}` must be a string.")
    return given
