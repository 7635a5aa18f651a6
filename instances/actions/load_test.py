"""Instances for load tests: `manage.py hooks load` creates them in an account of their own and removes them in bulk."""

import time
from datetime import timedelta

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.actions.accounts import set_quota
from accounts.actions.users import sign_up
from accounts.models import Account, User
from hooks.actions.endpoints import configure
from hooks.maintenance import deleted_instances
from hooks.models import ChatKind, Direction, Endpoint, Kind
from hooks.outbox import Event
from instances import payloads
from instances.actions.lifecycle import INSTANCES, create_instance, delete_instance
from instances.models import AccountStatus, Instance, Message

OWNER = "load-test@localhost"  # has no password, so it cannot be used to sign in
NAME = "Load test "
MAX_INSTANCES = 1_000_000  # the quota of the load test's account
PAID = timedelta(days=365)
PHONE = "15550000000@c.us"


class LoadTestAccountTaken(Exception):
    """A user has signed up with the load test's e-mail address; str() is a sentence for the command line."""


def load_test_account() -> Account:
    """Returns the account of the load-test instances, created if needed.

    Raises:
        LoadTestAccountTaken: the account belongs to a user.
    """
    user = User.objects.filter(email=OWNER).first()
    if user is None:
        account = sign_up(OWNER, password=None, name="Load test")
        return set_quota(
            account, name=INSTANCES.name, limit=MAX_INSTANCES, acting_user=None, reason="load test"
        )
    if user.has_usable_password():
        raise LoadTestAccountTaken(
            f"The account {OWNER} has a password, so it belongs to a user and is not used."
        )
    if INSTANCES.name not in user.account.own_quotas:  # created by version 0.1.0
        set_quota(
            user.account, name=INSTANCES.name, limit=MAX_INSTANCES, acting_user=None, reason="load test"
        )
    return user.account


def load_test_instances() -> QuerySet[Instance]:
    """The load-test instances: those with a load test's name in the account of load tests, which has no password."""
    return Instance.objects.filter(
        owner__owner__email=OWNER,
        owner__owner__password__startswith=UNUSABLE_PASSWORD_PREFIX,
        name__startswith=NAME,
    )


def open_load_test(count: int, *, url: str, parallel: bool, guaranteed: bool) -> list[Instance]:
    """Returns `count` load-test instances, existing and new, each sending to `url`/{its number}."""
    account = load_test_account()
    instances = list(load_test_instances().order_by("pk")[:count])
    for number in range(len(instances), count):
        with transaction.atomic():
            instance = create_instance(account, name=f"{NAME}{number + 1}")
            instance.account_status = AccountStatus.AUTHENTICATED
            instance.paid_until = timezone.now() + PAID
            instance.is_trial = False
            instance.save(update_fields=["account_status", "paid_until", "is_trial"])
        instances.append(instance)
    endpoints = Endpoint.objects.in_bulk([instance.pk for instance in instances])
    for instance in instances:
        configure(
            endpoints[instance.pk],
            url=f"{url.rstrip('/')}/{instance.number}",
            parallel=parallel,
            guaranteed=guaranteed,
        )
    return instances


def load_test_event(instance: Instance, number: int) -> Event:
    """Returns a message event; its `metadata` is {"ts_ns": current time, "seq_no": number}."""
    message = Message(
        instance=instance,
        number=number,
        message_id=f"false_{PHONE}_{number:020X}",
        author=PHONE,
        sender_name="Load test",
        body="This hook was made by manage.py hooks load. " * 3,
        metadata={"ts_ns": time.time_ns(), "seq_no": number},
    )
    data = payloads.message_dict(message, chat_id=PHONE, chat_name="Load test")
    body = payloads.encode({"messages": [data], "instanceId": str(instance.number)})
    return Event(
        Kind.MESSAGE,
        body,
        message.message_id,
        PHONE,
        direction=Direction.IN,
        message_type=message.type,
        chat_kind=ChatKind.DIRECT,
    )


def remove_load_test() -> tuple[int, int]:
    """Delete the load-test instances with their data; returns how many instances and hooks."""
    hooks = 0
    instances = list(load_test_instances())
    for instance in instances:
        configure(instance.endpoint, url="")  # stop sending
        hooks += sum(deleted_instances.drop_hooks_of(key) for key in instance.endpoint.sibling_ids)
        delete_instance(instance, acting_user=None)
    return len(instances), hooks
