"""alice has an account with a key and an authenticated instance, and so has bob."""

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
class Caller:
    """Somebody who calls the REST API; each call returns (status, JSON, or None where the answer is empty)."""

    account: Account
    key: str
    instance: Instance

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> tuple[int, Any]:
        answer = Client().generic(
            method,
            f"/api/v1/{path}",
            json.dumps(data) if data is not None else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.key}", **headers},
        )
        return answer.status_code, answer.json() if answer.content else None

    def get(self, path: str) -> tuple[int, Any]:
        return self.call("GET", path)

    def post(self, path: str, data: Any) -> tuple[int, Any]:
        return self.call("POST", path, data)

    def patch(self, path: str, data: Any) -> tuple[int, Any]:
        return self.call("PATCH", path, data)

    @property
    def home(self) -> str:
        """Where this caller's instance is."""
        return f"instances/{self.instance.number}/"


def somebody(name: str) -> Caller:
    account = sign_up(f"{name}@example.org", "a-password-of-theirs")
    key = issue_key(account, acting_user=None)[1]
    instance = link_sandbox(create_instance(account, name=f"{name}'s"))
    return Caller(account, key, instance)


@pytest.fixture
def alice(db: None) -> Caller:
    return somebody("alice")


@pytest.fixture
def bob(db: None) -> Caller:
    return somebody("bob")
