"""A body is indented, coloured and folded without a change to what it says, and never becomes HTML of its own."""

import html
import re

import pytest

from chatapi.ui import xml_text
from testing_tools.verification.reading.pretty import MAX_COLOURED, MAX_LINES, SHOWN, show


def test_markup_in_a_body_is_escaped():
    shown = show(b'{"body":"<script>alert(1)</script>"}')
    assert shown.kind == "json"
    assert "<script" not in shown.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown.html


def test_text_is_left_to_the_template_to_escape():
    shown = show(b"<b>x</b>!")
    assert (shown.kind, shown.html, type(shown.html)) == ("text", "<b>x</b>!", str)


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


XML = '<?xml version="1.0"?><a x="1>2"><b>t &amp; <i>m</i></b><!-- two\nlines --><c/><d><e> </e></d></a>'


def test_xml_is_indented_where_white_space_has_no_meaning():
    shown = show(XML.encode())
    assert (shown.kind, shown.is_foldable) == ("xml", True)
    assert shown.text.split("\n") == [
        '<?xml version="1.0"?>',
        '<a x="1>2">',
        "  <b>t &amp; <i>m</i></b>",
        "  <!-- two",
        "lines -->",
        "  <c/>",
        "  <d>",
        "    <e> </e>",
        "  </d>",
        "</a>",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "<a><b></a>", "<a>", "<a/><b/>", "<a/>x", "x<a/>", "</a>", "<a b=1>", "< a/>", "<a", "<a x='<'/>",
        "<!-- a", "<![CDATA[x]]>", "<a><![CDATA[x]]", "<!DOCTYPE a [", "<>", "<a></b>",
    ],
)  # fmt: skip
def test_what_is_not_well_formed_stays_as_sent(body):
    shown = show(body.encode())
    assert (shown.kind, shown.text) == ("text", body)


def test_entities_are_not_expanded_and_declared_html_stays_as_sent():
    bomb = '<!DOCTYPE a [<!ENTITY x "yyyy"><!ENTITY z "&x;&x;">]><a>&z;</a>'
    assert show(bomb.encode()).text.split("\n")[-1] == "<a>&z;</a>"
    page = b"<p><b>1</b> <b>2</b></p>"
    assert show(page, [("Content-Type", "text/html")]).text == page.decode()


@pytest.mark.parametrize("part", ["<!--", '<a "', "<a>", "<a/", "<![CDATA[", "<?", "<!DOCTYPE [", "<a x='"])
def test_hostile_xml_is_read_once(part, monkeypatch):
    """A search for the next token took quadratic time: 4 s for 64 KB of `<!--`."""
    body = part * (MAX_COLOURED // len(part))
    starts = []
    token = xml_text.TOKEN

    class Counted:
        def match(self, text, at):
            starts.append(at)
            return token.match(text, at)

    monkeypatch.setattr(xml_text, "TOKEN", Counted())
    assert show(body.encode()).text == body
    assert starts == sorted(set(starts))


def test_a_name_without_end_is_read_once():
    """Each of its beginnings was tried as the name: 137 s for 64 KB, which the test's timeout ends."""
    body = "<" + "a" * (MAX_COLOURED - 1)
    shown = show(body.encode())
    assert (shown.kind, shown.text) == ("text", body)


def test_levels_are_folded_and_the_lines_stay_complete():
    shown = show(b'{"a":[1,2,{"b":"<x>"}],"c":{},"d":null}')
    assert shown.html.count("<details") == shown.html.count("</details>") == 3
    assert re.findall(r'data-hidden="(.*?)"', shown.html) == ["9 lines", "5 lines", "1 line"]
    words = re.sub(r"<[^>]+>", "", shown.html)
    assert html.unescape(re.sub(r"\s", "", words)) == re.sub(r"\s", "", shown.text)


def test_a_text_of_many_lines_is_indented_but_not_folded():
    shown = show(b"[" + b"1," * MAX_LINES + b"1]")
    assert (shown.kind, shown.is_foldable, type(shown.html)) == ("json", False, str)
    assert shown.text.count("\n") == MAX_LINES + 2
    deep = b"<a>" * 9000 + b"</a>" * 9000
    assert show(deep).text == deep.decode()  # indented, it would have 1.4 MB
