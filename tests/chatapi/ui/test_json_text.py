"""JSON is shown token for token: only the white space between tokens changes."""

import json

import pytest

from chatapi.ui.json_text import indented, is_json, pretty_bytes, pretty_text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            '{"a":[1,{"b":null}],"c":{}}',
            '{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "c": {}\n}',
        ),
        ("[]", "[]"),
        ("[[],[ ]]", "[\n  [],\n  []\n]"),
        ('"x:y,[z]{\\"}"', '"x:y,[z]{\\"}"'),
        ('{"n":1.0,"n":1E5,"u":"\\u00e9"}', '{\n  "n": 1.0,\n  "n": 1E5,\n  "u": "\\u00e9"\n}'),
    ],
)
def test_json_is_indented_token_by_token(given, expected):
    assert indented(given) == expected
    json.loads(indented(given))


LONG = "9" * 5000  # digits; Python reads 4300


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (
            '{"ok":false,"ok":true,"price":1.10,"e":1E5}',
            '{\n  "ok": false,\n  "ok": true,\n  "price": 1.10,\n  "e": 1E5\n}',
        ),
        ('["\\u00e9","\\/","\\ud800"]', '[\n  "\\u00e9",\n  "\\/",\n  "\\ud800"\n]'),
        (f"[{LONG},-0,0.1e+05]", f"[\n  {LONG},\n  -0,\n  0.1e+05\n]"),
        ('\ufeff{"a":1}', '\ufeff{\n  "a": 1\n}'),
    ],
)
def test_no_token_changes(given, shown):
    assert pretty_text(given) == shown
    assert pretty_bytes(given.encode()) == shown


@pytest.mark.parametrize("text", ["", "OK", "[NaN]", "{'a':1}", '{"a":1}{"b":2}', "[" * 100_000, "[1,]"])
def test_text_that_is_not_json_is_unchanged(text):
    assert not is_json(text)
    assert pretty_text(text) == text
