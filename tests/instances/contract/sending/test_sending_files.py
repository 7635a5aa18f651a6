"""`sendFile` and `sendPTT` (contract.md §2), and their hooks and `messages` (§3)."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from hooks.models import Hook, Kind
from instances.actions import media as media_actions
from instances.actions.messages import receive_message
from instances.limits import waiting_threads
from instances.media import fetch
from instances.models import Instance, Media, Message, OutgoingMessage, OutgoingQueue
from instances.sending import outgoing
from tests.instances.contract.conftest import Call
from tests.receiver import Receiver

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256))
OGG = b"OggS\x00\x02" + bytes(100)
PDF = b"%PDF-1.7\n" + bytes(100)
TO = "17680561234"
EXPECTED = (
    "it must be the URL of a file (https://…), data:image/jpeg;base64,…, or a file of a multipart form."
)


@pytest.fixture
def files() -> Iterator[Receiver]:
    """A server that returns one image at every URL."""
    with Receiver([(200, {"Content-Type": "image/jpeg"}, JPEG)]) as server:
        yield server


def data_uri(content: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def content_of(client: Client, message: dict[str, Any]) -> bytes:
    """The file behind the link in a message's body."""
    return b"".join(client.get(message["body"].removeprefix("http://localhost:8000")))


def sent(get: Call) -> dict[str, Any]:
    """Sends the queue and returns the only message."""
    outgoing.send_due()
    (message,) = get("messages")["messages"]
    return message


def refused(answer: dict[str, Any], message: str) -> None:
    assert answer == {"sent": False, "message": message}
    assert not OutgoingMessage.objects.exists()
    assert not Media.objects.exists()


def test_send_file_by_url(post: Call, get: Call, client: Client, files: Receiver) -> None:
    answer = post("sendFile", phone=TO, body=files.url, filename="photo.jpg", caption="look")
    assert list(answer) == ["sent", "message", "id", "queueNumber"]
    message_id = answer.pop("id")
    assert answer == {"sent": True, "message": "Sent to 17680561234@c.us", "queueNumber": 1}
    message = sent(get)
    assert (message["id"], message["type"], message["caption"]) == (message_id, "image", "look")
    assert re.fullmatch(r"http://localhost:8000/media/[0-9a-f]{48}/photo\.jpg", message["body"])
    assert content_of(client, message) == JPEG
    (request,) = files.requests
    assert (request.method, request.path) == ("GET", "/hook")
    assert request.headers["user-agent"].startswith("ChatAPI/")
    assert request.headers["accept-encoding"] == "identity"


def test_send_file_as_data_uri(post: Call, get: Call, client: Client) -> None:
    assert post("sendFile", phone=TO, body=data_uri(JPEG), filename="photo.jpg")["sent"] is True
    assert content_of(client, sent(get)) == JPEG


def test_send_file_as_multipart(client: Client, instance: Instance, get: Call) -> None:
    upload = SimpleUploadedFile("report.pdf", PDF, content_type="application/pdf")
    answer = client.post("/instance12345/sendFile?token=secret", {"phone": TO, "body": upload}).json()
    assert answer["sent"] is True
    message = sent(get)
    assert (message["type"], message["body"].rsplit("/", 1)[1]) == ("document", "report.pdf")
    assert content_of(client, message) == PDF


def test_the_filename_argument_wins_over_that_of_the_form(
    client: Client, instance: Instance, get: Call
) -> None:
    upload = SimpleUploadedFile("tmp1234", JPEG, content_type="application/octet-stream")
    form = {"phone": TO, "body": upload, "filename": "holiday.jpg"}
    client.post("/instance12345/sendFile?token=secret", form)
    assert sent(get)["body"].endswith("/holiday.jpg")


@pytest.mark.parametrize(
    ("filename", "kind", "type", "ending"),
    [
        ("a.jpg", "image/jpeg", "image", "/a.jpg"),
        ("a.PNG", "image/png", "image", "/a.png"),
        ("a.gif", "image/gif", "image", "/a.gif"),
        ("a.webp", "image/webp", "sticker", "/a.webp"),
        ("a.mp4", "video/mp4", "video", "/a.mp4"),
        ("a.mp3", "audio/mpeg", "audio", "/a.mp3"),
        ("a.ogg", "audio/ogg", "audio", "/a.ogg"),
        ("a.pdf", "application/pdf", "document", "/a.pdf"),
        ("a.tiff", "image/tiff", "document", "/a.tiff"),
        ("a.unheard", "application/x-unheard", "document", "/a.unheard"),
        ("photo", "image/jpeg", "image", "/photo.jpg"),
        ("photo", "image/jpg; charset=binary", "image", "/photo.jpg"),
        ("photo", "", "document", "/photo.bin"),
        ("счёт № 5.pdf", "application/pdf", "document", "/5.pdf"),
        ("../../etc/passwd.txt", "text/plain", "document", "/passwd.txt"),
    ],
)
def test_the_type_of_a_file_and_the_end_of_its_link(
    post: Call, get: Call, filename: str, kind: str, type: str, ending: str
) -> None:
    post("sendFile", phone=TO, body=data_uri(b"\x01\x02\x03", kind), filename=filename)
    message = sent(get)
    assert (message["type"], message["body"][message["body"].rindex("/") :]) == (type, ending)


