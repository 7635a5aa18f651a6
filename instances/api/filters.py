"""Which hooks of the log are asked for; every filter may be joined with every other."""

from datetime import datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from hooks.log.selection import any_answer, any_outcome, status
from hooks.models import Hook, Kind, Outcome, State, happened_before, happened_since
from instances import value_parsing
from instances.models import Instance

ANSWERS = ("2xx", "3xx", "4xx", "5xx", "none")


class Several(filters.MultipleChoiceFilter):
    """One value or more, each as its own `name=value`; a refusal lists what it takes."""

    def __init__(self, choices: Any, **options: Any) -> None:
        takes = ", ".join(value for value, _ in choices)
        super().__init__(
            choices=choices,
            error_messages={"invalid_choice": f"It takes one or more of: {takes}."},
            **options,
        )


class WholeNumber(filters.NumberFilter):
    """A number filter that refuses fractions."""

    field_class = forms.IntegerField


class FlagField(forms.Field):
    """A boolean in the wire contract's spellings; Django's own takes any other word for "not asked"."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:
        try:
            return None if value in self.empty_values else value_parsing.flag(value)
        except ValueError as error:
            raise forms.ValidationError(f"It takes {error}.") from None


class TrueOrFalse(filters.BooleanFilter):
    field_class = FlagField

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=forms.TextInput, **options)


class HookFilter(filters.FilterSet):
    """The parameters of `GET hooks/`."""

    state = Several(State.choices, help_text="Where the hook stands.")
    kind = Several(Kind.choices, help_text="What it tells of.")
    outcome = Several(Outcome.choices, method="by_outcome", help_text="How its last attempt ended.")
    answer = Several(
        [(name, name) for name in ANSWERS],
        method="by_answer",
        help_text="Class of the last answer; `none`: attempted, and nothing was answered.",
    )
    status = WholeNumber(method="by_status", min_value=100, max_value=599, help_text="The last answer.")
    instance = filters.CharFilter(method="by_instance", help_text="The instance's id.")
    message = filters.CharFilter(help_text="The id of the message it is about, whole.")
    chat = filters.CharFilter(help_text="The id of the chat, whole.")
    host = filters.CharFilter(method="by_host", help_text="Host of the last attempt.")
    simulated = TrueOrFalse(help_text="Made by hand or not: `true` or `false`.")
    createdAfter = filters.IsoDateTimeFilter(method="by_start", help_text="From this time on, ISO 8601.")
    createdBefore = filters.IsoDateTimeFilter(method="by_end", help_text="Before this time, ISO 8601.")

    class Meta:
        model = Hook
        fields: tuple[str, ...] = ()

    def by_answer(self, hooks: QuerySet[Hook], name: str, classes: list[str]) -> QuerySet[Hook]:
        return hooks.filter(any_answer(classes)) if classes else hooks

    def by_outcome(self, hooks: QuerySet[Hook], name: str, outcomes: list[str]) -> QuerySet[Hook]:
        return hooks.filter(any_outcome(outcomes)) if outcomes else hooks

    def by_status(self, hooks: QuerySet[Hook], name: str, value: int) -> QuerySet[Hook]:
        return hooks.filter(status(int(value)))

    def by_host(self, hooks: QuerySet[Hook], name: str, value: str) -> QuerySet[Hook]:
        return hooks.filter(last_host=value.lower())  # as the dispatcher writes it

    def by_start(self, hooks: QuerySet[Hook], name: str, value: datetime) -> QuerySet[Hook]:
        return hooks.filter(happened_since(value))

    def by_end(self, hooks: QuerySet[Hook], name: str, value: datetime) -> QuerySet[Hook]:
        return hooks.filter(happened_before(value))

    def by_instance(self, hooks: QuerySet[Hook], name: str, value: str) -> QuerySet[Hook]:
        if not (value.isascii() and value.isdigit()):
            raise ValidationError({"instance": "It takes the id of an instance: digits."})
        # by its key, which the indexes of hooks begin with; no join would use them as well
        key = (
            Instance.objects.filter(number=value).values_list("pk", flat=True).first()
            if len(value) <= 10 and int(value) < 2**31
            else None
        )
        return hooks.filter(endpoint_id=key or 0)


class StrictFilters(filters.DjangoFilterBackend):
    """Refuses a parameter that does not exist: overlooked, it would answer with everything."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        known = [*view.filterset_class.base_filters, "cursor", "limit"]
        wrong = [name for name in request.query_params if name not in known]
        if wrong:
            raise ValidationError(
                {name: f"There is no such filter; there are {', '.join(known)}." for name in wrong}
            )
        return super().filter_queryset(request, queryset, view)
