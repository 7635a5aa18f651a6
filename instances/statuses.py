"""An instance's status in words for people, and which buttons apply now (contract.md, section 4)."""

from __future__ import annotations

from typing import NamedTuple

from instances.models import NOT_PAID, AccountStatus, Instance, Substatus


class Words(NamedTuple):
    """`buttons` are of "link" (scan with the sandbox phone) and "log_out"; `cursor` changes when anything does."""

    title: str
    sentence: str
    extra: str
    buttons: tuple[str, ...]
    cursor: str


# What an authenticated instance's substatus means, and what to do about it.
SUBSTATUSES = {
    Substatus.NORMAL: ("Connected", "Messages go in and out.", "Keep the phone connected to the internet."),
    Substatus.PHONE: (
        "The phone is not connected",
        "Messages wait until the phone is back on the internet.",
        "Check the phone's connection and that its battery is not empty.",
    ),
    Substatus.COMPUTER: ("Trying to reach the phone", "This takes a few seconds as a rule.", ""),
    Substatus.OFFLINE: (
        "This server is not connected",
        "The messenger can't be reached from here, so nothing goes in or out.",
        "Nothing on your phone has to be changed.",
    ),
    Substatus.SYNCING: ("Synchronising", "The phone hands over its messages; new ones come right after.", ""),
    Substatus.LOADING: ("Loading", "The messenger is starting.", ""),
    Substatus.EXPIRED: ("The session has expired", "Nothing goes in or out.", "Log out and scan a new code."),
    Substatus.OPENING: ("Opening", "The messenger is starting.", ""),
    Substatus.PAIRING: ("Pairing", "The phone and the messenger are agreeing on keys.", ""),
    Substatus.TIMEOUT: ("The phone did not answer", "The messenger tries again by itself.", ""),
}
BATTERY = (
    "The phone's battery is low",
    "Messages still go in and out, until the phone switches off.",
    "Charge the phone.",
)


def describe(instance: Instance) -> Words:
    """Title, sentence and one thing to know or to do; no query."""
    status = instance.shown_status
    buttons: tuple[str, ...] = ()
    if status == NOT_PAID:
        said = (
            "Not paid",
            "Nothing is sent, received or simulated. Settings, messages and the log are kept.",
            "Ask whoever runs this site to record a payment; the instance goes on by itself.",
        )
    elif status == AccountStatus.INIT:
        said = ("Starting", "The messenger is being started; a code to scan comes next.", "")
    elif status == AccountStatus.LOADING and instance.substatus == Substatus.SYNCING:
        said = SUBSTATUSES[Substatus(instance.substatus)]
    elif status == AccountStatus.LOADING:
        said = ("Loading", "The code was scanned; the messenger is connecting.", "")
    elif status == AccountStatus.GOT_QR_CODE:
        buttons = ("link",)
        expired = instance.substatus == Substatus.EXPIRED
        said = (
            (
                "The code has expired",
                "It lived for a minute and nobody scanned it; nothing goes in or out.",
                "The sandbox phone takes a new one by itself: one click scans it.",
            )
            if expired
            else (
                "Not linked yet",
                "The code waits to be scanned; until then nothing goes in or out.",
                "The sandbox has a phone of its own: one click scans the code with it.",
            )
        )
    else:
        buttons = ("log_out",)
        said = BATTERY if "battery" in instance.substatus else SUBSTATUSES[Substatus(instance.substatus)]
    cursor = f"{status}-{instance.substatus}-{instance.status_changed_at.timestamp():.6f}".replace(" ", "-")
    return Words(*said, buttons, cursor)
