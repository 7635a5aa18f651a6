"""The status of an instance and its QR code (contract.md, sections 2 and 4)."""

import io
from typing import Any

import segno
from django.http import HttpResponse

from instances.actions.status import expire_code, wake
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.contract.arguments import flag
from instances.contract.errors import WireError
from instances.contract.instance.status_data import status_data
from instances.contract.registry import method
from instances.models import AccountStatus, Instance, Substatus


def qr_code_of(instance: Instance) -> segno.QRCode | None:
    """The code by which the phone is linked; None when there is nothing to scan, such as one that is over."""
    if instance.is_paid and instance.code_is_over:
        expire_code(instance)  # now, and not when the task of the next minute comes by
    if instance.shown_status != AccountStatus.GOT_QR_CODE or instance.substatus == Substatus.EXPIRED:
        return None
    try:
        return segno.make(channel_of(instance).qr_text(instance), micro=False)
    except CannotDo:
        return None


@method(
    "status",
    "GET",
    unpaid=True,
    arguments=(
        flag("full", "also statusData: the status in words, and which buttons apply"),
        flag("no_wakeup", "leave an instance in `init` asleep"),
    ),
)
def status(instance: Instance, *, full: bool, no_wakeup: bool) -> dict[str, Any]:
    """The status, with the QR code when there is one to scan."""
    asleep = instance.account_status == AccountStatus.INIT and not instance.is_stopped
    if asleep and instance.is_paid and not no_wakeup:
        wake(instance)
    answer: dict[str, Any] = {"accountStatus": instance.shown_status}
    code = qr_code_of(instance)
    if code is not None:
        answer["qrCode"] = code.png_data_uri(scale=6)
    if full:
        answer["statusData"] = status_data(instance)
    return answer


@method("qr_code", "GET")
def qr_code(instance: Instance) -> HttpResponse:
    """The QR code as a PNG."""
    return picture(instance, "There is no QR code to scan now.")


def picture(instance: Instance, refusal: str) -> HttpResponse:
    """Raises WireError 404 with the refusal where there is no code to show."""
    code = qr_code_of(instance)
    if code is None:
        raise WireError(404, refusal)
    png = io.BytesIO()
    code.save(png, kind="png", scale=6)
    return HttpResponse(png.getvalue(), content_type="image/png", headers={"Cache-Control": "no-store"})


@method("screenshot", "GET")
def screenshot(instance: Instance) -> HttpResponse:
    """What the messenger shows, as a PNG: the QR code while there is one. No channel has another screen."""
    return picture(
        instance, "There is no picture: this messenger runs without a screen, and no QR code waits."
    )
