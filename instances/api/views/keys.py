"""The account's keys: list, create, rotate, revoke. The text of a key is in the response that creates it, once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import exceptions, serializers, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import keys
from accounts.current_user import current_user
from accounts.models import AccountKey, KeyState, Scope
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.scopes import key_of
from instances.api.serializers.strict import StrictSerializer, choice

ENDED_LISTED_FOR = timedelta(days=30)
MAX_OVERLAP_HOURS = keys.MAX_OVERLAP // timedelta(hours=1)
KEY_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The `id` of the key.")


class KeySerializer(serializers.Serializer[AccountKey]):
    """A key of the account, without its text."""

    id = serializers.CharField(source="prefix", help_text="The beginning of its text.")
    name = serializers.CharField()
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.choices), help_text="What it may be used for."
    )
    state = serializers.ChoiceField(
        choices=KeyState.choices,
        help_text="`replaced`: it was rotated, and its old value is valid until `expiresAt`.",
    )
    createdAt = serializers.DateTimeField(source="created_at")
    lastUsedAt = serializers.DateTimeField(
        source="last_used_at", allow_null=True, help_text="Exact to the minute. Null: it was never used."
    )
    lastUsedFrom = serializers.CharField(
        source="last_used_from",
        help_text="The client's IP address then, or its IPv6 network. Empty: not known.",
    )
    expiresAt = serializers.DateTimeField(
        source="expires_at", allow_null=True, help_text="Null: it does not expire."
    )
    replacedAt = serializers.DateTimeField(
        source="replaced_at", allow_null=True, help_text="When it was rotated. Null: it was not."
    )
    revokedAt = serializers.DateTimeField(
        source="revoked_at", allow_null=True, help_text="When it was revoked. Null: it was not."
    )


class CreatedKeySerializer(KeySerializer):
    """A new key with its text."""

    key = serializers.CharField(help_text="Its text. It cannot be read again: only a digest of it is stored.")

    def to_representation(self, instance: AccountKey) -> dict[str, Any]:
        return {**KeySerializer(instance).data, "key": self.context["plaintext"]}


@extend_schema_serializer(many=False)
class KeyListSerializer(serializers.Serializer[Any]):
    """The keys of the account."""

    results = KeySerializer(many=True)


class NewKeySerializer(StrictSerializer):
    """A key to create."""

    name = serializers.CharField(max_length=100, help_text="What it is for; up to 100 characters.")
    scopes = serializers.ListField(
        child=choice(Scope), min_length=1, max_length=len(Scope), help_text="What it may be used for."
    )
    expiresAt = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="Default: it does not expire."
    )


class KeyRotationSerializer(StrictSerializer):
    """For how long the old value stays valid."""

    overlapHours = serializers.IntegerField(
        min_value=0,
        max_value=MAX_OVERLAP_HOURS,
        default=keys.OVERLAP // timedelta(hours=1),
        help_text="For how many hours the old value stays valid. 0: it is revoked immediately.",
    )


KEY = {
    "id": "uid_Ab12Cd34",
    "name": "CI",
    "scopes": ["read", "send"],
    "state": "active",
    "createdAt": "2030-01-01T09:00:00Z",
    "lastUsedAt": "2030-01-01T12:00:00Z",
    "lastUsedFrom": "203.0.113.7",
    "expiresAt": None,
    "replacedAt": None,
    "revokedAt": None,
}
NEW = KEY | {"lastUsedAt": None, "lastUsedFrom": "", "key": "uid_Ab12Cd34" + "x" * 32}
CREATED = OpenApiExample("A new key", value=NEW, response_only=True)


def done(action: Callable[[], Any]) -> Any:
    """Runs the action. Responds 403 if the new key could do more than the caller's, 409 if it is not possible."""
    try:
        return action()
    except keys.NotAllowed as error:
        raise exceptions.PermissionDenied(str(error)) from None
    except keys.NotPossible as error:
        raise Conflict(str(error)) from None


