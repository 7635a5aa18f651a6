"""The JSON Schemas (2020-12) of hooks and alerts, generated from the types of their bodies.

instances/payload_types.py and instances/alert_payloads.py have the types.
"""

import inspect
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from hooks.models import Kind
from instances.alert_payloads import IssuesAlert
from instances.payload_types import AckHook, ChatHook, MessageHook, StatusHook

# Kind of hook → the type of its body.
BODIES: dict[Kind, Any] = {
    Kind.MESSAGE: MessageHook,
    Kind.ACK: AckHook,
    Kind.STATUS: StatusHook,
    Kind.CHAT: ChatHook,
}
SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Any: {},
}


def hook_schemas() -> dict[str, dict[str, Any]]:
    """Returns the schema of each body and of each object in it, by name. They refer to each other as components."""
    found: dict[str, dict[str, Any]] = {}
    for body in (*BODIES.values(), IssuesAlert):
        describe(body, found)
    return dict(sorted(found.items()))


def describe(hint: Any, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the schema of a type. An object is added to `found`, and referred to.

    Raises:
        TypeError: a type that bodies do not have yet.
    """
    if is_typeddict(hint):
        if hint.__name__ not in found:
            found[hint.__name__] = {}
            found[hint.__name__] = describe_object(hint, found)
        return {"$ref": f"#/components/schemas/{hint.__name__}"}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        schema = describe(arguments[0], found)
        for note in arguments[1:]:
            schema |= {"description": note} if isinstance(note, str) else note
        return schema
    if origin is NotRequired:
        return describe(arguments[0], found)
    if origin is list:
        return {"type": "array", "items": describe(arguments[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": describe(arguments[1], found)}
    if origin is UnionType:
        return describe_union([describe(one, found) for one in arguments])
    if hint in SIMPLE:  # last: an Annotated with a dict cannot be looked up
        return dict(SIMPLE[hint])
    raise TypeError(f"{hint} has no JSON Schema yet.")


def describe_object(hint: Any, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the schema of a TypedDict. Further keys are allowed, so that a later version can add one."""
    return {
        "type": "object",
        "description": " ".join((inspect.getdoc(hint) or "").split()),
        "properties": {
            name: describe(each, found) for name, each in get_type_hints(hint, include_extras=True).items()
        },
        "required": [name for name in hint.__annotations__ if name in hint.__required_keys__],
    }


def describe_union(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the schema of a type or null; that of an object stays a reference."""
    if any("$ref" in schema for schema in schemas):
        return {"oneOf": schemas}
    merged: dict[str, Any] = {}
    for schema in schemas:
        merged |= schema
    return merged | {"type": [schema["type"] for schema in schemas]}
