"""An instance's status in words for people, and which buttons apply now (contract.md, section 4)."""

from __future__ import annotations

from typing import NamedTuple

from django.utils.text import capfirst

from accounts.blocking import support_contact
from instances.channels import channel_of
from instances.channels.base import Button, Can
from instances.contract.instance import status_data
from instances.models import (
    NOT_PAID,
    AccountStatus,
    Channel,
    Instance,
    LoadingReason,
    StopReason,
    Substatus,
)

LINK = "link"  # the one button that is no method of the wire contract: the sandbox phone scans the code


class PageButton(NamedTuple):
    """`name` is a Button's, or LINK; `confirm`: a question to confirm first, or empty."""

    name: str
    label: str
    icon: str
    is_main: bool = False
    confirm: str = ""


BUTTONS = {
    LINK: PageButton(LINK, "Scan with the sandbox phone", "qrcode", True),
    Button.EXPIRY: PageButton("expiry", "Get a new code", "qrcode", True),
    Button.TAKEOVER: PageButton("takeover", "Use it here", "device-desktop", True),
    Button.RETRY: PageButton("retry", "Try again", "repeat", True),
    Button.REBOOT: PageButton(
        "reboot",
        "Reboot",
        "refresh",
        confirm="Restart the messenger? Messages wait for a few seconds; nothing is lost.",
    ),
    Button.LOGOUT: PageButton(
        "logout",
        "Log out",
        "logout",
        confirm="Log the phone out? No messages are sent or received until a code is scanned again.",
    ),
}


class Words(NamedTuple):
    """`buttons` are those that apply now; `cursor` changes when anything does."""

    title: str
    sentence: str
    extra: str
    buttons: tuple[PageButton, ...]
    cursor: str


# What an authenticated instance's substatus means, and what to do about it.
SUBSTATUSES = {
    Substatus.NORMAL: (
        "Connected",
        "Messages are sent and received.",
        "Keep the phone connected to the internet.",
    ),
    Substatus.PHONE: (
        "The phone is not connected",
        "Messages wait until the phone is back on the internet.",
        "Check the phone's connection and that its battery is not empty.",
    ),
    Substatus.COMPUTER: ("Trying to reach the phone", "This takes a few seconds as a rule.", ""),
    Substatus.OFFLINE: (
        "This server is not connected",
        "The messenger can't be reached from here. No messages are sent or received.",
        "Nothing on your phone has to be changed.",
    ),
    Substatus.SYNCING: ("Synchronising", "The phone hands over its messages; new ones come right after.", ""),
    Substatus.LOADING: ("Loading", "The messenger is starting.", ""),
    Substatus.EXPIRED: (
        "The session has expired",
        "No messages are sent or received.",
        "Log out and scan a new code.",
    ),
    Substatus.OPENING: ("Opening", "The messenger is starting.", ""),
    Substatus.PAIRING: ("Pairing", "The phone and the messenger are agreeing on keys.", ""),
    Substatus.TIMEOUT: ("The phone did not respond", "The messenger retries automatically.", ""),
}
# Those that say more of a loading instance than the reason does.
LOADING_SUBSTATUSES = (Substatus.PAIRING, Substatus.TIMEOUT)
# Why it is loading.
REASONS = {
    LoadingReason.CONNECTING: ("Loading", "The code was scanned; the messenger is connecting.", ""),
    LoadingReason.SYNCING: SUBSTATUSES[Substatus.SYNCING],
    LoadingReason.OFFLINE: SUBSTATUSES[Substatus.OFFLINE],
    LoadingReason.PROXYBLOCK: (
        "The proxy lets nothing through",
        "The messenger can't be reached through this instance's proxy. No messages are sent or received.",
        "Check the proxy under “More settings”, or leave it empty.",
    ),
    LoadingReason.CONFLICT: (
        "Open in another browser",
        "The account was opened elsewhere, and the messenger serves one place at a time.",
        "Use it here ends the session over there.",
    ),
}
BATTERY = (
    "The phone's battery is low",
    "Messages are sent and received until the phone switches off.",
    "Charge the phone.",
)


def describe(instance: Instance) -> Words:
    """Title, sentence and one thing to know or to do; no query."""
    status = instance.shown_status
    if instance.is_stopped:
        why = (
            "Its account is blocked."
            if instance.stop_reason == StopReason.BLOCKED
            else "Staff has stopped it."
        )
        said = (
            "Stopped",
            f"{why} Messages and hooks stay in their queues; nothing is lost.",
            f"Ask {support_contact()} to start it again.",
        )
    elif status == NOT_PAID:
        said = (
            "Trial ended" if instance.is_trial else "Not paid",
            f"{capfirst(instance.why_unpaid)}: messages, hooks and simulations are stopped.",
            "Ask the administrator of this site to record a payment. Settings, messages and the log are kept.",
        )
    elif status == AccountStatus.INIT and instance.is_unlinked:
        said = (
            "Not linked",
            "No messages are sent or received. Messages that you send wait in the queue.",
            "Link the account to continue.",
        )
    elif status == AccountStatus.INIT:
        said = ("Starting", "The messenger is being started; a code to scan comes next.", "")
    elif status == AccountStatus.LOADING and instance.substatus in LOADING_SUBSTATUSES:
        said = SUBSTATUSES[Substatus(instance.substatus)]
    elif status == AccountStatus.LOADING:
        said = REASONS[LoadingReason(instance.shown_loading_reason)]
    elif status == AccountStatus.GOT_QR_CODE:
        said = (
            (
                "The code has expired",
                "It was not scanned within a minute. No messages are sent or received.",
                "Get a new code to link the phone.",
            )
            if instance.is_expired
            else (
                "Not linked yet",
                "Scan the code to link the phone. Until then, no messages are sent or received.",
                "",
            )
        )
    elif instance.substatus == Substatus.NORMAL and Can.SCAN in channel_of(instance).cannot:
        said = ("Connected", "Messages are sent and received.", "")
    else:
        said = BATTERY if "battery" in instance.substatus else SUBSTATUSES[Substatus(instance.substatus)]
    stopped = "stopped-" if instance.is_stopped else ""
    changed = f"{instance.status_changed_at.timestamp():.6f}"
    cursor = f"{stopped}{status}-{instance.substatus}-{changed}".replace(" ", "-")
    return Words(*said, buttons_of(instance), cursor)


def buttons_of(instance: Instance) -> tuple[PageButton, ...]:
    """Those of the wire contract's statusData that apply now; Reboot if there is a session to restart.

    A button that the messenger has no function for is left out.
    """
    if instance.is_stopped or not instance.is_paid:
        return ()
    applying = {name for name in status_data.applicable_buttons(instance) if name in BUTTONS}
    if instance.account_status != AccountStatus.GOT_QR_CODE:
        applying.add(Button.REBOOT)
    elif instance.channel == Channel.SANDBOX:
        applying.add(LINK)
    applying -= channel_of(instance).cannot.keys()
    return tuple(button for name, button in BUTTONS.items() if name in applying)
