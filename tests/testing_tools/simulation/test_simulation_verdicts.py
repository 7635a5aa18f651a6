"""The verdict on a simulated hook, on its result, in the log and in the export, which is REST's."""

import html
import json
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from hooks.models import Hook, Outcome
from instances.models import Instance
from instances.pages.log.phases import phases_of
from tests.faults import servers
from tests.faults.servers import Fault, faulty
from tests.testing_tools.simulation.test_simulation import send

pytestmark = pytest.mark.django_db
REMARK = "Your server received the request and may have processed it: expect the same webhook-id again."


@pytest.mark.parametrize(
    ("fault", "sentence", "row", "result", "phase"),
    [
        (
            servers.hang,
            "Timed out: 127.0.0.1 accepted the request, but did not respond in time.",
            "Timed out",
            "timed out",
            "Waiting for the response",
        ),
        (
            servers.hang_up,
            "127.0.0.1 closed the connection without a response.",
            "Connection closed early",
            "connection closed early",
            "Waiting for the response",
        ),
        (
            servers.cut_off,
            "127.0.0.1 closed the connection before its response was complete.",
            "200 · Connection closed early",
            "responded with 200, but not completely: connection closed early",
            "Download",
        ),
    ],
    ids=["hang", "empty reply", "cut-off 200"],
)
def test_a_hook_that_was_received_is_not_called_unreached(
    alice: Client, instance: Instance, settings: Settings,
    fault: Fault, sentence: str, row: str, result: str, phase: str,
) -> None:  # fmt: skip
    if fault is servers.hang:  # the others end the request themselves, however long a busy machine takes
        settings.HOOKS_DEADLINE_MS = 2_000
    with faulty(fault) as port:
        shown = html.unescape(send(alice, url=f"http://127.0.0.1:{port}/hook"))
    hook = Hook.objects.get()
    page = html.unescape(alice.get(f"/log/{hook.public_id}/").content.decode())
    for text in (shown, page):
        assert "No complete response" in text
        assert "Not reached" not in text
        assert sentence in text
        assert REMARK in text
        assert f"{phase} failed" in text
        assert "<dt>Failed phase</dt>" in text
    assert f"Failed after attempt 1 of 1 ({result})." in page
    listed = html.unescape(alice.get("/log/").content.decode())
    assert row in " ".join(listed.replace('<span class="nums">', "").replace("</span>", "").split())
    exported: Any = alice.get("/log/export/?as=ndjson")
    [attempt] = json.loads(exported.getvalue())["attempts"]
    assert attempt["verdict"] == "no_complete_response"
    assert attempt["failedPhase"] == {"Download": "download"}.get(phase, "waiting")
    assert attempt["explanation"] == f"{sentence} {REMARK}"


def test_the_phase_that_failed_is_the_last_on_the_bar(alice: Client, settings: Settings) -> None:
    settings.HOOKS_DEADLINE_MS = 2_000
    with faulty(servers.hang) as port:
        send(alice, url=f"http://127.0.0.1:{port}/hook")
    attempt = Hook.objects.get().attempts.get()
    *before, failed = phases_of(attempt)
    assert [part.has_failed for part in before] == [False] * len(before)
    assert (failed.phase.label, failed.has_failed) == ("Waiting for the response", True)
    assert failed.ms > 1_000
    attempt.outcome, attempt.error = Outcome.OK, ""
    assert [part.phase.label for part in phases_of(attempt)][-1] == "Download"


def test_a_timeout_and_a_forbidden_address_use_no_internal_words(alice: Client, settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    shown = html.unescape(send(alice, url="http://169.254.169.254/latest"))
    assert "169.254.169.254 resolves to a cloud metadata address" in shown
    assert "<dt>Error</dt>" not in shown
    assert "Connect failed" in shown or "<dd>Connect</dd>" in shown
