"""The sandbox's contacts."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from instances.api import schema
from instances.api.sandbox.contact_serializers import (
    ContactChangeSerializer,
    ContactSerializer,
    ContactsSerializer,
)
from instances.api.sandbox.examples import asked, example
from instances.api.sandbox.fields import person
from instances.api.sandbox.requests import checked, in_words, sandbox
from instances.channels.sandbox.actions.contacts import change_contact
from instances.models import (
    SandboxContact,
)

PHONE = OpenApiParameter(
    "phone", str, OpenApiParameter.PATH, description="The contact's phone number, with its country code."
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


def phone_of(text: str) -> str:
    """The chat id of the contact in an address; 404 when it is nobody's number."""
    try:
        return person(text)
    except exceptions.ValidationError as error:
        raise exceptions.NotFound(f"{text} is no phone number. {error.detail[0]}") from None  # type: ignore[index]  # a list, as we raise it


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
