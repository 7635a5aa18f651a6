"""The demo account: a user with a paid and authenticated sandbox instance, from the first start on.

Its password and key are random and stand in clear in DATA_DIR/demo.json alone, which only its owner can read.
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
from chatapi.demo_account.contacts import give_people
from instances.actions.lifecycle import create_instance, link_sandbox, record_payment
from instances.models import Channel, Instance

EMAIL = "demo@example.com"
PAID_DAYS = 365
PAID_AGAIN_BELOW = timedelta(days=30)
LOCK = 0x64656D6F  # "demo": two commands at once make one account


class DemoBlocked(Exception):
    """The demo account is there, but staff has blocked it; the text is a sentence for people."""


@dataclass
class Demo:
    """`login` is what `manage.py demo --json` prints; `repaired` says in sentences what no longer matched."""

    login: dict[str, Any]
    repaired: list[str] = field(default_factory=list)


def login_file() -> Path:
    return settings.DATA_DIR / "demo.json"


def make_demo() -> Demo:
    """Makes what is missing of the demo account, repairs what no longer matches, leaves the rest as it is.

    Raises DemoBlocked, and OSError when the file can be neither read nor written.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        kept = kept_login()
        account = Account.objects.select_related("owner").filter(owner__email=EMAIL).first()
        repaired = [] if account is None or kept else ["The demo login was not in DATA_DIR any more."]
        if account is None:
            account = sign_up(EMAIL, None, name="Demo")
            kept = {}
        if account.blocked_at or not account.owner.is_active:
            raise DemoBlocked(f"The demo account {EMAIL} is blocked; unblock it in the staff pages first.")
        # Mail is not sent to example.com, so the address could not be confirmed where that is required.
        EmailAddress.objects.update_or_create(
            user=account.owner, email=EMAIL, defaults={"verified": True, "primary": True}
        )
        password, uid = kept.get("password", ""), kept.get("uid", "")
        if not (password and account.owner.check_password(password)):
            if password:
                repaired.append("Its password was another one; a new one was set.")
            password = secrets.token_urlsafe(12)
            set_password(account.owner, password, acting_user=None)
        if not (uid and AccountKey.objects.verify(uid) == account):
            if uid:
                repaired.append("Its account key was revoked; a new one was made.")
            uid = issue_key(account, acting_user=None)[1]
        instance = demo_instance(account)
        login = {
            "site": settings.SITE_URL,
            "email": EMAIL,
            "password": password,
            "uid": uid,
            "instances": [{"id": str(instance.number), "token": instance.token, "apiUrl": instance.api_url}],
        }
        # Before the commit: a login that no one can read is worse than a file that the next call repairs.
        keep(login)
    return Demo(login, repaired)


def demo_instance(account: Account) -> Instance:
    """The account's oldest sandbox instance, or a new one; authenticated, with people, paid for 30 days at least."""
    instance = Instance.objects.of_account(account).filter(channel=Channel.SANDBOX).order_by("id").first()
    if instance is None:
        instance = create_instance(account, name="Demo")
    if instance.paid_until < timezone.now() + PAID_AGAIN_BELOW:
        record_payment(instance, days=PAID_DAYS, note="Demo")
    link_sandbox(instance)
    give_people(instance)
    return instance


def kept_login() -> dict[str, Any]:
    """What the file holds; empty when there is none, or none of ours."""
    try:
        kept = json.loads(login_file().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def keep(login: dict[str, Any]) -> None:
    """Replaces the file at once and whole; it is never readable for others, not even for a moment."""
    path = login_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"demo.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(login, file)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
