"""A dispatcher's log lines for a real delivery: ids and sentences, but no body, secret or query."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hooks.dispatch import log_lines
from hooks.dispatch.attempts import AttemptResult, attempt_result
from hooks.http import Response
from hooks.models import Hook, Outcome
from tests.factories import InstanceFactory
from tests.hooks.dispatch.dispatching import Dispatch, emit, wait_until
from tests.hooks.dispatch.test_lanes import hook as claimed
from tests.receiver import Receiver

SECRET = "a-very-secret-value"


def are_finished(hooks: list[Hook]) -> bool:
    return not Hook.objects.filter(pk__in=[hook.pk for hook in hooks], finished_at=None).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answer", [500, 200, 302])
def test_a_delivery_logs_its_ids_and_never_the_query_of_its_url(tmp_path: Path, answer: int) -> None:
    elsewhere = {"Location": f"https://user:{SECRET}@elsewhere.example/login?next={SECRET}"}
    with (
        Receiver([(answer, elsewhere if answer == 302 else {}, SECRET.encode())]) as receiver,
        Dispatch(tmp_path, LOG_LEVEL="DEBUG", LOG_FORMAT="json") as dispatch,
    ):
        endpoint = InstanceFactory(url=f"{receiver.url}?key={SECRET}&{SECRET}").endpoint
        hooks = emit(endpoint)
        wait_until(lambda: are_finished(hooks), "the hook has finished")
        [request] = receiver.requests
        assert SECRET in request.path
        dispatch.stop()
    # Warnings of a start by root, and of system checks, come before.
    lines = [json.loads(line) for line in dispatch.output.splitlines() if line.startswith("{")]
    about = [line for line in lines if line.get("hook") == hooks[0].webhook_id]
    words = {
        200: ("Delivered.", "debug"),
        302: ("Hook failed.", "warning"),
        500: ("Hook failed.", "warning"),
    }[answer]
    assert [(line["event"], line["level"]) for line in about] == [("Claimed.", "debug"), words]
    assert {(line["instance"], line["endpoint"]) for line in about} == {(endpoint.instance_id, endpoint.pk)}
    assert SECRET not in dispatch.output
    assert endpoint.secret not in dispatch.output
    assert '"n"' not in dispatch.output  # the body


def result(answer: Response) -> AttemptResult:
    hook = claimed(7)
    hook.attempts_allowed = 1
    return attempt_result(hook, datetime.now(UTC), {}, answer)


def test_a_failure_is_logged_with_the_explanation_that_pages_show() -> None:
    fields = log_lines.outcome_fields(result(Response(Outcome.NOT_200, status=404)))
    assert fields == {
        "outcome": "not_200",
        "status": 404,
        "side": "endpoint",
        "explanation": "a.example responded with 404: there is nothing at this path.",
        "next_attempt_at": None,
    }


def test_of_many_failures_the_first_are_logged_and_the_rest_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[str] = []

    class Log:
        def warning(self, words: str, **fields: object) -> None:
            logged.append(words)

        info = debug = warning

    monkeypatch.setattr(log_lines, "log", Log())
    failures = [
        result(Response(Outcome.REFUSED, error="Connection refused")) for _ in range(log_lines.MAX_LINES + 5)
    ]
    log_lines.log_results(failures)
    assert logged == ["Hook failed."] * log_lines.MAX_LINES + [
        "Hook failed: 5 more in this batch are not logged."
    ]
