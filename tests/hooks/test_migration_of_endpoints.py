"""An installation with one endpoint per instance gets several: its rows keep their keys, and it can go back."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from hooks import outbox
from hooks.actions.endpoint_list import add_endpoint
from hooks.maintenance import conservation, deleted_instances
from hooks.models import OTHER_IDS, Endpoint, Hook, Kind
from hooks.outbox import Event
from instances.models import Instance
from tests.factories import InstanceFactory
from tests.hooks.newest_tables import restore_newest_tables

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]  # it migrates twice

BEFORE = [("hooks", "0019_strict_order")]


def migrate(targets: list[tuple[str, str]] | None = None) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(targets or executor.loader.graph.leaf_nodes())
    return executor.loader.project_state(targets or executor.loader.graph.leaf_nodes()).apps


@pytest.fixture(autouse=True)
def newest_tables() -> Iterator[None]:
    yield
    restore_newest_tables()


def emit(instance: Instance) -> list[Hook]:
    with transaction.atomic():
        return outbox.emit_all(instance.pk, [Event(Kind.MESSAGE, b"{}")])


def test_endpoints_keep_their_keys_in_both_directions() -> None:
    instance = InstanceFactory(url="http://127.0.0.1:9/hook")
    secret = instance.endpoint.secret
    [hook] = emit(instance)
    add_endpoint(instance.pk, url="http://127.0.0.1:9/other", acting_user=None)
    emit(instance)

    old = migrate(BEFORE).get_model("hooks", "Endpoint")
    assert old.objects.get().pk == instance.pk  # the other is gone
    assert old.objects.get().secret == secret

    migrate()
    [endpoint] = Endpoint.objects.all()
    assert (endpoint.pk, endpoint.instance_id, endpoint.first_of_id) == (instance.pk,) * 3
    assert (endpoint.others, endpoint.is_filtered, endpoint.secret) == ([], False, secret)
    assert Hook.objects.get(pk=hook.pk).endpoint == endpoint
    deleted_instances.drop()  # the hooks of the endpoint that is gone
    other = add_endpoint(instance.pk, url="http://127.0.0.1:9/other", acting_user=None)
    assert other.pk >= OTHER_IDS
    assert {made.endpoint_id for made in emit(instance)} == {endpoint.pk, other.pk}
    assert [conservation.missing(row) for row in conservation.totals()] == [0, 0]
