"""Migration 0013: instances of 0.1.0 without a payment are on trial."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone


@pytest.mark.django_db(transaction=True)
def test_instances_without_a_payment_are_on_trial() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("instances", "0012_plain_labels")])
    apps = executor.loader.project_state(
        [("instances", "0012_plain_labels"), ("accounts", "0009_quotas")]
    ).apps
    user = apps.get_model("accounts", "User").objects.create(email="old@example.org")
    account = apps.get_model("accounts", "Account").objects.create(owner=user)
    until = timezone.now() + timedelta(days=2)
    instances = apps.get_model("instances", "Instance").objects
    free, paid = (instances.create(owner=account, number=n, paid_until=until) for n in (100_001, 100_002))
    apps.get_model("accounts", "Payment").objects.create(
        account=account, instance_id=paid.pk, days=30, amount=1
    )

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    from instances.models import Instance

    assert dict(Instance.objects.values_list("number", "is_trial")) == {free.number: True, paid.number: False}
