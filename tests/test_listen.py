"""chatapi/listen.py as a process, against the real product: hooks reach a computer without a public URL."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from hooks.signing import signature
from tests.product import Product, free_port
from tests.receiver import Answer, Received, Receiver
from tests.rest import Rest

ROOT = Path(__file__).parent.parent
KILLS = 100
CHATS = ("17680560001", "17680560002")
# Forks the program from a process that has loaded it: a hundred starts take seconds instead of a minute.
FORKING = """
import os, sys
from chatapi import listen
for line in sys.stdin:
    if not (pid := os.fork()):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["listen", *line.split()]
        os._exit(listen.main())
    print(pid, flush=True)
    os.waitpid(pid, 0)
"""


class Listen:
    """The program as a process; `lines` is what it has printed."""

    def __init__(self, product: Product, instance: str, url: str, key: str, *more: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "chatapi.listen", "--site", product.url, "--instance", instance,
                "--forward", url, *more,
            ],
            text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "CHATAPI_KEY": key},
        )  # fmt: skip
        self.reader = threading.Thread(
            target=lambda: self.lines.extend(self.process.stdout or []), daemon=True
        )
        self.reader.start()

    def wait_for(self, text: str, seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not any(text in line for line in self.lines):
            assert time.monotonic() < until, f"{text!r} was not printed: {self.lines}"
            time.sleep(0.02)

    def end(self) -> int:
        """Returns the exit code of a program that has ended or is stopped by Ctrl-C."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(60)
        self.reader.join()  # until the end of what it has printed
        return code


@pytest.fixture
def rest(product: Product) -> Iterator[Rest]:
    """The demo instance without a webhook URL, and without the endpoints that the test has added."""
    rest = Rest(product)
    rest.quiet()
    yield rest
    for endpoint in rest.call("GET", f"{rest.home}endpoints/")["results"]:
        if not endpoint["first"]:
            headers = {"Authorization": f"Bearer {rest.demo['uid']}"}
            requests.delete(f"{rest.home}endpoints/{endpoint['id']}/", headers=headers, timeout=60)


def hook_of(rest: Rest, message: dict[str, Any], state: str) -> dict[str, Any]:
    """Returns the listening endpoint's hook of a message with its attempts, once it is in this state."""
    until = time.monotonic() + 60
    while True:
        found = rest.call("GET", rest.hooks, params={"message": message["id"]})["results"]
        mine = [hook for hook in found if hook["state"] != "skipped"]
        if mine and mine[0]["state"] == state:
            return dict(rest.call("GET", f"{rest.hooks}{mine[0]['id']}/"))
        assert time.monotonic() < until, found
        time.sleep(0.05)


def test_what_happened_while_it_was_away_comes_in_order_and_is_logged(product: Product, rest: Rest) -> None:
    instance, key = rest.instance["id"], rest.demo["uid"]
    port = free_port()
    url = f"http://127.0.0.1:{port}/hook"
    first = Listen(product, instance, url, key)
    first.wait_for("no hooks waiting")
    assert first.end() == 0
    assert "Stopped. 0 hooks forwarded." in first.lines[-1]
    sent = [rest.hello(str(number)) for number in range(3)]

    second = Listen(product, instance, url, key)
    second.wait_for("3 hooks waiting")
    refused = hook_of(rest, sent[0], "failed")["attempts"][0]
    assert (refused["verdict"], refused["side"], refused["failedPhase"]) == (
        "not_reached",
        "endpoint",
        "connect",
    )
    assert "nothing listens there" in refused["explanation"]
    assert "--forward" in refused["nextStep"]
    hook_of(rest, sent[2], "failed")

    with Receiver([(500, {}, b"broken"), (200, {"X-Mine": "1"}, b"fine")], port=port) as receiver:
        resent = hook_of(rest, sent[1], "failed")
        rest.call("POST", f"{rest.hooks}{resent['id']}/resend/")
        [received] = receiver.wait_for(1)
        attempt = hook_of(rest, sent[1], "failed")["attempts"][-1]
        while attempt["number"] != 2:
            attempt = hook_of(rest, sent[1], "failed")["attempts"][-1]
        assert (attempt["trigger"], attempt["verdict"], attempt["side"]) == ("resend", "not_200", "endpoint")
        assert attempt["answer"]["status"] == 500
        assert attempt["answer"]["body"] == "broken"
        assert attempt["address"] == f"127.0.0.1:{port}"
        assert 0 < attempt["times"]["connectMs"] <= attempt["times"]["totalMs"]
        logged = attempt["request"]["headers"]
        assert {name.lower(): value for name, value in logged.items()} == received.headers
        again = rest.hello("again")
        assert receiver.wait_for(2)[1].json()["messages"][0]["body"] == "again"
        delivered = hook_of(rest, again, "delivered")["attempts"][0]
        assert ["X-Mine", "1"] in delivered["answer"]["headers"]
    assert second.end() == 0
    secret = endpoint_of(rest)["secret"]
    content = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
    assert received.headers["webhook-signature"] == signature(secret, content + received.body)


