"""Who the linked account is, what it shows of itself, and whether a number has one too (contract.md, section 2)."""

import ipaddress
import socket
from functools import cache
from typing import Any

from django.conf import settings

from instances.actions.profile import change_profile
from instances.channels import channel_of
from instances.channels.base import CannotDo
from instances.contract.arguments import phone, text
from instances.contract.errors import NOT_AUTHENTICATED, Refused, WireError
from instances.contract.registry import method
from instances.models import Instance

NAME_LENGTH = 100  # characters
STATUS_LENGTH = 200


@method("me", "GET")
def me(instance: Instance) -> dict[str, Any]:
    """The account that is linked, and its phone."""
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
    """The address from which the messenger sees this instance come."""
    return {"address": address_of_proxy(instance.proxy) or settings.OUTPUT_IP or way_out()}


def address_of_proxy(proxy: str) -> str:
    """`ip` of `ip:port`; an IPv6 address stands in brackets there."""
    return proxy.rpartition(":")[0].strip("[]")


@cache
def way_out() -> str:
    """The machine's address on the way to the internet. Connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that is nobody's (RFC 5737)
            return str(ipaddress.ip_address(probe.getsockname()[0]))
        except OSError:
            return "127.0.0.1"


@method(
    "setName",
    "POST",
    refusal="success",
    arguments=(text("name", "the name that contacts see", default="", most=NAME_LENGTH),),
)
def set_name(instance: Instance, *, name: str) -> dict[str, Any]:
    """Changes the name that contacts see."""
    must_be_linked(instance)
    if not name.strip():
        raise Refused("name is empty: it takes the name that contacts are to see.")
    change_profile(instance, name=name.strip())
    return {"success": True, "name": instance.profile_name}


@method(
    "setStatus",
    "POST",
    refusal="success",
    arguments=(text("status", "the line below the name; empty: none", default=None, most=STATUS_LENGTH),),
)
def set_status(instance: Instance, *, status: str | None) -> dict[str, Any]:
    """Changes the line that contacts see below the name."""
    must_be_linked(instance)
    if status is None:
        raise Refused("status is missing: it takes the line that contacts are to see below the name.")
    change_profile(instance, status=status)
    return {"success": True, "status": instance.profile_status}


def must_be_linked(instance: Instance) -> None:
    if not instance.is_authenticated:
        raise Refused(NOT_AUTHENTICATED)


@method("checkPhone", "GET", arguments=(phone("phone"),))
def check_phone(instance: Instance, *, phone: str) -> dict[str, Any]:
    """Whether somebody with this number uses the messenger."""
    if not instance.is_authenticated:
        return {"error": NOT_AUTHENTICATED}
    try:
        exists = channel_of(instance).has_account(instance, phone)
    except CannotDo as error:
        raise WireError(400, str(error)) from None
    return {"result": "exists" if exists else "not exists"}
