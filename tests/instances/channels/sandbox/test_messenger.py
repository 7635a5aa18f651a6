"""The sandbox messenger as a process: what it accepts, and every fault that can be ordered."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.instances.channels.sandbox.messenger_process import MessengerProcess

ANN, BEN = "17680561234@c.us", "4915112345678@c.us"
NUMBER = 1001


def post(
    messenger: MessengerProcess,
    key: str,
    *,
    chat_id: str = ANN,
    number: int = NUMBER,
    timeout: float = 20,
    **message: Any,
) -> requests.Response:
    return requests.post(
        f"{messenger.url}/instances/{number}/messages",
        json={"chatId": chat_id, "type": "chat", "body": key, **message},
        headers={"Authorization": "Bearer token", "Idempotency-Key": key},
        timeout=timeout,
    )


def address(messenger: MessengerProcess) -> tuple[str, int]:
    return "127.0.0.1", int(messenger.url.rpartition(":")[2])


def bodies(messenger: MessengerProcess, chat_id: str = ANN, number: int = NUMBER) -> list[str]:
    chats = messenger.received(number).get("chats", {})
    return [message["body"] for message in chats.get(chat_id, [])]


def test_messages_are_kept_in_order_per_instance_and_chat(messenger: MessengerProcess) -> None:
    for key, chat_id, number in (("1", ANN, 1001), ("2", BEN, 1001), ("3", ANN, 1001), ("4", ANN, 1002)):
        assert post(messenger, key, chat_id=chat_id, number=number).status_code == 201
    assert (bodies(messenger, ANN), bodies(messenger, BEN)) == (["1", "3"], ["2"])
    assert bodies(messenger, ANN, 1002) == ["4"]


def test_a_repeated_key_gets_the_same_response_and_is_counted(messenger: MessengerProcess) -> None:
    first, other, again = post(messenger, "a"), post(messenger, "b"), post(messenger, "a")
    assert again.json() == first.json() != other.json()
    received = messenger.received(NUMBER)
    assert bodies(messenger) == ["a", "b"]
    assert (received["repeats"], received["statuses"]) == ({"a": 2}, {"201": 3})


def test_a_file_is_uploaded_before_its_message(messenger: MessengerProcess) -> None:
    assert post(messenger, "early", file={"id": "f1"}).json() == {
        "error": "The file of the message was not uploaded."
    }
    uploaded = requests.post(
        f"{messenger.url}/instances/{NUMBER}/files",
        data=b"x" * 300_000,
        headers={"Authorization": "Bearer t", "Idempotency-Key": "a", "Content-Type": "image/png"},
    )
    assert (uploaded.status_code, uploaded.json()) == (201, {"id": "f1"})
    assert post(messenger, "a", file={"id": "f1"}).status_code == 201
    assert messenger.received(NUMBER)["files"] == {
        "f1": {"key": "a", "bytes": 300_000, "contentType": "image/png"}
    }


def test_a_deletion_says_whether_the_message_had_arrived(messenger: MessengerProcess) -> None:
    post(messenger, "true_a@c.us_1")
    for name, is_known in (("true_a%40c.us_1", True), ("other", False)):
        response = requests.delete(
            f"{messenger.url}/instances/{NUMBER}/messages/{name}",
            headers={"Authorization": "Bearer t", "Idempotency-Key": f"deletion of {name}"},
        )
        assert (response.status_code, response.json()) == (200, {"deleted": is_known})
    assert messenger.received(NUMBER)["deleted"] == ["true_a@c.us_1", "other"]


def test_a_status_comes_for_its_share_of_the_requests(messenger: MessengerProcess) -> None:
    messenger.order(
        faults=[{"kind": "status", "status": 503, "share": 0.25, "retryAfter": 7, "error": "Full."}]
    )
    responses = [post(messenger, str(number)) for number in range(8)]
    assert [response.status_code for response in responses] == [201, 201, 201, 503] * 2
    assert (responses[3].headers["Retry-After"], responses[3].json()) == ("7", {"error": "Full."})
    assert bodies(messenger) == ["0", "1", "2", "4", "5", "6"]


def test_an_order_is_for_one_instance_or_all_and_ends(messenger: MessengerProcess) -> None:
    messenger.order(instance=NUMBER, faults=[{"kind": "status", "status": 500, "times": 1}])
    assert post(messenger, "a", number=NUMBER + 1).status_code == 201
    assert [post(messenger, "a").status_code for _ in range(2)] == [500, 201]
    messenger.order(revoked=True)
    refused = post(messenger, "b")
    assert (refused.status_code, refused.json()) == (401, {"error": "The token was revoked."})
    messenger.reset()
    assert post(messenger, "b").status_code == 201


def test_more_messages_than_the_limits_allow_get_429_with_their_scope(messenger: MessengerProcess) -> None:
    messenger.order(rate={"messages": 3, "seconds": 3000}, recipientRate={"messages": 1, "seconds": 3000})
    first, of_chat = post(messenger, "a"), post(messenger, "b")
    of_number = post(messenger, "c", chat_id=BEN), post(messenger, "d", chat_id=BEN)
    assert [first.status_code, of_chat.status_code] == [201, 429]
    assert (of_chat.json()["scope"], int(of_chat.headers["Retry-After"])) == ("chat", 3000)
    assert [each.status_code for each in of_number] == [201, 429]
    assert (of_number[1].json()["scope"], int(of_number[1].headers["Retry-After"])) == ("number", 1000)


@pytest.mark.parametrize("accepts", [False, True])
@pytest.mark.parametrize("kind", ["hang", "reset", "garbage"])
def test_a_request_without_a_response_has_arrived_if_ordered(
    messenger: MessengerProcess, kind: str, accepts: bool
) -> None:
    messenger.order(faults=[{"kind": kind, "times": 1, "accepts": accepts}])
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        post(messenger, "a", timeout=0.3)
    assert bodies(messenger) == (["a"] if accepts else [])
    assert post(messenger, "a").status_code == 201
    received = messenger.received(NUMBER)
    assert (bodies(messenger), received["repeats"]) == (["a"], {"a": 2} if accepts else {})
    assert received["statuses"] == {"0": 1, "201": 1}


def test_requests_at_once_are_counted(messenger: MessengerProcess) -> None:
    messenger.order(latency=0.5)
    opened = []
    for number, chat_id in enumerate((ANN, ANN, BEN)):
        body = b'{"chatId": "%s", "type": "chat", "body": "x"}' % chat_id.encode()
        connection = socket.create_connection(address(messenger))
        connection.sendall(
            b"POST /instances/1001/messages HTTP/1.1\r\nAuthorization: Bearer t\r\nIdempotency-Key: %d\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (number, len(body), body)
        )
        opened.append(connection)
    for connection in opened:
        with connection:
            assert connection.recv(65536).startswith(b"HTTP/1.1 201 Created\r\n")
    received = messenger.received(NUMBER)
    assert (received["mostInFlight"], received["mostInFlightOfAChat"]) == (3, 2)


def test_requests_in_pieces_and_pipelined_are_answered_in_order(messenger: MessengerProcess) -> None:
    messenger.order(latency=0.01)
    both = b"".join(
        b"POST /instances/1001/messages HTTP/1.1\r\nauthorization: Bearer t\r\nidempotency-key: %d\r\n"
        b'content-length: 18\r\n\r\n{"chatId": "%04d"}' % (number, number)
        for number in (1, 2)
    )
    with socket.create_connection(address(messenger)) as connection:
        for start in range(0, len(both), 7):
            connection.sendall(both[start : start + 7])
        got = b""
        while got.count(b"}") < 2:
            got += connection.recv(65536)
    assert got.index(b'{"id": "m1"}') < got.index(b'{"id": "m2"}')


@pytest.mark.parametrize(
    ("order", "says"),
    [
        ({"speed": 1}, "`speed` is not one of instance, latency, rate, recipientRate, revoked, faults."),
        ({"latency": "slow"}, "`latency` must be a number of seconds from 0 to 86400."),
        ({"faults": [{"status": 500}]}, "A fault needs a `kind`."),
        ({"faults": [{"kind": "explode"}]}, "`kind` must be one of status, hang, reset, garbage."),
        ({"faults": [{"kind": "status", "status": 99}]}, "`status` must be a status code from 200 to 599."),
        ({"rate": {"seconds": 1}}, "`rate` needs `messages` of at least 1, and `seconds` over 0."),
        ([], "The order must be a JSON object."),
    ],
)
def test_a_wrong_order_is_refused_in_words(messenger: MessengerProcess, order: Any, says: str) -> None:
    response = requests.post(f"{messenger.url}/control", json=order)
    assert (response.status_code, response.json()) == (400, {"error": says})


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "says"),
    [
        ("/instances/1/messages", {"Idempotency-Key": "a"}, '{"chatId": "a"}', 401, "A token is missing."),
        ("/instances/1/messages", {"Authorization": "Bearer t"}, '{"chatId": "a"}', 400,
         "The header Idempotency-Key is missing."),
        ("/instances/1/messages", {}, "no JSON", 400, "A message must be a JSON object with a `chatId`."),
        ("/instances/x/messages", {}, "{}", 404, "There is no such instance."),
        ("/instances/1", {}, "{}", 404, "There is no such instance."),
        (f"/instances/{'9' * 5000}/messages", {}, "{}", 404, "There is no such instance."),
        ("/instances/1/messages", {}, "{}", 400, "A message must be a JSON object with a `chatId`."),
        ("/instances/1/messages", {}, '{"chatId": []}', 400, "A message must be a JSON object with a `chatId`."),
        ("/instances/1/messages", {}, '{"chatId": "a", "file": 1}', 400,
         "A message must be a JSON object with a `chatId`."),
        ("/instances/1/messages", {}, "[" * 100_000, 400, "A message must be a JSON object with a `chatId`."),
        ("/control", {}, "[" * 100_000, 400, "The order must be JSON."),
        ("/instances/1/messages/a", {"Authorization": "Bearer t", "Idempotency-Key": "a"}, '{"chatId": "a"}', 404,
         "There is nothing at this URL."),
        ("/nowhere", {}, "", 404, "There is nothing at this URL."),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_in_words(
    messenger: MessengerProcess, path: str, headers: dict[str, str], body: str, status: int, says: str
) -> None:
    response = requests.post(messenger.url + path, data=body, headers=headers)
    assert (response.status_code, response.json()) == (status, {"error": says})


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x00\xff\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /control HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /control HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
        b"POST /control HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000,
    ],
    ids=range(8),
)
def test_what_is_not_a_request_gets_400_and_harms_nothing(messenger: MessengerProcess, sent: bytes) -> None:
    with socket.create_connection(address(messenger)) as connection:
        connection.sendall(sent)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert post(messenger, "a").status_code == 201


def test_two_thousand_connections_are_served_at_once(messenger: MessengerProcess) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    messenger.order(faults=[{"kind": "hang", "times": 1999}])
    with contextlib.ExitStack() as opened:
        connections = [
            opened.enter_context(socket.create_connection(address(messenger))) for _ in range(2000)
        ]
        for number, connection in enumerate(connections):
            connection.sendall(
                b"POST /instances/1001/messages HTTP/1.1\r\nAuthorization: Bearer t\r\nIdempotency-Key: %d\r\n"
                b'Content-Length: 15\r\n\r\n{"chatId": "a"}' % number
            )
        ready = readable(connections)
        assert [connection.recv(65536)[:20] for connection in ready] == [b"HTTP/1.1 201 Created"]
        assert messenger.received(NUMBER)["mostInFlight"] == 2000
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def readable(connections: list[socket.socket]) -> list[socket.socket]:
    """Waits until at least one has something to read, and returns those; select() is limited to 1024 descriptors."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    found = {descriptor for descriptor, _ in poll.poll(60_000)}
    return [connection for connection in connections if connection.fileno() in found]


def test_it_ends_with_sigterm_and_names_a_port_that_is_taken(messenger: MessengerProcess) -> None:
    with MessengerProcess() as second:
        pass
    assert second.process.returncode == 0
    with pytest.raises(CommandError, match=r"The sandbox messenger does not start: .*address already in use"):
        call_command("sandbox_messenger", port=address(messenger)[1])