def test_a_document_without_a_caption_has_its_file_name_for_one(post: Call, get: Call) -> None:
    post("sendFile", phone=TO, body=data_uri(PDF), filename="счёт № 5.pdf")
    assert sent(get)["caption"] == "счёт № 5.pdf"


def test_a_picture_without_a_caption_has_none(post: Call, get: Call) -> None:
    post("sendFile", phone=TO, body=data_uri(JPEG), filename="photo.jpg")
    assert sent(get)["caption"] is None


def test_cached_fetches_the_same_address_once_in_an_hour(post: Call, files: Receiver) -> None:
    for cached in (False, True, "1"):
        assert post("sendFile", phone=TO, body=files.url, filename="photo.jpg", cached=cached)["sent"] is True
    assert len(files.requests) == 1
    assert Media.objects.count() == 1
    assert len(set(OutgoingMessage.objects.values_list("body", flat=True))) == 1


def test_without_cached_it_is_fetched_each_time(post: Call, files: Receiver) -> None:
    for _ in range(2):
        post("sendFile", phone=TO, body=files.url, filename="photo.jpg")
    assert len(files.requests) == 2


def test_cached_under_another_name_or_after_an_hour_is_fetched_anew(post: Call, files: Receiver) -> None:
    post("sendFile", phone=TO, body=files.url, filename="photo.jpg")
    post("sendFile", phone=TO, body=files.url, filename="other.jpg", cached=True)
    assert len(files.requests) == 2
    for media in Media.objects.all():
        media.created_at -= media_actions.CACHE_TIME
        media.save(update_fields=["created_at"])
    post("sendFile", phone=TO, body=files.url, filename="photo.jpg", cached=True)
    assert len(files.requests) == 3


def test_a_quoted_message_and_mentioned_phones(post: Call, get: Call, instance: Instance) -> None:
    asked = receive_message(instance, sender=TO, body="which one?")
    post(
        "sendFile", phone=TO, body=data_uri(JPEG), filename="a.jpg", quotedMsgId=asked.message_id,
        mentionedPhones="17680561234,19990001122",
    )  # fmt: skip
    outgoing.send_due()
    message = get("messages")["messages"][1]
    assert (message["quotedMsgId"], message["quotedMsgBody"], message["quotedMsgType"]) == (
        asked.message_id, "which one?", "chat",
    )  # fmt: skip
    assert message["metadata"] == {"mentionedPhones": ["17680561234", "19990001122"]}


def test_the_hook_of_a_file_byte_for_byte(post: Call, instance: Instance) -> None:
    answer = post("sendFile", phone=TO, body=data_uri(JPEG), filename="photo.jpg", caption="смотри")
    outgoing.send_due()
    message, link = Message.objects.get(), Media.objects.get().link
    hook = Hook.objects.get(kind=Kind.MESSAGE)
    assert bytes(hook.body).decode() == (
        '{"messages":[{"id":"' + answer["id"] + '","body":"' + link + '","fromMe":true,"self":1,"isForwarded":0,'
        '"author":"15550001111@c.us","time":' + str(int(message.time.timestamp())) + ',"chatId":"17680561234@c.us",'
        '"messageNumber":1,"type":"image","senderName":"15550001111","caption":"смотри","quotedMsgBody":null,'
        '"quotedMsgId":null,"quotedMsgType":null,"chatName":"17680561234","metadata":null,"ack":1}],'
        '"instanceId":"12345"}'
    )  # fmt: skip


def test_send_ptt_by_url(post: Call, get: Call, client: Client) -> None:
    with Receiver([(200, {"Content-Type": "audio/ogg; codecs=opus"}, OGG)]) as server:
        answer = post("sendPTT", phone=TO, audio=server.url)
    assert (answer["sent"], answer["message"]) == (True, "Sent to 17680561234@c.us")
    message = sent(get)
    assert (message["type"], message["caption"]) == ("ptt", None)
    assert re.fullmatch(r"http://localhost:8000/media/[0-9a-f]{48}/voice\.ogg", message["body"])
    assert content_of(client, message) == OGG


