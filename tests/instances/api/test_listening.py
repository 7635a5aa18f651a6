"""Listening in the REST API, after the endpoint was removed. tests/test_listen.py runs the program."""

from typing import Any

import pytest
from django.db import transaction

from hooks import outbox
from hooks.models import Hook, Kind
from hooks.outbox import Event
from tests.instances.api.conftest import ApiClient

pytestmark = pytest.mark.django_db
TIMES = {"totalMs": 1.0}


def test_a_removed_endpoint_gives_no_hooks_and_takes_reports(alice: ApiClient) -> None:
    home = f"instances/{alice.instance.number}/"
    status, run = alice.post(f"{home}listeners/", {"url": "http://localhost:3000/"})
    assert status == 201
    with transaction.atomic():
        outbox.emit_all(alice.instance.pk, [Event(Kind.MESSAGE, b"{}")])
    listener = f"{home}listeners/{run['id']}/"
    _, portion = alice.post(f"{listener}take/", None)
    [hook] = portion["hooks"]
    alice.call("DELETE", f"{home}endpoints/{run['endpointId']}/")

    assert alice.post(f"{listener}take/", None)[0] == 404
    reports: list[dict[str, Any]] = [{"claim": hook["claim"], "status": 200, "times": TIMES}]
    status, recorded = alice.post(f"{listener}results/", {"results": reports})

    assert (status, [one["state"] for one in recorded["results"]]) == (200, ["delivered"])
    assert Hook.objects.get(endpoint=run["endpointId"]).attempts.count() == 1
