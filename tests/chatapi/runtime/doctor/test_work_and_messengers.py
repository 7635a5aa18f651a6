"""Planted faults of background work, mail and messengers."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule
from pytest_django.fixtures import Settings

from chatapi.runtime.doctor.findings import Level
from chatapi.runtime.schedules import write_schedules
from hooks.actions import redelivery
from hooks.models import Hook, Kind, Redelivery, Role, Runner, State
from instances.actions.sending.accept import send_message
from instances.models import (
    Channel,
    ChannelLink,
    Instance,
    OutgoingMessage,
    OutgoingQueue,
    ReceiverState,
    StoredCallback,
)
from tests.chatapi.runtime.doctor.finding import find, found
from tests.factories import InstanceFactory
from tests.matching import find_value
from tests.product import free_port

NOTE, WARNING, ERROR = Level.NOTE, Level.WARNING, Level.ERROR
SMTP = "chatapi.runtime.waiting_mail.EmailBackend"


def run(role: Role, seconds_ago: float = 0, slot: int = 0) -> Runner:
    return Runner.objects.create(
        id=Runner.objects.count() + 1, role=role, slot=slot, pid=1, host="here",
        heartbeat_at=timezone.now() - timedelta(seconds=seconds_ago),
    )  # fmt: skip


def link(instance: Instance, channel: str) -> ChannelLink:
    return ChannelLink.objects.create(instance=instance, channel=channel, external_id=str(instance.number))


# -- who works


@pytest.mark.django_db
def test_no_dispatcher() -> None:
    found("dispatcher", ERROR, "No dispatcher is running: there is no heartbeat.", "manage.py worker")
    runner = run(Role.DISPATCH, 75)
    finding = found(
        "dispatcher", ERROR, "No dispatcher is running: the last heartbeat is ", "manage.py worker"
    )
    assert 75 <= int(find_value(r"(\d+) s old\.$", finding.problem)) < 135
    Runner.objects.filter(pk=runner.pk).update(heartbeat_at=timezone.now())
    assert find("dispatcher") == []


@pytest.mark.django_db
def test_fewer_dispatchers_than_wanted(settings: Settings) -> None:
    run(Role.DISPATCH)
    assert find("dispatchers") == []
    settings.HOOKS_DISPATCHERS = 2
    run(Role.DISPATCH, 60, slot=1)
    found("dispatchers", WARNING, "1 of 2 dispatchers", "workers of all machines")


@pytest.mark.django_db
def test_no_sender() -> None:
    run(Role.OUTGOING, 60)
    found("sender", ERROR, "No sender is running", "manage.py worker")
    run(Role.OUTGOING)
    assert find("sender") == []


@pytest.mark.django_db
def test_no_receiver() -> None:
    assert find("receiver") == []  # no instance needs one
    link(InstanceFactory(channel=Channel.MATRIX), Channel.MATRIX)
    found("receiver", ERROR, "No receiver is running", "manage.py worker")
    run(Role.RECEIVING)
    assert find("receiver") == []


@pytest.mark.django_db
def test_a_redelivery_that_no_task_runs() -> None:
    instance = InstanceFactory(url="http://127.0.0.1:9/")
    Hook.objects.create(
        endpoint_id=instance.pk, kind=Kind.MESSAGE, body=b"{}", state=State.FAILED, finished_at=timezone.now()
    )
    job = redelivery.plan(Instance.objects.filter(pk=instance.pk), wanted={}, acting_user=None)
    assert find("redelivery") == []
    Redelivery.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(minutes=2))
    found("redelivery", WARNING, "A redelivery is planned, and no task runs it.", "manage.py worker")
    run(Role.REDELIVERY)
    assert find("redelivery") == []


@pytest.mark.django_db
def test_scheduled_tasks_that_do_not_run() -> None:
    Schedule.objects.all().delete()
    found("schedules", ERROR, "Scheduled tasks have never run", "manage.py worker")
    write_schedules()
    Schedule.objects.update(next_run=timezone.now() + timedelta(minutes=1))
    assert find("schedules") == []
    Schedule.objects.filter(name="old hooks").update(next_run=timezone.now() - timedelta(hours=3, seconds=2))
    found("schedules", ERROR, "one has been due for 3 h.", "manage.py worker")


@pytest.mark.django_db
def test_tasks_that_wait_and_tasks_that_failed() -> None:
    past = timezone.now() - timedelta(seconds=5)
    OrmQ.objects.bulk_create(OrmQ(key="chatapi", payload="x", lock=past) for _ in range(101))
    found("task-queue", WARNING, "101 background tasks wait", "restart `manage.py worker`")
    assert find("failed-tasks") == []
    Failure.objects.create(
        id="a" * 32,
        name="one",
        func="hooks.maintenance.retention.drop_old",
        started=past,
        stopped=past,
        success=False,
    )
    found(
        "failed-tasks",
        WARNING,
        "within the last day: hooks.maintenance.retention.drop_old.",
        "Read the error",
    )


# -- what waits


@pytest.mark.django_db
def test_hooks_that_wait() -> None:
    instance = InstanceFactory(url="http://127.0.0.1:9/")
    hook = Hook.objects.create(
        endpoint_id=instance.pk, kind=Kind.MESSAGE, body=b"{}", created_at=timezone.now()
    )
    assert find("late-hooks") == []
    for minutes, level in ((3, WARNING), (20, ERROR)):
        Hook.objects.filter(pk=hook.pk).update(created_at=timezone.now() - timedelta(minutes=minutes))
        found("late-hooks", level, f"the oldest has been due for {minutes} min", "“dispatcher”")


@pytest.mark.django_db
def test_messages_that_wait() -> None:
    instance = InstanceFactory()
    send_message(instance, chat_id="17680561234@c.us", body="hello")
    assert find("late-messages") == []
    accepted = timezone.now() - timedelta(minutes=8)
    OutgoingMessage.objects.update(created_at=accepted)
    found("late-messages", WARNING, "in the queues of 1 instances", "“sender”")
    OutgoingQueue.objects.update(waits_until=timezone.now() + timedelta(minutes=1))  # the messenger's limit
    assert find("late-messages") == []


@pytest.mark.django_db
def test_callbacks_that_wait() -> None:
    instance = InstanceFactory(channel=Channel.TELEGRAM)
    link(instance, Channel.TELEGRAM)
    callback = StoredCallback.objects.create(instance=instance, key="1", method="POST")
    assert find("late-callbacks") == []
    StoredCallback.objects.filter(pk=callback.pk).update(received_at=timezone.now() - timedelta(minutes=4))
    found("late-callbacks", WARNING, "the oldest arrived 4 min", "“receiver”")


@pytest.mark.django_db
def test_lost_links() -> None:
    instance = InstanceFactory(channel=Channel.MATRIX)
    state = ReceiverState.objects.create(instance=instance)
    assert find("lost-links") == []
    ReceiverState.objects.filter(pk=state.pk).update(lost_at=timezone.now(), lost_reason="logged out")
    found("lost-links", NOTE, "1 instance has lost the link", "can link it again")


# -- servers of others


@pytest.mark.django_db
def test_a_messenger_that_cannot_be_reached(settings: Settings) -> None:
    settings.TELEGRAM_URL = f"http://127.0.0.1:{free_port()}"
    assert find("messengers") == []  # no instance needs it
    link(InstanceFactory(channel=Channel.TELEGRAM), Channel.TELEGRAM)
    finding = found("messengers", WARNING, "Telegram bot cannot be reached from this machine", "firewall")
    assert "Connection refused" in finding.detail
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.TELEGRAM_URL = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert find("messengers") == []


class MailServer(socketserver.StreamRequestHandler):
    """A mail server that offers what the server's `offers` says, and refuses each sign-in but one."""

    def handle(self) -> None:
        self.say("220 mail.example.com")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "EHLO":
                offers: list[str] = self.server.offers  # type: ignore[attr-defined]
                self.say(
                    "\r\n".join([*(f"250-{one}" for one in ["mail.example.com", *offers]), "250 SIZE 1000"])
                )
            elif word == "AUTH":
                self.say("235 ok" if line.endswith("AHVzZXIAcmlnaHQ=") else "535 refused, alice@example.org")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("500 unknown")

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@contextmanager
def mail_server(*offers: str) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailServer) as server:
        server.daemon_threads = True
        server.offers = list(offers)  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def mail(settings: Settings) -> Settings:
    settings.EMAIL_BACKEND, settings.EMAIL_HOST = SMTP, "127.0.0.1"
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.DEFAULT_FROM_EMAIL = "Chat API <chat@example.com>"
    return settings


