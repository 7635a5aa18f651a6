"""Bins: open, list, read, configure the response, delete; and the links that share them."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, mixins, status, viewsets
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actions.share_links import MAX_SHARES, VALID_FOR, TooManyShares
from accounts.current_user import current_user
from chatapi.ui.numbers import parse_digits
from instances.api import schema
from instances.api.errors import Conflict
from instances.api.pagination import OldestFirst
from instances.api.views.instances import get_instance
from instances.models import Instance
from testing_tools.api import parameters
from testing_tools.api.bin_serializers import (
    BinChangeSerializer,
    BinSerializer,
    BinWithCountsSerializer,
    CreatedShareSerializer,
    NewBinSerializer,
    NewShareSerializer,
    ShareSerializer,
    SharesSerializer,
)
from testing_tools.api.lookup import get_bin, get_capture, own_bins, validate
from testing_tools.api.parameters import request_example, response_example
from testing_tools.verification import responses
from testing_tools.verification.actions import bins as bin_actions
from testing_tools.verification.actions import shares
from testing_tools.verification.actions.bins import BinInUse
from testing_tools.verification.models import Bin, BinQuerySet
from testing_tools.verification.responses import InvalidResponse

ONE_BIN = response_example("An instance's bin", parameters.BIN_WITH_COUNTS)


@extend_schema(tags=["Bins"])
class BinViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Bin]):
    queryset = Bin.objects.none()  # for the OpenAPI document, which is generated without a user
    serializer_class = BinSerializer
    pagination_class = OldestFirst
    filter_backends = ()

    def get_queryset(self) -> BinQuerySet:
        return own_bins(self.request)

    @extend_schema(
        operation_id="listBins",
        summary="List the account's bins",
        description="Those of its instances, and its own. Oldest first.",
        responses={200: BinSerializer(many=True), **schema.error_responses(400)},
        examples=[response_example("An instance's bin", parameters.BIN)],
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().list(request, *args, **kwargs)

    @extend_schema(
        operation_id="openBin",
        summary="Open a bin",
        description="Creates it on the first call (201); later calls return the same bin (200). An instance has one "
        "bin, which is deleted with it, and the account has one of its own.",
        request=NewBinSerializer,
        responses={
            200: BinWithCountsSerializer,
            201: BinWithCountsSerializer,
            **schema.error_responses(400, 404),
        },
        examples=[
            ONE_BIN,
            response_example(
                "A new bin",
                parameters.BIN_WITH_COUNTS | {"lastNumber": 0, "captures": 0},
                status="201",
            ),
            request_example("Of an instance", {"instance": "1203344556"}),
            request_example("The account's own", {}),
        ],
    )
    def create(self, request: Request) -> Response:
        number = validate(NewBinSerializer(data=request.data)).get("instance")
        if number is None:
            account: Any = request.auth  # the stubs only know DRF's own tokens
            is_new = not Bin.objects.filter(account=account).exists()
            bin = bin_actions.open_own_bin(account)
        else:
            instance = get_instance(Instance.objects.of_account(request.auth), number)
            is_new = not Bin.objects.filter(instance=instance).exists()
            bin = bin_actions.open_bin(instance)
        location = settings.SITE_URL + reverse("instances-api:bin", args=[bin.key])
        return Response(
            BinWithCountsSerializer(get_bin(request, bin.key)).data,
            status.HTTP_201_CREATED if is_new else status.HTTP_200_OK,
            headers={"Location": location} if is_new else None,
        )

    @extend_schema(
        operation_id="readBin",
        summary="Read one bin",
        parameters=[parameters.BIN_KEY],
        responses={200: BinWithCountsSerializer, **schema.error_responses(404)},
        examples=[ONE_BIN],
    )
    def retrieve(self, request: Request, key: str) -> Response:
        return Response(BinWithCountsSerializer(get_bin(request, key)).data)

    @extend_schema(
        operation_id="changeBin",
        summary="Configure the response of a bin",
        description="A `preset`, or single fields of `answer`; fields that are not sent stay as they are. If any field "
        "is invalid, nothing is changed.",
        parameters=[parameters.BIN_KEY],
        request=BinChangeSerializer,
        responses={200: BinWithCountsSerializer, **schema.error_responses(400, 404)},
        examples=[
            ONE_BIN,
            request_example("A server that recovers", {"answer": {"status": 200, "failFirst": 3}}),
            request_example("A slow server", {"preset": "slow"}),
        ],
    )
    def partial_update(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        given = validate(BinChangeSerializer(data=request.data))
        if preset := given.get("preset"):
            bin_actions.apply_preset(bin, preset=responses.PRESETS[preset], acting_user=current_user(request))
        elif fields := given.get("answer"):
            try:
                bin_actions.change_response(bin, fields=fields, acting_user=current_user(request))
            except InvalidResponse as error:
                raise exceptions.ValidationError({"answer": {error.field: str(error)}}) from None
        return Response(BinWithCountsSerializer(get_bin(request, key)).data)

    @extend_schema(
        operation_id="deleteBin",
        summary="Delete a bin",
        description="With its captures and links, for good. Its URL responds 404 from now on; `openBin` creates a new "
        "one. 409 while a verification sends hooks to it.",
        parameters=[parameters.BIN_KEY],
        request=None,
        responses={204: OpenApiResponse(description="Deleted"), **schema.error_responses(404, 409)},
    )
    def destroy(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        try:
            bin_actions.delete_bin(bin, acting_user=current_user(request))
        except BinInUse as error:
            raise Conflict(str(error)) from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class SharesView(APIView):
    @extend_schema(
        tags=["Bins"],
        operation_id="listShares",
        summary="List the links that share a bin",
        description="The valid ones, newest first, without their URLs.",
        parameters=[parameters.BIN_KEY],
        responses={200: SharesSerializer, **schema.error_responses(404)},
        examples=[response_example("One capture", {"results": [parameters.SHARE]})],
    )
    def get(self, request: Request, key: str) -> Response:
        valid = get_bin(request, key).shares.valid().order_by("-pk")
        return Response({"results": ShareSerializer(valid, many=True).data})

    @extend_schema(
        tags=["Bins"],
        operation_id="shareBin",
        summary="Share a bin or one capture",
        description=f"Anyone who has the link can read the bin or the capture, without notes, until it expires or is "
        f"revoked. A bin has up to {MAX_SHARES} valid links; then 409.",
        parameters=[parameters.BIN_KEY],
        request=NewShareSerializer,
        responses={201: CreatedShareSerializer, **schema.error_responses(400, 404, 409)},
        examples=[
            response_example("One capture", parameters.NEW_SHARE, status="201"),
            request_example("For a day", {"validFor": "24h", "capture": parameters.CAPTURE["id"]}),
        ],
    )
    def post(self, request: Request, key: str) -> Response:
        bin = get_bin(request, key)
        given = validate(NewShareSerializer(data=request.data))
        capture = get_capture(bin, given["capture"]) if "capture" in given else None
        try:
            share, url = shares.share(
                bin,
                valid_for=VALID_FOR[given["valid_for"]],
                capture=capture,
                acting_user=current_user(request),
            )
        except TooManyShares as error:
            raise Conflict(str(error)) from None
        return Response(CreatedShareSerializer(share, context={"url": url}).data, status.HTTP_201_CREATED)


class ShareView(APIView):
    @extend_schema(
        tags=["Bins"],
        operation_id="revokeShare",
        summary="Revoke a link",
        description="It is invalid immediately. Revoking it again changes nothing.",
        parameters=[parameters.BIN_KEY, parameters.SHARE_ID],
        request=None,
        responses={204: OpenApiResponse(description="Revoked"), **schema.error_responses(404)},
    )
    def delete(self, request: Request, key: str, shareId: str) -> Response:
        bin = get_bin(request, key)
        number = parse_digits(shareId)
        share = None if number is None else bin.shares.filter(pk=number).first()
        if share is None:
            raise exceptions.NotFound(f"Bin {key} has no link {shareId}.")
        shares.revoke(share, acting_user=current_user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)
