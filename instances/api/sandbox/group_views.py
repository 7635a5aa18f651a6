"""The sandbox's groups."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances import payloads
from instances.api import schema
from instances.api.sandbox.examples import CHAT_ID, GROUP, asked, example
from instances.api.sandbox.group_serializers import (
    ChatSerializer,
    GroupChangeSerializer,
    GroupsSerializer,
    NewGroupSerializer,
)
from instances.api.sandbox.requests import chat_of, checked, in_words, sandbox
from instances.channels.sandbox.actions.groups import change_group_as_contact, create_group_as_contact
from instances.models import Chat

GROUPS_SHOWN = 100


class GroupsView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="listSandboxGroups",
        summary="The account's groups",
        description=f"The {GROUPS_SHOWN} in which something was said last.",
        parameters=[schema.INSTANCE_ID],
        responses={200: GroupsSerializer, **schema.refusals(404)},
        examples=[example("One", {"groups": [GROUP]})],
    )
    def get(self, request: Request, id: str) -> Response:
        groups = Chat.objects.filter(instance=sandbox(request, id), is_group=True).order_by(
            "-last_time", "-id"
        )
        return Response({"groups": [payloads.chat_dict(group) for group in groups[:GROUPS_SHOWN]]})

    @extend_schema(
        tags=["Sandbox"],
        operation_id="createSandboxGroup",
        summary="A contact makes a group with the instance's account in it",
        description="The instance gets a `chatUpdate` (`chatUpdateOn`).",
        parameters=[schema.INSTANCE_ID],
        request=NewGroupSerializer,
        responses={201: ChatSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            asked("Holidays", {"name": "Holidays", "by": "17680561234", "members": ["4915112345678"]}),
            example("As it was made", GROUP, status="201"),
        ],
    )
    def post(self, request: Request, id: str) -> Response:
        instance = sandbox(request, id)
        given = checked(NewGroupSerializer(data=request.data))
        with in_words(instance):
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
        summary="A group and who is in it",
        parameters=[schema.INSTANCE_ID, CHAT_ID],
        responses={200: ChatSerializer, **schema.refusals(404)},
        examples=[example("Holidays", GROUP)],
    )
    def get(self, request: Request, id: str, chatId: str) -> Response:
        return Response(payloads.chat_dict(chat_of(sandbox(request, id), chatId)))

    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxGroup",
        summary="Other members change a group",
        description="All or nothing; each change makes a `chatUpdate` (`chatUpdateOn`). To `remove` the account is to "
        "throw it out: by its own phone number.",
        parameters=[schema.INSTANCE_ID, CHAT_ID],
        request=GroupChangeSerializer,
        responses={200: ChatSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            asked("One comes, one goes", {"add": ["4915112345678"], "remove": ["17680561234"]}),
            asked("A new name", {"name": "Summer holidays"}),
            example("Holidays", GROUP),
        ],
    )
    def patch(self, request: Request, id: str, chatId: str) -> Response:
        instance = sandbox(request, id)
        chat_of(instance, chatId)
        given = checked(GroupChangeSerializer(data=request.data))
        with in_words(instance):
            group = change_group_as_contact(instance, group_id=chatId, **given)
        return Response(payloads.chat_dict(group))
