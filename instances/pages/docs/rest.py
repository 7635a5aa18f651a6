"""The operations of the REST API and the webhooks as their docs page shows them, from the OpenAPI document."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings
from django.utils.safestring import SafeString
from django.utils.text import slugify

from chatapi.ui.json_text import pretty
from chatapi.ui.request_snippets import short_curl
from instances.pages.docs.credentials import NO_KEY
from instances.pages.docs.markup import highlight_code, render_inline, render_paragraphs
from instances.pages.docs.methods import contains_all
from instances.pages.docs.openapi_document import DOCUMENT, parse

PREFIX = "/api/v1/"
MAX_DEPTH = 3  # of fields in fields; deeper ones are in the example
JSON = "application/json"
# A choice in a description of drf-spectacular: "* `value` - label".
CHOICE = re.compile(r"^\* `([^`]*)` - (.*)$", re.MULTILINE)
PARAMETER = re.compile(r"{(\w+)}")
FORMATS = {"date-time": "time, ISO 8601", "uri": "URL", "email": "e-mail address", "uuid": "UUID"}


class Field(NamedTuple):
    """A field or parameter. `name` is a path such as `results[].state`; `note` says its type and meaning."""

    name: str
    required: bool
    note: SafeString


class Failure(NamedTuple):
    """A status code that refuses a call, which means the same for all operations."""

    status: str
    case: SafeString
    body: str


class Operation(NamedTuple):
    anchor: str
    verb: str
    path: str
    summary: str
    paragraphs: list[SafeString]
    parameters: list[Field]
    fields: list[Field]
    status: str
    reply: str
    reply_html: SafeString
    reply_fields: list[Field]
    failures: list[str]
    body: Any
    example_ids: dict[str, str]
    haystack: str


class Group(NamedTuple):
    name: str
    anchor: str
    operations: list[Operation]


class Example(NamedTuple):
    label: str
    text: str
    html: SafeString


class Webhook(NamedTuple):
    """A kind of hook that endpoints receive."""

    anchor: str
    summary: str
    paragraphs: list[SafeString]
    fields: list[Field]
    examples: list[Example]
    haystack: str


class Reference(NamedTuple):
    """`headers` and `statuses` are those of every webhook: of the request, and what the endpoint responds."""

    groups: list[Group]
    failures: list[Failure]
    webhooks: list[Webhook]
    headers: list[Field]
    statuses: list[Field]


class OperationWithCurl(NamedTuple):
    operation: Operation
    curl: str


@cache
def reference() -> Reference:
    """Returns all operations in their groups, and how they fail. Cached: the process reads the document once."""
    document = parse(DOCUMENT.read_bytes())
    schemas = Schemas(document["components"]["schemas"])
    ids = collect_example_ids(document["paths"])
    shared = document["components"]["responses"]
    groups: dict[str, list[Operation]] = {}
    failures: dict[str, Failure] = {}
    for path, by_verb in document["paths"].items():
        if path.startswith(PREFIX):
            for verb, described in by_verb.items():
                operations = groups.setdefault(described["tags"][0], [])
                operations.append(build_operation(verb.upper(), path, described, schemas, ids))
                for status, response in described["responses"].items():
                    if status >= "400":
                        failures.setdefault(status, build_failure(status, response, shared))
    names = [tag["name"] for tag in document["tags"] if tag["name"] in groups]
    webhooks = [item["post"] for item in document["webhooks"].values()]
    return Reference(
        [Group(name, slugify(name), groups[name]) for name in names],
        [failures[status] for status in sorted(failures)],
        [build_webhook(described, schemas) for described in webhooks],
        [
            build_field(each["name"], each["schema"], each["required"], each["description"])
            for each in webhooks[0]["parameters"]
        ],
        [
            Field(
                "any other status" if status == "default" else status,
                False,
                render_inline(response["description"]),
            )
            for status, response in webhooks[0]["responses"].items()
        ],
    )


def find_operations(query: str) -> list[Group]:
    """Returns the operations whose path, words or fields contain all words of the query; no group is empty."""
    words = query.lower().split()
    found = [
        group._replace(operations=[each for each in group.operations if contains_all(each.haystack, words)])
        for group in reference().groups
    ]
    return [group for group in found if group.operations]


def find_webhooks(query: str) -> list[Webhook]:
    """Returns the webhooks whose words or fields contain all words of the query."""
    words = query.lower().split()
    return [webhook for webhook in reference().webhooks if contains_all(webhook.haystack, words)]


def add_curl(operation: Operation, number: int) -> OperationWithCurl:
    """Adds the example as a command for a POSIX shell, with the number of the reader's instance."""

    def value(match: re.Match[str]) -> str:
        name, before = match[1], operation.path[: match.start()]
        if before == f"{PREFIX}instances/":
            return str(number)
        return operation.example_ids.get(name, re.sub(r"(?<!^)([A-Z])", r"_\1", name).upper())

    path = PARAMETER.sub(value, operation.path)
    verb = "" if operation.verb == "GET" else operation.verb
    headers = {"Authorization": f"Bearer {NO_KEY}"}
    return OperationWithCurl(
        operation, short_curl(f"{settings.SITE_URL}{path}", method=verb, json=operation.body, headers=headers)
    )


