"""The built-in messenger: every number exists, is online, and has received a message as soon as it is sent."""

from collections.abc import Sequence

from django.conf import settings

from instances.models import Ack, Instance, OutgoingMessage


class SandboxChannel:
    """Nothing leaves this machine."""

    def deliver(self, instance: Instance, outgoing: OutgoingMessage) -> Sequence[Ack]:
        """Sent and delivered at once; "viewed" comes when somebody opens the contact's phone."""
        return (Ack.SENT, Ack.DELIVERED)

    def qr_text(self, instance: Instance) -> str:
        """The instance's own page, where the sandbox phone is linked."""
        return f"{settings.SITE_URL}{instance.get_absolute_url()}"
