"""Accounts of alice and bob, each with a key and an authenticated instance."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from accounts.actions.keys import issue_key
from accounts.actions.users import sign_up
from accounts.models import Account
from instances.actions.lifecycle import create_instance, link_sandbox
from instances.models import Instance


@dataclass
class ApiClient:
    """Calls the REST API with an account's key. Each call returns (status code, JSON); None for an empty response."""

    account: Account
    key: str
    instance: Instance

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> tuple[int, Any]:
        response = Client().generic(
            method,
            f"/api/v1/{path}",
            json.dumps(data) if data is not None else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}", **headers},
        )
        return response.status_code, response.json() if response.content else None

    def get(self, path: str) -> tuple[int, Any]:
        return self.call("GET", path)

    def post(self, path: str, data: Any) -> tuple[int, Any]:
        return self.call("POST", path, data)

    def patch(self, path: str, data: Any) -> tuple[int, Any]:
        return self.call("PATCH", path, data)

    @property
    def home(self) -> str:
        """The path of this account's instance."""
        return f"instances/{self.instance.number}/"


def create_account(name: str) -> ApiClient:
    """Creates an account with a key and an authenticated instance."""
    account = sign_up(f"{name}@example.org", password="a-password-of-theirs")
    key = issue_key(account, acting_user=None)[1]
    instance = link_sandbox(create_instance(account, name=f"{name}'s"))
    return ApiClient(account, key, instance)


@pytest.fixture
def alice(db: None) -> ApiClient:
    return create_account("alice")


@pytest.fixture
def bob(db: None) -> ApiClient:
    return create_account("bob")
