"""Captures that are written at the same time are all counted, and none is lost between two polls."""

import threading

import pytest
from django.db import connection, transaction

from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import captures as capture_actions
from testing_tools.verification.models import Capture
from tests.factories import InstanceFactory

pytestmark = pytest.mark.django_db(transaction=True)


def thread_with_connection(work):
    """A thread that does `work` and closes its database connection."""

    def run():
        try:
            work()
        finally:
            connection.close()

    return threading.Thread(target=run)


def in_threads(work, count):
    threads = [thread_with_connection(work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_numbers_are_gapless_when_eight_write_at_once():
    bin = bin_actions.open_bin(InstanceFactory())
    in_threads(lambda: [capture_actions.capture(bin.key, method="POST") for _ in range(25)], 8)
    bin.refresh_from_db()
    assert bin.captured == 200
    assert list(Capture.objects.order_by("number").values_list("number", flat=True)) == list(range(1, 201))


def test_one_that_commits_late_never_has_a_smaller_number_than_one_already_seen():
    bin = bin_actions.open_bin(InstanceFactory())
    written, may_commit = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            capture_actions.capture(bin.key, method="SLOW")
            written.set()
            may_commit.wait(60)

    slow_one = thread_with_connection(slow)
    slow_one.start()
    assert written.wait(60)
    quick_one = thread_with_connection(lambda: capture_actions.capture(bin.key, method="QUICK"))
    quick_one.start()
    quick_one.join(0.3)
    assert (
        not Capture.objects.exists()
    )  # the quick one waits: a poll now would see neither, not the later one alone
    may_commit.set()
    slow_one.join()
    quick_one.join()
    assert list(Capture.objects.order_by("number").values_list("number", "method")) == [
        (1, "SLOW"),
        (2, "QUICK"),
    ]


def test_two_trims_at_once_count_each_dropped_capture_once():
    bin = bin_actions.open_bin(InstanceFactory())
    for _ in range(capture_actions.KEEP_NEWEST - 8):
        capture_actions.capture(bin.key, method="POST")
    in_threads(lambda: [capture_actions.capture(bin.key, method="POST") for _ in range(40)], 4)
    bin.refresh_from_db()
    assert bin.captured == capture_actions.KEEP_NEWEST + 152
    assert bin.counts() == (capture_actions.KEEP_NEWEST, 152)