@extend_schema(tags=["Account"])
class KeyViewSet(viewsets.GenericViewSet[AccountKey]):
    queryset = AccountKey.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = KeySerializer
    pagination_class = None
    filter_backends = ()

    def get_own_key(self, prefix: str) -> AccountKey:
        found = AccountKey.objects.filter(
            account=key_of(self.request).account_id, prefix=prefix[:100]
        ).first()
        if found is None:
            raise exceptions.NotFound(f"Your account has no key {prefix[:100]}.")
        return found

    @extend_schema(
        operation_id="listKeys",
        summary="List the account's keys",
        description="Newest first; expired and revoked ones for 30 days.",
        responses={200: KeyListSerializer, **schema.error_responses()},
        examples=[OpenApiExample("One", value={"results": [KEY]}, response_only=True)],
    )
    def list(self, request: Request) -> Response:
        account = key_of(request).account
        rows = AccountKey.objects.of_page(account, ended_after=timezone.now() - ENDED_LISTED_FOR)
        return Response({"results": [KeySerializer(key).data for key in rows]})

    @extend_schema(
        operation_id="createKey",
        summary="Create a key",
        description="The response has its text, once. It can have the scopes of the key that creates it, and expires "
        "no later; otherwise the response is 403. 409 if the account has too many keys.",
        request=NewKeySerializer,
        responses={201: CreatedKeySerializer, **schema.error_responses(400, 409)},
        examples=[
            CREATED,
            OpenApiExample("For CI", value={"name": "CI", "scopes": ["read", "send"]}, request_only=True),
        ],
    )
    def create(self, request: Request) -> Response:
        given = NewKeySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        caller = key_of(request)
        key, plaintext = done(
            lambda: keys.issue_key(
                caller.account,
                name=given.validated_data["name"],
                scopes={Scope(scope) for scope in given.validated_data["scopes"]},
                expires_at=given.validated_data["expiresAt"],
                by_key=caller,
                acting_user=current_user(request),
            )
        )
        return created(key, plaintext)

    @extend_schema(
        operation_id="readKey",
        summary="Read one key",
        parameters=[KEY_ID],
        responses={200: KeySerializer, **schema.error_responses(404)},
        examples=[OpenApiExample("A key", value=KEY, response_only=True)],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(KeySerializer(self.get_own_key(id)).data)

    @extend_schema(
        operation_id="rotateKey",
        summary="Rotate a key",
        description="Creates a key with the same name and scopes, which is valid for as long as this one was. The old "
        "value stays valid for `overlapHours`. A key can only rotate keys whose scopes it has; otherwise the response "
        "is 403. 409 if the key was rotated before, or is not valid any more.",
        parameters=[KEY_ID],
        request=KeyRotationSerializer,
        responses={201: CreatedKeySerializer, **schema.error_responses(400, 404, 409)},
        examples=[CREATED, OpenApiExample("Two days", value={"overlapHours": 48}, request_only=True)],
    )
    def rotate(self, request: Request, id: str) -> Response:
        old = self.get_own_key(id)
        given = KeyRotationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        overlap = timedelta(hours=given.validated_data["overlapHours"])
        key, plaintext = done(
            lambda: keys.rotate_key(
                old, overlap=overlap, by_key=key_of(request), acting_user=current_user(request)
            )
        )
        return created(key, plaintext)

    @extend_schema(
        operation_id="revokeKey",
        summary="Revoke a key",
        description="It is refused from now on, also in calls that wait. If it is revoked already, nothing changes.",
        parameters=[KEY_ID],
        request=None,
        responses={200: KeySerializer, **schema.error_responses(404)},
        examples=[
            OpenApiExample(
                "Revoked",
                value=KEY | {"state": "revoked", "revokedAt": "2030-01-01T12:00:00Z"},
                response_only=True,
            )
        ],
    )
    def revoke(self, request: Request, id: str) -> Response:
        keys.revoke_key(self.get_own_key(id), acting_user=current_user(request))
        return Response(KeySerializer(self.get_own_key(id)).data)


def created(key: AccountKey, plaintext: str) -> Response:
    return Response(
        CreatedKeySerializer(key, context={"plaintext": plaintext}).data,
        status.HTTP_201_CREATED,
        headers={"Cache-Control": "no-store"},
    )
