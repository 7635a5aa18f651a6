"""Checks the way through SITE_URL when a web server has started; the log says what is wrong in front of this site.

A thread does it, so the start is neither delayed nor stopped. The checks are those of `manage.py doctor`
(checklist.py), and the support desk's page shows what they found (site_report.py). They are repeated as long as
something is wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
import time
from collections.abc import Callable, Sequence

import structlog
from django.conf import settings

from chatapi.runtime.doctor.checklist import BY_NAME, CHECKS
from chatapi.runtime.doctor.findings import Area, Finding, Level
from chatapi.runtime.doctor.runs import Result, carry_out_with_limits
from chatapi.runtime.doctor.site_report import write_report

log = structlog.get_logger("site")

# Seconds before each attempt to reach the site: the proxy may start later, and a load balancer waits until the web
# server is ready. Only what the last attempt finds is logged.
FIRST_ATTEMPTS = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
REPEAT_SECONDS = 600.0  # between rounds, as long as something is wrong
LOCK = "site_checks.lock"  # held by the one web process of this machine that checks
SITE_CHECKS = tuple(check for check in CHECKS if check.area == Area.SITE)

Wait = Callable[[float], object]


def start_watch() -> None:
    """Starts the thread, unless SITE_URL is the default: then there is nothing in front of this site."""
    default = f"http://localhost:{settings.PORT}"
    if default != settings.SITE_URL:
        threading.Thread(target=watch_as_only_process, daemon=True, name="site-checks").start()


def watch_as_only_process() -> None:
    """Does nothing if another web process of this machine watches already, or if DATA_DIR cannot be written."""
    try:
        with open(settings.DATA_DIR / LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            watch(time.sleep)
    except OSError:
        return


def watch(wait: Wait) -> None:
    """Carries the checks out until nothing is wrong. Logs each problem once, and the end of all of them."""
    logged: set[str] = set()
    results = first_round(wait)
    while True:
        with contextlib.suppress(OSError):  # a full disk is another check's finding
            write_report(results)
        found = problems(results)
        for text, finding in found.items():
            if text not in logged:
                log_problem(text, finding)
        if not found:
            if logged:
                log.info("Nothing is wrong any more between SITE_URL and this site.")
            return
        logged = set(found)
        wait(REPEAT_SECONDS)
        results = carry_out_site_checks()


def first_round(wait: Wait) -> list[Result]:
    """Returns the results as soon as all checks can be carried out, or those of the last attempt."""
    results: list[Result] = []
    for seconds in FIRST_ATTEMPTS:
        wait(seconds)
        results = carry_out_site_checks()
        if results[0].level < Level.ERROR and not any(result.reason for result in results):
            break
    return results


def carry_out_site_checks() -> list[Result]:
    """Returns the results of all checks, or of the first alone: SITE_URL does not lead to this site. Takes seconds."""
    first = carry_out_with_limits(BY_NAME["site-url"])
    if first.level == Level.ERROR:
        return [first]
    return [first, *(carry_out_with_limits(check) for check in SITE_CHECKS if check != first.check)]


def problems(results: Sequence[Result]) -> dict[str, Finding | None]:
    """Returns what is wrong by its sentences; None for a check that was not carried out."""
    found: dict[str, Finding | None] = {}
    for result in results:
        for finding in result.findings:
            found[f"{finding.problem} {finding.next_step}"] = finding
        if result.reason:
            found[f"{result.check.title}: not checked, because {result.reason}."] = None
    return found


def log_problem(text: str, finding: Finding | None) -> None:
    detail = {"detail": finding.detail} if finding and finding.detail else {}
    log.warning(text, **detail)
