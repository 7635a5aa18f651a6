"""Tests of a bot in a sandbox of their own. SITE is Chat API's address, KEY your account's key (uid_…).

BOT_HOST is this machine's name as Chat API reaches it; localhost, if it runs here.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

SITE, KEY = os.environ["SITE"], os.environ["KEY"]
BOT_HOST = os.environ.get("BOT_HOST", "127.0.0.1")
ANN = "17680561234"


def call(method, path, **options):
    headers = {"Authorization": f"Bearer {KEY}"}
    answer = requests.request(method, f"{SITE}/api/v1/{path}", headers=headers, timeout=30, **options)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


class Sandbox:
    """An instance whose messenger is played by the tests."""

    def __init__(self, instance):
        self.instance = instance
        self.path = f"instances/{instance['id']}/"

    def says(self, body, *, by=ANN, **more):
        """A contact writes; returns the message as the bot gets it."""
        return call("POST", f"{self.path}sandbox/messages/", json={"from": by, "body": body, **more})

    def answer(self, message, wait=10):
        """What the contact sees next after this message, or None."""
        seen = call(
            "GET", f"{self.path}sandbox/chats/{message['chatId']}/messages/",
            params={"after": message["messageNumber"], "limit": 1, "wait": wait},
        )  # fmt: skip
        return seen["messages"][0] if seen["messages"] else None


@pytest.fixture(scope="session")
def instance():
    made = call("POST", "instances/", json={"name": "Tests of my bot"})
    call("POST", f"instances/{made['id']}/sandbox/phone/", json={"event": "scan"})
    yield made
    call("DELETE", f"instances/{made['id']}/")


@pytest.fixture(scope="session")
def bot(instance):
    """The bot, started for the tests; its address is the instance's webhook."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "API_URL": instance["apiUrl"], "TOKEN": instance["token"], "PORT": str(port)}
    process = subprocess.Popen([sys.executable, Path(__file__).with_name("my_bot.py")], env=environment)
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert process.poll() is None, "the bot did not start"
        time.sleep(0.05)
    call("PATCH", f"instances/{instance['id']}/", json={"webhookUrl": f"http://{BOT_HOST}:{port}/"})
    yield process
    process.terminate()
    process.wait(10)


@pytest.fixture
def sandbox(instance, bot):
    call("POST", f"instances/{instance['id']}/sandbox/reset/")
    return Sandbox(instance)


def test_it_answers_hello(sandbox):
    answer = sandbox.answer(sandbox.says("hello"))
    assert answer["body"] == "Hello to you!"


def test_it_thanks_for_a_picture(sandbox):
    picture = {"type": "image", "caption": "my cat"}
    assert sandbox.answer(sandbox.says("https://example.com/cat.jpg", **picture))["body"] == "A fine picture!"


def test_it_keeps_quiet_in_groups(sandbox):
    group = call("POST", f"{sandbox.path}sandbox/groups/", json={"name": "Holidays", "by": ANN})
    assert sandbox.answer(sandbox.says("hello", chatId=group["id"]), wait=1) is None


def test_it_reaches_somebody_who_comes_online_later(sandbox):
    contact = f"{sandbox.path}sandbox/contacts/{ANN}/"
    call("PUT", contact, json={"name": "Ann", "online": False, "readAfter": 0})
    hello = sandbox.says("hello")
    assert sandbox.answer(hello, wait=1) is None
    call("PATCH", contact, json={"online": True})
    assert sandbox.answer(hello)["body"] == "Hello to you!"
