"""Shows the measurements as Markdown tables and a chart; prints them and writes docs/performance.md."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from tests.bench.environment import ROOT

DOCS = ROOT / "docs"


@dataclass
class Row:
    """A row of the first table: one way to deliver the same hooks."""

    name: str
    rate: float  # deliveries/s
    cpu: float  # CPU seconds per 1 000 deliveries, all processes together
    memory: float  # MB, peak PSS of the sending processes
    ours: bool = False
    stores: bool = True  # whether it stores anything


@dataclass
class Requirement:
    """A row of the second table: a figure and its requirement."""

    what: str
    measured: str
    required: str
    is_met: bool


def machine() -> str:
    model = "unknown processor"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or model
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def rates_table(rows: list[Row]) -> str:
    base = next(row for row in rows if row.ours)
    lines = [
        "| sender | deliveries/s | Chat API ÷ this | CPU s per 1 000 | peak MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        name = f"**{row.name}**" if row.ours else row.name
        name += "" if row.stores else " (stores nothing)"
        lines.append(
            f"| {name} | {row.rate:,.0f} | {base.rate / row.rate:.1f} | {row.cpu:.3f} | {row.memory:.0f} |"
        )
    return "\n".join(lines)


def requirements_table(requirements: list[Requirement]) -> str:
    lines = ["| what | measured | required | met |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one.what} | {one.measured} | {one.required} | {'yes' if one.is_met else '**no**'} |"
        for one in requirements
    ]
    return "\n".join(lines)


def chart(rows: list[Row]) -> str:
    """Returns an SVG bar chart of the deliveries per second: self-contained, for light and dark mode."""
    most = max(row.rate for row in rows)
    height = 34 * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" role="img">',
        "<title>Deliveries per second</title>",
        "<style>text{font:13px system-ui,sans-serif;fill:#1f2937}",
        "@media(prefers-color-scheme:dark){text{fill:#e5e7eb}}</style>",
    ]
    for place, row in enumerate(rows):
        y = 34 * place + 6
        width = max(row.rate / most * 400, 2)
        colour = "#206bc4" if row.ours else "#94a3b8"
        parts.append(f'<text x="280" y="{y + 17}" text-anchor="end">{escape(row.name)}</text>')
        parts.append(f'<rect x="290" y="{y}" width="{width:.0f}" height="24" rx="3" fill="{colour}"/>')
        parts.append(f'<text x="{296 + width:.0f}" y="{y + 17}">{row.rate:,.0f}/s</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


PAGE = """# How fast hooks are delivered

Written by `make bench`, which repeats all measurements on your machine; `make bench QUICK=1`
prints a less precise version in two minutes.

{when}, {machine}. PostgreSQL, the receiver and the sender share these cores. Bodies of
about 500 bytes, signed.{how}

![Deliveries per second](performance.svg)

{rates}

{notes}

## Requirements

{requirements}

## How to read it

- **Compare the ratios.** All rows come from one run, so the speed of the machine cancels out; the absolute figures are
  this machine's. "Chat API ÷ this" is Chat API's deliveries per second, divided by this
  sender's.
- **CPU s per 1 000** counts all processes: the sender, PostgreSQL, Redis where it is used, and the receiver. It shows
  what a delivery costs, even where the rate is limited by waiting.
- **Peak MB** is the memory of the sending processes (PSS: a page shared by several processes counts once).
- **The dispatcher's memory** is PSS too. The figure in brackets is its peak resident set (VmHWM), which includes the
  code of libc, Python, OpenSSL and similar libraries in full, although other processes share the same pages.
- Chat API stores each attempt completely (request, response, time of each phase) in PostgreSQL, durably, before it
  counts. django-webhook stores an event with its state. The plain loop and the bare loop store nothing.
- The bare CurlMulti loop sends with the same code, but without a database: it is the upper limit of this design in one
  process. The difference is the cost of claiming, recording and PostgreSQL.
- "From commit to request": the clock is read when `COMMIT` has returned, and again when the receiver has the complete
  request.
- "Event commits": each client emits one event per transaction, for one of 1 000 instances at random. A library loaded
  into PostgreSQL makes each flush take 4 ms; the standby flushes in 1 ms. "NOTIFY in the transaction" is the way of
  version 0.1.0, measured in turn with the present one. pgbench needs hardly any CPU: it shows what PostgreSQL could
  commit if the product's own CPU were no limit.
- The rows about hanging endpoints and a full lane compare the 99th percentile of the other endpoints with and without
  the disturbance, at the same rate.
"""


def tables(rows: list[Row], requirements: list[Requirement], notes: list[str]) -> str:
    text = "\n".join(f"- {note}" for note in notes)
    return "\n\n".join([rates_table(rows), text, requirements_table(requirements)])


def sections(page: str) -> dict[str, str]:
    """Returns the sections of a page by their headings of level 2; the text before the first one has the key ""."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    found = {"": parts[0]}
    for part in parts[1:]:
        found[part.partition("\n")[0].removeprefix("## ")] = part
    return found


def with_other_sections(page: str, before: str) -> str:
    """Returns `page`, with the sections that only `before` has in front of the last section of `page`."""
    new = sections(page)
    *first, last = new.values()
    kept = [text for heading, text in sections(before).items() if heading not in new]
    return "".join([*first, *kept, last])


def with_measured(page: str, name: str, text: str) -> str:
    """Returns the page with `text` between its comments "measured: name" and "end of name".

    Raises:
        ValueError: the page lacks these comments.
    """
    begin, end = f"<!-- measured: {name} -->", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"docs/performance.md lacks {begin} or {end}")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def replace_measured(name: str, text: str) -> None:
    """Writes `text` into docs/performance.md, between the comments of that name."""
    page = DOCS / "performance.md"
    page.write_text(with_measured(page.read_text(), name, text))


def write(rows: list[Row], requirements: list[Requirement], notes: list[str], how: str) -> str:
    """Writes docs/performance.md and its chart; returns the text to print. Hand-written sections stay."""
    text = "\n".join(f"- {note}" for note in notes)
    page = PAGE.format(
        when=f"{datetime.now(UTC):%-d %B %Y}",
        machine=machine(),
        how=f" {how}" if how else "",
        rates=rates_table(rows),
        notes=text,
        requirements=requirements_table(requirements),
    )
    (DOCS / "performance.svg").write_text(chart(rows))
    path = DOCS / "performance.md"
    path.write_text(with_other_sections(page, path.read_text()))
    return tables(rows, requirements, notes)
