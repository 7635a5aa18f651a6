"""A bot that replies to "hello". API_URL and TOKEN belong to its instance; SECRET is the signing secret, if set."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API_URL, TOKEN, SECRET = os.environ["API_URL"], os.environ["TOKEN"], os.environ.get("SECRET")
if SECRET:
    from standardwebhooks import Webhook, WebhookVerificationError


def call(method: str, **arguments: str) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(API_URL + method, json.dumps(arguments).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=5))


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            if SECRET:
                Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
        except WebhookVerificationError:
            self.send_error(401, "Wrong signature")
            return
        for message in json.loads(body).get("messages", []):  # no messages in other families: respond 200
            if not message["fromMe"] and message["body"].strip().lower() == "hello":
                reply = call("sendMessage", chatId=message["chatId"], body="Hello to you!")
                print(json.dumps(reply), flush=True)
        self.send_response(200)
        self.end_headers()


server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "5000"))), Receiver)
print(f"Listening on http://localhost:{server.server_port}/", flush=True)
server.serve_forever()
