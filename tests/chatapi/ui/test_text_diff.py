"""The differences of two texts: every line of both is shown, or counted as equal."""

import re

from hypothesis import given
from hypothesis import strategies as st

from chatapi.ui.text_diff import CUT, MAX_LINES, SHOWN_EQUAL, Diff, DiffLine, compare

LINES = st.lists(st.sampled_from(["a", "b", "c", "{", "}"]), max_size=40)


def test_a_changed_line_has_three_equal_ones_around_it() -> None:
    old = [str(number) for number in range(20)]
    new = [*old[:10], "x", *old[11:]]
    found = compare("Body", "\n".join(old), "\n".join(new))
    assert found.lines == [
        DiffLine("gap", "7 equal lines"),
        *(DiffLine("same", line) for line in old[7:10]),
        DiffLine("removed", "10"),
        DiffLine("added", "x"),
        *(DiffLine("same", line) for line in old[11:14]),
        DiffLine("gap", "6 equal lines"),
    ]


@given(LINES, LINES)
def test_both_texts_can_be_read_from_the_differences(old: list[str], new: list[str]) -> None:
    lines = compare("", "\n".join(old), "\n".join(new)).lines
    for text, other in ((old, "added"), (new, "removed")):
        if old == new:
            assert lines == []
            continue
        at = 0
        for line in lines:
            if line.kind == "gap":
                at += int(re.findall(r"\d+", line.text)[0])
            elif line.kind != other:
                assert text[at] == line.text
                at += 1
        assert at == len(text)


def test_a_long_text_is_cut_and_says_so() -> None:
    found = compare("", "a\n" * (MAX_LINES + 1), "b\n" * 5)
    assert found.note == CUT
    assert sum(line.kind == "removed" for line in found.lines) == MAX_LINES


def test_texts_that_differ_in_line_breaks_or_look_equal_are_not_called_equal() -> None:
    for old, new, is_equal in (("a\n", "a", None), ("a\r\nb", "a\nb", None), ("a", "a", False)):
        assert compare("", old, new, is_equal=is_equal) == Diff("", [], SHOWN_EQUAL)
    assert compare("", "a", "a", is_equal=True) == compare("", "a", "a") == Diff("", [])
