"""The sandbox's contacts and groups, and what stands in their chats."""

import time
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.current_user import current_user
from instances import chat_ids, payloads
from instances.api import schema
from instances.api.sandbox.people_serializers import (
    ChatSerializer,
    ContactChangeSerializer,
    ContactSerializer,
    ContactsSerializer,
    GroupChangeSerializer,
    GroupsSerializer,
    NewGroupSerializer,
    SeenChatSerializer,
    SeenMessagesSerializer,
    SeenQuerySerializer,
    seen_chat,
)
from instances.api.sandbox.serializers import person
from instances.api.sandbox.views import checked, in_words, sandbox, shown
from instances.channels.sandbox.actions.contacts import change_contact
from instances.channels.sandbox.actions.groups import change_group_as_contact, create_group_as_contact
from instances.models import Ack, Chat, Instance, Message, SandboxContact
from instances.thread_slots import ThreadSlots

GROUPS_SHOWN = 100
# Who waits holds one of the web server's 40 threads (chatapi/runtime/web.py); more than these get their answer at once.
WAITERS = ThreadSlots(10)
LOOK_EVERY = 0.1  # s between two looks for a new message

PHONE = OpenApiParameter(
    "phone", str, OpenApiParameter.PATH, description="The contact's phone number, with its country code."
)
CHAT_ID = OpenApiParameter(
    "chatId", str, OpenApiParameter.PATH, description="`17680561234@c.us`, or `…@g.us` for a group."
)
CONTACT = {
    "name": "Ann",
    "image": "",
    "hasAccount": True,
    "online": True,
    "blocks": False,
    "deliverAfter": 0,
    "readAfter": 3,
    "chatId": "17680561234@c.us",
    "phone": "17680561234",
}
GROUP = {
    "id": "17680561234-1893488400@g.us",
    "name": "Holidays",
    "image": None,
    "metadata": {
        "isGroup": True,
        "participants": ["17680561234@c.us", "15550001234@c.us"],
        "admins": ["17680561234@c.us"],
        "groupInviteLink": "https://chat.example.com/invite/AbCdEfGhIjKlMnOpQrStUv",
    },
    "last_time": 1893488400,
}
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


def example(name: str, value: Any, *, status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


def asked(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value=value, request_only=True)


def phone_of(text: str) -> str:
    """The chat id of the contact in an address; 404 when it is nobody's number."""
    try:
        return person(text)
    except exceptions.ValidationError as error:
        raise exceptions.NotFound(f"{text} is no phone number. {error.detail[0]}") from None  # type: ignore[index]  # a list, as we raise it


def chat_of(instance: Instance, chat_id: str) -> Chat:
    """The chat of the instance with this id or phone number; 404 when there is none."""
    try:
        where = chat_ids.of_chat(chat_id)
    except chat_ids.BadChatId as error:
        raise exceptions.NotFound(f"{error}.") from None
    chat = Chat.objects.filter(instance=instance, chat_id=where).first()
    if chat is None:
        raise exceptions.NotFound(f"The instance has no chat {where}; it comes with its first message.")
    return chat


class ContactsView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="listSandboxContacts",
        summary="The contacts of whom something was said",
        description="Every other number is online, gets everything at once and never reads.",
        parameters=[schema.INSTANCE_ID],
        responses={200: ContactsSerializer, **schema.refusals(404)},
        examples=[example("One", {"contacts": [CONTACT]})],
    )
    def get(self, request: Request, id: str) -> Response:
        contacts = SandboxContact.objects.filter(instance=sandbox(request, id))
        return Response({"contacts": ContactSerializer(contacts, many=True).data})


class ContactView(APIView):
    @extend_schema(
        tags=["Sandbox"],
        operation_id="getSandboxContact",
        summary="A contact and their mind",
        parameters=[schema.INSTANCE_ID, PHONE],
        responses={200: ContactSerializer, **schema.refusals(404)},
        examples=[example("Ann", CONTACT)],
    )
    def get(self, request: Request, id: str, phone: str) -> Response:
        instance = sandbox(request, id)
        chat_id = phone_of(phone)
        contact = SandboxContact.objects.filter(instance=instance, chat_id=chat_id).first()
        return Response(ContactSerializer(contact or SandboxContact(chat_id=chat_id)).data)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="setSandboxContact",
        summary="Say all of a contact",
        description="What is left out is as with everybody: online, gets everything at once, never reads.",
        parameters=[schema.INSTANCE_ID, PHONE],
        request=ContactChangeSerializer,
        responses={200: ContactSerializer, **schema.refusals(400, 404, 409)},
        examples=[
            asked("Reads after three seconds", {"name": "Ann", "readAfter": 3}),
            example("Ann", CONTACT),
        ],
    )
    def put(self, request: Request, id: str, phone: str) -> Response:
        return self.change(request, id, phone, EVERYBODY)

    @extend_schema(
        tags=["Sandbox"],
        operation_id="changeSandboxContact",
        summary="Change a contact",
        description="What is left out stays. A new mind is asked at once what it does with the messages that it has "
        "not got or not read: back `online`, a contact gets them all.",
        parameters=[schema.INSTANCE_ID, PHONE],
        request=ContactChangeSerializer,
        responses={200: ContactSerializer, **schema.refusals(400, 404, 409)},
        examples=[asked("Goes offline", {"online": False}), example("Ann", CONTACT)],
    )
    def patch(self, request: Request, id: str, phone: str) -> Response:
        return self.change(request, id, phone, {})

    def change(self, request: Request, id: str, phone: str, default: dict[str, Any]) -> Response:
        instance = sandbox(request, id)
        chat_id = phone_of(phone)
        given = checked(ContactChangeSerializer(data=request.data))
        with in_words(instance):
            contact = change_contact(instance, phone=chat_id, **{**default, **given})
        return Response(ContactSerializer(contact).data)


EVERYBODY = {
    "name": "",
    "image": "",
    "has_account": True,
    "online": True,
    "blocks": False,
    "deliver_after": 0,
    "read_after": None,
}


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
                acting_user=current_user(request),
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
            group = change_group_as_contact(
                instance, group_id=chatId, acting_user=current_user(request), **given
            )
        return Response(payloads.chat_dict(group))


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
