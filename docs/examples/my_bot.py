"""A small bot: replies to "hello" and to pictures, and ignores groups. API_URL and TOKEN belong to its instance."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def reply_to(message: dict) -> str:
    if message["fromMe"] or message["chatId"].endswith("@g.us"):
        return ""
    if message["type"] == "image":
        return "Nice picture!"
    return "Hello to you!" if message["body"].strip().lower() == "hello" else ""


class Bot(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hook = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for message in hook.get("messages", []):  # no messages in other families: respond 200
            if text := reply_to(message):
                data = json.dumps({"chatId": message["chatId"], "body": text}).encode()
                headers = {
                    "Authorization": "Bearer " + os.environ["TOKEN"],
                    "Content-Type": "application/json",
                }
                request = urllib.request.Request(os.environ["API_URL"] + "sendMessage", data, headers)
                urllib.request.urlopen(request, timeout=5).close()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None: ...


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ["PORT"])), Bot).serve_forever()
