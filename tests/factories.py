"""Creates users, accounts, instances and hooks for tests, with the actions of the product where it has them.

By convention, alice owns what the test is about, bob has no access to it, and charlie is staff.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import factory
from django.db import connection
from django.utils import timezone

from accounts.actions import members
from accounts.actions.users import sign_up
from accounts.models import Account, User
from hooks.actions.endpoints import configure
from hooks.log import statistics
from hooks.models import Endpoint, Hook, Issue, Outcome, State
from instances.actions.lifecycle import create_instance
from instances.models import (
    AccountStatus,
    Instance,
    Message,
    OutgoingMessage,
    OutgoingQueue,
    SendingTry,
    SendState,
    TryResult,
)


class Users(factory.django.DjangoModelFactory):
    """A user with their account, as sign-up creates them; the password is "password"."""

    class Meta:
        model = User

    email = factory.Sequence(lambda n: f"person{n}@example.org")
    password = "password"

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> User:
        password = fields.pop("password")
        rights = {name: fields.pop(name) for name in ("is_staff", "is_superuser") if name in fields}
        owner = sign_up(fields.pop("email"), password=password, **fields).owner
        if rights:
            User.objects.filter(pk=owner.pk).update(**rights)
            owner.refresh_from_db()
        return owner


class Accounts(factory.Factory):
    """An account and its owner: `AccountFactory(email="alice@example.org")`."""

    class Meta:
        model = Account

    email = factory.Sequence(lambda n: f"owner{n}@example.org")

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Account:
        return UserFactory(**fields).account


class Instances(factory.Factory):
    """A paid, authenticated sandbox instance.

    `url`, `guaranteed`, `parallel` and `strict` are its endpoint's; with `paid=False`, `paid_until` is a second ago;
    every other keyword is a field of Instance.
    """

    class Meta:
        model = Instance

    owner = factory.SubFactory(Accounts)
    account_status = AccountStatus.AUTHENTICATED
    paid = True

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **fields: Any) -> Instance:
        settings = ("url", "guaranteed", "parallel", "strict")
        endpoint = {name: fields.pop(name) for name in settings if name in fields}
        instance = create_instance(fields.pop("owner"), name=fields.pop("name", ""))
        fields.setdefault("is_trial", False)
        if not fields.pop("paid"):
            fields["paid_until"] = timezone.now() - timedelta(seconds=1)
        for name, value in fields.items():
            setattr(instance, name, value)
        # the stored token is bound to the number
        instance.save(update_fields={*fields, "token", "token_digest"})
        if endpoint:
            configure(instance.endpoint, **endpoint)
            instance.refresh_from_db()
        return instance


# factory_boy has no types: mypy would take the result of a call for a factory.
UserFactory = cast("Callable[..., User]", Users)
AccountFactory = cast("Callable[..., Account]", Accounts)
InstanceFactory = cast("Callable[..., Instance]", Instances)


def create_hook(**fields: Any) -> Hook:
    """Creates a hook with these fields and, if it is delivered or failed, counts it in its minute as dispatchers do."""
    hook = Hook.objects.create(**fields)
    with connection.cursor() as cursor:
        minute = statistics.minute_of(hook.public_id.hex)
        statistics.add(cursor, [(hook.endpoint_id, minute, State(hook.state), 1)])
    return hook


def create_issue(endpoint: Endpoint, **fields: Any) -> Issue:
    """Creates an open issue of an endpoint that has responded with 500 for five minutes, without hooks."""
    now = timezone.now()
    since = now - timedelta(minutes=5)
    values: dict[str, Any] = {
        "outcome": Outcome.NOT_200, "status": 500, "first_failed_at": since, "last_failed_at": now,
        "events_since": since, "opened_at": since, "first_hook": 0, "last_attempt": 0, "hooks": 3,
    }  # fmt: skip
    return Issue.objects.create(endpoint=endpoint, **(values | fields))


def start_sending(message: OutgoingMessage) -> None:
    """Marks a waiting message as a sender does before its request."""
    message.state, message.tries, message.last_try_at = SendState.SENDING, message.tries + 1, timezone.now()
    message.save(update_fields=["state", "tries", "last_try_at"])


def fail_message(message: OutgoingMessage, *, reason: str = "", **fields: Any) -> OutgoingMessage:
    """Lets a waiting message fail, as a sender does: it leaves the queue and is kept."""
    fields = {"reason": reason, "state": SendState.FAILED, "failed_at": timezone.now()} | fields
    for name, value in fields.items():
        setattr(message, name, value)
    message.save(update_fields=list(fields))
    OutgoingQueue.objects.filter(pk=message.instance_id).shorten(1)
    return message


def create_try(message: OutgoingMessage | Message, number: int = 1, **fields: Any) -> SendingTry:
    """Creates a try of the message. Without other fields it was sent: 201 after 112 ms."""
    values = {
        "result": TryResult.SENT,
        "outcome": Outcome.NOT_200,
        "status": 201,
        "started_at": timezone.now(),
        "method": "POST",
        "url": "https://graph.example.com/v20/1555/messages",
        "request_headers": [["Content-Type", "application/json"], ["Authorization", "Bearer ••••"]],
        "request_body": '{"to":"17680561234","text":"Hello"}',
        "response_headers": [["content-type", "application/json"]],
        "response_body": b'{"id":"wamid.HBgLMTc2"}',
        "response_size": 23,
        "address": "203.0.113.7:443",
        "name_ms": 3.1,
        "connect_ms": 14.0,
        "tls_ms": 41.5,
        "first_byte_ms": 110.2,
        "total_ms": 112.4,
    }
    return SendingTry.objects.create(
        instance_id=message.instance_id,
        message_id=message.message_id,
        queue_number=message.queue_number or 0,
        number=number,
        **(values | fields),
    )


def member_of(account: Account, role: str, email: str = "") -> User:
    """A user who has accepted an invitation to the account; `role` is "manager" or "viewer"."""
    user = UserFactory(email=email) if email else UserFactory()
    _, token = members.invite(account, email=user.email, role=role, acting_user=account.owner)
    return members.accept(token, acting_user=user).user
