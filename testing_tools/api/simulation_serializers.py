"""A simulation in the REST API: its kinds with their fields, and the hook that will be sent."""

import re
from typing import Any

from rest_framework import exceptions, serializers

from chatapi.ui.json_text import parse
from hooks.models import Kind
from instances.api.serializers.strict import StrictSerializer, choice, first_errors
from instances.models import Instance
from instances.value_parsing import parse_text
from testing_tools.simulation.drafts import Draft, example_draft, validated, with_values
from testing_tools.simulation.form_fields import Field, fields_of
from testing_tools.simulation.form_values import digits, first_item
from testing_tools.simulation.kinds import SimulationKind, body_key, hook_kind

DIGITS = re.compile(r"\+?[0-9][0-9 ()-]{0,29}")
KINDS_HELP = "; ".join(f"`{kind.value}`: {kind.label}" for kind in SimulationKind)


def name_in_rest(field: Field) -> str:
    """Returns the name of a field of the page's form in REST: `sender_name` is `senderName`."""
    first, *others = field.name.split("_")
    return first + "".join(word.capitalize() for word in others)


class SimulationFieldSerializer(serializers.Serializer[Any]):
    """A field of a kind. All are optional: without it, the example's value is sent."""

    name = serializers.CharField()
    label = serializers.CharField(  # type: ignore[assignment]  # a field of this name, not its label
        help_text="Its name on the page."
    )
    digits = serializers.BooleanField(help_text="Whether it takes digits only.")
    hint = serializers.CharField()
    choices = serializers.ListField(
        child=serializers.CharField(), help_text="The values that it takes. Empty: any text."
    )


class SimulationKindSerializer(serializers.Serializer[Any]):
    """A kind of hook that can be simulated."""

    kind = serializers.ChoiceField(choices=SimulationKind.choices)
    label = serializers.CharField()  # type: ignore[assignment]
    hookKind = serializers.ChoiceField(choices=Kind.choices, help_text="The `kind` of its hook in the log.")
    fields = SimulationFieldSerializer(many=True)  # type: ignore[assignment]


class SimulationKindsSerializer(serializers.Serializer[Any]):
    """All kinds, in the order of the page."""

    results = SimulationKindSerializer(many=True)


def kind_json(kind: SimulationKind) -> dict[str, Any]:
    """The data of SimulationKindSerializer."""
    return {
        "kind": kind.value,
        "label": kind.label,
        "hookKind": hook_kind(kind).value,
        "fields": [
            {
                "name": name_in_rest(field),
                "label": field.label,
                "digits": field.digits,
                "hint": field.hint,
                "choices": [value for value, _ in field.choices],
            }
            for field in fields_of(kind)
        ],
    }


class SimulatedHookSerializer(StrictSerializer):
    """What to send, and where. Only `kind` is required."""

    kind = choice(SimulationKind, help_text=KINDS_HELP)
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(allow_blank=True, trim_whitespace=False),
        required=False,
        help_text="Values of the kind's fields, see `listSimulationKinds`. They are written into `body`, or into the "
        "example if there is none.",
    )
    body = serializers.CharField(
        required=False,
        trim_whitespace=False,
        help_text="The JSON to send, as text. White space between its tokens is removed. Default: an example, with "
        "the bytes that a real event of this instance would have.",
    )
    url = serializers.CharField(
        required=False,
        max_length=4000,
        help_text="Where to send it, once. Default: where the instance's hooks are sent now.",
    )


class NewSimulationSerializer(SimulatedHookSerializer):
    """What to send, and where. Only `kind` is required."""

    dryRun = serializers.BooleanField(
        required=False, default=False, help_text="If true, sends nothing and returns what would be sent."
    )


class PreviewHeaderSerializer(serializers.Serializer[Any]):
    """A header of the hook."""

    name = serializers.CharField()
    value = serializers.CharField(help_text="With `…` for what is created when the hook is sent.")
    note = serializers.CharField()


class SimulationPreviewSerializer(serializers.Serializer[Any]):
    """What would be sent."""

    kind = serializers.ChoiceField(choices=SimulationKind.choices)
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.CharField(), help_text="The values of the kind's fields in this JSON."
    )
    url = serializers.CharField(
        allow_null=True, help_text="Null: the instance has no URL, and none was given."
    )
    headers = PreviewHeaderSerializer(many=True)
    body = serializers.CharField(help_text="The exact bytes, as text.")
    size = serializers.IntegerField(help_text="The number of bytes.")


def shown_fields(draft: Draft) -> dict[str, str]:
    """Returns the values of the draft's fields, by their names in REST."""
    values = validated(draft.kind, draft.text).values
    return {
        name_in_rest(field): values[field.name] for field in fields_of(draft.kind) if field.name in values
    }


def draft_of(instance: Instance, given: dict[str, Any]) -> Draft:
    """Returns the draft of valid parameters of SimulatedHookSerializer. Raises ValidationError."""
    kind, text = given["kind"], given.get("body")
    values = read_fields(kind, given.get("fields", {}))
    draft = example_draft(instance, kind) if text is None else validated(kind, text)
    if values and not draft.error:
        if first_item(kind, parse(draft.text)) is None:
            raise exceptions.ValidationError(
                {
                    "fields": f"`body` has no item in `{body_key(kind)}` to write them into. Leave `fields` or `body` "
                    "out."
                }
            )
        draft = with_values(instance, kind, draft.text, values)
    if draft.error:
        raise exceptions.ValidationError({"body": draft.error})
    raise_if_ignored(draft, values)
    return draft


def raise_if_ignored(draft: Draft, given: dict[str, str]) -> None:
    """Raises ValidationError with each value that the JSON does not have, such as the name of a group without one."""
    sent = validated(draft.kind, draft.text).values
    ignored = {
        name_in_rest(
            field
        ): f"This value cannot be sent with the others: it would be “{sent.get(field.name, '')}”."
        for field in fields_of(draft.kind)
        if field.name in given and not is_same(field, given[field.name], sent.get(field.name, ""))
    }
    if ignored:
        raise exceptions.ValidationError({"fields": ignored})


def is_same(field: Field, given: str, sent: str) -> bool:
    return digits(given).lstrip("0") == sent.lstrip("0") if field.digits else parse_text(given) == sent


def read_fields(kind: str, given: dict[str, str]) -> dict[str, str]:
    """Returns the values by the names of the page's form. Raises ValidationError with each invalid field."""
    known = {name_in_rest(field): field for field in fields_of(kind)}
    unknown = f"Unknown field. The fields of {kind} are: {', '.join(known) or 'none'}."
    errors = [
        (name, error)
        for name, value in given.items()
        if (error := field_error(known[name], value) if name in known else unknown)
    ]
    if wrong := first_errors(errors):
        raise exceptions.ValidationError({"fields": wrong})
    return {known[name].name: value for name, value in given.items()}


def field_error(field: Field, value: str) -> str:
    """Returns what the value must be; "" if it is valid."""
    values = [choice for choice, _ in field.choices]
    if values and value not in values:
        return f"Must be one of: {', '.join(value or '“”' for value in values)}."
    if field.digits and not DIGITS.fullmatch(value):
        return "Must be digits; “+”, spaces, dashes and brackets are ignored."
    return ""
