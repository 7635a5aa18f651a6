"""Forwards the hooks of an instance to a server on this computer, which needs no public URL.

    python -m chatapi.listen --instance 1203344556 --forward http://localhost:3000/hook

This file works alone, too: it needs Python 3.9 or newer and `requests`.

    pip install requests
    python listen.py --site https://chat.example.com --key uid_… --instance 1203344556 --forward http://localhost:3000/hook

The hooks wait on the site in an endpoint of their own while this program does not run. What it has taken and not
reported when it is killed comes again, in order.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import os
import random
import signal
import socket
import ssl
import sys
import threading
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

try:
    import requests
except ImportError:
    sys.exit("chatapi listen needs the package requests: pip install requests")

WAIT_SECONDS = 30  # for which the site delays its response until there is a hook
REPORT_SECONDS = 0.5  # between two reports while hooks are being sent
FIRST_PAUSE = 0.5  # seconds before the site is called again after an error; then twice as many …
LONGEST_PAUSE = 30.0
HEADERS_KEPT = 100
HEADER_KEPT = 8_000  # characters of a value

EXIT_REFUSED = 1


class Refused(Exception):
    """The site refuses this program's calls, and would do so again; str() says why."""


class Unreachable(Exception):
    """The site can't be reached or is busy; `pause` is the time that it asks to wait, in seconds."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class Site:
    """The REST calls of one run."""

    def __init__(self, site: str, key: str, instance: str) -> None:
        self.root = f"{site.rstrip('/')}/api/v1/instances/{instance}/listeners/"
        self.key = key
        self.session = requests.Session()
        self.session.headers["User-Agent"] = "chatapi-listen"
        self.session.auth = self.authorize  # requests replaces a mere header by the site's entry in ~/.netrc

    def authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.key}"
        return request

    def start(self, url: str, name: str) -> dict[str, Any]:
        return self.call("POST", "", {"url": url, **({"name": name} if name else {})})

    def take(self, run: str) -> dict[str, Any]:
        return self.call("POST", f"{run}/take/?wait={WAIT_SECONDS}", timeout=WAIT_SECONDS + 15)

    def report(self, run: str, results: list[dict[str, Any]]) -> None:
        self.call("POST", f"{run}/results/", {"results": results})

    def stop(self, run: str) -> None:
        self.call("DELETE", f"{run}/", timeout=5)

    def call(self, method: str, path: str, data: Any = None, timeout: float = 20) -> dict[str, Any]:
        """Returns the response's JSON. Raises Refused or Unreachable."""
        try:
            response = self.session.request(
                method, self.root + path, json=data, timeout=(10, timeout), allow_redirects=False
            )
        except (
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidURL,
        ) as error:
            raise Refused(f"--site must be a URL like https://chat.example.com. {error}") from None
        except requests.RequestException as error:
            raise Unreachable(f"{urlsplit(self.root).netloc} can't be reached: {short(error)}") from None
        if response.status_code < 300:
            try:
                return response.json() if response.content else {}
            except ValueError:  # such as the page of a Wi-Fi network that asks to log in
                raise Unreachable(f"{urlsplit(self.root).netloc} did not respond with JSON.") from None
        reason = self.reason(response)
        if response.status_code == 429 or response.status_code >= 500:
            raise Unreachable(reason, pause(response))
        raise Refused(reason)

    def reason(self, response: requests.Response) -> str:
        if response.is_redirect:  # not followed: the redirected request would be a GET
            target = urlsplit(urljoin(self.root, response.headers["Location"]))
            return (
                f"{urlsplit(self.root).netloc} redirects to {target.scheme}://{target.netloc}. Check --site."
            )
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return str(response.json()["error"])
        if response.status_code == 404:
            return f"{urlsplit(self.root).netloc} has no REST API of Chat API. Check --site."
        return f"{urlsplit(self.root).netloc} responded with {response.status_code}."


def pause(response: requests.Response) -> float:
    """Returns the seconds of Retry-After; 0 without it."""
    found = response.headers.get("Retry-After", "")
    return float(found) if found.isascii() and found.isdigit() else 0.0


