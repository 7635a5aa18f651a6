"""The key of lanes is changed in both directions; in each, PostgreSQL refuses a second lane of an endpoint."""

from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection

from hooks.models import Lane
from tests.factories import InstanceFactory
from tests.hooks.newest_tables import migrate

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]  # it migrates several times

BEFORE_PERIODS = [("hooks", "0042_load_samples")]
BEFORE_TRIGGER = [("hooks", "0044_unchecked_numbers")]


@pytest.fixture(autouse=True)
def newest_tables() -> Iterator[None]:
    yield
    migrate()


def execute(sql: str, values: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def test_an_endpoint_has_one_lane_with_the_tables_of_before_and_of_now() -> None:
    endpoint = InstanceFactory().endpoint.pk
    Lane.objects.update(cursor=5, period=7)
    migrate(BEFORE_PERIODS)
    # as code of before
    execute("UPDATE hooks_lane SET cursor = 6 WHERE endpoint_id = %s", [endpoint])
    with pytest.raises(IntegrityError):
        execute("INSERT INTO hooks_lane (endpoint_id) VALUES (%s)", [endpoint])
    migrate()
    assert Lane.objects.values_list("pk", "cursor", "period").get() == (endpoint, 6, 0)
    with pytest.raises(IntegrityError, match="has a lane"):
        execute("INSERT INTO hooks_lane (endpoint_id, period) VALUES (%s, 1)", [endpoint])


def test_the_key_of_before_is_not_made_while_an_endpoint_has_two_lanes() -> None:
    """The migration changes nothing then, and can be repeated after `hooks repair`."""
    endpoint = InstanceFactory().endpoint.pk
    migrate(BEFORE_TRIGGER)
    execute("INSERT INTO hooks_lane (endpoint_id, period) VALUES (%s, 1)", [endpoint])
    with pytest.raises(IntegrityError, match="could not create unique index"):
        migrate(BEFORE_PERIODS)
    assert Lane.objects.filter(pk=endpoint).count() == 2
    execute("DELETE FROM hooks_lane WHERE endpoint_id = %s AND period = 0", [endpoint])
    migrate(BEFORE_PERIODS)
    migrate()
    assert Lane.objects.get().pk == endpoint
