"""The icons of channels: each channel has one, and lists and pages show it with the channel's name."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from chatapi.ui.templatetags.ui import drawing
from instances.models import Channel, Instance
from instances.pages.channel_icons import channel_icon
from tests.factories import InstanceFactory


def test_each_channel_has_an_icon_of_its_own() -> None:
    icons = [channel_icon(name) for name in Channel.values]
    assert len(set(icons)) == len(icons) and all(map(drawing, icons))
    assert drawing(channel_icon("one of a test"))


@pytest.mark.django_db
def test_the_list_and_the_page_of_an_instance_show_it_beside_the_name(client: Client) -> None:
    instance: Instance = InstanceFactory(channel="telegram", account_status="init")
    client.force_login(instance.owner.owner)
    for url in (reverse("instances:list"), reverse("instances:detail", args=[instance.number])):
        page = client.get(url).content.decode()
        assert drawing("send") in page and "Telegram bot" in page
