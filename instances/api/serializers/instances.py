"""An instance and its settings in the REST API."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.key_scopes import hide_secrets
from hooks.models import PauseReason
from instances import value_parsing
from instances.actions.settings import read_settings
from instances.api.serializers.hooks import ChoiceOrNull
from instances.api.serializers.strict import choice_of, first_errors
from instances.channels import offered_channels
from instances.models import NOT_PAID, AccountStatus, Instance, Substatus
from instances.settings_table import ALL_SETTINGS, YEAR, Setting, parse_seconds

SHOWN_STATUSES = [*AccountStatus.choices, (NOT_PAID, NOT_PAID)]
UNKNOWN_FIELD = "Unknown field. The fields are: {}."


def settings_field(setting: Setting) -> serializers.Field[Any, Any, Any, Any]:
    """The documentation of a setting. Its own `parse` validates it."""
    if setting.parse is value_parsing.parse_bool:
        return serializers.BooleanField(required=False, help_text=setting.description)
    if setting.parse is parse_seconds:
        return serializers.IntegerField(
            min_value=0, max_value=YEAR, required=False, help_text=setting.description
        )
    return serializers.CharField(
        allow_null=True, required=False, help_text=f"{setting.description} Null: none."
    )


class SettingsSerializer(serializers.Serializer[Any]):
    """The settings of the wire contract, in its order, and `strictOrder`, which its method `settings` does not have."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {**super().get_fields(), **{setting.wire: settings_field(setting) for setting in ALL_SETTINGS}}


class InstanceSerializer(serializers.ModelSerializer[Instance]):
    """An instance with its token and signing secret, for keys that may read them; `context["key"]` is the call's."""

    id = serializers.CharField(
        source="number", help_text="The `instanceId` of hooks and of the wire contract."
    )
    channel = serializers.ChoiceField(choices=offered_channels())
    accountStatus = serializers.ChoiceField(
        source="shown_status",
        choices=SHOWN_STATUSES,
        help_text="`not_paid` replaces any other status.",
    )
    substatus = serializers.ChoiceField(choices=Substatus.choices)
    paidUntil = serializers.DateTimeField(
        source="expires_at",
        allow_null=True,
        help_text="The end of the trial or of the paid time. Null: it does not expire.",
    )
    trial = serializers.BooleanField(
        source="is_trial", help_text="Whether `paidUntil` is the end of its trial: no payment was recorded."
    )
    apiUrl = serializers.URLField(source="api_url", help_text="The base URL of the wire contract's methods.")
    token = serializers.CharField(
        allow_null=True,
        help_text="The token for the wire contract's methods. Null if the key does not have all scopes.",
    )
    phone = serializers.CharField(help_text="Its own phone number, digits only.")
    webhookSecret = serializers.CharField(
        source="endpoint.secret",
        allow_null=True,
        help_text="Verifies `webhook-signature` (Standard Webhooks). Null if the key does not have the scope `manage`.",
    )
    previousWebhookSecretUntil = serializers.SerializerMethodField(
        method_name="get_previous_until",
        help_text="Until then, hooks are also signed with the previous secret. Null: with the current one only.",
    )
    deliveryPausedAt = serializers.DateTimeField(
        source="endpoint.paused_at",
        allow_null=True,
        help_text="Since when its hooks are queued and not sent. Null: delivery is not paused.",
    )
    deliveryPauseReason = ChoiceOrNull(
        PauseReason,
        source="endpoint.pause_reason",
        help_text="Why it is paused. `failing`: all deliveries failed for 24 hours.",
    )
    failingSince = serializers.DateTimeField(
        source="endpoint.failing_since",
        allow_null=True,
        help_text="The time of the first failure since the last success. Null: the last attempt succeeded.",
    )
    cleaning = serializers.SerializerMethodField(
        method_name="is_cleaning",
        help_text="Whether chats and messages from before the last `cleanInstance` are still being deleted.",
    )
    settings = serializers.SerializerMethodField(help_text="The wire contract's settings, and `strictOrder`.")
    createdAt = serializers.DateTimeField(source="created_at")

    class Meta:
        model = Instance
        fields = (
            "id", "name", "channel", "accountStatus", "substatus", "paidUntil", "trial", "apiUrl", "token", "phone",
            "webhookSecret", "previousWebhookSecretUntil", "deliveryPausedAt", "deliveryPauseReason", "failingSince",
            "cleaning", "settings", "createdAt",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: Instance) -> dict[str, Any]:
        return hide_secrets(super().to_representation(instance), self.context.get("key"))

    def is_cleaning(self, instance: Instance) -> bool:
        return instance.cleaning is not None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_previous_until(self, instance: Instance) -> Any:
        until = instance.endpoint.previous_secret_until
        if until is None or until <= timezone.now():
            return None
        return serializers.DateTimeField().to_representation(until)

    @extend_schema_field(SettingsSerializer)
    def get_settings(self, instance: Instance) -> dict[str, Any]:
        return read_settings(instance)


class OwnFieldsSerializer(serializers.Serializer[Any]):
    """The fields of an instance that can be set, besides its settings."""

    name = serializers.CharField(
        max_length=100, allow_blank=True, required=False, help_text="Shown on pages; up to 100 characters."
    )
    channel = choice_of(
        offered_channels(),
        required=False,
        help_text="How it connects to its messenger. Default of a new one: `sandbox`.",
    )


class ChangeBodySerializer(OwnFieldsSerializer, SettingsSerializer):
    """The name, channel and settings to change. Settings may be top-level fields, or in `settings` as in a response."""

    settings = SettingsSerializer(required=False, help_text="The same settings, in an object.")


class NewBodySerializer(ChangeBodySerializer):
    """The name, the channel and the initial settings. All are optional."""


def split_body(data: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits a request's body into (fields of OwnFieldsSerializer, settings as sent).

    The action change_settings validates the values of settings, as for the wire contract. Raises ValidationError with
    every field that does not exist, cannot be changed or is sent twice.
    """
    if not isinstance(data, Mapping):
        raise serializers.ValidationError("The body must be a JSON object.")
    nested = data.get("settings", {})
    if not isinstance(nested, Mapping):
        raise serializers.ValidationError({"settings": "Must be an object of settings."})
    names, settings = list(OwnFieldsSerializer().fields), list(SettingsSerializer().fields)
    known = {*names, *settings, "settings"}
    unknown = UNKNOWN_FIELD.format(", ".join([*names, *settings]))
    unknown_setting = UNKNOWN_FIELD.format(", ".join(settings))
    wrong = first_errors(
        (name, "This cannot be changed." if name in InstanceSerializer.Meta.fields else unknown)
        for name in data
        if name not in known
    )
    wrong |= first_errors((f"settings.{name}", unknown_setting) for name in nested if name not in settings)
    wrong |= {
        name: "Was sent twice, with different values."
        for name in settings
        if name in data and name in nested and data[name] != nested[name]
    }
    if wrong:
        raise serializers.ValidationError(wrong)
    fields = OwnFieldsSerializer(data={name: data[name] for name in data if name in names})
    fields.is_valid(raise_exception=True)
    given = {**nested, **{name: data[name] for name in data if name in settings}}
    return fields.validated_data, given
