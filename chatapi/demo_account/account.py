"""The demo account: a user with a paid and authenticated sandbox instance, created at the first start.

Its password and key are random. They are stored in plain text in DATA_DIR/demo.json only, which only the file's owner
can read.
"""

import json
import os
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.actions.keys import issue_key
from accounts.actions.users import set_password, sign_up
from accounts.models import Account, AccountKey
from chatapi.demo_account.contacts import add_contacts
from instances.actions.lifecycle import create_instance, link_sandbox, record_payment
from instances.models import Channel, Instance

EMAIL = "demo@example.com"
PAID_DAYS = 365
MIN_PAID_TIME = timedelta(days=30)
LOCK = 0x64656D6F  # "demo": two simultaneous commands create one account


class DemoBlocked(Exception):
    """The demo account exists, but staff have blocked it. str() is a sentence for users."""


@dataclass
class Demo:
    """`login` is what `manage.py demo --json` prints; `repaired` lists in sentences what had to be repaired."""

    login: dict[str, Any]
    repaired: list[str] = field(default_factory=list)


def login_file() -> Path:
    return settings.DATA_DIR / "demo.json"


def create_or_repair() -> Demo:
    """Creates what is missing of the demo account, and repairs a login that no longer works; changes nothing else.

    Raises DemoBlocked; OSError if the file cannot be read or written.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        stored = read_login()
        account = Account.objects.select_related("owner").filter(owner__email=EMAIL).first()
        repaired = [] if account is None or stored else ["The demo login was missing from DATA_DIR."]
        if account is None:
            account = sign_up(EMAIL, password=None, name="Demo")
            stored = {}
        if account.blocked_at or not account.owner.is_active:
            raise DemoBlocked(f"The demo account {EMAIL} is blocked; unblock it on the support desk first.")
        # No mail can be received at example.com, so the address could not be confirmed on a site that requires it.
        EmailAddress.objects.update_or_create(
            user=account.owner, email=EMAIL, defaults={"verified": True, "primary": True}
        )
        password, uid = stored.get("password", ""), stored.get("uid", "")
        if not (password and account.owner.check_password(password)):
            if password:
                repaired.append("Its password had been changed; a new one was set.")
            password = secrets.token_urlsafe(12)
            set_password(account.owner, password=password, acting_user=None)
        if not (uid and AccountKey.objects.verify(uid) == account):
            if uid:
                repaired.append("Its account key had been revoked; a new one was created.")
            uid = issue_key(account, acting_user=None)[1]
        instance = find_or_create_instance(account)
        login = {
            "site": settings.SITE_URL,
            "email": EMAIL,
            "password": password,
            "uid": uid,
            "instances": [{"id": str(instance.number), "token": instance.token, "apiUrl": instance.api_url}],
        }
        # Before the commit: a wrong file is repaired by the next call, but a password without a file is lost.
        write_login(login)
    return Demo(login, repaired)


def find_or_create_instance(account: Account) -> Instance:
    """Returns the account's oldest sandbox instance or a new one: authenticated, with contacts, paid for 30 days."""
    instance = Instance.objects.of_account(account).filter(channel=Channel.SANDBOX).order_by("id").first()
    if instance is None:
        instance = create_instance(account, name="Demo")
    if instance.paid_until < timezone.now() + MIN_PAID_TIME:
        record_payment(instance, days=PAID_DAYS, note="Demo")
    link_sandbox(instance)
    add_contacts(instance)
    return instance


def read_login() -> dict[str, Any]:
    """Returns the contents of the file; empty if it is missing or contains something else."""
    try:
        stored = json.loads(login_file().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def write_login(login: dict[str, Any]) -> None:
    """Replaces the file atomically. At no time can other users read it."""
    path = login_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"demo.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(login, file)
            if os.getuid() == 0:  # the product, which runs as the folder's owner, reads it too
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
