"""Markup in every text that a user, a contact, an endpoint or a client of a bin can fill in.

Columns are found, not listed: a new text field is planted, too.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.db import DatabaseError, models, transaction

from accounts.models import Account
from hooks.models import Attempt, Hook
from instances.models import Media, Message
from testing_tools.verification.models import Capture
from tests.attacks.database import path_to_account

LONG = (
    "</script></title></textarea></style>--><img src=x onerror=alert(1) data-xss>"
    "<b data-xss onmouseover=alert(1)>{{7*7}}</b>"
    "'\" autofocus onfocus=alert(1) data-xss x='\"><svg data-xss onload=alert(1)>"
)
MIDDLE = "'\"><img src=x onerror=alert(1) data-xss>"
SHORT = "'\"><b data-xss>"
LINK = "javascript:alert(1)//" + SHORT

# Ids, credentials, and words of which the code knows all values.
KEPT = re.compile(
    r"(^|_)(id|ids|key|code|token|secret|digest|prefix|password|state|status|kind|type|role|channel|plan|family|method|phone"
    r"|uuid|ptr|reason|outcome|trigger|side|number|name_of_action|action|backend|sha256|storage|path_in|version|link|file)$"
)


def texts_for(field: Any) -> str:
    """The longest markup that fits; empty if none does."""
    room = field.max_length or 10_000
    return next((text for text in (LONG, MIDDLE, SHORT) if len(text) <= room), "")


def in_json(value: Any) -> Any:
    """The same JSON with markup in every text, except where it is a number, a date or an id."""
    if isinstance(value, dict):
        return {key: in_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [in_json(one) for one in value]
    return LONG if isinstance(value, str) and not re.fullmatch(r"[0-9T:.+Z@cgus_-]*", value) else value


def plant(account: Account) -> list[str]:
    """Plants the markup in the account's rows. Returns the columns that hold it."""
    planted = []
    for model in apps.get_models():
        path = path_to_account(model)
        if not path or model._meta.proxy:
            continue
        rows = model._default_manager.filter(**{path: account.pk})
        for field in model._meta.concrete_fields:
            if field.unique or field.choices or field.is_relation or KEPT.search(field.name):
                continue
            if isinstance(field, models.EmailField):  # an address like this is valid
                planted += (
                    update(rows, field, '"\'><b/data-xss>"@example.org') if field.name != "email" else []
                )
            elif isinstance(field, models.CharField | models.TextField) and (text := texts_for(field)):
                planted += update(rows, field, f"http://x.example/{MIDDLE}" if "url" in field.name else text)
            elif isinstance(field, models.JSONField):
                for row in rows:
                    planted += update(rows.filter(pk=row.pk), field, in_json(getattr(row, field.attname)))
    markup = f"<html><body>{LONG}</body></html>".encode()
    of_account = Hook.objects.filter(endpoint__instance__owner=account)
    of_account.filter(kind="message").update(
        body=(b'{"messages":[{"body":"%b"}]}' % MIDDLE.replace('"', "'").encode())
    )
    Attempt.objects.filter(hook__in=of_account).update(
        response_body=markup, response_headers=[["Content-Type", "text/html"], [MIDDLE, LONG]]
    )
    Capture.objects.filter(bin__instance__owner=account).update(
        body=markup,
        headers=[["Content-Type", "text/html"], [MIDDLE, LONG], ["Cookie", LONG]],
        query=LONG,
        path=f"/{LONG}",
        label=MIDDLE,
    )
    Message.objects.filter(instance__owner=account).update(body=LONG, caption=LONG, sender_name=MIDDLE)
    planted += ["hooks_hook.body", "hooks_attempt.response_body", "testing_tools_capture.body"]
    return sorted(set(planted))


def update(rows: Any, field: Any, value: Any) -> list[str]:
    """Sets the column. Returns its name, or nothing if a constraint refuses the value."""
    try:
        with transaction.atomic():
            found = rows.update(**{field.name: value})
    except (DatabaseError, ValueError, TypeError):
        return []
    return [f"{rows.model._meta.db_table}.{field.name}"] if found else []


def links(account: Account) -> None:
    """Makes every message a file, a link or a location whose body is script."""
    messages = Message.objects.filter(instance__owner=account).order_by("pk")
    kinds = ("image", "video", "audio", "ptt", "document", "sticker", "location", "vcard", "chat")
    for number, message in enumerate(messages):
        Message.objects.filter(pk=message.pk).update(type=kinds[number % len(kinds)], body=LINK)
    Media.objects.filter(instance__owner=account).update(source="javascript:alert(1)")


# Attributes that a browser follows, loads or sends to.
ADDRESSES = [
    "href",
    "src",
    "action",
    "formaction",
    "xlink:href",
    "srcdoc",
    "data",
    "hx-get",
    "hx-post",
    "poster",
]


class Dangers(HTMLParser):
    """What of the markup became elements, attributes or addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.is_script = False
        self.feed(text)
        if "49</b>" in text or (">49<" in text and "{{7*7}}" not in text):
            self.found.append("the template evaluated {{7*7}}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.is_script = tag == "script"
        for name, value in attrs:
            text = re.sub(r"[\x00-\x20]", "", (value or "").lower())
            if name == "data-xss" or (name.startswith("on") and "alert" in text):
                self.found.append(f"<{tag} {name}={value!r}>")
            if name in ADDRESSES and text.startswith(("javascript:", "vbscript:", "data:text")):
                self.found.append(f"<{tag} {name}={value!r}>")
            if name == "style" and "alert" in text:
                self.found.append(f"<{tag} {name}={value!r}>")
        if (
            tag == "script"
            and not dict(attrs).get("src")
            and "nonce" not in dict(attrs)
            and dict(attrs).get("type") is None
        ):
            self.found.append("an inline script without a nonce")

    def handle_endtag(self, tag: str) -> None:
        self.is_script = False

    def handle_data(self, data: str) -> None:
        if self.is_script and "<img" in data:
            self.found.append("markup in a script that is not escaped")