def short(error: Exception) -> str:
    """Returns the innermost reason of an error of requests."""
    text = str(error)
    for begin in (
        "[Errno",
        "Failed to resolve",
        "Connection refused",
        "timed out",
        "certificate verify failed",
    ):
        if begin in text:
            return text[text.index(begin) :].rstrip("'\")> ")
    return type(error).__name__ if len(text) > 200 else text


class LocalServer:
    """The server to which hooks are forwarded. Each hook is one connection and one request."""

    def __init__(self, url: str, *, insecure: bool = False) -> None:
        self.url = url
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.target = requests.utils.requote_uri(
            (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        )
        self.tls: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self.tls = ssl.create_default_context()
            if insecure:
                self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def send(self, hook: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
        """Sends the hook once; returns its report without `claim` and `delayMs`. Never raises."""
        return Request(self, hook, limits).run()


class Request:
    """One request to the local server, with its deadline and the time of each phase."""

    def __init__(self, server: LocalServer, hook: dict[str, Any], limits: dict[str, Any]) -> None:
        self.server, self.hook, self.limits = server, hook, limits
        self.began = time.monotonic()
        self.phase = "dns"
        self.times: dict[str, float] = {}
        self.report: dict[str, Any] = {}
        self.body = b""
        self.sock: socket.socket | None = None
        self.is_late = False

    def run(self) -> dict[str, Any]:
        watchdog = threading.Timer(self.limits["deadlineMs"] / 1000, self.end_late)
        watchdog.daemon = True
        watchdog.start()
        try:
            self.exchange()
        except Exception as error:  # noqa: BLE001 - whatever the local server does, its hook is reported
            self.report["error"], self.report["detail"] = self.explain(error)
        finally:
            watchdog.cancel()
            if self.sock is not None:
                self.sock.close()
        if self.report.get("error") == "timeout":
            self.report["phase"] = self.phase
        self.times["totalMs"] = self.milliseconds()
        kept = self.body[: self.limits["loggedBytes"]]
        return {
            **self.report,
            "body": base64.b64encode(kept).decode(),
            "size": len(self.body),
            "times": self.times,
        }

    def milliseconds(self) -> float:
        return round((time.monotonic() - self.began) * 1000, 3)

    def end_late(self) -> None:
        """In the watchdog's thread: the deadline has passed."""
        self.is_late = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def exchange(self) -> None:
        found = socket.getaddrinfo(self.server.host, self.server.port, type=socket.SOCK_STREAM)
        self.times["nameMs"] = self.milliseconds()
        self.phase = "connect"
        self.connect(found)
        self.times["connectMs"] = self.milliseconds()
        if self.server.tls is not None:
            self.phase = "tls"
            assert self.sock is not None
            self.sock = self.server.tls.wrap_socket(self.sock, server_hostname=self.server.host)
            self.times["tlsMs"] = self.milliseconds()
        self.phase = "waiting"
        assert self.sock is not None
        # a server may respond, and close the connection, before it has read the whole request
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            self.sock.sendall(self.request())
        self.read()

    def connect(self, found: list[Any]) -> None:
        """Connects to the first address that accepts."""
        error: OSError | None = None
        for family, kind, protocol, _, address in found:
            left = self.limits["connectMs"] / 1000 - (time.monotonic() - self.began)
            if left <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(left)
            try:
                sock.connect(address)
            except OSError as failed:
                error = failed
                sock.close()
                continue
            sock.settimeout(self.limits["deadlineMs"] / 1000 + 1)  # the watchdog ends it earlier
            self.sock = sock
            host = address[0].partition("%")[0]  # without the zone of a link-local address
            host = f"[{host}]" if ":" in host else host
            self.report["address"] = f"{host}:{address[1]}"[:60]
            return
        raise error or TimeoutError

    def request(self) -> bytes:
        """Returns the bytes of the request: those that the site would send."""
        lines = [f"POST {self.server.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.hook["headers"]]
        return "\r\n".join([*lines, "", ""]).encode() + self.hook["body"].encode()

    def read(self) -> None:
        assert self.sock is not None
        response = http.client.HTTPResponse(self.sock, method="POST")
        try:
            response.begin()
            self.times["firstByteMs"] = self.milliseconds()
            self.phase = "download"
            self.report["status"] = response.status
            self.report["headers"] = [
                [name[:HEADER_KEPT], value[:HEADER_KEPT].replace("\0", "")]
                for name, value in response.getheaders()[:HEADERS_KEPT]
            ]
            most = self.limits["responseBytes"]
            while len(self.body) < most:
                part = response.read1(most - len(self.body))
                if not part:
                    break
                self.body += part
            if self.is_late:
                raise TimeoutError
            if len(self.body) < most and response.length:
                raise ConnectionResetError("the connection was closed before the response was complete")
        finally:
            response.close()

    def explain(self, error: Exception) -> tuple[str, str]:
        """Returns the error as the site names it, and its text."""
        text = (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:500].replace(
            "\0", ""
        )
        if self.is_late or isinstance(error, TimeoutError):
            return "timeout", ""
        if isinstance(error, (socket.gaierror, UnicodeError)):
            return "dns", text
        if isinstance(error, ssl.SSLError) and self.phase == "tls":
            return "tls", str(error)[:500]
        if isinstance(error, http.client.LineTooLong):
            return "too_large", text
        if (
            isinstance(error, (ConnectionError, ssl.SSLError, http.client.IncompleteRead))
            and self.phase != "connect"
        ):
            return "reset", text
        if isinstance(error, OSError):
            return "refused", text
        return "protocol", text


class Listener:
    """Takes hooks from the site, forwards them one after the other, and reports the responses."""

    def __init__(self, site: Site, server: LocalServer, name: str) -> None:
        self.site, self.server, self.name = site, server, name
        self.run: dict[str, Any] = {}
        self.results: list[dict[str, Any]] = []  # that were not reported yet
        self.reported_at = 0.0  # by time.monotonic()
        self.lease_ends = 0.0
        self.forwarded = 0
        self.is_paused = False

    def forever(self) -> None:
        """Forwards hooks until Refused or KeyboardInterrupt is raised; reconnects if the site can't be reached."""
        wait = FIRST_PAUSE
        was_lost = False
        while True:
            try:
                self.connect(again=was_lost)
                was_lost = False
                while True:
                    self.forward_next()
                    wait = FIRST_PAUSE
            except Unreachable as error:
                if not was_lost:
                    say(f"{error} Trying again.")
                was_lost = True
                time.sleep(max(error.pause, wait * random.uniform(0.8, 1.2)))
                wait = min(wait * 2, LONGEST_PAUSE)

    def connect(self, *, again: bool) -> None:
        if self.run:  # before the new run, which takes back what the last one has not reported
            self.report()
        self.run = self.site.start(self.server.url, self.name)
        count = self.run["waiting"]
        waiting = f"{count} hook{'' if count == 1 else 's'} waiting" if count else "no hooks waiting"
        say(f"{'Connected again' if again else 'Listening'} as “{self.run['name']}”: {waiting}.")

    def forward_next(self) -> None:
        """Takes the next hooks, and forwards them."""
        asked = time.monotonic()
        portion = self.site.take(self.run["id"])
        taken = time.monotonic()
        if portion["paused"] != self.is_paused:
            self.is_paused = portion["paused"]
            say("Delivery to this endpoint is paused. Its page says why." if self.is_paused else "Resumed.")
        if not portion["hooks"]:
            if taken - asked < 1:  # too many calls wait at the site
                time.sleep(1)
            return
        self.reported_at, self.lease_ends = taken, asked + self.run["leaseSeconds"]
        for hook in portion["hooks"]:
            if time.monotonic() + self.run["deadlineMs"] / 1000 > self.lease_ends:
                break  # it may be given to another program before it is reported; take() gives it again
            began = time.monotonic()
            result = self.server.send(hook, self.run)
            result |= {"claim": hook["claim"], "delayMs": round((began - taken) * 1000, 3)}
            self.results.append(result)
            self.forwarded += 1
            say_result(hook, result)
            if time.monotonic() - self.reported_at >= REPORT_SECONDS:
                self.report()
        self.report()

    def report(self) -> None:
        """Reports what was forwarded, which renews the lease of the rest.

        Raises Refused if the site would refuse the same report again: take() would give the same hooks again, without
        end.
        """
        if not self.results:
            return
        began = time.monotonic()
        try:
            self.site.report(self.run["id"], self.results)
        except Refused as error:
            count = len(self.results)
            self.results = []
            raise Refused(
                f"The site refuses the responses to {count} hook{'' if count == 1 else 's'}: {error}"
            ) from None
        self.results = []
        self.reported_at, self.lease_ends = began, began + self.run.get("leaseSeconds", 0)

    def stop(self) -> None:
        """Reports what is left, and ends the run, so that its hooks wait for the next one."""
        if self.run:
            with contextlib.suppress(Unreachable, Refused):
                self.report()
                self.site.stop(self.run["id"])


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def say_result(hook: dict[str, Any], result: dict[str, Any]) -> None:
    """Prints one line: time, kind of event, the local server's response, milliseconds, the hook's id."""
    got = str(result.get("status") or "") if not result.get("error") else result["error"].replace("_", " ")
    again = f"  attempt {hook['attempt']}" if hook["attempt"] > 1 else ""
    detail = f"  {result['detail']}" if result.get("detail") else ""
    took = f"{result['times']['totalMs']:.0f} ms"
    say(f"{hook['kind']:<8}  {got:<8}  {took:>8}  {hook['id']}{again}{detail}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="chatapi.listen",
        description="Forwards the hooks of an instance to a server on this computer. It needs no public URL. "
        "Hooks wait on the site while this program does not run.",
    )
    parser.add_argument("--instance", required=True, help="the id of the instance")
    parser.add_argument("--forward", required=True, metavar="URL", help="such as http://localhost:3000/hook")
    parser.add_argument("--site", default=os.environ.get("CHATAPI_SITE", "http://localhost:8000"),
                        help="the site's URL; default: CHATAPI_SITE, or http://localhost:8000")  # fmt: skip
    parser.add_argument("--key", default=os.environ.get("CHATAPI_KEY", ""),
                        help="a key of the account with the scope manage; default: CHATAPI_KEY, which other users "
                        "can't see")  # fmt: skip
    parser.add_argument("--name", default="", help="of the endpoint; needed to run several at a time")
    parser.add_argument("--insecure", action="store_true", help="accept any certificate of the local server")
    given = parser.parse_args()
    if not given.key:
        parser.error("the account's key is missing. Set CHATAPI_KEY, or pass --key.")
    if not given.key.isascii() or not given.key.isprintable() or " " in given.key:
        parser.error("the account's key has characters that no key has. Copy it from the account page.")
    if not given.instance.isascii() or not given.instance.isdigit():
        parser.error("--instance must be the number of the instance, as its page shows it.")
    try:
        parts = urlsplit(given.forward)
        is_url = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        parser.error(f"--forward must be a URL like http://localhost:3000/hook, not {given.forward!r}.")
    return given


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    given = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT otherwise
        signal.signal(number, interrupt)
    site = Site(given.site, given.key, given.instance)
    listener = Listener(site, LocalServer(given.forward, insecure=given.insecure), given.name)
    code = 0
    try:
        say(f"Forwarding hooks of instance {given.instance} to {given.forward}. Press Ctrl-C to stop.")
        listener.forever()
    except Refused as error:
        print(error, file=sys.stderr, flush=True)
        code = EXIT_REFUSED
    except KeyboardInterrupt:
        pass
    with contextlib.suppress(KeyboardInterrupt):
        listener.stop()
    if not code:
        say(f"Stopped. {listener.forwarded} hook{'' if listener.forwarded == 1 else 's'} forwarded.")
    return code


if __name__ == "__main__":
    sys.exit(main())
