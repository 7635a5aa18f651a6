"""A key or token that another process has revoked is refused at once, also by the calls of one statement.

This process has found it right before, and remembers that (instances/api/recent_keys.py, limits/login_throttle.py). Its
memory only counts calls before the key is checked; the statement of the call checks the key again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from instances.api import recent_keys
from instances.api.throttling import AccountThrottle
from instances.limits import login_throttle, rate_counters
from instances.models import Instance, Message, OutgoingMessage
from tests.instances.api.conftest import ApiClient, create_account
from tests.product import ROOT, database_url, product_environment

pytestmark = pytest.mark.django_db(transaction=True)

REVOKE_KEY = """
from accounts.actions.keys import revoke_key
from accounts.models import AccountKey
revoke_key(AccountKey.objects.get(account={pk}), acting_user=None)
"""
ROTATE_TOKEN = """
from instances.actions.lifecycle import rotate_token
from instances.models import Instance
rotate_token(Instance.objects.get(pk={pk}), acting_user=None)
"""
MESSAGE = {"from": "17680561234", "name": "Anna", "body": "hello"}


@pytest.fixture
def alice() -> ApiClient:
    login_throttle.reset()
    rate_counters.reset()
    return create_account("alice")


def run_in_another_process(folder: Path, code: str) -> None:
    environment = product_environment(folder, DATABASE_URL=database_url())
    subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        cwd=ROOT,
        env=environment | {"SECRETS_KEY": ",".join(settings.SECRETS_KEY)},
        check=True,
        stdin=subprocess.DEVNULL,
    )


def calls_counted(client: ApiClient) -> int:
    return rate_counters.count("api", client.account.owner_id, period=AccountThrottle().period)


def test_a_key_that_another_process_has_revoked_is_refused_at_once(alice: ApiClient, tmp_path: Path) -> None:
    path = f"{alice.home}sandbox/messages/"
    assert [alice.post(path, MESSAGE)[0] for _ in range(2)] == [201, 201]
    assert recent_keys.owner_of(alice.key) == alice.account.owner_id
    run_in_another_process(tmp_path, REVOKE_KEY.format(pk=alice.account.pk))
    assert alice.post(path, MESSAGE)[0] == 401
    assert alice.get("instances/")[0] == 401
    assert Message.objects.count() == 2


def test_calls_with_a_revoked_key_do_not_use_up_the_calls_of_its_account(
    alice: ApiClient, tmp_path: Path
) -> None:
    path = f"{alice.home}sandbox/messages/"
    alice.post(path, MESSAGE)
    run_in_another_process(tmp_path, REVOKE_KEY.format(pk=alice.account.pk))
    alice.post(path, MESSAGE)  # this process learns that the key is not right any more
    assert recent_keys.owner_of(alice.key) is None
    rate_counters.reset()
    for _ in range(3):
        assert alice.post(path, MESSAGE)[0] == 401
    assert calls_counted(alice) == 0


def test_a_token_that_another_process_has_rotated_is_refused_at_once(
    alice: ApiClient, tmp_path: Path
) -> None:
    instance, client = alice.instance, Client()

    def send() -> int:
        return client.post(
            f"/instance{instance.number}/sendMessage?token={instance.token}",
            {"chatId": "17680561234@c.us", "body": "hello"},
            content_type="application/json",
        ).status_code

    def read() -> int:
        return client.get(f"/instance{instance.number}/messages?token={instance.token}").status_code

    assert [send(), send(), read(), read()] == [200] * 4
    run_in_another_process(tmp_path, ROTATE_TOKEN.format(pk=instance.pk))
    assert [send(), read(), send(), read()] == [401] * 4
    assert OutgoingMessage.objects.filter(instance=instance).count() == 2
    assert Instance.objects.get(pk=instance.pk).token != instance.token
