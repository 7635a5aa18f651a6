"""An instance and its settings as the REST API shows and changes them."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hooks.models import PauseReason
from instances import value_parsing
from instances.actions.settings import read_settings
from instances.api.serializers.hooks import ChoiceOrNull
from instances.api.serializers.strict import choice
from instances.models import NOT_PAID, AccountStatus, Channel, Instance, Substatus
from instances.settings_table import SETTINGS, YEAR, Setting, parse_seconds

SHOWN_STATUSES = [*AccountStatus.choices, (NOT_PAID, NOT_PAID)]
NO_FIELD = "There is no such field; the fields are {}."


def settings_field(setting: Setting) -> serializers.Field[Any, Any, Any, Any]:
    """How a setting is documented; what it takes is judged by its own `parse`."""
    if setting.parse is value_parsing.parse_bool:
        return serializers.BooleanField(required=False, help_text=setting.meaning)
    if setting.parse is parse_seconds:
        return serializers.IntegerField(
            min_value=0, max_value=YEAR, required=False, help_text=setting.meaning
        )
    return serializers.CharField(allow_null=True, required=False, help_text=f"{setting.meaning} Null: none.")


class SettingsSerializer(serializers.Serializer[Any]):
    """The settings of the wire contract, in its order; its `settings` method reads and changes the same ones."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), **{setting.wire: settings_field(setting) for setting in SETTINGS}}


class InstanceSerializer(serializers.ModelSerializer[Instance]):
    """One linked messenger, whole, with its token and signing secret: its owner alone sees it."""

    id = serializers.CharField(
        source="number", help_text="The `instanceId` of hooks and of the wire contract."
    )
    channel = serializers.ChoiceField(choices=Channel.choices)
    accountStatus = serializers.ChoiceField(
        source="shown_status",
        choices=SHOWN_STATUSES,
        help_text="`not_paid` hides all the others.",
    )
    substatus = serializers.ChoiceField(choices=Substatus.choices)
    paidUntil = serializers.DateTimeField(source="paid_until")
    apiUrl = serializers.URLField(source="api_url", help_text="Where the wire contract's methods are.")
    token = serializers.CharField(help_text="The token that the wire contract's methods want.")
    phone = serializers.CharField(help_text="Its own phone number, digits.")
    webhookSecret = serializers.CharField(
        source="endpoint.secret", help_text="Verifies `webhook-signature` by the Standard Webhooks scheme."
    )
    previousWebhookSecretUntil = serializers.SerializerMethodField(
        method_name="get_previous_until",
        help_text="Until then hooks are signed by the secret before the last rotation as well; null: by one alone.",
    )
    deliveryPausedAt = serializers.DateTimeField(
        source="endpoint.paused_at",
        allow_null=True,
        help_text="Since when its hooks gather and are not sent; null: they are.",
    )
    deliveryPauseReason = ChoiceOrNull(
        PauseReason,
        source="endpoint.pause_reason",
        help_text="Why; `failing`: nothing but failures for 24 hours.",
    )
    failingSince = serializers.DateTimeField(
        source="endpoint.failing_since",
        allow_null=True,
        help_text="The first failure since the last success; null: the last attempt was a success.",
    )
    settings = serializers.SerializerMethodField(help_text="The wire contract's settings.")
    createdAt = serializers.DateTimeField(source="created_at")

    class Meta:
        model = Instance
        fields = (
            "id", "name", "channel", "accountStatus", "substatus", "paidUntil", "apiUrl", "token", "phone",
            "webhookSecret", "previousWebhookSecretUntil", "deliveryPausedAt", "deliveryPauseReason", "failingSince",
            "settings", "createdAt",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_previous_until(self, instance: Instance) -> Any:
        until = instance.endpoint.previous_secret_until
        if until is None or until <= timezone.now():
            return None
        return serializers.DateTimeField().to_representation(until)

    @extend_schema_field(SettingsSerializer)
    def get_settings(self, instance: Instance) -> dict[str, Any]:
        return read_settings(instance)


class NameSerializer(serializers.Serializer[Any]):
    """What may be changed of an instance besides its settings."""

    name = serializers.CharField(
        max_length=100, allow_blank=True, required=False, help_text="For people; up to 100 characters."
    )


class NewSerializer(NameSerializer):
    """What is decided when an instance is made."""

    channel = choice(
        Channel, required=False, help_text="How it reaches its messenger; `sandbox` unless told."
    )


class ChangeBodySerializer(NameSerializer, SettingsSerializer):
    """Any of the name and the settings; the settings side by side with it, or in `settings` as an answer has them."""

    settings = SettingsSerializer(required=False, help_text="The same settings, in an object.")


class NewBodySerializer(NewSerializer, ChangeBodySerializer):
    """All optional: the name, the channel, and settings to start with."""


def parted(data: Any, own: type[NameSerializer]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request's body as (what `own` has validated, the settings as they came).

    The values of settings are judged by instances.actions.change_settings, as for the wire contract. Raises
    ValidationError with every field that does not exist, cannot be changed or is given twice.
    """
    if not isinstance(data, Mapping):
        raise serializers.ValidationError("The body must be a JSON object.")
    nested = data.get("settings", {})
    if not isinstance(nested, Mapping):
        raise serializers.ValidationError({"settings": "It takes an object of settings."})
    names, settings = list(own().fields), list(SettingsSerializer().fields)
    wrong = {
        name: "This cannot be changed."
        if name in InstanceSerializer.Meta.fields
        else NO_FIELD.format(", ".join([*names, *settings]))
        for name in data
        if name not in [*names, *settings, "settings"]
    }
    wrong |= {
        f"settings.{name}": NO_FIELD.format(", ".join(settings)) for name in nested if name not in settings
    }
    wrong |= {
        name: "It is given twice, with different values."
        for name in nested
        if name in data and name in settings and data[name] != nested[name]
    }
    if wrong:
        raise serializers.ValidationError(wrong)
    fields = own(data={name: data[name] for name in data if name in names})
    fields.is_valid(raise_exception=True)
    given = {**nested, **{name: data[name] for name in data if name in settings}}
    return fields.validated_data, given
