"""Cookies, HSTS and other headers by SITE_URL: an https site trusts nothing that came over http."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from accounts.actions.users import sign_up

# A process of its own: middleware and cookies read these settings when the site starts.
ASK = """
import json, django
django.setup()
from django.conf import settings
from django.test import Client
answer = Client(HTTP_HOST=settings.ALLOWED_HOSTS[0]).get("/accounts/login/", secure=settings.HTTPS)
names = ("Strict-Transport-Security", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy")
print(json.dumps({
    "status": answer.status_code,
    "csrf": answer.cookies["csrftoken"].OutputString().split("; ", 1)[1],
    "headers": {name: answer.headers.get(name) for name in names},
    "session": [settings.SESSION_COOKIE_SECURE, settings.SESSION_COOKIE_HTTPONLY, settings.SESSION_COOKIE_SAMESITE],
    "trusted": settings.CSRF_TRUSTED_ORIGINS,
    "proxy": settings.SECURE_PROXY_SSL_HEADER,
}))
"""


def told_by(site_url: str, data: Path) -> dict[str, Any]:
    (data / "static").mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "SITE_URL": site_url,
        "DATA_DIR": str(data),
        "DEBUG": "1",  # only for static files that are not collected here
        "DJANGO_SETTINGS_MODULE": "chatapi.settings",
        "LOG_LEVEL": "ERROR",
    }
    run = subprocess.run(
        [sys.executable, "-c", ASK],
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


def test_an_https_site_keeps_everything_to_https(tmp_path: Path) -> None:
    told = told_by("https://chat.example.org", tmp_path)

    assert told["status"] == 200
    assert told["csrf"].endswith("Path=/; SameSite=Lax; Secure")
    assert told["session"] == [True, True, "Lax"]
    assert told["headers"] == {
        "Strict-Transport-Security": "max-age=31536000",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
    }
    assert told["trusted"] == ["https://chat.example.org"]
    assert told["proxy"] == ["HTTP_X_FORWARDED_PROTO", "https"]


def test_an_http_site_works_without(tmp_path: Path) -> None:
    told = told_by("http://localhost:8000", tmp_path)

    assert told["status"] == 200
    assert told["csrf"].endswith("Path=/; SameSite=Lax")
    assert told["session"] == [False, True, "Lax"]
    assert told["headers"]["Strict-Transport-Security"] is None
    assert told["proxy"] is None  # no client may claim https by a header


@pytest.mark.django_db
def test_a_form_from_another_site_changes_nothing() -> None:
    alice = sign_up("alice@example.org", password="correct horse 9", name="Shop")
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice.owner)
    token = client.get(reverse("accounts:account")).cookies["csrftoken"].value

    refused = [
        client.post(reverse("accounts:rename"), {"name": "Stolen"}),
        client.post(
            reverse("accounts:rename"),
            {"name": "Stolen", "csrfmiddlewaretoken": token},
            headers={"Origin": "https://elsewhere.example"},
        ),
    ]

    assert [answer.status_code for answer in refused] == [403, 403]
    alice.refresh_from_db()
    assert alice.name == "Shop"


@pytest.mark.django_db
def test_signing_in_changes_the_sessions_key() -> None:
    sign_up("alice@example.org", password="correct horse 9")
    client = Client()
    client.get(reverse("account_login"))
    client.session["kept"] = "from before"
    before = client.session.session_key

    client.post(reverse("account_login"), {"login": "alice@example.org", "password": "correct horse 9"})

    assert client.session.session_key not in (None, before)