def build_operation(
    verb: str, path: str, described: dict[str, Any], schemas: "Schemas", ids: dict[str, str]
) -> Operation:
    parameters = [
        build_field(each["name"], each["schema"], each.get("required", False), each.get("description", ""))
        for each in sorted(described.get("parameters", []), key=lambda each: place_in(path, each["name"]))
    ]
    content = described.get("requestBody", {}).get("content", {}).get(JSON, {})
    responses = described["responses"]
    status = next(status for status in responses if status < "300")
    replied = responses[status].get("content", {}).get(JSON, {})
    example = first_example(replied)
    reply = "" if example is None else pretty(example)
    fields = list(schemas.fields(content.get("schema", {}), without="readOnly"))
    text = described.get("description", "")
    names = " ".join(field.name for field in (*parameters, *fields))
    return Operation(
        anchor=described["operationId"],
        verb=verb,
        path=path,
        summary=described["summary"],
        paragraphs=render_paragraphs(text),
        parameters=parameters,
        fields=fields,
        status=status,
        reply=reply,
        reply_html=highlight_code(reply, "json"),
        reply_fields=list(schemas.fields(replied.get("schema", {}), without="writeOnly")),
        failures=sorted(status for status in responses if status >= "400"),
        body=first_example(content),
        example_ids={
            match[1]: ids[before]
            for match in PARAMETER.finditer(path)
            if (before := f"{path[: match.end()]}/") in ids
        },
        haystack=f"{verb} {path} {described['operationId']} {described['summary']} {text} {names}".lower(),
    )


def build_webhook(described: dict[str, Any], schemas: "Schemas") -> Webhook:
    content = described["requestBody"]["content"][JSON]
    fields = list(
        schemas.fields(content["schema"], without="readOnly", depth=-1)
    )  # the outer level is an envelope
    examples = []
    for example in content["examples"].values():
        text = pretty(example["value"])
        examples.append(Example(example["summary"], text, highlight_code(text, "json")))
    names = " ".join(field.name for field in fields)
    text = described["description"]
    return Webhook(
        anchor=described["operationId"],
        summary=described["summary"],
        paragraphs=render_paragraphs(text),
        fields=fields,
        examples=examples,
        haystack=f"webhook hook {described['operationId']} {described['summary']} {text} {names}".lower(),
    )


def place_in(path: str, name: str) -> int:
    """Returns where the path has this parameter, to sort by; those of the query come after all."""
    return path.find(f"{{{name}}}") % (len(path) + 1)


def first_example(content: dict[str, Any]) -> Any:
    return next((example["value"] for example in content.get("examples", {}).values()), None)


def collect_example_ids(paths: dict[str, Any]) -> dict[str, str]:
    """Returns a value for the last parameter of each path that ends with one, from the example of its GET.

    That is the example's `id`, or its field with the parameter's name, such as the `key` of a bin.
    """
    found = {}
    for path, by_verb in paths.items():
        name = re.search(rf"{PARAMETER.pattern}/$", path)
        if name and "get" in by_verb:
            example = first_example(by_verb["get"]["responses"]["200"].get("content", {}).get(JSON, {}))
            value = example.get("id", example.get(name[1])) if isinstance(example, dict) else None
            if value is not None:
                found[path] = str(value)
    return found


