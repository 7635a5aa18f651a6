"""With STAFF_NEEDS_TOTP the staff desk opens to those alone who have a second factor; sessions of staff are short."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.actions.users import sign_up
from accounts.models import User
from instances.models import Instance
from tests.chatapi.staff.test_impersonation import begin
from tests.product import ROOT


def test_without_one_staff_is_sent_to_set_it_up(staff: Client, charlie: User, settings: Any) -> None:
    assert staff.get("/admin/").status_code == 200
    settings.STAFF_NEEDS_TOTP = True
    for address in ("/admin/", "/admin/health/", "/admin/accounts/account/do/look/?pk=1"):
        answer = staff.get(address, follow=False)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/"), address
    Authenticator.objects.create(user=charlie, type=Authenticator.Type.TOTP, data={"secret": "x"})
    assert staff.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("environment", "needed"),
    [
        ({}, False),
        ({"DATABASE_URL": "postgresql://chatapi@db.example.org/chatapi"}, True),
        ({"DATABASE_URL": "postgresql://chatapi@db.example.org/chatapi", "STAFF_NEEDS_TOTP": "false"}, False),
    ],
)
def test_a_site_with_a_database_of_its_own_requires_one(
    tmp_path: Path, environment: dict[str, str], needed: bool
) -> None:
    code = "from chatapi import settings; print(settings.STAFF_NEEDS_TOTP)"
    base = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=base | {"DATA_DIR": str(tmp_path)} | environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == str(needed)


def sign_in(email: str, password: str) -> Client:
    client = Client()
    client.post("/accounts/login/", {"login": email, "password": password})
    return client


@pytest.mark.parametrize(("is_staff", "status"), [(True, 302), (False, 200)])
def test_sessions_of_staff_end_after_half_a_day(db: None, settings: Any, is_staff: bool, status: int) -> None:
    settings.EMAIL_URL = ""
    user = sign_up("dana@example.org", password="correct horse 9").owner
    User.objects.filter(pk=user.pk).update(is_staff=is_staff)
    with time_machine.travel(datetime(2030, 1, 1, 9, tzinfo=UTC), tick=False) as clock:
        browser = sign_in(user.email, "correct horse 9")
        clock.shift(timedelta(hours=11, minutes=59))
        assert browser.get("/instances/").status_code == 200
        clock.shift(timedelta(minutes=2))
        answer = browser.get("/instances/")
        assert answer.status_code == status
        if is_staff:
            assert answer["Location"] == "/accounts/login/?next=/instances/"
            page = browser.get(answer["Location"]).content.decode()
            assert "Sessions of staff end after 12 hours. Sign in again." in page


def test_another_session_of_the_same_user_does_not_keep_an_old_one(db: None) -> None:
    user = sign_up("dana@example.org", password="correct horse 9").owner
    User.objects.filter(pk=user.pk).update(is_staff=True)
    with time_machine.travel(datetime(2030, 1, 1, 9, tzinfo=UTC), tick=False) as clock:
        stolen = sign_in(user.email, "correct horse 9")
        clock.shift(timedelta(hours=11))
        sign_in(user.email, "correct horse 9")
        clock.shift(timedelta(hours=2))
        assert stolen.get("/instances/").status_code == 302


def test_a_view_of_an_account_ends_with_the_session(instance: Instance, db: None) -> None:
    user = sign_up("dana@example.org", password="correct horse 9").owner
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    with time_machine.travel(datetime(2030, 1, 1, 9, tzinfo=UTC), tick=False) as clock:
        browser = sign_in(user.email, "correct horse 9")
        clock.shift(timedelta(hours=11, minutes=50))
        begin(browser, instance.owner)
        assert browser.get("/instances/12345/").status_code == 200
        clock.shift(timedelta(minutes=15))
        assert browser.get("/instances/12345/").status_code == 302
