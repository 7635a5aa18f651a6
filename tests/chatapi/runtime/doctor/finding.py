"""What a single check finds, in the process of the test or by `manage.py doctor --json`."""

from __future__ import annotations

import json
from typing import Any

from chatapi.runtime.doctor.checklist import BY_NAME
from chatapi.runtime.doctor.findings import Finding, Level
from chatapi.runtime.doctor.runs import carry_out
from tests.product import manage


def find(name: str) -> list[Finding]:
    """Returns what the check finds; fails if it cannot be carried out."""
    result = carry_out(BY_NAME[name])
    assert not result.reason, result.reason
    return list(result.findings)


def found(name: str, level: Level, problem: str, next_step: str) -> Finding:
    """Returns the one finding of the check, which has this level, and these parts in its two sentences."""
    [finding] = find(name)
    assert (finding.level, problem in finding.problem, next_step in finding.next_step) == (
        level,
        True,
        True,
    ), finding
    assert finding.problem.endswith(".") and finding.next_step.endswith((".", ")"))
    return finding


def doctor(environment: dict[str, str]) -> tuple[int, dict[str, dict[str, Any]]]:
    """Returns the exit code of `manage.py doctor --json` and its checks by name."""
    done = manage("doctor", "--json", environment=environment)
    assert done.returncode in (0, 1, 2), done.stderr
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def complaints(checks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the checks that found something or were not carried out, with what they say."""
    return {
        name: check["not_carried_out"] or [finding["problem"] for finding in check["findings"]]
        for name, check in checks.items()
        if check["not_carried_out"] or check["findings"]
    }
