"""Delivers the updates of a bot to its webhook: in order, with the secret header, again and again until a 2xx."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from tests.doubles.telegram.state import Bot, State

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0  # s; Telegram's are up to 120
SECONDS = 30.0


class Deliverer(threading.Thread):
    """Of one bot. `reach` says where an origin is on this machine: a stand-in for its TLS proxy."""

    def __init__(self, state: State, bot: Bot, reach: dict[str, str]) -> None:
        super().__init__(daemon=True, name=f"webhook of {bot.user.username}")
        self.state, self.bot, self.reach = state, bot, reach
        self.delivered: list[dict[str, Any]] = []

    def run(self) -> None:
        failures = 0
        while not self.state.is_stopping:
            with self.state.lock:
                hook = self.bot.webhook
                if hook is None or not self.bot.updates or self.bot.is_revoked:
                    failures = 0
                    self.bot.changed.wait(1.0 if hook else None)
                    continue
                update, generation = self.bot.updates[0], self.bot.webhook_generation
            error = self.post(hook.url, hook.secret, update)
            with self.state.lock:
                if generation != self.bot.webhook_generation:
                    continue  # it was set again, and this update is delivered again
                if not error:
                    failures = 0
                    self.delivered.append(update)
                    if self.bot.updates and self.bot.updates[0] is update:
                        self.bot.updates.popleft()
                    continue
                hook.last_error_date, hook.last_error_message = int(time.time()), error
                failures += 1
                if failures > 1:  # the first retry is immediate
                    self.bot.changed.wait(min(FIRST_PAUSE * 2 ** (failures - 2), MAX_PAUSE))

    def post(self, url: str, secret: str, update: dict[str, Any]) -> str:
        """Returns why it was not delivered; "" if it was."""
        try:
            status = post_update(self.reach, url, secret, update)
        except (OSError, http.client.HTTPException) as error:
            return f"Connection failed: {error}"
        if 200 <= status < 300:
            return ""
        phrase = http.client.responses.get(status, "")
        return f"Wrong response from the webhook: {status} {phrase}"


def post_update(reach: dict[str, str], url: str, secret: str, update: dict[str, Any]) -> int:
    """Returns the status of the webhook's response to an update."""
    parts = urlsplit(url)
    target = urlsplit(reach.get(f"{parts.scheme}://{parts.netloc}", ""))
    if not target.hostname:
        raise OSError("Connection refused")
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=SECONDS)
    headers = {"Content-Type": "application/json", "Host": parts.netloc, "X-Forwarded-Proto": "https"}
    if secret:
        headers[SECRET_HEADER] = secret
    try:
        connection.request(
            "POST",
            parts.path,
            json.dumps(update, ensure_ascii=False, separators=(",", ":")).encode(),
            headers,
        )
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
