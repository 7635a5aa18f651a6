"""The members of the account: list them, change a role, remove one. Invitations are sent on the members page."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actions import members
from accounts.current_user import current_user
from accounts.key_scopes import missing_scope
from accounts.models import ALL_SCOPES, Member, Role
from chatapi.ui.numbers import parse_digits
from instances.api import schema
from instances.api.scopes import key_of
from instances.api.serializers.strict import StrictSerializer, choice

MEMBER_ID = OpenApiParameter("id", str, OpenApiParameter.PATH, description="The `id` of the member.")


class MemberSerializer(serializers.Serializer[Member]):
    """Another user with access to the account's instances."""

    id = serializers.CharField(source="pk")
    email = serializers.EmailField(source="user.email")
    role = serializers.ChoiceField(
        choices=Role.choices,
        help_text="`viewer`: sees everything except tokens and secrets. `manager`: changes too.",
    )
    createdAt = serializers.DateTimeField(source="created_at")


class MemberListSerializer(serializers.Serializer[Any]):
    """The members of the account."""

    results = MemberSerializer(many=True)


class RoleSerializer(StrictSerializer):
    """The new role of a member."""

    role = choice(Role, help_text="`manager` needs a key with all scopes: a manager can do as much.")


MEMBER = {"id": "17", "email": "vera@example.org", "role": "viewer", "createdAt": "2030-01-01T09:00:00Z"}


def get_member(request: Request, number: str) -> Member:
    """Returns the member of the account. Raises NotFound."""
    parsed = parse_digits(number, max_digits=18)
    found = (
        Member.objects.select_related("user")
        .filter(account=key_of(request).account_id, pk=parsed or 0)
        .first()
    )
    if found is None:
        raise exceptions.NotFound(f"Your account has no member {number[:100]}.")
    return found


class MembersView(APIView):
    @extend_schema(
        tags=["Account"],
        operation_id="listMembers",
        summary="List the account's members",
        description="By e-mail address. The owner is not listed. You invite members on the members page.",
        responses={200: MemberListSerializer, **schema.error_responses()},
        examples=[OpenApiExample("One", value={"results": [MEMBER]}, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        found = Member.objects.select_related("user").filter(account=key_of(request).account_id)
        return Response(
            {"results": [MemberSerializer(member).data for member in found.order_by("user__email")]}
        )


class MemberView(APIView):
    @extend_schema(
        tags=["Account"],
        operation_id="changeMember",
        summary="Change a member's role",
        parameters=[MEMBER_ID],
        request=RoleSerializer,
        responses={200: MemberSerializer, **schema.error_responses(400, 404)},
        examples=[
            OpenApiExample("A viewer", value=MEMBER, response_only=True),
            OpenApiExample("No longer a manager", value={"role": "viewer"}, request_only=True),
        ],
    )
    def patch(self, request: Request, id: str) -> Response:
        member = get_member(request, id)
        given = RoleSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        role = given.validated_data["role"]
        if role == Role.MANAGER and (sentence := missing_scope(key_of(request), ALL_SCOPES)):
            raise exceptions.PermissionDenied(sentence)
        changed = members.change_role(member, role=role, acting_user=current_user(request))
        return Response(MemberSerializer(changed).data)

    @extend_schema(
        tags=["Account"],
        operation_id="removeMember",
        summary="Remove a member",
        parameters=[MEMBER_ID],
        request=None,
        responses={204: OpenApiResponse(description="Removed"), **schema.error_responses(404)},
    )
    def delete(self, request: Request, id: str) -> Response:
        members.remove(get_member(request, id), acting_user=current_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
