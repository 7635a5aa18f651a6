"""The destination of a hook is computed in Python, in SQL and by an ORM condition: the three agree."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from hooks.models import Hook
from hooks.urls import destination
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import emit

pytestmark = pytest.mark.django_db

SQL = f"""
SELECT {destination.hook_url_sql(destination.endpoint_url_sql(now="%(now)s"))}
FROM hooks_hook h JOIN hooks_endpoint e ON e.id = h.endpoint_id WHERE h.id = %(hook)s
"""


@pytest.mark.parametrize("to_url", ["", "http://simulation.example/"])
@pytest.mark.parametrize("own_url", ["", "http://own.example/"])
@pytest.mark.parametrize("override_seconds", [None, -1, 0, 1])
def test_python_sql_and_orm_agree(to_url: str, own_url: str, override_seconds: int | None) -> None:
    now = timezone.now()
    endpoint = InstanceFactory(url=own_url).endpoint
    if override_seconds is not None:
        endpoint.override_url = "http://bin.example/"
        endpoint.override_until = now + timedelta(seconds=override_seconds)
        endpoint.save()
    [hook] = emit(endpoint)
    Hook.objects.filter(pk=hook.pk).update(to_url=to_url)
    hook = Hook.objects.select_related("endpoint").get(pk=hook.pk)
    override = "http://bin.example/" if override_seconds == 1 else ""
    expected = to_url or override or own_url
    assert hook.destination(now) == expected
    with connection.cursor() as cursor:
        cursor.execute(SQL, {"now": now, "hook": hook.pk})
        assert cursor.fetchone() == (expected,)
    without_url = Hook.objects.filter(destination.hook_has_no_url(now), pk=hook.pk)
    assert without_url.exists() == (expected == "")
