"""An instance of a running product that is linked to an account, over REST and the wire contract, as users link it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests

from tests.messengers.service import Account
from tests.product import Product

SECONDS = 120.0


class LinkedInstance:
    """`token`, and the URLs: `home` in REST, `contract` without a slash at its end."""

    def __init__(self, product: Product, channel: str, account: Account, **settings: Any) -> None:
        """`settings` are those of the instance, such as webhookUrl."""
        self.headers = {"Authorization": f"Bearer {product.demo['uid']}"}
        instances = f"{product.url}/api/v1/instances/"
        made = self.rest("POST", instances, {"name": f"Shop on {channel}", "channel": channel})
        self.id, self.token = str(made["id"]), str(made["token"])
        self.home, self.contract = f"{instances}{self.id}/", f"{product.url}/instance{self.id}"
        self.settings = self.rest("PATCH", self.home, settings)
        self.account = account
        self.link()

    def link(self) -> None:
        """Link it with the account's present values."""
        linked = self.rest("PUT", f"{self.home}link/", {"values": dict(self.account.link_values)})
        # The product may have another public URL; its tests reach it here.
        path = urlsplit(linked["callbackUrl"] or "").path
        origin = self.home.partition("/api/")[0]
        self.account.is_linked(f"{origin}{path}")

    def rest(self, method: str, url: str, body: Any = None) -> Any:
        response = requests.request(method, url, json=body, headers=self.headers, timeout=SECONDS)
        assert response.ok, response.text
        return response.json()

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the wire contract. Raises requests.RequestException if there is no response of JSON."""
        url = f"{self.contract}/{method}?token={self.token}"
        response = requests.post(url, json=arguments, timeout=SECONDS)
        return response.json()
