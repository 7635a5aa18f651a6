"""The reader's credentials for the API: URL and token of their instance, masked on the page, complete when copied."""

from typing import NamedTuple

from django.conf import settings

from instances.models import Instance
from instances.pages.access import credentials_of

MASK = "••••••••"
NO_TOKEN = "YOUR_TOKEN"
NO_KEY = "YOUR_ACCOUNT_KEY"
NO_SECRET = "YOUR_SIGNING_SECRET"


class ShownCredentials(NamedTuple):
    """`token` and `secret` are empty for viewers and for users who are not signed in: they see placeholders."""

    number: int
    api_url: str
    token: str
    secret: str

    @property
    def shown_token(self) -> str:
        return MASK if self.token else NO_TOKEN

    @property
    def copied_token(self) -> str:
        return self.token or NO_TOKEN

    @property
    def shown_secret(self) -> str:
        return MASK if self.secret else NO_SECRET

    @property
    def copied_secret(self) -> str:
        return self.secret or NO_SECRET


def credentials_to_show(instance: Instance | None) -> ShownCredentials:
    """Returns the credentials of the chosen instance, or placeholders if none is chosen."""
    if instance is None:
        return ShownCredentials(12345, f"{settings.SITE_URL}/instance12345/", "", "")
    return ShownCredentials(instance.number, instance.api_url, *credentials_of(instance))
