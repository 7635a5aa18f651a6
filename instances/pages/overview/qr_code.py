"""The QR code as a page shows it: inline SVG, with the time left."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import segno
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from instances.actions.status import expire_code
from instances.channels import channel_of
from instances.channels.base import Can, CannotDo
from instances.channels.linking import PairsByCode
from instances.models import QR_CODE_LIFETIME, AccountStatus, Instance, Substatus

EXPIRED_TEXT = "This code has expired"  # of the blurred picture: the messenger has no code any more


class Code(NamedTuple):
    """`svg` is the picture. A stale code can no longer be scanned; it is shown blurred, with a button to replace it."""

    svg: SafeString
    until: datetime
    is_stale: bool

    @property
    def left(self) -> str:
        """The time left, in the format that app.js counts down: "0:34"."""
        seconds = max(0, int((self.until - timezone.now()).total_seconds()))
        return f"{seconds // 60}:{seconds % 60:02}"


def shown_code(instance: Instance) -> Code | None:
    """The code to scan; None if there is none, and for a messenger that is linked another way.

    A code older than its minute is marked as expired here, as the wire contract's `status` does.
    """
    if instance.is_stopped or instance.shown_status != AccountStatus.GOT_QR_CODE:
        return None
    if instance.is_code_outdated:
        expire_code(instance)
    channel = channel_of(instance)
    if Can.SCAN in channel.cannot:
        return None
    try:
        text = EXPIRED_TEXT if instance.is_expired else channel.qr_text(instance)
    except CannotDo:
        return None
    picture = segno.make(text, micro=False).svg_inline(border=2, omitsize=True, svgclass="qr-code")
    return Code(
        mark_safe(picture),  # segno draws only squares
        instance.status_changed_at + QR_CODE_LIFETIME,
        instance.is_expired,
    )


def shown_confirmation(instance: Instance) -> str:
    """The code that the phone must show too; empty while the instance is not pairing."""
    channel = channel_of(instance)
    is_pairing = instance.shown_status == AccountStatus.LOADING and instance.substatus == Substatus.PAIRING
    return channel.confirmation_code(instance) if is_pairing and isinstance(channel, PairsByCode) else ""
