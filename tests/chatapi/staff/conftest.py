"""Alice, her instance, and charlie of the staff in one group or another."""

from collections.abc import Callable
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import User
from instances.models import Instance
from tests.factories import AccountFactory, InstanceFactory, UserFactory


@pytest.fixture
def instance(db: None) -> Instance:
    owner = AccountFactory(email="alice@example.org")
    return InstanceFactory(owner=owner, number=12345, name="Shop", url="https://example.com/hook")


@pytest.fixture
def of_group(db: None) -> Callable[[str], Client]:
    """The client of a staff member in this group, `client.person`."""

    def make(group: str) -> Client:
        person = UserFactory(email=f"{group}@example.org", is_staff=True)
        person.groups.add(Group.objects.get(name=group))
        client = Client()
        client.force_login(person)
        client.person = person  # type: ignore[attr-defined]
        return client

    return make


@pytest.fixture
def charlie(db: None) -> User:
    return UserFactory(email="charlie@example.org", is_staff=True, is_superuser=True)


@pytest.fixture
def staff(charlie: User) -> Client:
    client = Client()
    client.force_login(charlie)
    return client


@pytest.fixture
def alice(instance: Instance) -> Client:
    client = Client()
    client.force_login(instance.owner.owner)
    return client


@pytest.fixture(autouse=True)
def groups_of_staff(db: None) -> None:
    """The groups that a migration created: a test that ends by deleting all rows deletes them too."""
    if Group.objects.exists():
        return
    for name, function in (
        ("0001_groups_of_staff", "make"),
        ("0002_staff_set_quotas", "grant"),
        ("0003_staff_resend_hooks", "grant"),
    ):
        getattr(import_module(f"chatapi.migrations.{name}"), function)(apps, None)
