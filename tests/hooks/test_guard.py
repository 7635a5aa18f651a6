"""Which network addresses hooks may reach."""

import pytest
from pytest_django.fixtures import Settings

from hooks.guard import is_own_bin, refusal

BLOCKED = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("fc00::1", "private"),
    ("fdff::1", "private"),
    ("fec0::1", "private"),
    ("169.254.0.1", "link-local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("100.64.0.1", "CGNAT"),
    ("100.127.255.255", "CGNAT"),
    ("::ffff:127.0.0.1", "IPv4-mapped"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("::ffff:0:10.0.0.1", "IPv4-mapped"),
    ("::10.0.0.1", "IPv4-mapped"),
    ("64:ff9b::7f00:1", "NAT64"),
    ("64:ff9b:1::1", "NAT64"),
    ("2002:7f00:1::", "6to4"),
    ("192.88.99.1", "6to4"),
    ("2001::1", "Teredo"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("ff02::1", "multicast"),
    ("198.18.0.1", "benchmark"),
    ("2001:2::1", "benchmark"),
    ("192.0.2.1", "documentation"),
    ("198.51.100.1", "documentation"),
    ("203.0.113.1", "documentation"),
    ("2001:db8::1", "documentation"),
    ("192.0.0.1", "reserved"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("100::1", "reserved"),
    ("169.254.169.254", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("169.254.170.2", "metadata"),
    ("169.254.170.23", "metadata"),
    ("fd00:ec2::23", "metadata"),
    ("100.100.100.200", "metadata"),
    ("168.63.129.16", "metadata"),
    ("192.0.0.192", "metadata"),
    ("not an address", "unreadable"),
    ("", "unreadable"),
]


@pytest.mark.parametrize(("address", "rule"), BLOCKED)
def test_an_address_outside_the_internet_is_blocked(settings: Settings, address: str, rule: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    assert refusal(address) == rule


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.0.1",
        "2606:4700::1111", "2a00:1450::1",
    ],
)  # fmt: skip
def test_an_address_of_the_internet_is_allowed(settings: Settings, address: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    assert refusal(address) == ""


def test_only_a_listed_network_is_allowed(settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["10.1.0.0/16", " fd00::/8 "]
    assert refusal("10.1.2.3") == ""
    assert refusal("fd00::1") == ""
    assert refusal("10.2.0.1") == "private"
    assert refusal("127.0.0.1") == "loopback"


def test_a_listed_ipv4_network_does_not_include_its_ipv6_forms(settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["127.0.0.0/8"]
    assert refusal("127.0.0.1") == ""
    assert refusal("::ffff:127.0.0.1") == "IPv4-mapped"
    assert refusal("::1") == "loopback"


@pytest.mark.parametrize("network", ["0.0.0.0/0", "169.254.0.0/16", "169.254.169.254/31"])
def test_a_listed_network_does_not_include_a_metadata_service(settings: Settings, network: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = [network]
    assert refusal("169.254.169.254") == "metadata"


@pytest.mark.parametrize("entry", ["169.254.169.254", "169.254.169.254/32"])
def test_a_metadata_service_needs_its_own_entry(settings: Settings, entry: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = ["169.254.0.0/16", entry]
    assert refusal("169.254.169.254") == ""
    assert refusal("169.254.170.2") == "metadata"


def test_the_networks_of_a_laptop_include_no_metadata_service(settings: Settings) -> None:
    settings.HOOKS_ALLOW_NETWORKS = settings.LAPTOP_NETWORKS
    assert refusal("127.0.0.1") == refusal("192.168.1.10") == refusal("fd12::1") == ""
    assert refusal("fd00:ec2::254") == refusal("169.254.169.254") == "metadata"
    assert refusal("169.254.1.1") == "link-local"


@pytest.mark.parametrize(
    "url",
    [
        "abcd1234",
        "abcd1234/",
        "abcd1234/sub/path",
        "abcd1234/a_b-c",
        "abcd1234?key=1",
        "abcd1234/?key=a%2Fb&c",
        "abcd1234/hook.php?a=../..",
        "abcd1234/.x/..y/...",
        "abcd1234?",
    ],
)
def test_a_url_of_an_own_bin_is_recognised(settings: Settings, url: str) -> None:
    settings.HOOKS_OWN_BINS = "https://chat.example/bin/"
    assert is_own_bin(f"https://chat.example/bin/{url}")


@pytest.mark.parametrize(
    "url",
    [
        "https://chat.example/bin/abcd1234/../../admin/",
        "https://chat.example/bin/../admin/12",
        "https://chat.example/bin/abcd1234/%2e%2e/%2e%2e/admin/",
        "https://chat.example/bin/abcd1234/..",
        "https://chat.example/bin/abcd1234/./x",
        "https://chat.example/bin/abcd1234//x",
        "https://chat.example/bin/abcd1234/..?x=1",
        "https://chat.example/bin/abcd1234/../../admin/?x=1",
        "https://chat.example/bin/abcd1234/.",
        "https://chat.example/bin/abcd1234/./",
        "https://chat.example/bin/abcd1234/..\\..\\admin",
        "https://chat.example/bin/abcd1234/a%2f..",
        "https://chat.example/bin/abcd1234?x=1#y",
        "https://chat.example/bin/abcd1234?x=1 2",
        "https://chat.example/bin/abcd123?x=1",
        "https://chat.example/bin/?abcd1234",
        "https://chat.example/bin/abcd1234#x",
        "https://chat.example/bin/abcd123",
        "https://chat.example/bin/abcd12345",
        "https://chat.example/bin/ABCD1234",
        "https://chat.example/bin/",
        "https://chat.example/binabcd1234",
        "https://chat.example:444/bin/abcd1234",
        "https://chat.example.evil.example/bin/abcd1234",
        "http://chat.example/bin/abcd1234",
        "https://chat.example@127.0.0.1/bin/abcd1234",
        "https://chat.example/bin/abcd1234\n",
        "",
    ],
)
def test_a_url_that_only_resembles_a_bin_is_not_an_own_bin(settings: Settings, url: str) -> None:
    settings.HOOKS_OWN_BINS = "https://chat.example/bin/"
    assert not is_own_bin(url)
