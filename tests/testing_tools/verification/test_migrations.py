"""Migration 0007: the captures of earlier versions count in the bytes of their bins."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


@pytest.mark.django_db(transaction=True)
def test_stored_captures_count_with_their_size() -> None:
    before = [("testing_tools", "0006_capture_as_sent")]
    executor = MigrationExecutor(connection)
    executor.migrate(before)
    state = executor.loader.project_state([*before, *executor.loader.graph.leaf_nodes("accounts")]).apps
    user = state.get_model("accounts", "User").objects.create(email="old@example.org")
    account = state.get_model("accounts", "Account").objects.create(owner=user)
    bins, captures = (state.get_model("testing_tools", name).objects for name in ("Bin", "Capture"))
    bin = bins.create(account=account, key="abcdefgh", captured=3)
    captures.create(bin=bin, number=1, public_id="a", method="POST", body=b"x" * 70, size=70)
    captures.create(bin=bin, number=2, public_id="b", method="POST", body=b"x" * 30, size=30)
    captures.create(bin=bin, number=3, public_id="c", method="POST", size=9_000_000, too_large=True)

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    from testing_tools.verification.actions import captures as capture_actions
    from testing_tools.verification.models import Bin

    migrated = Bin.objects.get(key="abcdefgh")
    assert migrated.stored_bytes == 100
    capture_actions.drop(migrated.pk, which=capture_actions.Q(number__lte=1))
    migrated.refresh_from_db()
    assert (migrated.stored_bytes, migrated.dropped) == (30, 1)
