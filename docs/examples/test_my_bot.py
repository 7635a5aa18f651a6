"""Tests of a bot, in a sandbox instance of their own. SITE is the URL of Chat API, KEY your account key (uid_…).

BOT_HOST is the host name under which Chat API reaches this machine; leave it unset if Chat API runs here too.
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
    response = requests.request(method, f"{SITE}/api/v1/{path}", headers=headers, timeout=30, **options)
    assert response.ok, response.text
    return response.json() if response.content else None


class Sandbox:
    """An instance whose messenger the tests control."""

    def __init__(self, instance):
        self.instance = instance
        self.path = f"instances/{instance['id']}/"

    def write(self, body, *, sender=ANN, **fields):
        """Writes as a contact; returns the message as the bot receives it."""
        return call("POST", f"{self.path}sandbox/messages/", json={"from": sender, "body": body, **fields})

    def reply(self, message, wait=10):
        """Returns the next message that the contact sees after this one, or None after `wait` seconds."""
        response = call(
            "GET", f"{self.path}sandbox/chats/{message['chatId']}/messages/",
            params={"after": message["messageNumber"], "limit": 1, "wait": wait},
        )  # fmt: skip
        return response["messages"][0] if response["messages"] else None


@pytest.fixture(scope="session")
def instance():
    instance = call("POST", "instances/", json={"name": "Tests of my bot"})
    call("POST", f"instances/{instance['id']}/sandbox/phone/", json={"event": "scan"})
    yield instance
    call("DELETE", f"instances/{instance['id']}/")


@pytest.fixture(scope="session")
def bot(instance):
    """Starts the bot, and sets its URL as the instance's webhook URL."""
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "API_URL": instance["apiUrl"], "TOKEN": instance["token"], "PORT": str(port)}
    process = subprocess.Popen([sys.executable, Path(__file__).with_name("my_bot.py")], env=environment)
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert process.poll() is None, "The bot did not start."
        time.sleep(0.05)
    call("PATCH", f"instances/{instance['id']}/", json={"webhookUrl": f"http://{BOT_HOST}:{port}/"})
    yield process
    process.terminate()
    process.wait(10)


@pytest.fixture
def sandbox(instance, bot):
    call("POST", f"instances/{instance['id']}/sandbox/reset/")
    return Sandbox(instance)


def test_replies_to_hello(sandbox):
    reply = sandbox.reply(sandbox.write("hello"))
    assert reply["body"] == "Hello to you!"


def test_replies_to_a_picture(sandbox):
    picture = sandbox.write("https://example.com/cat.jpg", type="image", caption="my cat")
    assert sandbox.reply(picture)["body"] == "Nice picture!"


def test_ignores_groups(sandbox):
    group = call("POST", f"{sandbox.path}sandbox/groups/", json={"name": "Holidays", "by": ANN})
    assert sandbox.reply(sandbox.write("hello", chatId=group["id"]), wait=1) is None


def test_reply_reaches_a_contact_who_comes_online_later(sandbox):
    contact = f"{sandbox.path}sandbox/contacts/{ANN}/"
    call("PUT", contact, json={"name": "Ann", "online": False, "readAfter": 0})
    hello = sandbox.write("hello")
    assert sandbox.reply(hello, wait=1) is None
    call("PATCH", contact, json={"online": True})
    assert sandbox.reply(hello)["body"] == "Hello to you!"
