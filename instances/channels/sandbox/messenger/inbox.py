"""What has arrived at the sandbox messenger, per instance: messages by chat, in order; files, deletions and repeats."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Answer:
    """The response to a request that was accepted; a repeat of its idempotency key gets the same."""

    status: int
    body: bytes


@dataclass(slots=True)
class InFlight:
    """How many requests are being answered now, and the most there were at once."""

    now: int = 0
    most: int = 0
    of_chat: Counter[str] = field(default_factory=Counter)
    most_of_chat: int = 0

    def begin(self, chat_id: str) -> Callable[[], None]:
        """Count a request, and return the function that ends it."""
        self.now += 1
        self.most = max(self.most, self.now)
        self.of_chat[chat_id] += 1
        self.most_of_chat = max(self.most_of_chat, self.of_chat[chat_id])

        def end() -> None:
            self.now -= 1
            self.of_chat[chat_id] -= 1

        return end


@dataclass(slots=True)
class Account:
    """What one instance has sent."""

    chats: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)  # by idempotency key
    arrivals: Counter[str] = field(default_factory=Counter)  # accepted requests by idempotency key
    statuses: Counter[int] = field(default_factory=Counter)  # of the responses; 0: a hang, a reset or garbage
    in_flight: InFlight = field(default_factory=InFlight)

    def accept(self, key: str, build: Callable[[], Answer]) -> Answer:
        """Returns the answer of this key; `build` makes it, and keeps the content, the first time."""
        self.arrivals[key] += 1
        answer = self.answers.get(key)
        if answer is None:
            answer = self.answers[key] = build()
        return answer

    @property
    def message_count(self) -> int:
        return sum(map(len, self.chats.values()))

    @property
    def repeats(self) -> dict[str, int]:
        """Idempotency key → how often it arrived, of those that arrived more than once."""
        return {key: times for key, times in self.arrivals.items() if times > 1}

    def totals(self) -> dict[str, Any]:
        return {
            "messages": self.message_count,
            "repeats": sum(self.repeats.values()) - len(self.repeats),
            "files": len(self.files),
            "deleted": len(self.deleted),
            "statuses": {str(status): times for status, times in sorted(self.statuses.items())},
            "mostInFlight": self.in_flight.most,
            "mostInFlightOfAChat": self.in_flight.most_of_chat,
        }

    def content(self) -> dict[str, Any]:
        return {
            **self.totals(),
            "chats": self.chats,
            "files": self.files,
            "deleted": self.deleted,
            "repeats": self.repeats,
        }
