"""`manage.py doctor`: everything that is wrong with this site, and what to do; see chatapi/runtime/doctor."""

import json
import platform
import shutil
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from chatapi.runtime.doctor.checklist import CHECKS
from chatapi.runtime.doctor.findings import Level
from chatapi.runtime.doctor.redaction import redact, redact_next_step
from chatapi.runtime.doctor.report import lines_of
from chatapi.runtime.doctor.runs import Result, carry_out_all

EXIT_CODES = {Level.OK: 0, Level.NOTE: 0, Level.WARNING: 1, Level.ERROR: 2}


class Command(BaseCommand):
    help = (
        "Checks what is wrong with this site, and says what to do. Changes nothing. Run it on each machine, with the "
        "settings of the site. Exit code: 0 nothing, 1 warnings or checks that were not carried out, 2 errors."
    )
    requires_system_checks = []  # they are part of what it reports

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="for a bug report: without secrets and hosts")
        parser.add_argument(
            "--all", action="store_true", help="also list the checks that found nothing wrong"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        results = carry_out_all(CHECKS)
        if options["json"]:
            self.stdout.write(json.dumps(as_json(results), indent=2, ensure_ascii=False))
        else:
            self.stdout.write(
                f"Chat API {settings.VERSION} · {settings.SITE_URL} · {timezone.now():%d %b %Y %H:%M} UTC\n\n"
            )
            width = shutil.get_terminal_size().columns
            for line in lines_of(results, width=width, show_all=options["all"], paint=self.paint):
                self.stdout.write(line)
        sys.exit(EXIT_CODES[max(result.level for result in results)])

    def paint(self, text: str, level: Level) -> str:
        """Colours the text on a terminal."""
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.NOTE: self.style.NOTICE,
            Level.WARNING: self.style.WARNING,
            Level.ERROR: self.style.ERROR,
        }
        return styles[level](text)


def as_json(results: list[Result]) -> dict[str, Any]:
    """Returns the report for a bug report: every text is redacted."""
    return {
        "version": settings.VERSION,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "embedded_database": settings.EMBEDDED_POSTGRES,
        "https": settings.HTTPS,
        "time": timezone.now().isoformat(timespec="seconds"),
        "level": max(result.level for result in results).word,
        "checks": [
            {
                "name": result.check.name,
                "area": result.check.area,
                "level": result.level.word,
                "not_carried_out": redact(result.reason) or None,
                "findings": [
                    {
                        "level": finding.level.word,
                        "problem": redact(finding.problem),
                        "detail": redact(finding.detail),
                        "next_step": redact_next_step(finding.next_step),
                    }
                    for finding in result.findings
                ],
            }
            for result in results
        ],
    }
