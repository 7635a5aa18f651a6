"""Issues over REST: list, filter, read, acknowledge, resend."""

from __future__ import annotations

import pytest

from hooks.actions.endpoints import configure
from hooks.maintenance import issues
from hooks.models import Issue, Outcome
from tests.hooks.attempted import attempt_hook
from tests.instances.api.conftest import ApiClient

pytestmark = pytest.mark.django_db


def test_an_issue_is_listed_read_acknowledged_and_resent(alice: ApiClient, bob: ApiClient) -> None:
    endpoint = alice.instance.endpoint
    configure(endpoint, url="https://example.com/hook")
    issues.update()
    for _ in range(3):
        attempt_hook(endpoint, 500)
    attempt_hook(endpoint, None, outcome=Outcome.REFUSED)
    issues.update()

    status, listed = alice.call("GET", "issues/")
    assert status == 200
    shown = next(issue for issue in listed["results"] if issue["status"] == 500)
    refused = next(issue for issue in listed["results"] if issue["outcome"] == "refused")
    assert shown | {"id": "", "firstFailedAt": "", "lastFailedAt": ""} == {
        "id": "", "state": "open", "instanceId": str(alice.instance.number), "endpointId": str(endpoint.pk),
        "outcome": "not_200", "status": 500,
        "explanation": "example.com responded with 500: your server failed while handling it.",
        "nextStep": "Check your server's error log for this time. "
        "Respond with 200 to acks and unknown families too.",
        "suggestedUrl": None, "suggestedSetting": "guaranteedHooks",
        "hooks": 3, "missed": 3, "firstFailedAt": "", "lastFailedAt": "",
        "acknowledgedAt": None, "resolvedAt": None,
    }  # fmt: skip
    assert (refused["status"], refused["hooks"]) == (None, 1)
    assert bob.call("GET", "issues/")[1]["results"] == []

    path = f"issues/{shown['id']}/"
    assert alice.call("GET", path) == (200, shown)
    status, acknowledged = alice.call("POST", f"{path}acknowledge/")
    assert (status, acknowledged["state"]) == (200, "acknowledged")
    assert alice.call("POST", f"{path}acknowledge/") == (409, {"error": "The issue is acknowledged already."})
    [only] = alice.call("GET", "issues/?state=open")[1]["results"]
    assert only["id"] == refused["id"]
    assert alice.call("GET", "issues/?state=closed")[0] == 400

    status, job = alice.call("POST", f"{path}resend/")
    assert (status, job["planned"], job["state"]) == (201, 3, "planned")
    assert Issue.objects.count() == 2
