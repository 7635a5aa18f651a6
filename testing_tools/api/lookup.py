"""Finds the bin and the capture of a call. An account's key opens its own bins only."""

import re
from typing import Any

from rest_framework import exceptions
from rest_framework.request import Request

from testing_tools.verification.models import Bin, BinQuerySet, Capture

KEY = re.compile(r"[a-z0-9]{8}")
CAPTURE_ID = re.compile(r"[A-Za-z0-9_-]{1,22}")


def own_bins(request: Request) -> BinQuerySet:
    """Returns the bins of the account and of its instances, each with its instance's endpoint."""
    return Bin.objects.of_account(request.auth).select_related("instance__endpoint")


def get_bin(request: Request, key: str) -> Bin:
    """Returns the account's bin with this key. Raises NotFound."""
    found = own_bins(request).filter(key=key).first() if KEY.fullmatch(key) else None
    if found is None:
        raise exceptions.NotFound(f"Your account has no bin {key}.")
    return found


def get_capture(bin: Bin, public_id: str) -> Capture:
    """Returns the bin's capture with this id, with its bin. Raises NotFound."""
    found = None
    if CAPTURE_ID.fullmatch(public_id):
        found = Capture.objects.kept(bin).filter(public_id=public_id).first()
    if found is None:
        raise exceptions.NotFound(
            f"Bin {bin.key} has no capture {public_id}. Captures that were dropped or deleted cannot be read."
        )
    found.bin = bin
    return found


def validate(serializer: Any) -> dict[str, Any]:
    """Returns the valid values. Raises ValidationError."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
