"""A body is coloured without a change to what it says, and never becomes HTML of its own."""

import pytest

from testing_tools.verification.reading.pretty import MAX_COLOURED, SHOWN, show


def test_markup_in_a_body_is_escaped():
    shown = show(b'{"body":"<script>alert(1)</script>"}')
    assert shown.kind == "json"
    assert "<script" not in shown.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.html


def test_text_is_left_to_the_template_to_escape():
    shown = show(b"<b>x</b>")
    assert (shown.kind, shown.html, type(shown.html)) == ("text", "<b>x</b>", str)


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"", "empty"), (b"\xff", "bytes"), (b"a\x00b", "bytes"), (b"a", "text"), (b"1", "json")],
)
def test_what_kind_of_body_it_is(body, kind):
    assert show(body).kind == kind


def test_a_long_body_is_shown_plain_and_a_longer_one_is_cut():
    plain = show(b'["' + b"x" * MAX_COLOURED + b'"]')
    assert (plain.kind, type(plain.html), plain.cut) == ("json", str, False)
    cut = show(b"x" * (SHOWN + 1))
    assert (len(cut.text), cut.cut) == (SHOWN, True)
