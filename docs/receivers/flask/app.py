"""Flask: replies to every text message from a contact. API_URL, TOKEN and SECRET belong to the instance."""

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
    raise SystemExit("Set SECRET.")
seen: dict[str, None] = {}  # the 1000 most recent webhook-ids
lock = threading.Lock()


def is_signed() -> bool:
    # There can be two signatures: for a day after a rotation, hooks are signed with the new and the old secret.
    timestamp = request.headers.get("webhook-timestamp", "")
    content = f"{request.headers.get('webhook-id')}.{timestamp}.".encode() + request.get_data()
    expected = b"v1," + base64.b64encode(hmac.digest(KEY, content, "sha256"))
    given = request.headers.get("webhook-signature", "").encode().split(b" ")
    return (
        any(hmac.compare_digest(one, expected) for one in given) and abs(time.time() - int(timestamp)) <= 300
    )


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
    response = requests.post(f"{API_URL}sendMessage", json=arguments, headers=headers, timeout=5)
    response.raise_for_status()
    if not response.json().get("sent"):
        app.logger.error("Not sent: %s", response.text)


@app.post("/")
def receive() -> str:
    if not is_signed():
        abort(401)
    webhook_id = request.headers["webhook-id"]
    if is_new(webhook_id):
        try:
            # Other families have no messages: respond 200.
            for message in request.get_json().get("messages", []):
                if not message["fromMe"] and message["type"] == "chat":
                    send(message["chatId"], f"You wrote: {message['body']}")
        except Exception:
            seen.pop(webhook_id, None)  # Flask responds 500; process the retry
            raise
    return "ok"


if __name__ == "__main__":
    app.run("0.0.0.0", int(os.environ.get("PORT", "5000")))
