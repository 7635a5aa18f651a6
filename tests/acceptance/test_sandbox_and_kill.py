"""A contact's acks arrive once each and in order although the worker is killed between them."""

from typing import Any

import requests

from tests.product import Product
from tests.receiver import Receiver
from tests.rest import Rest

ANN = "15550100177"


def test_acks_arrive_in_order_although_the_worker_is_killed(product: Product) -> None:
    rest = Rest(product)
    rest.quiet()
    rest.call("PUT", f"{rest.home}sandbox/contacts/{ANN}/", json={"deliverAfter": 2, "readAfter": 1})
    with Receiver() as receiver:
        rest.call("PATCH", rest.home, json={"webhookUrl": receiver.url, "ackNotificationsOn": True})
        try:
            sent = requests.post(
                f"{rest.api_url}sendMessage?token={rest.instance['token']}",
                json={"phone": ANN, "body": "good day"}, timeout=60,
            ).json()  # fmt: skip
            receiver.wait_for(2)  # the message and "sent"
            product.restart_worker()
            acks = until_viewed(receiver)
            log = rest.log(sent["id"])
        finally:
            rest.call("PATCH", rest.home, json={"webhookUrl": None, "ackNotificationsOn": False})
    seen = list(dict.fromkeys(ack["status"] for ack in acks))  # a hook in flight at the kill may arrive twice
    assert seen == ["sent", "delivered", "viewed"]
    assert {ack["id"] for ack in acks} == {sent["id"]}
    assert [hook["kind"] for hook in log] == ["ack", "ack", "ack", "message"]


def until_viewed(receiver: Receiver) -> list[Any]:
    """Waits for the ack "viewed"; returns all acks so far."""
    for count in range(4, 20):
        acks = [r.json()["ack"][0] for r in receiver.wait_for(count, 60) if "ack" in r.json()]
        if acks and acks[-1]["status"] == "viewed":
            return acks
    raise AssertionError('the ack "viewed" did not arrive')
