"""Flask: answers every text that a contact writes. API_URL, TOKEN and SECRET are the instance's."""

import base64
import hmac
import os
import threading
import time

import requests
from flask import Flask, abort, request

app = Flask(__name__)
API_URL, TOKEN = os.environ["API_URL"], os.environ["TOKEN"]
KEY = base64.b64decode(os.environ["SECRET"].removeprefix("whsec_"))
if not KEY:
    raise SystemExit("SECRET is empty.")
seen: dict[str, None] = {}  # the last thousand webhook-ids
lock = threading.Lock()


def is_signed() -> bool:
    """There may be several signatures: while the secret is being changed, one by the new and one by the old."""
    stamp = request.headers.get("webhook-timestamp", "")
    content = f"{request.headers.get('webhook-id')}.{stamp}.".encode() + request.get_data()
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, content, "sha256"))
    given = request.headers.get("webhook-signature", "").encode().split(b" ")
    return any(hmac.compare_digest(one, expected) for one in given) and abs(time.time() - int(stamp)) <= 300


def is_new(webhook_id: str) -> bool:
    with lock:
        if webhook_id in seen:
            return False
        seen[webhook_id] = None
        if len(seen) > 1000:
            del seen[next(iter(seen))]
        return True


def send(chat_id: str, body: str) -> None:
    arguments, headers = {"chatId": chat_id, "body": body}, {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(f"{API_URL}sendMessage", json=arguments, headers=headers, timeout=5)
    answer.raise_for_status()
    if not answer.json().get("sent"):
        app.logger.error("Not sent: %s", answer.text)


@app.post("/")
def receive() -> str:
    if not is_signed():
        abort(401)
    webhook_id = request.headers["webhook-id"]
    if is_new(webhook_id):
        try:
            for message in request.get_json().get("messages", []):  # other families have none: just 200
                if not message["fromMe"] and message["type"] == "chat":
                    send(message["chatId"], f"You wrote: {message['body']}")
        except Exception:
            seen.pop(webhook_id, None)  # answered 500, so that the hook may come again
            raise
    return "ok"


if __name__ == "__main__":
    app.run("0.0.0.0", int(os.environ.get("PORT", "5000")))
