"""A page that polls while 500 requests arrive shows each of them once and in order."""

import re
import threading
import time

import pytest
from django.db import connection
from django.test import Client

from testing_tools.verification.actions import bins as bin_actions
from tests.factories import InstanceFactory
from tests.matching import find_value

pytestmark = pytest.mark.django_db(transaction=True)
ROWS, SENDERS = 500, 5


def test_a_page_that_polls_while_500_come_in_shows_every_one():
    instance = InstanceFactory()
    bin = bin_actions.open_bin(instance)

    def send():
        sender = Client()
        for _ in range(ROWS // SENDERS):
            sender.post(f"/bin/{bin.key}", b"{}", content_type="application/json")
        connection.close()

    page = Client()
    page.force_login(instance.owner.owner)
    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    shown: list[str] = []
    cursor, until = "0", time.monotonic() + 240
    while len(shown) < ROWS and time.monotonic() < until:
        time.sleep(0.2)
        answer = page.get(f"/testing/bins/{bin.key}/news/?after={cursor}", headers={"HX-Request": "true"})
        if answer.status_code == 200:
            text = answer.content.decode()
            shown += reversed(re.findall(r'<li id="capture-(\d+)"', text))
            cursor = find_value(r'id="cursor" name="after" value="(\d+)"', text)
    for thread in threads:
        thread.join()
    assert [int(number) for number in shown] == list(range(1, ROWS + 1))
