"""What a channel may offer besides base.py: people link an instance to an account by values that they enter.

The values are those of `setup.fields`, such as a bot's token. The product shows the form, checks each value against its
pattern, and calls the three methods in an event loop of their own, without an open transaction (receiving/linking.py):

    check(values, network, saved)         -> Found    before anything is saved: is it an account, and which?
    connect(link, callback_url, network)              after it was saved: has the messenger send events here
    health(link, network)                 -> status   about once a minute: is the link still valid?

A channel that leaves something at the messenger, such as a webhook or a session, also has

    disconnect(link, network)             -> sentence after the link was removed, or replaced by one of another account
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from instances.channels.receiving import Network
from instances.channels.requests import Link
from instances.models import AccountStatus, Instance
from instances.received_events import StatusReported

MAX_VALUE = 2_000  # characters


@dataclass(frozen=True, slots=True)
class LinkField:
    """One value to enter. The saved value of a secret is in Link.credentials, that of another in Link.options."""

    name: str  # the same as in Found.credentials or Found.options, so that it can be kept or shown later
    label: str
    help: str = ""  # where to find it, in one sentence
    is_secret: bool = False
    pattern: str = ""  # a regular expression for the whole value
    mistake: str = ""  # the sentence for a value that does not match, for example what was copied instead
    placeholder: str = ""
    is_required: bool = True
    default: str = ""

    def mistake_of(self, value: str) -> str:
        """Returns what is wrong with the form of this value, as a sentence; "" if nothing is."""
        if not value:
            return f"Enter the {self.label}." if self.is_required and not self.default else ""
        if len(value) > MAX_VALUE:
            return f"The {self.label} has more than {MAX_VALUE:,} characters."
        if not value.isprintable():
            return f"The {self.label} contains a line break or an invisible character."
        if self.pattern and not re.fullmatch(self.pattern, value):
            return self.mistake or f"This does not look like the {self.label}."
        return ""


@dataclass(frozen=True, slots=True)
class LinkSetup:
    """What the pages and the REST API show about linking. All texts are sentences for people."""

    title: str  # the messenger, as people call it
    summary: str  # what is linked, in one or two sentences
    fields: Sequence[LinkField]
    steps: Sequence[str]  # at the messenger, one by one, with what commonly goes wrong
    facts: Sequence[str] = ()  # what it can do, cannot do, costs and forbids
    needs: Sequence[str] = ()  # what one must have before the first step
    # After it was saved, if the person has to enter the callback URL at the messenger; shown beside the URL.
    callback_steps: Sequence[str] = ()

    def field(self, name: str) -> LinkField | None:
        return next((one for one in self.fields if one.name == name), None)

    def complete(self, values: Mapping[str, str]) -> dict[str, str]:
        """Returns a value for each field: the given one without spaces around it, or the default."""
        return {one.name: values.get(one.name, "").strip() or one.default for one in self.fields}

    def mistakes(self, values: Mapping[str, str]) -> dict[str, str]:
        """Returns a sentence for each field whose value has a wrong form, and for each unknown name."""
        names = [one.name for one in self.fields]
        wrong = {one.name: one.mistake_of(values.get(one.name, "").strip()) for one in self.fields}
        unknown = f"Unknown field. The fields are: {', '.join(names)}."
        wrong |= {name: unknown for name in values if name not in names}
        return {name: sentence for name, sentence in wrong.items() if sentence}


@dataclass(frozen=True, slots=True)
class Found:
    """The account that the values belong to, and what is saved.

    `credentials` are encrypted and masked wherever a request is stored; `options` are shown. Besides the fields' values
    both may have more, such as a secret for callbacks that the channel has made up. `options["missing"]` is what the
    account's server lacks, in sentences for people.
    """

    external_id: str  # the account's own id at the messenger; an instance has it alone
    own_chat_id: str  # see instances/chat_ids.py
    name: str  # as people call the account: @shop_bot, +1 555 0100
    credentials: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    # The status once it is connected. A messenger that asks for a QR code next reports AccountStatus.GOT_QR_CODE.
    status: StatusReported = field(default_factory=lambda: StatusReported(AccountStatus.AUTHENTICATED))


class NotLinkable(Exception):
    """The messenger does not accept the values. The text is a sentence for people, without secrets.

    `field` is the name of the value that is wrong, or "".
    """

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence, self.field = sentence, field


NOTHING_SAVED: Mapping[str, str] = MappingProxyType({})  # the options of an instance without a link


@runtime_checkable
class Linkable(Protocol):
    """A channel that needs credentials. The methods make no query and block nothing; ReceiveFailed may pass through."""

    setup: LinkSetup

    async def check(
        self, values: Mapping[str, str], network: Network, saved: Mapping[str, str] = NOTHING_SAVED
    ) -> Found:
        """Ask the messenger about an account; nothing is changed there. The values have the form of their fields.

        `saved` are the options of the instance's link to this messenger, if it has one: its session may be continued.

        Raises:
            NotLinkable: the messenger does not accept them, or lacks a permission; says which value, and what to do.
            ReceiveFailed: the messenger cannot be reached.
        """
        ...

    async def connect(self, link: Link, callback_url: str, network: Network) -> None:
        """Make the messenger send events, for example to the callback URL. May be repeated.

        Raises:
            NotLinkable: the messenger refuses; the values are saved and can be connected again.
            ReceiveFailed: the messenger cannot be reached.
        """
        ...

    async def health(self, link: Link, network: Network) -> StatusReported | None:
        """Returns the account's status at the messenger; None if the messenger does not say.

        Raises:
            LinkLost: the credentials or the session are no longer valid.
            ReceiveFailed: the messenger cannot be reached.
        """
        ...


@runtime_checkable
class Disconnectable(Protocol):
    """A Linkable channel that ends at the messenger what `check` and `connect` have set up there."""

    # A sentence for people: what may still be at the messenger if that failed, and what they can do about it.
    may_remain: str

    async def disconnect(self, link: Link, network: Network) -> str:
        """End it. The link is no longer saved; its account may be linked to another instance, or elsewhere, already.

        Returns what people have to do at the messenger themselves, as a sentence; "" if nothing. If the credentials are
        no longer valid, nothing can be done, and nothing is raised.

        Raises:
            ReceiveFailed: the messenger cannot be reached, or refuses, with its reason.
        """
        ...


@runtime_checkable
class PairsByCode(Protocol):
    """A channel with a QR code that can also be linked by a short code. Called as the methods of base.Channel."""

    def pairing_code(self, instance: Instance, phone: str) -> str:
        """Returns the code that links the phone with this number (digits) if it is entered there. Raises CannotDo."""
        ...

    def confirmation_code(self, instance: Instance) -> str:
        """Returns the code that the phone must show too, while the instance is pairing; "" if there is none."""
        ...
