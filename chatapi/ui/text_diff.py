"""The differences between two texts, line by line, for templates/chatapi/ui/diff.html."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

CONTEXT = 3  # equal lines shown around a difference
# Lines that are compared. difflib takes quadratic time in the worst case: 0.2 s for 1 000 lines.
MAX_LINES = 1000
MAX_WIDTH = 2000  # characters of a line that are shown
CUT = f"The first {MAX_LINES:,} lines are compared."
SHOWN_EQUAL = "What is shown is equal. The bytes may differ: in white space, or after the part that is shown."


class DiffLine(NamedTuple):
    """`kind` is same, removed, added or gap; the text of a gap says how many equal lines are left out."""

    kind: str
    text: str


class Diff(NamedTuple):
    """The differences of a part of two requests or responses; without lines and `note`, both are equal."""

    title: str
    lines: list[DiffLine]
    note: str = ""  # what the lines leave out


def compare(title: str, old: str, new: str, *, is_equal: bool | None = None) -> Diff:
    """Returns the differences of two texts.

    `is_equal`: whether the bytes that the texts show are known to be equal; by default, whether the texts are.
    """
    if is_equal or (is_equal is None and old == new):
        return Diff(title, [])
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return Diff(title, [], SHOWN_EQUAL)
    is_cut = max(len(before), len(after)) > MAX_LINES
    return Diff(title, list(diff_lines(before[:MAX_LINES], after[:MAX_LINES])), CUT if is_cut else "")


def diff_lines(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffLine]:
    """Yields the lines with a difference, and CONTEXT equal lines around them."""
    at = 0
    for group in SequenceMatcher(None, before, after).get_grouped_opcodes(CONTEXT):
        if group[0][1] > at:
            yield gap(group[0][1] - at)
        for kind, start, end, new_start, new_end in group:
            if kind == "equal":
                yield from (DiffLine("same", line[:MAX_WIDTH]) for line in before[start:end])
                continue
            yield from (DiffLine("removed", line[:MAX_WIDTH]) for line in before[start:end])
            yield from (DiffLine("added", line[:MAX_WIDTH]) for line in after[new_start:new_end])
        at = group[-1][2]
    if len(before) > at:
        yield gap(len(before) - at)


def gap(count: int) -> DiffLine:
    return DiffLine("gap", "1 equal line" if count == 1 else f"{count} equal lines")
