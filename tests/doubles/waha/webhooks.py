"""Sends the events of a session to its webhooks: signed, and again after a pause, while later ones are sent."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import itertools
import json
import threading
import time
from queue import PriorityQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.doubles.waha.state import Session

SECOND = 0.05  # s that a second of a webhook's `delaySeconds` takes here
STOP_SECONDS = 30.0  # for a request that is under way
MAX_PAUSE = 10.0  # s
# At WAHA, a webhook with 15 attempts may be away for nine hours; with the pauses here, it could be for a minute only.
MORE_ATTEMPTS = 10


def sign(body: bytes, key: str) -> str:
    """Returns the value of X-Webhook-Hmac."""
    return hmac.new(key.encode(), body, hashlib.sha512).hexdigest()


class Deliverer:
    """Of one session; its thread runs from the first event on. `stop` ends it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # when, a number that keeps the order, how often it was tried, event, webhook
        self.waiting: PriorityQueue[tuple[float, int, int, Any, Any]] = PriorityQueue()
        self.numbers = itertools.count()
        self.is_stopping = False
        self.thread: threading.Thread | None = None
        self.delivered: list[dict[str, Any]] = []
        self.lost: list[dict[str, Any]] = []  # after the last attempt

    def add(self, event: dict[str, Any]) -> None:
        for webhook in self.session.config.get("webhooks", []):
            if event["event"] in webhook["events"] or "*" in webhook["events"]:
                self.waiting.put((0.0, next(self.numbers), 0, event, webhook))
        if self.thread is None and not self.is_stopping and not self.waiting.empty():
            self.thread = threading.Thread(
                target=self.run, daemon=True, name=f"webhooks of {self.session.name}"
            )
            self.thread.start()

    def stop(self) -> None:
        self.is_stopping = True
        self.waiting.put((0.0, next(self.numbers), 0, None, None))  # wakes the thread
        if self.thread is not None:
            self.thread.join(STOP_SECONDS)

    def run(self) -> None:
        while True:
            due, number, tried, event, webhook = self.waiting.get()
            if self.is_stopping:
                return
            if due > time.monotonic():
                self.waiting.put((due, number, tried, event, webhook))
                time.sleep(0.005)
                continue
            if self.post(webhook, event):
                self.delivered.append(event)
                continue
            retries = webhook.get("retries") or {}
            if tried + 1 >= retries.get("attempts", 15) * MORE_ATTEMPTS:
                self.lost.append(event)
                continue
            pause = retries.get("delaySeconds", 2) * SECOND
            if retries.get("policy") == "exponential":
                pause *= 2**tried
            again = time.monotonic() + min(pause, MAX_PAUSE)
            self.waiting.put((again, number, tried + 1, event, webhook))

    def post(self, webhook: dict[str, Any], event: dict[str, Any]) -> bool:
        """Returns whether the response is a 2xx."""
        url = urlsplit(webhook["url"])
        body, headers = self.signed(webhook, event)
        connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=30)
        try:
            connection.request("POST", url.path, body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return 200 <= response.status < 300

    @staticmethod
    def signed(webhook: dict[str, Any], event: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
        """Returns the bytes of an event and its headers."""
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "WAHA/2026.9.1",
            "X-Webhook-Request-Id": event["id"],
            "X-Webhook-Timestamp": str(event["timestamp"]),
        }
        for header in webhook.get("customHeaders") or []:
            headers[header["name"]] = header["value"]
        if key := (webhook.get("hmac") or {}).get("key"):
            headers |= {"X-Webhook-Hmac": sign(body, key), "X-Webhook-Hmac-Algorithm": "sha512"}
        return body, headers
