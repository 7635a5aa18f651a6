"""A chat as its contacts see it."""

import time

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
    seen_chat,
)
from instances.api.sandbox.examples import CHAT_ID, GROUP, example
from instances.api.sandbox.requests import chat_of, checked, sandbox, shown
from instances.models import Ack, Instance, Message
from instances.thread_slots import ThreadSlots

# Who waits holds one of the web server's 40 threads (chatapi/runtime/web.py); more than these get their answer at once.
WAITERS = ThreadSlots(10)


LOOK_EVERY = 0.1  # s between two looks for a new message


ANSWER = {
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
        summary="A chat as its contacts see it",
        description="Is the account typing, and what has it read?",
        parameters=[schema.INSTANCE_ID, CHAT_ID],
        responses={200: SeenChatSerializer, **schema.refusals(404)},
        examples=[
            example("The bot is typing", {**GROUP, "activity": "typing", "readUpTo": 7, "unread": 0}),
        ],
    )
    def get(self, request: Request, id: str, chatId: str) -> Response:
        chat = chat_of(sandbox(request, id), chatId)
        active = chat.activity_until is not None and chat.activity_until > timezone.now()
        return Response(seen_chat(chat, active=active))


class ChatMessagesView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="seeSandboxMessages",
        summary="The messages of a chat as its contacts see them",
        description="What the instance has sent shows once it is delivered, and no more when it was deleted. With "
        "`wait`, an empty answer is held back until there is a message: so a test reads what its bot answered. At most "
        "10 wait at a time; one more is answered at once.",
        parameters=[
            schema.INSTANCE_ID,
            CHAT_ID,
            OpenApiParameter("after", int, description="A `messageNumber`: only messages with a higher one."),
            OpenApiParameter("limit", int, description="How many at most: 1 to 100, which is the default."),
            OpenApiParameter("wait", float, description="Seconds, at most 10; 0 by default."),
        ],
        responses={200: SeenMessagesSerializer, **schema.refusals(400, 404)},
        examples=[example("The bot has answered", {"messages": [ANSWER], "lastMessageNumber": 2})],
    )
    def get(self, request: Request, id: str, chatId: str) -> Response:
        instance = sandbox(request, id)
        asked_for = checked(SeenQuerySerializer(data=request.query_params.dict()))
        try:
            where = chat_ids.of_chat(chatId)
        except chat_ids.BadChatId as error:
            raise exceptions.NotFound(f"{error}.") from None
        after, limit = asked_for["after"], asked_for["limit"]
        messages = seen(instance, where, after, limit)
        if not messages and asked_for["wait"] and WAITERS.acquire(instance.pk):
            try:
                until = time.monotonic() + asked_for["wait"]
                while not messages and time.monotonic() < until:
                    time.sleep(LOOK_EVERY)
                    messages = seen(instance, where, after, limit)
            finally:
                WAITERS.release(instance.pk)
        last = messages[-1].number if messages else after
        return Response({"messages": [shown(message) for message in messages], "lastMessageNumber": last})


def seen(instance: Instance, chat_id: str, after: int, limit: int) -> list[Message]:
    """The messages of a chat that its contacts have on their phones, in order."""
    messages = Message.objects.filter(
        instance=instance, chat__chat_id=chat_id, chat__instance=instance, number__gt=after, deleted_at=None
    ).exclude(from_me=True, ack__lt=Ack.SENT if chat_ids.is_group(chat_id) else Ack.DELIVERED)
    return list(messages.select_related("chat").order_by("number")[:limit])
