"""The sandbox's groups."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances import payloads
from instances.api import schema
from instances.api.sandbox.examples import CHAT_ID, GROUP, request_example, response_example
from instances.api.sandbox.group_serializers import (
    ChatSerializer,
    GroupChangeSerializer,
    GroupListSerializer,
    NewGroupSerializer,
)
from instances.api.sandbox.requests import failures_as_409, get_chat, get_sandbox, validate
from instances.channels.sandbox.actions.groups import change_group_as_contact, create_group_as_contact
from instances.models import Chat

MAX_GROUPS = 100


class GroupsView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="listSandboxGroups",
        summary="List groups",
        description=f"The {MAX_GROUPS} groups with the most recent messages.",
        parameters=[schema.INSTANCE_ID],
        responses={200: GroupListSerializer, **schema.error_responses(404)},
        examples=[response_example("One", {"groups": [GROUP]})],
    )
    def get(self, request: Request, id: str) -> Response:
        groups = Chat.objects.filter(instance=get_sandbox(request, id), is_group=True).in_order()
        return Response({"groups": [payloads.chat_dict(group) for group in groups[:MAX_GROUPS]]})

    @extend_schema(
        tags=["Sandbox"],
        operation_id="createSandboxGroup",
        summary="Create a group as a contact",
        description="The instance's account is a member. Sends a `chatUpdate` (`chatUpdateOn`).",
        parameters=[schema.INSTANCE_ID],
        request=NewGroupSerializer,
        responses={201: ChatSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            request_example(
                "Holidays", {"name": "Holidays", "by": "17680561234", "members": ["4915112345678"]}
            ),
            response_example("The new group", GROUP, status="201"),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = get_sandbox(request, id)
        given = validate(NewGroupSerializer(data=request.data))
        with failures_as_409(instance):
            group = create_group_as_contact(
                instance,
                name=given["name"],
                by=given["by"],
                members=given["members"],
                image=given["image"],
            )
        return Response(payloads.chat_dict(group), status.HTTP_201_CREATED)


class GroupView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="getSandboxGroup",
        summary="Read a group and its members",
        parameters=[schema.INSTANCE_ID, CHAT_ID],
        responses={200: ChatSerializer, **schema.error_responses(404)},
        examples=[response_example("Holidays", GROUP)],
    )
    def get(self, request: Request, id: str, chatId: str) -> Response:
        return Response(payloads.chat_dict(get_chat(get_sandbox(request, id), chatId)))

    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxGroup",
        summary="Change a group as another member",
        description="All changes are made, or none. Each sends a `chatUpdate` (`chatUpdateOn`). Use the account's "
        "own phone number in `remove` to remove it from the group.",
        parameters=[schema.INSTANCE_ID, CHAT_ID],
        request=GroupChangeSerializer,
        responses={200: ChatSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            request_example(
                "Add one member, remove another", {"add": ["4915112345678"], "remove": ["17680561234"]}
            ),
            request_example("Rename the group", {"name": "Summer holidays"}),
            response_example("Holidays", GROUP),
        ],
    )
    def patch(self, request: Request, id: str, chatId: str) -> Response:
        instance = get_sandbox(request, id)
        get_chat(instance, chatId)
        given = validate(GroupChangeSerializer(data=request.data))
        with failures_as_409(instance):
            group = change_group_as_contact(instance, group_id=chatId, **given)
        return Response(payloads.chat_dict(group))
