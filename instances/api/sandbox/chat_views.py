"""A chat as its contacts see it."""

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances import chat_ids
from instances.api import schema
from instances.api.sandbox.chat_serializers import (
    SeenChatSerializer,
    SeenMessagesSerializer,
    SeenQuerySerializer,
    seen_chat_json,
)
from instances.api.sandbox.examples import CHAT_ID, GROUP, response_example
from instances.api.sandbox.requests import get_chat, get_sandbox, message_json, validate
from instances.limits import waiting_calls
from instances.models import Ack, Instance, Message

REPLY = {
    **schema.MESSAGE,
    "id": "true_17680561234@c.us_3EB0957AD66BAFF57D1D",
    "body": "Hello to you!",
    "fromMe": True,
    "self": 1,
    "author": "15550001234@c.us",
    "senderName": "15550001234",
    "messageNumber": 2,
    "ack": 2,
}


class ChatView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="seeSandboxChat",
        summary="Read a chat as its contacts see it",
        description="Whether the account is typing, and what it has read.",
        parameters=[schema.INSTANCE_ID, CHAT_ID],
        responses={200: SeenChatSerializer, **schema.error_responses(404)},
        examples=[
            response_example(
                "The bot is typing", {**GROUP, "activity": "typing", "readUpTo": 7, "unread": 0}
            ),
        ],
    )
    def get(self, request: Request, id: str, chatId: str) -> Response:
        chat = get_chat(get_sandbox(request, id), chatId)
        active = chat.activity_until is not None and chat.activity_until > timezone.now()
        return Response(seen_chat_json(chat, active=active))


class ChatMessagesView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="seeSandboxMessages",
        summary="Read a chat's messages as its contacts see them",
        description="Messages of the instance appear once they are delivered, and disappear when they are deleted. "
        "With `wait`, the response is delayed until there is a message, so that a test can read its bot's reply. At "
        "most 20 calls of an account wait at a time; further ones respond immediately.",
        parameters=[
            schema.INSTANCE_ID,
            CHAT_ID,
            OpenApiParameter(
                "after", int, description="A `messageNumber`. Returns only messages with higher numbers."
            ),
            OpenApiParameter(
                "limit", int, description="The maximum number of messages, 1 to 100. Default: 100."
            ),
            OpenApiParameter(
                "wait",
                float,
                description="How long to wait for a message, in seconds, at most 10. Default: 0.",
            ),
        ],
        responses={200: SeenMessagesSerializer, **schema.error_responses(400, 404)},
        examples=[response_example("The bot has replied", {"messages": [REPLY], "lastMessageNumber": 2})],
    )
    def get(self, request: Request, id: str, chatId: str) -> Response:
        instance = get_sandbox(request, id)
        query = validate(SeenQuerySerializer(data=request.query_params.dict()))
        try:
            where = chat_ids.of_chat(chatId)
        except chat_ids.BadChatId as error:
            raise exceptions.NotFound(f"{error}.") from None
        after, limit = query["after"], query["limit"]
        messages = visible_messages(instance, where, after, limit)
        last = messages[-1].number if messages else after
        response = Response(
            {"messages": [message_json(message) for message in messages], "lastMessageNumber": last}
        )
        if not messages:
            waiting_calls.wait(response, request._request, query["wait"], owner=instance.owner_id)
        return response


def visible_messages(instance: Instance, chat_id: str, after: int, limit: int) -> list[Message]:
    """The messages that the chat's contacts see on their phones, in order."""
    messages = Message.objects.filter(
        instance=instance, chat__chat_id=chat_id, chat__instance=instance, number__gt=after, deleted_at=None
    ).exclude(from_me=True, ack__lt=Ack.SENT if chat_ids.is_group(chat_id) else Ack.DELIVERED)
    return list(messages.select_related("chat").order_by("number")[:limit])
