"""Links that let anyone read a hook, in the REST API; those of a bin have the same fields and one more."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.actions.share_links import VALID_FOR
from instances.api.serializers.strict import StrictSerializer, choice_of


class HookShareSerializer(serializers.Serializer[Any]):
    """A link that lets anyone read a hook with its attempts. Its URL is shown once, when it is created."""

    id = serializers.CharField()
    createdAt = serializers.DateTimeField(source="created_at")
    expiresAt = serializers.DateTimeField(source="expires_at")


class CreatedHookShareSerializer(HookShareSerializer):
    """A new link with its URL."""

    url = serializers.SerializerMethodField(
        help_text="The link. It cannot be read again: only a digest of it is stored."
    )

    @extend_schema_field(serializers.CharField())
    def get_url(self, share: Any) -> str:
        return str(self.context["url"])


class HookSharesSerializer(serializers.Serializer[Any]):
    """The valid links of a hook."""

    results = HookShareSerializer(many=True)


class NewHookShareSerializer(StrictSerializer):
    """How long the link is valid."""

    validFor = choice_of(
        [(name, name) for name in VALID_FOR],
        source="valid_for",
        required=False,
        default="1h",
        help_text="How long the link is valid. Default: 1h.",
    )
