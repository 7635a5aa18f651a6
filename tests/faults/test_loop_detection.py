"""Loops in the real product: a webhook URL that leads back to this site's API creates no further message.

Without a check, an instance whose webhook URL was its own `sendMessage` created 162 messages in 6 s.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import psycopg
import pytest
import requests

from tests.faults.product_instance import ProductInstance, create_product_instance, database_of
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product
from tests.product_shell import shell
from tests.receiver import Answer, Received, Receiver

SET_URL = """
from hooks.actions.endpoints import configure
from hooks.models import Endpoint
configure(Endpoint.objects.get(pk={pk}), url={url!r})
"""
NUMBER_AND_TOKEN = """
import json
from instances.models import Instance
instance = Instance.objects.get(pk={pk})
print(json.dumps([instance.number, instance.token]))
"""
NEW_KEY = """
from accounts.actions.keys import issue_key
from instances.models import Instance
account = Instance.objects.get(pk={pk}).owner
print(issue_key(account, acting_user=account.owner)[1])
"""
NEW_BIN = """
from testing_tools.verification.actions.bins import open_own_bin
from instances.models import Instance
print(open_own_bin(Instance.objects.get(pk={pk}).owner).url)
"""
FORWARD = """
import json
from testing_tools.verification.actions.bins import open_own_bin
from testing_tools.verification.forwarding import Progress, forward
from testing_tools.verification.models import Capture
from instances.models import Instance
newest = Capture.objects.filter(bin=open_own_bin(Instance.objects.get(pk={pk}).owner)).latest("pk")
captures = Capture.objects.filter(pk=newest.pk)  # other tests have left theirs in the account's bin
done, _ = forward(captures, {url!r}, Progress())
print(json.dumps([done.accepted, done.refused, done.error]))
"""
ATTEMPTS = """
SELECT a.status, convert_from(a.response_body, 'UTF8') FROM hooks_hook h JOIN hooks_attempt a ON a.hook_id = h.id
WHERE h.endpoint_id = ANY(%s) ORDER BY a.id
"""
MESSAGES = "SELECT count(*) FROM instances_message m WHERE m.instance_id = ANY(%s)"
UNFINISHED = """
SELECT count(*) FROM hooks_hook WHERE endpoint_id = ANY(%s) AND state IN ('queued', 'sending', 'retrying')
"""


@dataclass
class Member:
    """An instance of the loop, with what its API needs."""

    instance: ProductInstance
    number: int
    token: str

    def send_url(self, site: str) -> str:
        chat = quote("17680561234@c.us")
        return f"{site}/instance{self.number}/sendMessage?token={self.token}&chatId={chat}&body=again"


def member(product: Product) -> Member:
    made = create_product_instance(product.environment, "")
    number, token = json.loads(shell(product.environment, NUMBER_AND_TOKEN.format(pk=made.pk)))
    return Member(made, number, token)


def set_url(product: Product, of: Member, url: str) -> None:
    shell(product.environment, SET_URL.format(pk=of.instance.pk, url=url))


def rows(product: Product, sql: str, *members: Member) -> list[tuple[object, ...]]:
    with psycopg.connect(database_of(product.environment)) as session:
        return session.execute(sql, [[one.instance.pk for one in members]]).fetchall()


def start(product: Product, *members: Member) -> list[tuple[object, ...]]:
    """Receives a message at the first member; returns the attempts of all hooks once none is left to send."""
    members[0].instance.receive(1)
    wait_until(lambda: rows(product, ATTEMPTS, *members), "the hook was sent")
    wait_until(lambda: rows(product, UNFINISHED, *members) == [(0,)], "no hook is left")
    attempts = rows(product, ATTEMPTS, *members)
    assert rows(product, MESSAGES, *members) == [
        (1,)
    ]  # the contact's message; a loop would have added others
    return attempts


def assert_stopped(attempts: list[tuple[object, ...]], by: Member) -> None:
    [(status, body)] = attempts
    assert status == 508
    assert f"Loop detected: this call is a hook of instance {by.number} of this site" in str(body)


@pytest.mark.parametrize(
    "site", ["http://127.0.0.1:{port}", "http://localhost:{port}", "http://127.0.0.2:{port}"]
)
def test_an_instance_whose_webhook_is_its_own_send_message_is_stopped(product: Product, site: str) -> None:
    alice = member(product)
    # the last one is a host that the product does not know, such as a proxy
    with Receiver(pass_on_to(product.url)) as proxy:
        url = f"http://127.0.0.1:{proxy.port}" if "127.0.0.2" in site else site.format(port=product.port)
        set_url(product, alice, alice.send_url(url))
        assert_stopped(start(product, alice), alice)
    alice.instance.delete()


def pass_on_to(site: str) -> Callable[[Received], Answer]:
    """Returns the handler of a proxy: it sends the same request, headers included, to another site."""

    def answer(received: Received) -> Answer:
        headers = {
            name: value for name, value in received.headers.items() if name not in ("host", "content-length")
        }
        reply = requests.request(
            received.method, site + received.path, data=received.body, headers=headers, timeout=10
        )
        return reply.status_code, {}, reply.content

    return answer


@pytest.mark.parametrize("count", [2, 3])
def test_a_loop_of_several_instances_stops_at_its_first_hook(product: Product, count: int) -> None:
    members = [member(product) for _ in range(count)]
    for one, following in zip(members, [*members[1:], members[0]], strict=True):
        set_url(product, one, following.send_url(product.url))
    assert_stopped(start(product, *members), members[0])
    for one in members:
        one.instance.delete()


def test_a_loop_over_rest_is_stopped(product: Product) -> None:
    alice = member(product)
    key = shell(product.environment, NEW_KEY.format(pk=alice.instance.pk)).strip()
    rest = f"{product.url}/api/v1/instances/{alice.number}/sandbox/messages/"

    def relay(received: Received) -> Answer:
        """Adds the key, which a webhook URL can't carry, and the message."""
        headers = {"webhook-id": received.headers["webhook-id"], "Authorization": f"Bearer {key}"}
        reply = requests.post(
            rest, json={"from": "17680561234", "body": "again"}, headers=headers, timeout=10
        )
        return reply.status_code, {}, reply.content

    set_url(product, alice, rest)
    assert_stopped(start(product, alice), alice)
    bob = member(product)
    with Receiver(relay) as receiver:
        set_url(product, bob, receiver.url)
        assert_stopped(start(product, bob), bob)
    for one in (alice, bob):
        one.instance.delete()