@pytest.mark.parametrize("name", ["sendPTT", "sendAudio"])
def test_send_ptt_as_data_uri_under_both_names(post: Call, get: Call, name: str) -> None:
    assert post(name, phone=TO, audio=data_uri(OGG, "audio/ogg"))["sent"] is True
    assert sent(get)["type"] == "ptt"


def test_send_ptt_of_a_server_that_calls_it_bytes(post: Call, get: Call) -> None:
    with Receiver([(200, {"Content-Type": "application/octet-stream"}, OGG)]) as server:
        post("sendPTT", phone=TO, audio=server.url)
    assert sent(get)["type"] == "ptt"


def test_send_ptt_takes_no_picture(post: Call, files: Receiver) -> None:
    refused(
        post("sendPTT", phone=TO, audio=files.url),
        "File was not sent: it takes audio, and this is image/jpeg.",
    )


@pytest.mark.parametrize("body", [None, "", " "])
def test_an_empty_body_is_refused(post: Call, body: str | None) -> None:
    refused(
        post("sendFile", phone=TO, body=body, filename="a.jpg"),
        "`body` must be a file: its URL (https://…), data:image/jpeg;base64,…, or a file of a multipart form.",
    )


def test_a_missing_body_is_refused(post: Call) -> None:
    refused(
        post("sendFile", phone=TO, filename="a.jpg"),
        "`body` is required: a file: its URL (https://…), data:image/jpeg;base64,…, or a file of a multipart form.",
    )


def test_a_missing_filename_is_refused(post: Call, files: Receiver) -> None:
    refused(
        post("sendFile", phone=TO, body=files.url),
        "`filename` is required: the name of the file, such as photo.jpg.",
    )
    assert files.requests == []


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("photo.jpg", EXPECTED),
        ("ftp://example.com/a.jpg", EXPECTED),
        ("data:image/jpeg;base64,", "the file is empty."),
        ("data:image/jpeg;base64,@@@@", "the base64 is not valid."),
        ("data:image/jpeg;base64,\u0416", "the base64 is not valid."),
        ("data:image/jpeg,abc", "the data: URI is not valid; it must begin with data:image/jpeg;base64,…"),
        ("http://", "The URL has no host name. Enter one like https://example.com/photo.jpg."),
        ("http://127.0.0.1:1/a.jpg", "the server refused the connection."),
        ("http://no-such-name.invalid/a.jpg", "the server's host name was not found."),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_with_the_reason(post: Call, body: str, why: str) -> None:
    refused(post("sendFile", phone=TO, body=body, filename="a.jpg"), f"File was not sent: {why}")


def test_an_address_that_answers_404_is_refused(post: Call, files: Receiver) -> None:
    files.answers = [(404, {}, b"no")]
    refused(
        post("sendFile", phone=TO, body=files.url, filename="a.jpg"),
        "File was not sent: the server responded with 404, not 200.",
    )


def test_a_page_in_place_of_a_picture_is_refused(post: Call, files: Receiver) -> None:
    files.answers = [(200, {"Content-Type": "text/html; charset=utf-8"}, b"<p>Please log in</p>")]
    refused(
        post("sendFile", phone=TO, body=files.url, filename="a.jpg"),
        "File was not sent: files of type text/html are rejected, because they may run when they are opened.",
    )


def test_base64_with_line_breaks_without_padding_and_of_a_form_that_turned_plus_to_space(
    client: Client, instance: Instance, get: Call
) -> None:
    content = b"\xfb\xef\xbe\xff\xff" * 20 + b"x"
    code = base64.b64encode(content).decode().rstrip("=")
    assert "+" in code
    code = code.replace("+", " ")[:76] + "\r\n" + code.replace("+", " ")[76:]
    form = f"phone={TO}&filename=a.bin&body=data:application/octet-stream;base64,{code}"
    client.post(
        "/instance12345/sendFile?token=secret", form, content_type="application/x-www-form-urlencoded"
    )
    assert content_of(client, sent(get)) == content


def test_nothing_is_fetched_when_the_queue_is_full(post: Call, files: Receiver) -> None:
    OutgoingQueue.objects.update(length=400)
    refused(
        post("sendFile", phone=TO, body=files.url, filename="a.jpg"),
        "Message was not sent: the queue holds 400 messages, which is the limit.",
    )
    assert files.requests == []


