"""The status of an instance and its QR code (contract.md §2 and §4)."""

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
from instances.models import AccountStatus, Instance


def current_qr_code(instance: Instance) -> segno.QRCode | None:
    """The QR code that links the phone. None if there is none to scan, for example because it has expired."""
    if instance.is_paid and instance.is_code_outdated:
        expire_code(instance)  # does not wait for the task that runs every minute
    if instance.shown_status != AccountStatus.GOT_QR_CODE or instance.is_expired:
        return None
    try:
        return segno.make(channel_of(instance).qr_text(instance), micro=False)
    except CannotDo:
        return None


@method(
    "status",
    "GET",
    works_unpaid=True,
    arguments=(
        flag("full", "also return statusData: the status in words and the buttons that apply", lenient=True),
        flag("no_wakeup", "do not start an instance that is in `init`", lenient=True),
    ),
)
def status(instance: Instance, *, full: bool, no_wakeup: bool) -> dict[str, Any]:
    """Returns the status, and the QR code if there is one to scan."""
    is_idle = instance.account_status == AccountStatus.INIT and not instance.is_stopped
    if is_idle and instance.is_paid and not no_wakeup:
        wake(instance)
    reply: dict[str, Any] = {"accountStatus": instance.shown_status}
    code = current_qr_code(instance)
    if code is not None:
        reply["qrCode"] = code.png_data_uri(scale=6)
    if full:
        reply["statusData"] = status_data(instance)
    return reply


@method("qr_code", "GET")
def qr_code(instance: Instance) -> HttpResponse:
    """Returns the QR code as a PNG image."""
    return qr_code_response(instance, "There is no QR code to scan now.")


def qr_code_response(instance: Instance, not_found: str) -> HttpResponse:
    """The QR code as a PNG. Raises WireError 404 with the sentence `not_found` if there is none."""
    code = current_qr_code(instance)
    if code is None:
        raise WireError(404, not_found)
    png = io.BytesIO()
    code.save(png, kind="png", scale=6)
    return HttpResponse(png.getvalue(), content_type="image/png", headers={"Cache-Control": "no-store"})


@method("screenshot", "GET")
def screenshot(instance: Instance) -> HttpResponse:
    """Returns the messenger's screen as a PNG image: the QR code, if one is shown. No channel has another screen."""
    return qr_code_response(
        instance, "There is no screenshot: this messenger has no screen, and there is no QR code to scan."
    )
