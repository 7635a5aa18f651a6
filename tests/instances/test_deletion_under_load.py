"""Instances and accounts are deleted while they are used: no deadlock, no error but "it is deleted"."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import IntegrityError, connection
from django.test import Client
from django.utils import timezone
from psycopg.errors import ForeignKeyViolation

from accounts.actions.keys import issue_key
from accounts.models import Account
from chatapi.account_data.deletion import delete_everything
from hooks.actions import redelivery
from hooks.actions.hooks import NotPossible
from hooks.dispatch.record import UPDATE_FAILING_SINCE
from hooks.maintenance import deleted_instances
from hooks.models import Endpoint
from instances.actions.lifecycle import delete_instance
from instances.actions.messages import receive_message
from instances.actions.sending.accept import send_message
from instances.actions.stopping import block_account, unblock_account
from instances.models import Instance
from instances.sending import outgoing
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from tests.factories import AccountFactory, InstanceFactory
from tests.hooks.dispatch.dispatching import wait_until

LOAD = 100  # pieces of work that are done before the deletion


def deadlocks() -> int:
    """The deadlocks that PostgreSQL has counted in this database; counts are flushed when a connection ends."""
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


class Load:
    """Threads that repeat their work until stop(). An exception that does not say "it is deleted" is collected."""

    def __init__(self, *works: Callable[[], object]) -> None:
        self.stopped = threading.Event()
        self.errors: list[str] = []
        self.done = 0
        self.threads = [threading.Thread(target=self.repeat, args=(work,)) for work in works]
        for thread in self.threads:
            thread.start()

    def repeat(self, work: Callable[[], object]) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    work()
                    self.done += 1
                except ObjectDoesNotExist:
                    continue
                except IntegrityError as error:
                    if not isinstance(error.__cause__, ForeignKeyViolation):
                        self.errors.append(repr(error))
                except Exception as error:  # noqa: BLE001 - the test fails with it
                    self.errors.append(repr(error))
        finally:
            connection.close()

    def wait_until_under_way(self) -> None:
        wait_until(lambda: self.done >= LOAD or self.errors, f"{LOAD} pieces of work are done", 60)

    def stop(self) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def works_of(account: Account) -> list[Callable[[], object]]:
    """Calls, messages, captures, the sender, recorded attempts, redelivery, blocking and clean-up."""

    def every(act: Callable[[Instance], object]) -> Callable[[], None]:
        def work() -> None:
            for instance in Instance.objects.filter(owner=account):
                act(instance)

        return work

    def by_contract(instance: Instance) -> None:
        response = Client().post(
            f"/instance{instance.number}/sendMessage?token={instance.token}",
            json.dumps({"phone": 17680561234, "body": "hello"}),
            "application/json",
        )
        assert response.status_code < 500, response.content

    def block_and_unblock() -> None:
        block_account(account, reason="test", acting_user=account.owner)
        unblock_account(account, acting_user=account.owner)

    def redeliver() -> None:
        with suppress(NotPossible):  # nothing has been skipped or has failed yet
            redelivery.plan(Instance.objects.filter(owner=account), wanted={}, acting_user=None)
        redelivery.work()

    def record_failures() -> None:
        """What a dispatcher does with the endpoints of a batch, in an order of its own."""
        keys = list(Endpoint.objects.order_by("-pk").values_list("pk", flat=True))
        for since in (timezone.now(), None):
            with connection.cursor() as cursor:
                cursor.execute(UPDATE_FAILING_SINCE, [keys, [since] * len(keys), keys])

    return [
        every(by_contract),
        every(lambda instance: send_message(instance, chat_id="17680561234", body="hello")),
        every(lambda instance: receive_message(instance, sender="17680561235", body="hello")),
        every(
            lambda instance: capture_actions.capture(
                bin_actions.open_bin(instance).key, method="POST", body=b"x"
            )
        ),
        outgoing.send_due,
        record_failures,
        redeliver,
        block_and_unblock,
        deleted_instances.drop,
    ]


def delete_by_action(account: Account) -> None:
    for instance in Instance.objects.filter(owner=account):
        delete_instance(instance, acting_user=None)


def delete_account(account: Account) -> None:
    delete_everything(account, acting_user=account.owner)


def delete_by_contract(account: Account) -> None:
    key = issue_key(account, acting_user=None)[1]
    for instance in Instance.objects.filter(owner=account):
        response = Client().post(f"/deleteInstance?uid={key}&instanceId={instance.number}")
        assert response.status_code in (200, 403), response.content  # 403 while the account is blocked


def delete_by_rest(account: Account) -> None:
    headers = {"Authorization": f"Bearer {issue_key(account, acting_user=None)[1]}"}
    for instance in Instance.objects.filter(owner=account):
        response = Client().delete(f"/api/v1/instances/{instance.number}/", headers=headers)
        assert response.status_code in (204, 403), response.content


@pytest.mark.parametrize("delete", [delete_by_action, delete_account, delete_by_contract, delete_by_rest])
def test_a_deletion_under_load_is_no_deadlock(
    transactional_db: None, delete: Callable[[Account], None]
) -> None:
    before = deadlocks()
    for number in range(3):
        account = AccountFactory(email=f"alice{number}@example.org")
        for _ in range(3):
            InstanceFactory(owner=account, url="http://127.0.0.1:9/")
        load = Load(*works_of(account))
        try:
            load.wait_until_under_way()
            delete(account)
        finally:
            load.stop()
        assert load.errors == []
        assert deadlocks() == before
