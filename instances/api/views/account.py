"""The account itself, with its quotas."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import quotas
from accounts.models import Account
from instances.api import schema

HELP = {
    "instances": "Instances of the account.",
    "fileBytes": "Bytes of the files of messages. A file that is sent again counts once.",
    "captureBytes": "Bytes of the requests that the bins store.",
    "invitationsPerDay": "Invitations of the last 24 hours.",
}


class UsageSerializer(serializers.Serializer[quotas.Usage]):
    """How much of a quota is used."""

    used = serializers.IntegerField(help_text="What the account uses now.")
    limit = serializers.IntegerField(help_text="What it may use.")


class QuotasSerializer(serializers.Serializer[Any]):
    """The account's quotas. A call that would exceed one gets an error that names it."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        names = [quota.name for quota in quotas.all_quotas()]
        return {**super().get_fields(), **{name: UsageSerializer(help_text=HELP[name]) for name in names}}


class AccountSerializer(serializers.Serializer[Account]):
    """The account whose key is sent."""

    email = serializers.EmailField(source="owner.email", help_text="The owner's e-mail address.")
    name = serializers.CharField(help_text="The account's name; may be empty.")
    createdAt = serializers.DateTimeField(source="created_at")
    quotas = serializers.SerializerMethodField(help_text="What the account uses, and what it may use.")

    @extend_schema_field(QuotasSerializer)
    def get_quotas(self, account: Account) -> dict[str, Any]:
        return {usage.quota.name: UsageSerializer(usage).data for usage in quotas.usage_of(account)}


EXAMPLE = OpenApiExample(
    "An account",
    value={
        "email": "alice@example.org",
        "name": "Shop",
        "createdAt": "2026-11-02T09:00:00Z",
        "quotas": {
            "instances": {"used": 3, "limit": 200},
            "fileBytes": {"used": 734003200, "limit": 10737418240},
            "captureBytes": {"used": 1048576, "limit": 536870912},
            "invitationsPerDay": {"used": 1, "limit": 100},
        },
    },
    response_only=True,
)


class AccountView(APIView):
    @extend_schema(
        tags=["Account"],
        operation_id="readAccount",
        summary="Read the account and its quotas",
        description="The site's staff can raise a quota.",
        responses={200: AccountSerializer, **schema.error_responses()},
        examples=[EXAMPLE],
    )
    def get(self, request: Request) -> Response:
        account: Any = request.auth  # the stubs only know DRF's own tokens
        return Response(AccountSerializer(account).data)