def test_a_redirect_to_the_api_is_not_followed(product: Product) -> None:
    alice = member(product)
    with Receiver([(307, {"Location": alice.send_url(product.url)}, b"")]) as receiver:
        set_url(product, alice, receiver.url)
        assert [status for status, _ in start(product, alice)] == [307]
    alice.instance.delete()


def test_a_forwarder_that_follows_redirects_or_leaves_out_the_headers_is_stopped(product: Product) -> None:
    alice = member(product)
    target = alice.send_url(product.url)

    def forward_body(received: Received) -> Answer:
        reply = requests.post(
            target, data=received.body, headers={"Content-Type": "application/json"}, timeout=10
        )
        return reply.status_code, {}, reply.content

    with Receiver([(307, {"Location": target}, b"")]) as redirect:

        def follow(received: Received) -> Answer:
            headers = {"webhook-id": received.headers["webhook-id"]}
            reply = requests.post(redirect.url, data=received.body, headers=headers, timeout=10)
            return reply.status_code, {}, reply.content

        for relay in (forward_body, follow):
            one = alice if relay is forward_body else member(product)
            with Receiver(relay) as receiver:
                set_url(product, one, receiver.url)
                assert_stopped(start(product, one), one)
            one.instance.delete()


def test_a_bin_is_allowed_and_what_it_forwards_to_the_api_is_refused(product: Product) -> None:
    alice = member(product)
    bin_url = shell(product.environment, NEW_BIN.format(pk=alice.instance.pk)).strip()
    set_url(product, alice, bin_url)
    assert [status for status, _ in start(product, alice)] == [200]
    forwarded = json.loads(
        shell(product.environment, FORWARD.format(pk=alice.instance.pk, url=alice.send_url(product.url)))
    )
    assert forwarded[:2] == [0, 1]
    assert "it is the API of this site" in forwarded[2]
    assert rows(product, MESSAGES, alice) == [(1,)]
    alice.instance.delete()