def test_nothing_is_fetched_to_quote_a_message_that_is_not_there(post: Call, files: Receiver) -> None:
    refused(
        post("sendFile", phone=TO, body=files.url, filename="a.jpg", quotedMsgId="false_1@c.us_AB"),
        "The message to be quoted was not found.",
    )
    assert files.requests == []


def test_a_file_longer_than_the_limit_is_refused_however_it_comes(
    post: Call, client: Client, files: Receiver, settings: Any
) -> None:
    settings.MEDIA_MAX_BYTES = settings.MEDIA_DATA_URI_MAX_BYTES = 1024 * 1024
    long = bytes(1024 * 1024 + 5000)
    files.answers = [(200, {}, long)]
    refused(
        post("sendFile", phone=TO, body=files.url, filename="a.bin"),
        "File was not sent: the file is larger than 1 MB.",
    )
    upload = SimpleUploadedFile("a.bin", long)
    refused(
        client.post("/instance12345/sendFile?token=secret", {"phone": TO, "body": upload}).json(),
        "File was not sent: the file is larger than 1 MB.",
    )
    refused(
        post("sendFile", phone=TO, body=data_uri(long), filename="a.bin"),
        "File was not sent: a base64 file may have at most 1 MB; send a larger one as a URL or a multipart form.",
    )


def test_too_many_fetches_of_one_account_at_once_are_refused(
    post: Call, files: Receiver, instance: Instance
) -> None:
    limit = waiting_threads.MAX_WAITING_PER_ACCOUNT
    seats = [fetch.fetch_slot(instance.owner_id) for _ in range(limit)]
    for seat in seats:
        seat.__enter__()
    try:
        refused(
            post("sendFile", phone=TO, body=files.url, filename="a.jpg"),
            "File was not sent: too many files are being fetched now; try again in a few seconds.",
        )
    finally:
        for seat in seats:
            seat.__exit__(None, None, None)
    assert post("sendFile", phone=TO, body=files.url, filename="a.jpg")["sent"] is True


def test_a_link_of_this_site_is_sent_once_more_without_the_network(
    post: Call, get: Call, client: Client, settings: Any
) -> None:
    post("sendFile", phone=TO, body=data_uri(JPEG), filename="photo.jpg")
    first = sent(get)["body"]
    settings.HOOKS_ALLOW_NETWORKS = []
    assert post("sendFile", phone=TO, body=first, filename="again.jpg")["sent"] is True
    outgoing.send_due()
    second = get("messages")["messages"][1]
    assert second["body"] != first
    assert content_of(client, second) == JPEG


def test_while_not_authenticated_a_file_waits_in_the_queue(post: Call) -> None:
    Instance.objects.update(account_status="got qr code")
    answer = post("sendFile", phone=TO, body=data_uri(JPEG), filename="a.jpg")
    assert answer["message"] == (
        "Status of the account not equals authenticated."
        " Message to  17680561234@c.us will be sent after successful auth."
    )
    assert OutgoingMessage.objects.get().media == Media.objects.get()


def test_the_arguments_may_come_as_json_in_a_get(client: Client, instance: Instance, get: Call) -> None:
    body = json.dumps({"PHONE": TO, "Body": data_uri(JPEG), "fileName": "a.jpg"})
    answer = client.generic("GET", "/instance12345/sendFile?token=secret", body, "application/json").json()
    assert answer["sent"] is True


def test_a_body_that_is_too_long_says_what_to_do(client: Client, instance: Instance, settings: Any) -> None:
    settings.MEDIA_BODY_MAX_BYTES = 3_000_000
    for name, length, status in (
        ("sendFile", 2_900_000, 200), ("sendFile", 3_100_000, 413), ("sendMessage", 2_900_000, 413),
    ):  # fmt: skip
        body = {"phone": TO, "filename": "a.bin", "body": "data:x/y;base64," + "A" * length}
        response = client.post(f"/instance12345/{name}?token=secret", body, content_type="application/json")
        assert response.status_code == status
    assert response.json() == {"error": "The request is too long."}


def test_a_file_of_64_mb_in_a_form_goes_through_the_disk(
    client: Client, instance: Instance, get: Call
) -> None:
    """Django writes uploads over 2.5 MB to a temporary file, which is moved to the storage."""
    upload = SimpleUploadedFile("a.bin", bytes(64 * 1024 * 1024))
    answer = client.post("/instance12345/sendFile?token=secret", {"phone": TO, "body": upload}).json()
    assert answer["sent"] is True
    assert Media.objects.get().size == 64 * 1024 * 1024
