"""The report of `manage.py doctor`: what is wrong, in lines of the terminal's width, and a line for what is not."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from chatapi.runtime.doctor.findings import Finding, Level
from chatapi.runtime.doctor.runs import Result

MARKS = {Level.OK: "✓", Level.NOTE: "·", Level.WARNING: "!", Level.ERROR: "✗"}
NOT_CARRIED_OUT = "?"
MAX_WIDTH = 110
INDENT = " " * 2
PLAIN: Callable[[str, Level], str] = lambda text, level: text  # noqa: E731 - the default of `paint`


def lines_of(
    results: Sequence[Result],
    *,
    width: int,
    show_all: bool = False,
    paint: Callable[[str, Level], str] = PLAIN,
) -> Iterator[str]:
    """Yields the lines. `paint` colours a text by a level; `show_all` also lists the checks that found nothing."""
    width = min(width, MAX_WIDTH)
    found = [(finding, result) for result in results for finding in result.findings]
    for finding, result in sorted(found, key=lambda one: -one[0].level):
        yield from lines_of_finding(finding, result, width, paint)
        yield ""
    yield from lines_of_reasons(results, width, paint)
    passed = [result for result in results if not result.findings and not result.reason]
    if show_all:
        for result in passed:
            yield paint(f"{MARKS[Level.OK]} {result.check.area}: {result.check.title}", Level.OK)
        yield ""
    checks = "1 check" if len(passed) == 1 else f"{len(passed)} checks"
    yield paint(
        f"{MARKS[Level.OK]} {checks} found nothing wrong" + ("." if show_all else " (--all lists them)."),
        Level.OK,
    )


def lines_of_finding(
    finding: Finding, result: Result, width: int, paint: Callable[[str, Level], str]
) -> Iterator[str]:
    yield paint(
        f"{MARKS[finding.level]} {finding.level.word.capitalize()} · {result.check.area} · {result.check.name}",
        finding.level,
    )
    yield from wrapped(finding.problem, width)
    if finding.detail:
        yield from wrapped(finding.detail, width)
    yield from wrapped(finding.next_step, width, "→ ")


def lines_of_reasons(
    results: Sequence[Result], width: int, paint: Callable[[str, Level], str]
) -> Iterator[str]:
    """Yields one entry for each reason, because one reason may stop twenty checks."""
    stopped: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.reason:
            stopped[result.reason].append(result.check.title)
    for reason, titles in stopped.items():
        what = "1 check was" if len(titles) == 1 else f"{len(titles)} checks were"
        yield paint(f"{NOT_CARRIED_OUT} {what} not carried out: {reason}.", Level.WARNING)
        yield from wrapped(", ".join(titles) + ".", width)
        yield ""


def wrapped(text: str, width: int, before: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=INDENT + before,
        subsequent_indent=INDENT + " " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )
