"""What waited at the time of the backup: sent by the restored site, or held until the operator decides."""

from pathlib import Path

import pytest
import requests

from tests.chatapi.runtime.backup.sites import ANN, back_up, restore, rows, send
from tests.hooks.dispatch.dispatching import wait_until
from tests.product import Product, free_port
from tests.receiver import Receiver
from tests.rest import Rest

pytestmark = pytest.mark.timeout(900)

HOOKS = 3
WAITING_HOOKS = "SELECT count(*) FROM hooks_hook WHERE state IN ('queued', 'retrying', 'sending')"
WAITING_MESSAGES = "SELECT count(*) FROM instances_outgoingmessage WHERE failed_at IS NULL"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def waiting(plain: Path, open_folder: Path, port: int) -> Path:
    """A backup with hooks to an endpoint on `port`, where nothing listens yet, and with messages that wait."""
    folder = open_folder / "waiting"
    assert restore(folder, plain).returncode == 0
    with Product(folder) as product:
        rest = Rest(product)
        rest.quiet()
        rest.call(
            "PATCH", rest.home,
            json={"webhookUrl": f"http://127.0.0.1:{port}/hook", "guaranteedHooks": True, "sendDelay": 3600},
        )  # fmt: skip
        for number in range(HOOKS):
            rest.hello(f"waiting {number}")
            send(product, "sendMessage", body=f"waiting {number}")
        failed = "SELECT count(*) FROM hooks_attempt WHERE outcome <> 'ok'"
        wait_until(lambda: rows(folder, failed) != [(0,)], "an attempt is made", 120)
        done = back_up(folder, open_folder / "waiting.tar", "--no-verify")
        assert done.returncode == 0, done.stderr
    return open_folder / "waiting.tar"


def bodies(receiver: Receiver) -> list[str]:
    return sorted(request.json()["messages"][0]["body"] for request in list(receiver.requests))


def wait_until_all_arrive(receiver: Receiver) -> None:
    """Not by the number of requests: the sent message has a hook too, and a retry may be repeated."""
    expected = {f"waiting {number}" for number in range(HOOKS)}
    wait_until(lambda: {*bodies(receiver)} >= expected, "what waited arrives", 120)


def test_a_restored_site_sends_what_waited(waiting: Path, folder: Path, port: int) -> None:
    done = restore(folder / "site", waiting)
    assert "What was waiting at the time of the backup is sent when the site starts" in done.stdout
    with Receiver(port=port) as receiver, Product(folder / "site"):
        wait_until_all_arrive(receiver)


@pytest.mark.parametrize("drops", [False, True])
def test_a_paused_site_sends_nothing_until_it_is_started(
    waiting: Path, folder: Path, port: int, drops: bool
) -> None:
    done = restore(folder / "site", waiting, "--pause")
    assert done.returncode == 0, done.stderr
    assert "1 instances stopped. Start them with: manage.py restored start" in done.stdout
    with Receiver(port=port) as receiver, Product(folder / "site") as product:
        instance = product.demo["instances"][0]
        refused = requests.post(
            f"{product.url}/instance{instance['id']}/sendMessage?token={instance['token']}",
            json={"chatId": ANN, "body": "no"}, timeout=60,
        )  # fmt: skip
        assert "stopped" in refused.text
        [(hooks,)], [(messages,)] = (
            rows(folder / "site", WAITING_HOOKS),
            rows(folder / "site", WAITING_MESSAGES),
        )
        assert hooks >= HOOKS and messages >= HOOKS - 1
        product.wait_for_ready()
        assert receiver.requests == []
        started = product.manage("restored", "start", *(["--drop-waiting"] if drops else []))
        assert started.returncode == 0, started.stderr
        if drops:
            assert started.stdout == (
                f"1 instances started. {hooks} waiting hooks cancelled, {messages} waiting messages removed.\n"
            )
            send(product, "sendMessage", body="new")
            Rest(product).hello("new")
            receiver.wait_for(1, 60)
            assert "waiting 0" not in bodies(receiver)
        else:
            assert started.stdout == "1 instances started.\n"
            wait_until_all_arrive(receiver)
        for what in ("hooks", "messages"):
            assert product.manage(what, "check").returncode == 0
        assert product.manage("restored", "start").stdout == "0 instances started.\n"