def test_a_mail_server_that_accepts_the_sign_in(mail: Settings) -> None:
    with mail_server("AUTH PLAIN") as mail.EMAIL_PORT:
        mail.EMAIL_HOST_USER, mail.EMAIL_HOST_PASSWORD = "user", "right"
        assert find("mail-server") == find("mail-sender") == []


def test_a_mail_server_that_refuses_the_password(mail: Settings) -> None:
    with mail_server("AUTH PLAIN") as mail.EMAIL_PORT:
        mail.EMAIL_HOST_USER, mail.EMAIL_HOST_PASSWORD = "user", "wrong"
        finding = found("mail-server", ERROR, "refuses the user or the password", "EMAIL_URL")
    assert finding.detail == "SMTP 535"


def test_a_mail_server_without_encryption(mail: Settings) -> None:
    mail.EMAIL_USE_TLS = True
    with mail_server() as mail.EMAIL_PORT:
        found("mail-server", ERROR, "does not offer what the URL asks for", "submission://")


def test_a_mail_server_without_tls_at_its_port(mail: Settings) -> None:
    mail.EMAIL_USE_SSL = True
    with mail_server() as mail.EMAIL_PORT:
        found("mail-server", ERROR, "TLS fails", "465 for smtps://")


@pytest.mark.parametrize(
    ("host", "problem"), [("127.0.0.1", "does not respond as one"), ("mail.invalid", "cannot be resolved")]
)
def test_no_mail_server(mail: Settings, host: str, problem: str) -> None:
    mail.EMAIL_HOST, mail.EMAIL_PORT = host, free_port()
    found("mail-server", ERROR, problem, "EMAIL_URL")


def test_a_sender_that_mail_servers_refuse(mail: Settings) -> None:
    mail.DEFAULT_FROM_EMAIL = "Chat API <chatapi@localhost>"
    found("mail-sender", WARNING, "its domain is no name of the internet", "DEFAULT_FROM_EMAIL=")
