"""The product's settings with the test channels, for processes that a test starts."""

from chatapi.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.instances.receiving.with_channels.apps.WithChannels"]  # noqa: F405
