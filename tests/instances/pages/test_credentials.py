"""Credentials on pages: viewers see none, and the instance in memory keeps its own."""

import re

import pytest
from django.conf import settings
from django.test import RequestFactory

from instances.models import Instance
from instances.pages.access import Credentials, credentials_of, visible_instance
from tests.factories import InstanceFactory, member_of


@pytest.mark.django_db
def test_hiding_credentials_from_a_viewer_leaves_the_instance_unchanged() -> None:
    stored = InstanceFactory()
    token, secret = stored.token, stored.endpoint.secret
    request = RequestFactory().get("/")
    request.user = member_of(stored.owner, "viewer", "vera@example.org")

    instance = visible_instance(request, stored.number)
    assert credentials_of(instance) == Credentials("", "")
    assert (instance.token, instance.endpoint.secret) == (token, secret)

    instance.save()
    instance.endpoint.save()
    fresh = Instance.objects.get(pk=stored.pk)
    assert (fresh.token, fresh.endpoint.secret) == (token, secret)


@pytest.mark.django_db
def test_the_owner_gets_the_credentials() -> None:
    stored = InstanceFactory()
    request = RequestFactory().get("/")
    request.user = stored.owner.owner

    assert credentials_of(visible_instance(request, stored.number)) == Credentials(
        stored.token, stored.endpoint.secret
    )


def test_templates_read_no_credential_from_a_model() -> None:
    readers = [
        path.name
        for path in (settings.BASE_DIR / "templates").rglob("*.html")
        if re.search(r"\b(instance\.token|endpoint\.(previous_)?secret)\b", path.read_text())
    ]
    assert readers == []