def build_failure(status: str, described: dict[str, Any], shared: dict[str, Any]) -> Failure:
    """`shared` are the responses that others refer to by name."""
    described = shared[described["$ref"].rpartition("/")[2]] if "$ref" in described else described
    example = first_example(described.get("content", {}).get(JSON, {}))
    return Failure(status, render_inline(described["description"]), json.dumps(example, ensure_ascii=False))


def build_field(name: str, schema: dict[str, Any], required: bool, description: str = "") -> Field:
    text = description or schema.get("description", "")
    choices = [(value, label) for value, label in CHOICE.findall(text)]
    text = " ".join(CHOICE.sub("", text).split())
    words = describe_type(schema, choices)
    return Field(name, required, render_inline(f"{words}. {text}" if text else f"{words}."))


def describe_type(schema: dict[str, Any], choices: list[tuple[str, str]]) -> str:
    """Returns the type in words: "string of up to 64 characters, or null"."""
    types = types_of(schema)
    is_nullable = "null" in types or None in schema.get("enum", ())
    type_name = next((name for name in types if name != "null"), "any value")
    if type_name == "array":
        words = describe_type(schema.get("items", {}), choices)
        first, _, rest = words.partition(" ")
        words = f"some {rest}" if words.startswith("one of ") else f"list of {first}s {rest}".strip()
    elif choices or "enum" in schema:
        words = list_choices(
            choices or [(str(value), str(value)) for value in schema["enum"] if value is not None]
        )
    else:
        words = FORMATS.get(schema.get("format", ""), type_name)
        if "maxLength" in schema:
            words += f" of up to {schema['maxLength']:,} characters"
        if "minimum" in schema and "maximum" in schema:
            words += f" from {schema['minimum']} to {schema['maximum']}"
    if "default" in schema:
        words += f", {json.dumps(schema['default'])} if left out"
    if is_nullable:
        words += ", or null"
    return words


def types_of(schema: dict[str, Any]) -> list[str]:
    """Returns the names of the schema's types: in OpenAPI 3.1 they are one name or a list with `null`."""
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else named


def list_choices(choices: list[tuple[str, str]]) -> str:
    """Returns the values, each with its label unless that only repeats it."""
    shown = [
        f"`{value}`" if letters_of(value) == letters_of(label) else f"`{value}` ({label})"
        for value, label in choices
        if value is not None
    ]
    return "one of " + ", ".join(shown) if len(shown) > 1 else "".join(shown)


def letters_of(text: str) -> str:
    return re.sub(r"\W|_", "", text).lower()


class Schemas:
    """The schemas that others refer to by name."""

    def __init__(self, by_name: dict[str, Any]) -> None:
        self.by_name = by_name

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Returns the schema with those that it refers to put in; what it says itself takes precedence."""
        parts = [part for key in ("allOf", "oneOf") for part in schema.get(key, [])]
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf", "oneOf")}
        if "$ref" in schema:
            parts.append(self.by_name[schema["$ref"].rpartition("/")[2]])
        found: dict[str, Any] = {}
        is_nullable = False
        for part in parts:
            resolved = self.resolve(part)
            if types_of(resolved) == ["null"]:
                is_nullable = True
            else:
                found |= resolved
        found |= own
        if is_nullable:
            found["type"] = [*types_of(found), "null"]
        return found

    def fields(
        self, schema: dict[str, Any], *, without: str, prefix: str = "", depth: int = 0
    ) -> Iterator[Field]:
        """Yields the fields of an object or of a list's objects, and those in them, except those marked `without`."""
        schema = self.resolve(schema)
        if "array" in types_of(schema):
            yield from self.fields(
                schema.get("items", {}), without=without, prefix=f"{prefix}[].", depth=depth
            )
            return
        required = schema.get("required", ())
        for name, found in schema.get("properties", {}).items():
            field = self.resolve(found)
            if "array" in types_of(field):
                field = field | {"items": self.resolve(field.get("items", {}))}
            if field.get(without):
                continue
            yield build_field(f"{prefix.replace('.[]', '[]')}{name}", field, name in required)
            if depth + 1 < MAX_DEPTH:
                inner = f"{prefix}{name}" if "array" in types_of(field) else f"{prefix}{name}."
                yield from self.fields(field, without=without, prefix=inner, depth=depth + 1)
