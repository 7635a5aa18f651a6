"""The delivery log's filters: query parameters become the selection that pages and redeliveries use too."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from chatapi.ui.numbers import INSTANCE_NUMBER_DIGITS, parse_digits
from hooks.log.newest import NewestOf
from hooks.log.selection import RESPONSES, Filter
from hooks.models import Endpoint, Hook, Kind, Outcome, State
from instances import value_parsing
from instances.api.serializers.strict import first_errors

RESPONSE_CLASSES = list(RESPONSES)
RESPONSE_HELP = (
    "Class of the last response's status code. `2xx` is 200 to 299, `not-200` is 201 to 299; only 200 counts as "
    "delivered. `none`: attempted, without a response."
)
MESSAGE_HELP = "The complete id of its message, or the hook's own `webhook-id`."
ENDPOINT_DIGITS = 18  # of an endpoint's id
ENDPOINT_HELP = "The endpoint's id."
# Parameter, in the query and in the body of a new redelivery → key of the selection.
KEYS = {
    "hooks": "hooks",
    "endpoint": "endpoint",
    "state": "states",
    "kind": "kinds",
    "outcome": "outcomes",
    "answer": "answers",
    "status": "status",
    "message": "message",
    "chat": "chat",
    "host": "host",
    "simulated": "simulated",
    "createdAfter": "created_after",
    "createdBefore": "created_before",
}


def as_selection(given: Mapping[str, Any]) -> Filter:
    """Translate validated parameters into a filter of hooks.log.selection; parameters without a value are left out.

    `instance` is not part of a selection: it limits whose hooks are read.
    """
    selection: Filter = {}
    for name, key in KEYS.items():
        value = given.get(name)
        if value in (None, "", []):
            continue
        if name == "host":
            value = value.lower()  # as the dispatcher stores it
        elif name == "endpoint":
            value = int(value)
        elif name in ("createdAfter", "createdBefore"):
            value = value.isoformat()
        selection[key] = value
    return selection


class SeveralValuesFilter(filters.MultipleChoiceFilter):
    """One or more values, each as its own `name=value`; the error lists the possible values."""

    def __init__(self, choices: Any, **options: Any) -> None:
        values = ", ".join(value for value, _ in choices)
        super().__init__(
            choices=choices,
            error_messages={"invalid_choice": f"Must be one or more of: {values}."},
            **options,
        )


class EndpointIdField(forms.IntegerField):
    """The id of an endpoint, a bigint."""

    def __init__(self, **options: Any) -> None:
        options.pop("decimal_places", None)
        super().__init__(**(options | {"min_value": 0, "max_value": 2**63 - 1}))


class WholeNumberFilter(filters.NumberFilter):
    """A number filter that refuses fractions."""

    field_class = forms.IntegerField


class FlagField(forms.Field):
    """A boolean in the wire contract's spellings. Django's own field treats any other word as "not given"."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:
        try:
            return None if value in self.empty_values else value_parsing.parse_bool(value)
        except ValueError:
            raise forms.ValidationError("Must be `true` or `false`.") from None


class FlagFilter(filters.BooleanFilter):
    field_class = FlagField

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.TextInput, **options)


class EndpointIdFilter(filters.NumberFilter):
    """The id of an endpoint."""

    field_class = EndpointIdField


class HookFilter(filters.FilterSet):
    """The parameters of `GET hooks/`."""

    state = SeveralValuesFilter(State.choices, help_text="The hook's state.")
    kind = SeveralValuesFilter(Kind.choices, help_text="The kind of its event.")
    outcome = SeveralValuesFilter(
        Outcome.choices, field_name="last_outcome", help_text="How its last attempt ended."
    )
    answer = SeveralValuesFilter(
        [(name, words) for name, (words, _) in RESPONSES.items()],
        field_name="last_answer",
        help_text=RESPONSE_HELP,
    )
    status = WholeNumberFilter(
        field_name="last_status",
        min_value=100,
        max_value=599,
        help_text="The status code of the last response.",
    )
    instance = filters.CharFilter(field_name="endpoint", help_text="The instance's id.")
    endpoint = EndpointIdFilter(help_text=ENDPOINT_HELP)
    message = filters.CharFilter(help_text=MESSAGE_HELP)
    chat = filters.CharFilter(help_text="The complete id of the chat.")
    host = filters.CharFilter(field_name="last_host", help_text="The host of the last attempt.")
    simulated = FlagFilter(help_text="Whether the hook is simulated: `true` or `false`.")
    createdAfter = filters.IsoDateTimeFilter(
        field_name="created_at", help_text="Created at this time or later, ISO 8601."
    )
    createdBefore = filters.IsoDateTimeFilter(
        field_name="created_at", help_text="Created before this time, ISO 8601."
    )

    class Meta:
        model = Hook
        fields: tuple[str, ...] = ()

    def filter_queryset(self, queryset: Any) -> NewestOf:
        given = self.form.cleaned_data
        hooks: NewestOf = queryset.matching(as_selection(given))
        return of_instance(hooks, given["instance"]) if given["instance"] else hooks


def of_instance(hooks: NewestOf, number: str) -> NewestOf:
    """The hooks of the instance with this number; none if it does not exist.

    Raises ValidationError if `number` is not digits.
    """
    if not (number.isascii() and number.isdigit()):
        raise ValidationError({"instance": "Must be the id of an instance: digits only."})
    keys: list[int] = []
    known = parse_digits(number, max_digits=INSTANCE_NUMBER_DIGITS)
    if known is not None and known < 2**31:
        keys = list(Endpoint.objects.filter(instance__number=known).values_list("pk", flat=True))
    return hooks.of_endpoints(keys)


class StrictFilters(filters.DjangoFilterBackend):
    """Refuses an unknown parameter: ignored, it would return every hook."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        known = [*view.filterset_class.base_filters, "cursor", "limit"]
        sentence = f"Unknown filter. The filters are: {', '.join(known)}."
        if wrong := first_errors((name, sentence) for name in request.query_params if name not in known):
            raise ValidationError(wrong)
        return super().filter_queryset(request, queryset, view)
