"""Which keys of SECRETS_KEY the database needs, and encrypting everything in it with the newest one.

The ciphertexts say which key they need, so there is no second record that could be wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session

from accounts import audit
from accounts.audit import AuditAction
from accounts.models import User
from chatapi.encryption.cipher import known_keys
from chatapi.encryption.columns import EncryptedColumn, encrypt_with_newest_key, encrypted_columns, key_ids
from hooks.actions.endpoints import end_previous_secret, rotate_secret
from hooks.models import Endpoint
from instances.actions import alerts
from instances.actions.channel_links import remove_link, rotate_callback_secret
from instances.actions.lifecycle import rotate_token
from instances.models import AlertWebhook, ChannelLink, Chat, Instance, new_invite_code

# Every instance has a token, so the rows of this column name the keys that a site cannot do without.
TOKENS = "instances.Instance.token"


def missing_key_ids() -> list[str]:
    """Returns the ids of keys that tokens are encrypted with and SECRETS_KEY does not contain. One query.

    May raise database errors: the database may have no tables yet.
    """
    return sorted(key_ids(tokens()).keys() - known_keys().keys())


def tokens() -> EncryptedColumn:
    [found] = [column for column in encrypted_columns() if column.label == TOKENS]
    return found


def keys_in_use() -> dict[str, int]:
    """Returns how many secrets each key has encrypted, by the key's id. One scan of each table with secrets."""
    found: dict[str, int] = {}
    for column in encrypted_columns():
        for id, count in key_ids(column).items():
            found[id] = found.get(id, 0) + count
    return found


def rotate(say: Callable[[str], None]) -> dict[str, list[Any]]:
    """Encrypts every secret with the newest key; reports each column to `say`.

    Returns the keys of the rows that cannot be decrypted, by the column's label.
    """
    unreadable: dict[str, list[Any]] = {}
    for column in encrypted_columns():
        rows: list[Any] = []
        changed = encrypt_with_newest_key(column, rows.append)
        say(
            f"{column.label}: {changed} encrypted with the newest key"
            + (f", {len(rows)} unreadable" if rows else "")
        )
        if rows:
            unreadable[column.label] = rows
    return unreadable


# -- secrets whose key is lost


def replace_tokens(keys: Iterable[Any]) -> None:
    for instance in Instance.objects.filter(pk__in=keys):
        rotate_token(instance, acting_user=None)


def replace_signing_secrets(keys: Iterable[Any]) -> None:
    for endpoint in Endpoint.objects.filter(pk__in=keys):
        rotate_secret(endpoint, acting_user=None, keep_old=False)


def end_previous_secrets(keys: Iterable[Any]) -> None:
    for endpoint in Endpoint.objects.filter(pk__in=keys).exclude(previous_secret=""):
        end_previous_secret(endpoint, acting_user=None)


def replace_alert_secrets(keys: Iterable[Any]) -> None:
    for webhook in AlertWebhook.objects.filter(pk__in=keys):
        alerts.rotate_secret(webhook, acting_user=None, keep_old=False)


def end_previous_alert_secrets(keys: Iterable[Any]) -> None:
    found = AlertWebhook.objects.select_related("account").filter(pk__in=keys)
    for webhook in found.exclude(previous_secret_until=None):
        alerts.end_previous_secret(webhook, acting_user=None)


def replace_invite_codes(keys: Iterable[Any]) -> None:
    for chat in Chat.objects.filter(pk__in=keys):
        chat.invite_code = new_invite_code()
        chat.save(update_fields=["invite_code", "invite_code_digest"])


def remove_channel_links(keys: Iterable[Any]) -> None:
    for instance in Instance.objects.filter(pk__in=keys):
        remove_link(instance, acting_user=None)


def replace_callback_secrets(keys: Iterable[Any]) -> None:
    """Not of the links that were removed because their credentials cannot be decrypted."""
    for link in ChannelLink.objects.filter(pk__in=keys):
        rotate_callback_secret(link, acting_user=None)


def remove_second_factors(keys: Iterable[Any]) -> None:
    """Without the seed no code can be checked. Recovery codes go with the app: both open the account."""
    for user in User.objects.filter(authenticator__pk__in=keys).distinct():
        audit.record(user, AuditAction.SECOND_FACTOR_UNREADABLE, acting_user=None)
        Authenticator.objects.filter(user_id=user.pk).delete()


def end_sessions(keys: Iterable[Any]) -> None:
    Session.objects.filter(pk__in=keys).delete()


# The columns in the order of the report: what happens to a secret that cannot be decrypted, and a sentence about it.
REPLACEMENTS: dict[str, tuple[Callable[[Iterable[Any]], None], str]] = {
    TOKENS: (replace_tokens, "instances have a new token: their bots must use it"),
    "hooks.Endpoint.secret": (
        replace_signing_secrets,
        "endpoints have a new signing secret: receivers must use it",
    ),
    "hooks.Endpoint.previous_secret": (end_previous_secrets, "old signing secrets are ended"),
    "instances.AlertWebhook.secret": (
        replace_alert_secrets,
        "alert webhooks have a new signing secret: receivers must use it",
    ),
    "instances.AlertWebhook.previous_secret": (
        end_previous_alert_secrets,
        "old signing secrets of alerts are ended",
    ),
    "instances.ChannelLink.credentials_json": (
        remove_channel_links,
        "links to messengers are removed: the instances must be linked again",
    ),
    "instances.ChannelLink.callback_secret": (
        replace_callback_secrets,
        "links have a new callback URL: the messenger must use it",
    ),
    "instances.Chat.invite_code": (replace_invite_codes, "groups have a new invite link"),
    "mfa.Authenticator.secret": (
        remove_second_factors,
        "users have no second factor and must set it up again",
    ),
    "mfa.Authenticator.seed": (remove_second_factors, "sets of recovery codes are removed"),
    "sessions.Session.session_data": (end_sessions, "sessions are ended"),
}


def replace_unreadable(unreadable: dict[str, list[Any]], say: Callable[[str], None]) -> None:
    """Replaces the secrets that rotate() returned: each by a new one, or by none if users must set it up."""
    for label, keys in unreadable.items():
        action, sentence = REPLACEMENTS[label]
        action(keys)
        say(f"{len(keys)} {sentence}.")
