"""Channels, and the link of an instance to an account at a messenger, in the REST API. Secrets go in and never out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from accounts.key_scopes import hide_secrets
from accounts.models import AccountKey
from instances.api.serializers.strict import StrictSerializer
from instances.channels import CHANNELS
from instances.channels.linking import MAX_VALUE, Linkable, LinkField
from instances.models import ChannelLink, Instance


class FieldSerializer(serializers.Serializer[LinkField]):
    """One value that links an account."""

    name = serializers.CharField(help_text="Its name in `values`.")
    label = serializers.CharField()  # type: ignore[assignment]
    help = serializers.CharField(help_text="Where to find it.")
    secret = serializers.BooleanField(
        source="is_secret", help_text="Whether it is encrypted and never returned."
    )
    required = serializers.BooleanField(source="is_required")  # type: ignore[assignment]
    pattern = serializers.CharField(help_text="A regular expression for the whole value. Empty: none.")
    default = serializers.CharField(help_text="Used if it is not sent or empty.")


class ChannelSerializer(serializers.Serializer[Any]):
    """A kind of link, and what one needs to link an account."""

    name = serializers.CharField(help_text="`channel` of an instance.")
    title = serializers.CharField()
    summary = serializers.CharField()
    fields = serializers.ListField(  # type: ignore[assignment]
        child=FieldSerializer(), help_text="The values that link an account. Empty: it is linked another way."
    )
    needs = serializers.ListField(child=serializers.CharField(), help_text="What one must have before.")
    steps = serializers.ListField(
        child=serializers.CharField(), help_text="What to do at the messenger first."
    )
    callbackSteps = serializers.ListField(
        child=serializers.CharField(), help_text="What to do at the messenger afterwards, with `callbackUrl`."
    )
    facts = serializers.ListField(
        child=serializers.CharField(), help_text="What it can do, costs and forbids."
    )
    cannot = serializers.DictField(
        child=serializers.CharField(),
        help_text="What the messenger has no function for: a message type, an action or a function → a sentence.",
    )


def channel_data(name: str, label: str) -> dict[str, Any]:
    """Returns a channel as ChannelSerializer describes it."""
    channel = CHANNELS[name]
    setup = channel.setup if isinstance(channel, Linkable) else None
    return {
        "name": name,
        "title": setup.title if setup else label,
        "summary": setup.summary if setup else "",
        "fields": [FieldSerializer(field).data for field in setup.fields] if setup else [],
        "needs": list(setup.needs) if setup else [],
        "steps": list(setup.steps) if setup else [],
        "callbackSteps": list(setup.callback_steps) if setup else [],
        "facts": list(setup.facts) if setup else [],
        "cannot": {str(key): str(sentence) for key, sentence in channel.cannot.items()},
    }


class LinkSerializer(serializers.Serializer[Any]):
    """The account that an instance is linked to. Its secrets are not returned."""

    channel = serializers.CharField()
    linked = serializers.BooleanField(
        help_text="Whether values are saved. `accountStatus` says if they work."
    )
    account = serializers.CharField(help_text="The account's name at the messenger.")
    externalId = serializers.CharField(help_text="The account's own id at the messenger.")
    options = serializers.DictField(
        child=serializers.CharField(), help_text="The saved values that are not secret."
    )
    callbackUrl = serializers.CharField(
        allow_null=True,
        help_text="Where the messenger sends events. It contains a secret of this site. "
        "Null also if the key does not have the scope `manage`.",
    )
    changedAt = serializers.DateTimeField(allow_null=True, help_text="When the values were saved.")
    lostAt = serializers.DateTimeField(
        allow_null=True,
        help_text="Since when the messenger does not accept the values any more. Null: it does.",
    )
    lostReason = serializers.CharField(help_text="Why, in the messenger's words.")
    notice = serializers.CharField(
        help_text="After an account was unlinked or replaced: what may be left at its messenger, and what to do there."
    )


def link_data(instance: Instance, *, key: AccountKey, notice: str = "") -> dict[str, Any]:
    """Returns the link as LinkSerializer describes it, for a call with this key. At most two queries."""
    link = ChannelLink.objects.filter(instance=instance).first()
    lost = instance.lost_link
    time = serializers.DateTimeField().to_representation
    data = {
        "channel": instance.channel,
        "linked": link is not None,
        "account": link.name if link else "",
        "externalId": link.external_id if link else "",
        "options": link.options if link else {},
        "callbackUrl": link.callback_url if link else None,
        "changedAt": time(link.changed_at) if link else None,
        "lostAt": time(lost.lost_at) if lost else None,
        "lostReason": lost.lost_reason if lost else "",
        "notice": notice,
    }
    return hide_secrets(data, key)


class LinkValuesSerializer(StrictSerializer):
    """The values of the channel's `fields`."""

    values = serializers.DictField(
        child=serializers.CharField(allow_blank=True, max_length=MAX_VALUE),
        help_text="Name → value, as `fields` of the channel lists them. A value that is not sent stays as it was "
        "saved; a secret only if no other value has changed.",
    )

    @property
    def given(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.validated_data["values"]
        return found


class PairingPhoneSerializer(StrictSerializer):
    """The phone that is to be linked."""

    phone = serializers.CharField(max_length=40, help_text="Its number, with the country code.")


class PairingCodeSerializer(serializers.Serializer[Any]):
    """A code that links a phone instead of the QR code."""

    code = serializers.CharField(help_text="What to enter on the phone.")
