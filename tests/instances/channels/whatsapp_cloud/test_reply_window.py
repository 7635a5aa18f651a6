"""A chat's page says until when WhatsApp takes any message, and that only templates are taken afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from instances.actions.messages import receive_message
from instances.models import Channel, Instance
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db
ANN = "17680561234@c.us"


@pytest.mark.parametrize(
    ("hours", "shown"),
    [(1, "that ends <time"), (25, "takes only message templates."), (23.9, "that ends <time")],
)
def test_the_page_of_a_chat_shows_the_window(hours: float, shown: str) -> None:
    instance: Instance = InstanceFactory(channel=Channel.WHATSAPP_CLOUD, url="https://example.com/hook")
    written = timezone.now() - timedelta(hours=hours)
    receive_message(instance, sender=ANN, body="hi", time=written, key="wamid.1")
    client = Client()
    client.force_login(instance.owner.owner)
    page = client.get(f"/instances/{instance.number}/messages/{ANN}/").content.decode()
    assert " ".join(shown.split()) in " ".join(page.split())


def test_the_sandbox_has_no_window() -> None:
    instance: Instance = InstanceFactory(url="https://example.com/hook")
    receive_message(instance, sender=ANN, body="hi")
    client = Client()
    client.force_login(instance.owner.owner)
    page = client.get(f"/instances/{instance.number}/messages/{ANN}/").content.decode()
    assert "reply-window" not in page
