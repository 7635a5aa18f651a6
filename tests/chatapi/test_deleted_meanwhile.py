"""A page whose object is deleted between the view's look and the action's lock is 404, not an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client

from instances.models import Instance
from testing_tools.models import Bin
from testing_tools.verification.actions.bins import open_bin
from tests.factories import InstanceFactory, create_issue

pytestmark = pytest.mark.django_db


@contextmanager
def deleted_before_its_lock(row: Model) -> Iterator[None]:
    """Deletes the row as another session could: before the statement that locks it."""
    table = type(row)._meta.db_table
    is_deleted = False

    def delete_first(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        nonlocal is_deleted
        if not is_deleted and "FOR " in sql and "UPDATE" in sql and f'FROM "{table}"' in sql:
            is_deleted = True
            row.delete()
        return execute(sql, *arguments)

    with connection.execute_wrapper(delete_first):
        yield
    assert is_deleted


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(url="https://shop.example.com/hook")


@pytest.fixture
def alice(instance: Instance) -> Client:
    client = Client()
    client.force_login(instance.owner.owner)
    return client


def test_an_issue(alice: Client, instance: Instance) -> None:
    issue = create_issue(instance.endpoint)
    with deleted_before_its_lock(issue):
        response = alice.post(f"/issues/{issue.public_id}/acknowledge/", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert "Page not found" in response.text


def test_a_bin(alice: Client, instance: Instance) -> None:
    bin = open_bin(instance)
    with deleted_before_its_lock(bin):
        response = alice.post(
            f"/testing/bins/{bin.key}/response/", {"preset": "fail"}, headers={"HX-Request": "true"}
        )
    assert response.status_code == 404
    assert not Bin.objects.filter(pk=bin.pk).exists()
