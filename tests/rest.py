"""The demo instance of a running product, over REST."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests.product import Product


class Rest:
    """The demo instance, over REST."""

    def __init__(self, product: Product) -> None:
        self.demo = product.demo
        [self.instance] = self.demo["instances"]
        self.home = f"{product.url}/api/v1/instances/{self.instance['id']}/"
        self.hooks = f"{product.url}/api/v1/hooks/"
        self.api_url = f"{product.url}/instance{self.instance['id']}/"

    def quiet(self) -> None:
        """Removes the webhook URL, turns all flags off, and cancels the unfinished hooks of earlier tests."""
        flags = (
            "guaranteedHooks",
            "ackNotificationsOn",
            "statusNotificationsOn",
            "chatUpdateOn",
            "parallelHooks",
            "strictOrder",
        )
        self.call("PATCH", self.home, json={"webhookUrl": None} | dict.fromkeys(flags, False))
        waiting = {"instance": self.instance["id"], "state": ["queued", "sending", "retrying"]}
        until = time.monotonic() + 60
        while (found := self.call("GET", self.hooks, params=waiting)["results"]) and time.monotonic() < until:
            for hook in found:
                headers = {"Authorization": f"Bearer {self.demo['uid']}"}
                # a hook that is being sent cannot be cancelled; it has finished by the next poll
                requests.post(f"{self.hooks}{hook['id']}/cancel/", headers=headers, timeout=60)
            time.sleep(0.05)

    def call(self, method: str, url: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.demo['uid']}"}
        answer = requests.request(method, url, headers=headers, timeout=60, **options)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def hello(self, body: str = "hello", *, sender: str = "17680561234") -> Any:
        message = {"from": sender, "name": "Ann", "type": "chat", "body": body}
        return self.call("POST", f"{self.home}sandbox/messages/", json=message)

    def log(self, message_id: str) -> Any:
        """Returns the hooks of a message, newest first, once all of them have finished."""
        until = time.monotonic() + 60
        while True:
            found = self.call("GET", self.hooks, params={"message": message_id})["results"]
            if all(hook["finishedAt"] for hook in found) or time.monotonic() > until:
                return found
            time.sleep(0.05)