def endpoint_of(rest: Rest) -> dict[str, Any]:
    """Returns the listening endpoint."""
    endpoints = rest.call("GET", f"{rest.home}endpoints/")["results"]
    return next(dict(endpoint) for endpoint in endpoints if not endpoint["first"])


def test_what_the_site_refuses_is_said_and_ends_it(product: Product, rest: Rest) -> None:
    instance, key = rest.instance["id"], rest.demo["uid"]
    url = "http://127.0.0.1:9/"
    programs = {
        "Wrong account key.": Listen(product, instance, url, "uid_wrong"),
        "Your account has no instance 1.": Listen(product, "1", url, key),
        "--forward must be a URL": Listen(product, instance, "localhost:3000", key),
        "the account's key is missing": Listen(product, instance, url, ""),
    }
    assert [program.wait() for program in programs.values()] == [1, 1, 2, 2]
    for text, program in programs.items():
        program.wait_for(text, 0)
    replaced = Listen(product, instance, url, key)
    replaced.wait_for("Listening")
    other = Listen(product, instance, url, key)
    assert replaced.wait() == 1
    replaced.wait_for("Another chatapi listen fetches the hooks", 0)
    assert other.end() == 0


@pytest.mark.timeout(600)  # 20 s on an idle machine
def test_it_is_killed_a_hundred_times_and_no_hook_is_lost(product: Product, rest: Rest) -> None:
    """kill -9 at random moments, in calls to the site, in requests to the local server and between."""
    randomly = random.Random(7)

    def answer(received: Received) -> Answer:
        time.sleep(randomly.random() * 0.01)
        return 200, {}, b"ok"

    with Receiver(answer) as receiver:
        arguments = f"--site {product.url} --key {rest.demo['uid']} --instance {rest.instance['id']}"
        line = f"{arguments} --forward {receiver.url}\n"
        forks = subprocess.Popen(
            [sys.executable, "-c", FORKING], text=True, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert forks.stdin
        assert forks.stdout

        def started() -> int:
            assert forks.stdin
            assert forks.stdout
            forks.stdin.write(line)
            forks.stdin.flush()
            while not (printed := forks.stdout.readline().strip()).isdigit():
                assert printed
            return int(printed)

        rest.call("POST", f"{rest.home}listeners/", json={"url": receiver.url})  # adds the endpoint
        sent = 0
        for _ in range(KILLS):
            before = len(receiver.requests)
            pid = started()
            for chat in CHATS:
                rest.call(
                    "POST",
                    f"{rest.home}sandbox/messages/",
                    json={"from": chat, "type": "chat", "body": str(sent)},
                )
                sent += 1
            receiver.wait_for(before + randomly.choice((0, 0, 1, 2)))
            time.sleep(randomly.random() * 0.03)
            os.kill(pid, signal.SIGKILL)
        pid = started()
        wait_until_delivered(rest, sent)
        os.kill(pid, signal.SIGKILL)
        forks.stdin.close()
        forks.wait(30)
    numbers = [int(received.json()["messages"][0]["body"]) for received in receiver.requests]
    for place in range(len(CHATS)):
        first_times = dict.fromkeys(number for number in numbers if number % len(CHATS) == place)
        assert list(first_times) == list(range(place, sent, len(CHATS)))
    assert product.manage("hooks", "check").returncode == 0


def wait_until_delivered(rest: Rest, count: int) -> None:
    """Waits until all hooks of the listening endpoint are delivered, each with its local response in the log."""
    wanted = {"endpoint": endpoint_of(rest)["id"], "limit": 100}
    until = time.monotonic() + 120
    while True:
        found = pages(rest, wanted)
        states = Counter(hook["state"] for hook in found)
        if states == {"delivered": count}:
            break
        assert time.monotonic() < until, states
        time.sleep(0.2)
    newest = rest.call("GET", f"{rest.hooks}{found[0]['id']}/")
    assert newest["attempts"][-1]["answer"]["body"] == "ok"


def pages(rest: Rest, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the hooks of all pages of the log."""
    page = rest.call("GET", rest.hooks, params=wanted)
    found = list(page["results"])
    while page["next"]:
        page = rest.call("GET", page["next"])
        found += page["results"]
    return found
