"""The measurements as a Markdown table and a chart, printed and written to docs/performance.md."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from tests.bench.world import ROOT

DOCS = ROOT / "docs"


@dataclass
class Row:
    """A line of the first table: a way to deliver the same hooks."""

    name: str
    rate: float  # deliveries/s
    cpu: float  # CPU seconds per 1 000 deliveries, all processes together
    memory: float  # MB, PSS of the processes that send, at its peak
    ours: bool = False
    writes: bool = True  # does it write anything down?


@dataclass
class Promise:
    """A line of the second table: a figure that is promised."""

    what: str
    measured: str
    wanted: str
    kept: bool


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
        "| way | deliveries/s | ours to it | CPU s per 1 000 | peak MB |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        name = f"**{row.name}**" if row.ours else row.name
        name += "" if row.writes else " (nothing written down)"
        lines.append(
            f"| {name} | {row.rate:,.0f} | {base.rate / row.rate:.1f} | {row.cpu:.3f} | {row.memory:.0f} |"
        )
    return "\n".join(lines)


def promises_table(promises: list[Promise]) -> str:
    lines = ["| what | measured | at least | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {one.what} | {one.measured} | {one.wanted} | {'yes' if one.kept else '**no**'} |"
        for one in promises
    ]
    return "\n".join(lines)


def chart(rows: list[Row]) -> str:
    """Deliveries a second as bars, in an SVG that needs nothing else and reads in light and dark."""
    most = max(row.rate for row in rows)
    height = 34 * len(rows) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" role="img">',
        "<title>Deliveries a second</title>",
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

Written by `make bench`, which measures all of it anew on your machine; `make bench QUICK=1`
prints a rougher version in two minutes.

{when}, {machine}. PostgreSQL, the receiver and whatever sends share these cores. Bodies of
about 500 bytes, signed.{how}

![Deliveries a second](performance.svg)

{rates}

{notes}

## What is promised

{promises}

## How to read it

- **Read the ratios.** A machine's speed cancels out of them, for all lines come from one run; the figures themselves
  are this machine's. "Ours to it" is how many times as many deliveries a second ours makes.
- **CPU s per 1 000** counts every process: the sender, PostgreSQL, Redis where there is one, and the receiver. It says
  what a delivery costs even where a rate is held back by waiting.
- **Peak MB** is the memory of the processes that send (PSS: a page that several share counts once).
- **The dispatcher's memory** is PSS as well; in brackets its resident set at its highest (VmHWM), which counts the
  code of libc, Python, OpenSSL and the like in full, though other processes use the same pages.
- Ours writes each attempt whole (request, answer, times by phase) into PostgreSQL, durably, before it counts.
  django-webhook keeps an event with its state. The plain loop and the bare loop write nothing down.
- The bare CurlMulti loop sends by the same code without a database: the ceiling of this design in one process. What
  lies between it and ours is claiming, recording and PostgreSQL.
- From the commit to the request: the clock is read when `COMMIT` has returned, and again when the receiver has the
  whole request.
- "Beside" lines compare the quiet endpoints' 99th percentile with and without the disturbance, at the same rate.
"""


def tables(rows: list[Row], promises: list[Promise], notes: list[str]) -> str:
    text = "\n".join(f"- {note}" for note in notes)
    return "\n\n".join([rates_table(rows), text, promises_table(promises)])


def write(rows: list[Row], promises: list[Promise], notes: list[str], how: str) -> str:
    """Write docs/performance.md and its chart; returns what is to be printed."""
    text = "\n".join(f"- {note}" for note in notes)
    page = PAGE.format(
        when=f"{datetime.now(UTC):%-d %B %Y}",
        machine=machine(),
        how=f" {how}" if how else "",
        rates=rates_table(rows),
        notes=text,
        promises=promises_table(promises),
    )
    (DOCS / "performance.svg").write_text(chart(rows))
    (DOCS / "performance.md").write_text(page)
    return tables(rows, promises, notes)
