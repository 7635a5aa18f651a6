"""`manage.py hooks check` reports whether a hook was lost, and from which instance."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction

from hooks import outbox
from hooks.models import Endpoint, Hook, Kind, SkipReason, Tally
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def emitted() -> Endpoint:
    """Three hooks, one of them skipped."""
    endpoint = InstanceFactory(url="http://127.0.0.1:9/").endpoint
    with transaction.atomic():
        for skip in (None, None, SkipReason.FLAG_OFF):
            outbox.emit(instance_id=endpoint.pk, kind=Kind.MESSAGE, body=b"{}", skip=skip)
    return endpoint


def check() -> tuple[int, list[str]]:
    """Runs the command; returns its exit code and the lines it printed."""
    output = StringIO()
    try:
        call_command("hooks", "check", stdout=output)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue().splitlines()
    return 0, output.getvalue().splitlines()


def line(endpoint: Endpoint, emitted: int, queued: int, tail: str) -> str:
    return (
        f"instance key {endpoint.pk}: {emitted} emitted = {queued} queued + 0 sending + 0 retrying + 0 delivered"
        f" + 0 failed + 1 skipped + 0 cancelled{tail}"
    )


def test_the_sum_is_right(emitted: Endpoint) -> None:
    assert check() == (0, [line(emitted, 3, 2, ": ok"), "1 instances checked, 0 wrong."])


def test_a_missing_hook_is_reported(emitted: Endpoint) -> None:
    InstanceFactory()
    Hook.objects.filter(skip_reason="").order_by("id")[0].delete()
    code, lines = check()
    assert code == 1
    assert lines[0] == line(emitted, 3, 1, ": WRONG, 1 missing")
    assert lines[-1] == "2 instances checked, 1 wrong."


def test_a_hook_that_was_not_emitted_is_reported(emitted: Endpoint) -> None:
    Hook.objects.create(endpoint=emitted, kind=Kind.ACK, body=b"{}")
    assert check() == (1, [line(emitted, 3, 3, ": WRONG, -1 missing"), "1 instances checked, 1 wrong."])


def test_hooks_dropped_by_retention_are_not_missing(emitted: Endpoint) -> None:
    Hook.objects.filter(skip_reason="").delete()
    Tally.objects.update(dropped=2)
    assert check() == (0, [line(emitted, 3, 0, " + 2 dropped by age: ok"), "1 instances checked, 0 wrong."])


def test_without_instances_nothing_is_wrong() -> None:
    assert check() == (0, ["0 instances checked, 0 wrong."])
