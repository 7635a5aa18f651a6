"""Mail to a server that hangs takes a share of the threads, and no more."""

from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from socket import create_server
from typing import Any

import pytest
from django.core.mail import EmailMessage

from chatapi.runtime.waiting_mail import EmailBackend
from instances.limits import waiting_threads


def test_mails_share_the_threads_of_one_account() -> None:
    limit = waiting_threads.MAX_WAITING_PER_ACCOUNT

    def send(port: int) -> Any:
        backend = EmailBackend(host="127.0.0.1", port=port, timeout=60)
        return backend.send_messages([EmailMessage("subject", "text", "a@example.org", ["b@example.org"])])

    with ThreadPoolExecutor(limit) as pool, create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        sending = [pool.submit(send, port) for _ in range(limit)]
        connections = [silent.accept()[0] for _ in range(limit)]
        with pytest.raises(SMTPException, match="Too many mails"):
            send(port)
        with waiting_threads.slots.hold("another") as is_free:
            assert is_free
        for connection in connections:
            connection.close()
        for one in sending:
            assert isinstance(one.exception(), (OSError, SMTPException))
