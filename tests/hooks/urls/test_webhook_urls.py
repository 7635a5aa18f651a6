"""Which webhook URLs are accepted, and in which form they are stored."""

import pytest

from hooks.urls.webhook_urls import MAX_LENGTH, InvalidUrl, check, host_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.com/hook", "https://example.com/hook"),
        ("  https://example.com/hook\n", "https://example.com/hook"),
        ("HTTP://Example.COM/Hook", "http://example.com/Hook"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com:8080", "http://example.com:8080/"),
        ("http://example.com:", "http://example.com/"),
        ("http://example.com?key=1", "http://example.com/?key=1"),
        ("http://example.com/a#part", "http://example.com/a"),
        ("http://example.com/with space", "http://example.com/with%20space"),
        ("http://example.com/already%20escaped", "http://example.com/already%20escaped"),
        ("http://example.com/ünï?q=ö", "http://example.com/%C3%BCn%C3%AF?q=%C3%B6"),
        ('http://example.com/"<>', "http://example.com/%22%3C%3E"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://straße.example/", "http://xn--strae-oqa.example/"),  # IDNA 2003 would give strasse.example
        ("http://faß.DE/", "http://xn--fa-hia.de/"),
        ("http://ς.example/", "http://xn--3xa.example/"),
        ("http://☕.example/", "http://xn--53h.example/"),
        ("http://ｅｘａｍｐｌｅ．com/", "http://example.com/"),
        ("http://例え。jp/", "http://xn--r8jz45g.jp/"),
        ("http://a\u00adb.example/", "http://ab.example/"),  # a soft hyphen is not part of a name
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://１２７.0.0.1:80/", "http://127.0.0.1:80/"),
        ("http://127.1/", "http://127.0.0.1/"),
        ("http://0x7f000001/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0177.0.0.1/", "http://127.0.0.1/"),
        ("http://10.0.0.1./", "http://10.0.0.1/"),
        ("http://[::ffff:10.0.0.1]/", "http://[::ffff:a00:1]/"),
        ("http://example.com/a/../b", "http://example.com/a/../b"),
        ("http://example.com/a/%2e%2e/b", "http://example.com/a/%2e%2e/b"),
        ("http://my_bot.local/", "http://my_bot.local/"),
        ("http://localhost:8000/", "http://localhost:8000/"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
        ("http://[::1]:8000/", "http://[::1]:8000/"),
        ("http://[0:0:0::1]/", "http://[::1]/"),
        ("http://example.com./", "http://example.com./"),
    ],
)
def test_a_url_is_stored_as_it_will_be_requested(given: str, kept: str) -> None:
    assert check(given) == kept
    assert check(kept) == kept  # checking it again changes nothing


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("", "The URL is empty. Enter one like https://example.com/hook."),
        ("   ", "The URL is empty. Enter one like https://example.com/hook."),
        ("example.com/hook", "The URL must start with http:// or https://."),
        ("ftp://example.com/", "The URL must start with http:// or https://."),
        ("file:///etc/passwd", "The URL must start with http:// or https://."),
        ("javascript:alert(1)", "The URL must start with http:// or https://."),
        (
            "http:///hook",
            "The URL has no host name. Enter one like https://example.com/hook.",
        ),
        (
            "http://:8000/",
            "The URL has no host name. Enter one like https://example.com/hook.",
        ),
        (
            "http://user:secret@example.com/",
            "The URL contains a user name or password. Put a key into the path or query instead.",
        ),
        (
            "http://@example.com/",
            "The URL contains a user name or password. Put a key into the path or query instead.",
        ),
        ("http://example.com:0/", "The port must be between 1 and 65535."),
        ("http://example.com:65536/", "The URL is not valid: Port out of range 0-65535."),
        ("http://exa mple.com/", "exa mple.com is not a host name."),
        ("http://-a.com/", "-a.com is not a host name."),
        ("http://a..b/", "a..b is not a host name."),
        (f"http://{'a' * 64}.com/", f"{'a' * 64}.com is not a host name."),
        (f"http://{'ü' * 64}.com/", f"{'ü' * 64}.com is not a host name."),
        ("http://a\u200db.example/", "a\u200db.example is not a host name."),
        ("http://שלוםa.example/", "שלוםa.example is not a host name."),
        ("http://ü..example/", "ü..example is not a host name."),
        ("http://1.2.3.4.5/", "1.2.3.4.5 is not an IP address."),
        ("http://999.1.1.1/", "999.1.1.1 is not an IP address."),
        ("http://[v1.x]/", "[v1.x] is not an IP address."),
        ("http://[::1%lo]/", "[::1%lo] has a zone (lo), which a webhook URL cannot have. Remove it."),
        ("http://[::1%25lo]/", "[::1%25lo] has a zone (25lo), which a webhook URL cannot have. Remove it."),
        ("http://[::1/", "The URL is not valid: Invalid IPv6 URL."),
        ("http://example.com/a\nb", "The URL contains a line break or another control character."),
        ("http://example.com/a\x00b", "The URL contains a line break or another control character."),
        ("http://example.com/\ud800", "The URL contains half of a surrogate pair, which is not a character."),
        (
            "http://example.com/?q=\ud800",
            "The URL contains half of a surrogate pair, which is not a character.",
        ),
    ],
)
def test_an_invalid_url_is_rejected_with_the_reason(given: str, sentence: str) -> None:
    with pytest.raises(InvalidUrl) as refused:
        check(given)
    assert str(refused.value) == sentence


def test_at_most_2000_characters_are_allowed() -> None:
    longest = "http://example.com/".ljust(MAX_LENGTH, "a")
    assert check(longest) == longest
    with pytest.raises(InvalidUrl) as refused:
        check(longest + "a")
    assert str(refused.value) == "The URL is 2001 characters long; at most 2000 are allowed."


def test_the_length_counts_after_escaping() -> None:
    with pytest.raises(InvalidUrl) as refused:
        check("http://example.com/" + "ж" * 1000)
    assert str(refused.value) == ("The URL is 6019 characters long when escaped; at most 2000 are allowed.")


def test_the_host_of_a_url() -> None:
    assert host_of("http://example.com:8000/hook") == "example.com"
    assert host_of("http://[::1]:8000/") == "::1"
    assert host_of("") == ""
