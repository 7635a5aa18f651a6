"""What the checks of the way through SITE_URL found last: the web server writes it, the support desk's page shows it.

These checks make requests and take seconds, so no page carries them out. The report is a file in DATA_DIR, for all web
processes of a machine.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from chatapi.runtime.doctor.checklist import BY_NAME
from chatapi.runtime.doctor.findings import Finding, Level
from chatapi.runtime.doctor.runs import Result

NAME = "site_checks.json"


@dataclass(frozen=True, slots=True)
class SiteReport:
    checked_at: datetime
    results: tuple[Result, ...]


def write_report(results: Sequence[Result]) -> None:
    """Only one process of a machine writes it at a time (start_watch.py). Raises OSError."""
    text = json.dumps(
        {
            "checked_at": timezone.now().isoformat(),
            "site_url": settings.SITE_URL,
            "checks": [
                {
                    "name": result.check.name,
                    "reason": result.reason,
                    "findings": [
                        [int(one.level), one.problem, one.next_step, one.detail] for one in result.findings
                    ],
                }
                for result in results
            ],
        }
    )
    path = settings.DATA_DIR / NAME
    draft = path.with_suffix(".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def read_report() -> SiteReport | None:
    """Returns the last report about this SITE_URL; None if there is none that this version can read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads((settings.DATA_DIR / NAME).read_text())
        if found["site_url"] == settings.SITE_URL:
            return SiteReport(
                datetime.fromisoformat(found["checked_at"]),
                tuple(
                    Result(
                        BY_NAME[one["name"]],
                        tuple(Finding(Level(level), *texts) for level, *texts in one["findings"]),
                        one["reason"],
                    )
                    for one in found["checks"]
                ),
            )
    return None
