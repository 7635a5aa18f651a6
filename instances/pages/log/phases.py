"""How long each phase of an attempt took, and which one failed."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from hooks.explain.verdicts import Result, failed_phase
from hooks.models import Phase


class TimedResult(Result, Protocol):
    """The result of an attempt, or of a message's try, with libcurl's marks."""

    @property
    def name_ms(self) -> float | None: ...
    @property
    def connect_ms(self) -> float | None: ...
    @property
    def tls_ms(self) -> float | None: ...
    @property
    def first_byte_ms(self) -> float | None: ...
    @property
    def total_ms(self) -> float: ...


class ShownPhase(NamedTuple):
    """One phase on the bar; `x` and `width` are in thousandths of the total."""

    phase: Phase
    ms: float
    x: float
    width: float
    has_failed: bool


def phases_of(attempt: TimedResult) -> list[ShownPhase]:
    """Returns the phases of an attempt, from libcurl's marks: milliseconds since the start at which each ended.

    The time after the last mark belongs to the phase that failed, or to the download of a complete response. A phase
    that took no time is left out: connecting, on a connection that was kept open.
    """
    failed = failed_phase(attempt)
    marks = [
        (Phase.DNS, attempt.name_ms),
        (Phase.CONNECT, attempt.connect_ms),
        (Phase.TLS, attempt.tls_ms),
        (Phase.WAITING, attempt.first_byte_ms),
    ]
    whole = max(attempt.total_ms or 0, *(mark or 0 for _, mark in marks))
    if not whole:
        return []
    parts: list[tuple[Phase, float, float]] = []  # phase, start, end
    reached = 0.0
    for phase, mark in [*marks, (failed or Phase.DOWNLOAD, attempt.total_ms)]:
        if mark is None or mark <= reached:
            continue
        if parts and parts[-1][0] == phase:  # the alert of TLS 1.3 comes after the handshake
            phase, reached, _ = parts.pop()
        parts.append((phase, reached, mark))
        reached = mark
    return [
        ShownPhase(phase, end - start, 1000 * start / whole, 1000 * (end - start) / whole, phase == failed)
        for phase, start, end in parts
    ]
