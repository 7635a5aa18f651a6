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
    """The new state of the sandbox phone. At least one field is required."""

    accountStatus = choice(AccountStatus, required=False)
    substatus = choice(Substatus, required=False)
    reason = choice(LoadingReason, required=False)
    battery = serializers.IntegerField(
        min_value=0,
        max_value=100,
        required=False,
        help_text="Percent. At 20, 10 and 5 a connected phone reports a low battery as its `substatus`.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError(f"Give at least one of {', '.join(self.fields)}.")
        return attrs


class PhoneEventSerializer(StrictSerializer):
    """An event of the phone."""

    event = serializers.ChoiceField(
        choices=[(event, event) for event in PHONE_EVENTS],
        error_messages={"invalid_choice": f"Must be one of: {', '.join(PHONE_EVENTS)}."},
        help_text="`scan`: scans the QR code · `log_out` · `disconnect`: the phone loses its internet connection, "
        "`connect`: it is back · `take_over`: another computer opens the session · `sync`: synchronisation starts, "
        "`synced`: it ends.",
    )


class PhoneSerializer(serializers.Serializer[Any]):
    """The state of the sandbox phone. `accountStatus` is the real one, also while the instance is not paid."""

    accountStatus = serializers.ChoiceField(source="account_status", choices=AccountStatus.choices)
    substatus = serializers.ChoiceField(choices=Substatus.choices)
    reason = serializers.SerializerMethodField(help_text="Why it is loading, if known.")
    battery = serializers.IntegerField(help_text="Percent.")
    phone = serializers.CharField()

    @extend_schema_field({"type": ["string", "null"], "enum": [*LoadingReason.values, None]})
    def get_reason(self, instance: Any) -> str | None:
        return instance.loading_reason or None
