"""The linked account and its profile; whether a phone number has an account (contract.md §2)."""

import ipaddress
import socket
from dataclasses import replace
from functools import cache
from typing import Any

from django.conf import settings

from instances.actions.profile import change_profile
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.contract.arguments import phone, text
from instances.contract.errors import NOT_AUTHENTICATED, CallFailed, WireError
from instances.contract.registry import method
from instances.models import Instance

NAME_LENGTH = 100  # characters
STATUS_LENGTH = 200


@method("me", "GET")
def me(instance: Instance) -> dict[str, Any]:
    """Returns the linked account and its phone."""
    return {
        "id": instance.own_chat_id,
        "battery": str(instance.battery),
        "locale": "en",
        "name": instance.profile_name or str(instance),
        "wa_version": instance.channel,
        "device": {
            "os_version": "1.0",
            "manufacturer": "Chat API",
            "model": f"{instance.get_channel_display()} phone",
        },
    }


@method("outputIP", "GET")
def output_ip(instance: Instance) -> dict[str, Any]:
    """Returns the IP address from which this instance connects to the messenger."""
    return {"address": proxy_address(instance.proxy) or settings.OUTPUT_IP or outgoing_address()}


def proxy_address(proxy: str) -> str:
    """`ip` of `ip:port`. An IPv6 address is in brackets."""
    return proxy.rpartition(":")[0].strip("[]")


@cache
def outgoing_address() -> str:
    """The address of this machine's route to the internet. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # reserved for documentation (RFC 5737)
            return str(ipaddress.ip_address(probe.getsockname()[0]))
        except OSError:
            return "127.0.0.1"


@method(
    "setName",
    "POST",
    failure_key="success",
    arguments=(
        replace(
            text("name", "the name that contacts see", default="", max_length=NAME_LENGTH),
            aliases=("pushname",),
        ),
    ),
)
def set_name(instance: Instance, *, name: str) -> dict[str, Any]:
    """Changes the name that contacts see."""
    require_authenticated(instance)
    if not name.strip():
        raise CallFailed("`name` must not be empty.")
    change_profile(instance, name=name.strip())
    return {"success": True, "name": instance.profile_name, "pushname": instance.profile_name}


@method(
    "setStatus",
    "POST",
    failure_key="success",
    arguments=(
        text("status", "the text below the name; empty: none", default=None, max_length=STATUS_LENGTH),
    ),
)
def set_status(instance: Instance, *, status: str | None) -> dict[str, Any]:
    """Changes the text that contacts see below the name."""
    require_authenticated(instance)
    if status is None:
        raise CallFailed("`status` is required: the text that contacts see below the name.")
    change_profile(instance, status=status)
    return {"success": True, "status": instance.profile_status}


def require_authenticated(instance: Instance) -> None:
    if not instance.is_authenticated:
        raise CallFailed(NOT_AUTHENTICATED)


@method("checkPhone", "GET", arguments=(phone("phone"),))
def check_phone(instance: Instance, *, phone: str) -> dict[str, Any]:
    """Returns whether this number uses the messenger."""
    if not instance.is_authenticated:
        return {"error": NOT_AUTHENTICATED}
    try:
        exists = channel_of(instance).has_account(instance, phone)
    except CannotDo as error:
        raise WireError(400, str(error)) from None
    return {"result": "exists" if exists else "not exists"}
