"""The instance pages of a viewer: everything is visible except secrets, and nothing can be changed."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.actions.keys import issue_key
from instances.models import Instance
from tests.factories import InstanceFactory, member_of

pytestmark = pytest.mark.django_db
NOTE = "This page is read-only."


@pytest.fixture
def instance() -> Instance:
    return InstanceFactory(url="https://example.com/hook")


def as_member(instance: Instance, role: str) -> Client:
    client = Client()
    client.force_login(member_of(instance.owner, role))
    return client


@pytest.mark.parametrize(
    "name", ["testing:simulation", "testing:verification", "testing:sending", "log:list"]
)
def test_every_page_of_the_instance_says_that_it_is_read_only(instance: Instance, name: str) -> None:
    address = f"{reverse(name)}?instance={instance.number}"

    page = as_member(instance, "viewer").get(address).content.decode()
    assert NOTE in page
    assert "data-read-only" in page
    assert NOTE not in as_member(instance, "manager").get(address).content.decode()


def test_a_viewer_gets_neither_token_nor_secret(instance: Instance) -> None:
    secrets = [instance.token, instance.endpoint.secret]
    shown = {
        role: [
            secret in as_member(instance, role).get(instance.get_absolute_url()).content.decode()
            for secret in secrets
        ]
        for role in ("viewer", "manager")
    }

    assert shown == {"viewer": [False, False], "manager": [True, True]}


def test_a_change_by_a_viewer_is_refused_with_the_reason(instance: Instance) -> None:
    client = as_member(instance, "viewer")
    address = reverse("instances:address", args=[instance.number])

    page = client.post(address, {"url": "https://example.org/other"})
    part = client.post(address, {"url": "https://example.org/other"}, headers={"HX-Request": "true"})

    sentence = "You can view this instance but not change it: you are a viewer in its account."
    assert (page.status_code, part.status_code) == (403, 403)
    assert sentence in page.content.decode()
    assert part.content.decode().startswith(sentence)
    instance.endpoint.refresh_from_db()
    assert instance.endpoint.url == "https://example.com/hook"


def test_only_the_owner_can_delete(instance: Instance) -> None:
    client = as_member(instance, "manager")

    response = client.post(reverse("instances:delete", args=[instance.number]), {"number": instance.number})

    assert response.status_code == 403
    assert "Only the owner of the account can do this." in response.content.decode()
    assert Instance.objects.filter(pk=instance.pk).exists()


def test_the_key_of_a_member_authenticates_only_their_own_account(instance: Instance) -> None:
    manager = member_of(instance.owner, "manager")
    _, key = issue_key(manager.account, acting_user=manager)

    response = Client(headers={"Authorization": f"Bearer {key}"}).get("/api/v1/instances/")

    assert response.json()["results"] == []
