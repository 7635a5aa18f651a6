"""The state and the events of the instance's own phone."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from instances.api.serializers.strict import StrictSerializer, choice
from instances.channels.sandbox.actions.phone import PHONE_EVENTS
from instances.models import (
    AccountStatus,
    LoadingReason,
    Substatus,
)


class PhoneChangeSerializer(StrictSerializer):
    """The sandbox phone's new state: any of these."""

    accountStatus = choice(AccountStatus, required=False)
    substatus = choice(Substatus, required=False)
    reason = choice(LoadingReason, required=False)
    battery = serializers.IntegerField(
        min_value=0,
        max_value=100,
        required=False,
        help_text="Percent. At 20, 10 and 5 a connected phone says that it is low, by its `substatus`.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs


class PhoneEventSerializer(StrictSerializer):
    """Something that happens to the phone."""

    event = serializers.ChoiceField(
        choices=[(event, event) for event in PHONE_EVENTS],
        error_messages={"invalid_choice": f"Must be one of: {', '.join(PHONE_EVENTS)}."},
        help_text="`scan` the QR code · `log_out` · `disconnect` the phone from the internet, `connect` it again · "
        "`take_over`: another computer opens the session · `sync`: synchronisation begins, `synced`: it is over.",
    )


class PhoneSerializer(serializers.Serializer[Any]):
    """The sandbox phone's state; `accountStatus` as it is, also while the instance is not paid."""

    accountStatus = serializers.ChoiceField(source="account_status", choices=AccountStatus.choices)
    substatus = serializers.ChoiceField(choices=Substatus.choices)
    reason = serializers.SerializerMethodField(help_text="Why it is loading, if that is known.")
    battery = serializers.IntegerField(help_text="Percent.")
    phone = serializers.CharField()

    @extend_schema_field({"type": "string", "nullable": True, "enum": [*LoadingReason.values, None]})
    def get_reason(self, instance: Any) -> str | None:
        return instance.loading_reason or None
