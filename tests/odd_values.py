"""Values that broke parsers elsewhere: for every text of a query, a form, JSON and a path."""

from typing import Any

DEEP_ARRAY = "[" * 3_000
ODD_TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\uffff", "\u202e", "a\r\nSet-Cookie: b=c", "\ufeff1", "²", "٣", "½",
    "-1", "00000299999999", "2147483648", "9223372036854775808", "1e400", "NaN", "Infinity", "-0", "9" * 5_000,
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01", "2026-02-30", "25:61", "1-W99",
    "http://[::1/x", "http://[v1.x]/", "http://a:99999999/", "http://\u2488.com/", "http://" + "a" * 300 + ".com/",
    "http://[::ffff:127.0.0.1%25lo]/", "//[/", "data:audio/ogg;base64,", "data:;base64,AAAA", "data:,", "javascript:1",
    "a:b", "status:²", "size:>999999999999mb", DEEP_ARRAY, '{"a":' * 3_000, '["' * 2_000, '{"a": 1e999}',
    "a" * 100_000, "*" * 2_000, "(" * 2_000, "a," * 5_000, "17680561234,"* 2_000, "@" * 3_000, "-" * 3_000 + "@g.us",
    "1" * 30 + "@c.us", "17680561234-99999999999999999999@g.us", "{{x}}%s%(a)s{0}", "../../etc/passwd", "a@b@c",
    "a@" + "b" * 300 + ".com", "a@xn--\u2488.com", "00000000-0000-0000-0000-000000000000", "hook_" + "f" * 32,
    "BEGIN:VCARD\n" + "TEL:1\n" * 3_000 + "END:VCARD", "52.5;13.4", "1e999;1e999",
)  # fmt: skip
# For JSON, besides the texts.
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 0.5, 1e308, -1e308, 2**31, 2**63, 2**70, 10**400, [], {}, [[]], [None], [{}], [1, "a"],
    {"a": 1}, {"": []}, [[[[1]]]], ["17680561234"] * 1_500, {"\ud800": 1}, ["\ud800"], ["\x00"],
)  # fmt: skip
