"""Adds the test channels to a process of the product."""

from django.apps import AppConfig


class WithChannels(AppConfig):
    name = "tests.instances.receiving.with_channels"
    label = "with_channels"

    def ready(self) -> None:
        from instances.channels import CHANNELS
        from tests.instances.receiving.all_channels import TEST_CHANNELS

        CHANNELS.update(TEST_CHANNELS)
