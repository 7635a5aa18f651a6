"""Which network addresses hooks may reach."""

import ipaddress
import json
import subprocess
import sys

import pytest
from pytest_django.fixtures import Settings

from hooks import guard
from hooks.guard import is_own_bin, refusal
from tests.requirements import cannot_run

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
    ("100:0:0:1::1", "reserved"),
    ("2001:1::1", "reserved"),
    ("2001:3::1", "reserved"),
    ("2001:4:112::1", "reserved"),
    ("2001:10::1", "reserved"),
    ("2001:20::1", "reserved"),
    ("2001:30::1", "reserved"),
    ("2001:1ff:ffff::1", "reserved"),
    ("2620:4f:8000::1", "reserved"),
    ("3fff::1", "documentation"),
    ("3fff:fff:ffff::1", "documentation"),
    ("5f00::1", "reserved"),
    ("4000::1", "reserved"),
    ("1fff:ffff::1", "reserved"),
    ("a000::1", "reserved"),
    ("192.0.0.9", "reserved"),
    ("192.31.196.1", "reserved"),
    ("192.52.193.1", "reserved"),
    ("192.175.48.1", "reserved"),
    ("2002:a9fe:a9fe::1", "6to4"),
    ("64:ff9b::169.254.169.254", "NAT64"),
    ("::169.254.169.254", "IPv4-mapped"),
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
        "192.0.1.1", "192.31.197.1", "192.175.49.1", "2000::1", "2001:200::1", "2001:4860:4860::8888",
        "2003::1", "2606:4700::1111", "2620:4f:8001::1", "2a00:1450::1", "3ffe:ffff::1", "3fff:1000::1",
        "3fff:ffff::1",
    ],
)  # fmt: skip
def test_an_address_of_the_internet_is_allowed(settings: Settings, address: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    assert refusal(address) == ""


# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
IANA = """
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4
255.255.255.255/32
::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32 2001:1::1/128
2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28 2001:30::/28
2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10
"""


@pytest.mark.parametrize("network", IANA.split())
def test_no_special_purpose_network_of_iana_is_allowed(settings: Settings, network: str) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    whole = ipaddress.ip_network(network)
    size = whole.num_addresses
    for index in {0, 1 % size, size // 3, size // 2, size - 1}:
        assert refusal(str(whole[index])), whole[index]


def test_of_ipv6_only_global_unicast_is_allowed(settings: Settings) -> None:
    """2000::/3: the first three bits are 001. Every other first byte is refused."""
    settings.HOOKS_ALLOW_NETWORKS = []
    allowed = [first for first in range(256) if not refusal(f"{first << 8 | 0x77:x}:7777::1")]
    assert allowed == [*range(0x20, 0x40)]


@pytest.mark.parametrize(
    ("network", "address", "rule"),
    [
        ("64:ff9b::/96", "64:ff9b::8.8.8.8", ""),
        ("64:ff9b::/96", "64:ff9b::10.0.0.1", "private"),
        ("64:ff9b::/96", "64:ff9b::169.254.169.254", "metadata"),
        ("64:ff9b:1::/48", "64:ff9b:1::127.0.0.1", "loopback"),
        ("2002::/16", "2002:a00:1::1", "private"),
        ("2002::/16", "2002:808:808::1", ""),
        ("::ffff:0:0/96", "::ffff:192.168.1.1", "private"),
        ("::/96", "::10.0.0.1", "private"),
        ("::/0", "::1", ""),
    ],
)
def test_a_listed_translator_leads_only_to_allowed_ipv4_addresses(
    settings: Settings, network: str, address: str, rule: str
) -> None:
    settings.HOOKS_ALLOW_NETWORKS = [network]
    assert refusal(address) == rule


def test_an_address_of_this_machine_is_refused_unless_listed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HOOKS_ALLOW_NETWORKS = []
    settings.OUTPUT_IP = "8.8.4.5"
    own = frozenset(map(ipaddress.ip_address, ("8.8.4.4", "2a00:1450::7")))
    monkeypatch.setattr(guard, "interface_addresses", lambda: own)
    monkeypatch.setattr(guard, "own_addresses", guard.OwnAddresses())
    addresses = ("8.8.4.4", "8.8.4.5", "2a00:1450::7", "8.8.4.6")
    assert [refusal(address) for address in addresses] == [*3 * [guard.OWN_ADDRESS], ""]
    settings.HOOKS_ALLOW_NETWORKS = ["8.8.4.0/24"]
    assert [refusal(address) for address in addresses] == ["", "", guard.OWN_ADDRESS, ""]


# Runs in a network namespace of its own, whose interface gets public addresses while the process runs.
IN_NAMESPACE = """
import json, subprocess, time
import django
django.setup()
from django.conf import settings
from hooks import guard, http
from tests.receiver import Receiver

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def post(url):
    got = http.post(url, {}, b"{}")
    return [str(got.outcome), got.error]

settings.HOOKS_ALLOW_NETWORKS = []
guard.OWN_ADDRESSES_SECONDS = 0.05
ip("link", "set", "lo", "up")
before = guard.refusal("8.8.4.4")
for address in ("8.8.4.4/32", "2a00:1450::7/128"):
    ip("address", "add", address, "dev", "lo")
until = time.monotonic() + 30
while not guard.refusal("8.8.4.4") and time.monotonic() < until:
    time.sleep(0.01)
with Receiver(host="8.8.4.4") as site:
    base = f"http://8.8.4.4:{site.port}"
    settings.HOOKS_OWN_BINS = base + "/bin/"
    found = {
        "before": before,
        "hook": post(base + "/hook"),
        "ipv6": post(f"http://[2a00:1450::7]:{site.port}/hook"),
        "bin": post(base + "/bin/abcd1234"),
        "requests": [request.path for request in site.requests],
    }
    settings.HOOKS_ALLOW_NETWORKS = ["8.8.4.4"]
    found["listed"] = post(base + "/hook")
print(json.dumps(found))
"""


def test_a_public_address_of_an_interface_is_refused_as_soon_as_it_is_added() -> None:
    alone = ["unshare", "--net", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        cannot_run("This user may not create a network namespace.")
    ran = subprocess.run(
        [*alone, sys.executable, "-c", IN_NAMESPACE], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "before": "",
        "hook": ["blocked", guard.OWN_ADDRESS],
        "ipv6": ["blocked", guard.OWN_ADDRESS],
        "bin": ["ok", ""],
        "requests": ["/bin/abcd1234"],
        "listed": ["ok", ""],
    }


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
