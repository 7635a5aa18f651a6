"""The account's instances: list, create, read, change, delete."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import exceptions, mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.current_user import current_user
from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from instances.actions import settings as settings_actions
from instances.actions.lifecycle import change_instance, create_instance, delete_instance
from instances.api import schema
from instances.api.pagination import OldestFirst
from instances.api.serializers.instances import (
    ChangeBodySerializer,
    InstanceSerializer,
    NameSerializer,
    NewBodySerializer,
    NewSerializer,
    parted,
)
from instances.models import Instance, InstanceQuerySet
from instances.settings_table import SettingsError


def own_instance(instances: InstanceQuerySet, number: str) -> Instance:
    """The one with this number among `instances`, those that the caller may see; 404 otherwise."""
    known = parse_digits(number, max_digits=INSTANCE_NUMBER_DIGITS)
    found = None if known is None else instances.filter(number=known).first()
    if found is None:
        raise exceptions.NotFound(f"There is no instance {number} in your account.")
    return found


def change_settings(instance: Instance, changes: dict[str, Any], *, acting_user: Any) -> None:
    """The action, its refusal as a 400 that names the setting."""
    try:
        settings_actions.change_settings(instance, changes, acting_user=acting_user)
    except SettingsError as error:
        raise exceptions.ValidationError({error.key: error.sentence}) from None


EXAMPLE = OpenApiExample("A sandbox instance", value=schema.INSTANCE, response_only=True)


@extend_schema(tags=["Instances"])
class InstanceViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Instance]):
    queryset = Instance.objects.none()  # for the OpenAPI document, which is made for nobody
    serializer_class = InstanceSerializer
    pagination_class = OldestFirst
    filter_backends = ()

    def get_queryset(self) -> InstanceQuerySet:
        return Instance.objects.of_account(self.request.auth).select_related("endpoint")

    @extend_schema(
        operation_id="listInstances",
        summary="List the account's instances",
        description="Oldest first.",
        responses={200: InstanceSerializer(many=True), **schema.refusals(400)},
        examples=[EXAMPLE],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        operation_id="createInstance",
        summary="Make an instance",
        description="It is paid for the trial days and shows a QR code. All fields are optional; settings may be "
        "given at once.",
        request=NewBodySerializer,
        responses={201: InstanceSerializer, **schema.refusals(400)},
        examples=[
            EXAMPLE,
            OpenApiExample(
                "With an address",
                value={"name": "Shop", "webhookUrl": "https://example.com/hook"},
                request_only=True,
            ),
        ],
    )
    @transaction.atomic
    def create(self, request: Request) -> Response:
        own, given = parted(request.data, NewSerializer)
        account: Any = request.auth  # the stubs know DRF's own tokens alone
        instance = create_instance(account, **own, acting_user=current_user(request))
        change_settings(instance, given, acting_user=request.user)
        instance = self.get_queryset().get(pk=instance.pk)
        where = settings.SITE_URL + reverse("instances-api:instance", args=[instance.number])
        return Response(
            InstanceSerializer(instance).data, status.HTTP_201_CREATED, headers={"Location": where}
        )

    @extend_schema(
        operation_id="readInstance",
        summary="Read one instance",
        parameters=[schema.INSTANCE_ID],
        responses={200: InstanceSerializer, **schema.refusals(404)},
        examples=[EXAMPLE],
    )
    def retrieve(self, request: Request, id: str) -> Response:
        return Response(InstanceSerializer(own_instance(self.get_queryset(), id)).data)

    @extend_schema(
        operation_id="changeInstance",
        summary="Change an instance's name and settings",
        description="What is not given stays as it is. If anything given is wrong, nothing is changed.",
        parameters=[schema.INSTANCE_ID],
        request=ChangeBodySerializer,
        responses={200: InstanceSerializer, **schema.refusals(400, 404)},
        examples=[
            EXAMPLE,
            OpenApiExample(
                "Address and acks",
                value={
                    "webhookUrl": "https://example.com/hook",
                    "ackNotificationsOn": True,
                    "guaranteedHooks": True,
                },
                request_only=True,
            ),
        ],
    )
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        instance = own_instance(self.get_queryset(), id)
        own, given = parted(request.data, NameSerializer)
        if own:
            change_instance(instance, **own, acting_user=current_user(request))
        if given:
            change_settings(instance, given, acting_user=request.user)
        return Response(InstanceSerializer(self.get_queryset().get(pk=instance.pk)).data)

    @extend_schema(
        operation_id="deleteInstance",
        summary="Delete an instance",
        description="With its chats, messages, hooks and bin. It cannot be undone.",
        parameters=[schema.INSTANCE_ID],
        request=None,
        responses={204: OpenApiResponse(description="It is gone"), **schema.refusals(404)},
    )
    def destroy(self, request: Request, id: str) -> Response:
        delete_instance(own_instance(self.get_queryset(), id), acting_user=current_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
