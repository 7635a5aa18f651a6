"""The wire contract's part of the OpenAPI document, generated from registry.METHODS and their examples.

Each method is shown with its documented verbs, though it accepts GET and POST alike, and in the first of the three URL
forms. Arguments are in the query of a GET and in the JSON of a POST, though every other place works too.
"""

import inspect
import json
import re
from typing import Any

from instances.contract.arguments import NOT_GIVEN, Argument
from instances.contract.examples import GROUPS, PNG, Example, described
from instances.contract.registry import Method

TOKEN: list[dict[str, list[str]]] = [{"instanceToken": []}, {"instanceBearer": []}]
UID: list[dict[str, list[str]]] = [{"accountUid": []}, {"accountKey": []}]
SECURITY_SCHEMES = {
    "instanceToken": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The instance's token, shown on its page and by `GET /api/v1/instances/{id}/`.",
    },
    "instanceBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The instance's token, sent so that it does not appear in access logs.",
    },
    "accountUid": {
        "type": "apiKey",
        "in": "query",
        "name": "uid",
        "description": "The account's key, as clients of the original API send it.",
    },
}
INSTANCE_ID = {
    "in": "path",
    "name": "instanceId",
    "required": True,
    "description": "The instance's id.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,10}$"},
}
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
# Status code → its description and the sentence of an example.
ERRORS = {
    400: (
        "An argument is invalid, or the body is not JSON",
        "`limit` must be a whole number from 0 to 2147483647.",
    ),
    401: (
        "The token or the key is missing or wrong",
        "Wrong token. Please provide token as a GET parameter.",
    ),
    402: ("The instance is not paid", "Instance is not paid. Please pay for it in your account."),
    403: (
        "The instance is stopped, its account is blocked, or the key does not have the scope",
        "Instance is stopped. Ask its operator.",
    ),
    404: ("The instance, or what the call refers to, does not exist", "Instance not found"),
    429: (
        "Too many calls; `Retry-After` gives the seconds to wait",
        "Too many calls. Try again in 12 seconds.",
    ),
}


def add_contract(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's post-processing hook: adds the contract's paths after those of REST."""
    rest = list(result["paths"].values())
    for group, method, example in described():
        path = f"/{method.name}" if method.by_uid else f"/instance{{instanceId}}/{method.name}"
        result["paths"][path] = {
            verb.lower(): describe_operation(group, method, example, verb) for verb in method.verbs
        }
    result["components"].setdefault("securitySchemes", {}).update(SECURITY_SCHEMES)
    result["components"].setdefault("responses", {}).update(
        {f"Contract{status}": error_response(*texts) for status, texts in ERRORS.items()}
    )
    # Tags that are not listed here are shown last, so those of REST are listed too, in the order of their paths.
    rest_tags = dict.fromkeys(
        tag for path in rest for operation in path.values() for tag in operation["tags"]
    )
    result["tags"] = [
        *({"name": name} for name in rest_tags),
        *({"name": group_tag(group), "description": "The wire contract."} for group in GROUPS),
    ]
    return result


def group_tag(group: str) -> str:
    return f"Contract: {group}"


def describe_operation(group: str, method: Method, example: Example, verb: str) -> dict[str, Any]:
    summary, description = read_docstring(method)
    parameters = [] if method.by_uid else [INSTANCE_ID]
    operation: dict[str, Any] = {
        "operationId": f"contract_{method.name}" + ("" if verb == method.verbs[0] else f"_{verb.lower()}"),
        "tags": [group_tag(group)],
        "summary": summary,
        "description": description,
        "security": UID if method.by_uid else TOKEN,
    }
    if method.scopes:
        names = [scope.value for scope in method.scopes]
        operation["x-required-scope"] = names[0] if len(names) == 1 else names
        words = ", ".join(f"`{name}`" for name in names)
        operation["description"] += f"\n\nThe key needs the scope{'s' * (len(names) > 1)} {words}."
    if verb == "GET":
        parameters = [*parameters, *query_parameters(method, example)]
    elif method.arguments:
        operation["requestBody"] = {
            "content": {
                "application/json": {
                    "schema": body_schema(method),
                    "examples": {"Example": {"value": example.given}},
                }
            }
        }
    operation["parameters"] = parameters
    operation["responses"] = describe_responses(method, example)
    return operation


def read_docstring(method: Method) -> tuple[str, str]:
    """The first sentence of the method's docstring without its full stop, and the whole text with its aliases."""
    text = inspect.cleandoc(method.function.__doc__ or "").replace(" (*ours*)", "")
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    first = re.split(r"(?<=[a-z\d`)])[.;:] |\.?\n|\.$", text, maxsplit=1)[0]
    if method.aliases:
        text += f"\n\nAlias: {', '.join(f'`{name}`' for name in method.aliases)}."
    if method.failure_key:
        value = json.dumps(method.failure_value)
        text += (
            f"\n\nA failed call responds 200 with `{method.failure_key}` {value} and the reason in `message`."
        )
    return first, text


def documented_names(argument: Argument) -> list[str]:
    """The keys that are documented: all names of a required argument, since one of them must be sent."""
    return [argument.wire, *(argument.aliases if argument.required else ())]


def describe_argument(argument: Argument) -> str:
    """The argument's description and its default."""
    text = argument.description[0].upper() + argument.description[1:]
    default = argument.default
    if default in (NOT_GIVEN, None, "", ()) or default is False:
        return text
    return f"{text.rstrip('.')}. Default: {json.dumps(default)}."


def query_parameters(method: Method, example: Example) -> list[dict[str, Any]]:
    parameters = []
    for argument in method.arguments:
        names = documented_names(argument)
        for name in names:
            parameter = {
                "in": "query",
                "name": name,
                "required": argument.required and len(names) == 1,
                "description": describe_argument(argument),
                "schema": dict(argument.schema),
            }
            if name in example.given:
                parameter["example"] = example.given[name]
            parameters.append(parameter)
    return parameters


def body_schema(method: Method) -> dict[str, Any]:
    properties = {
        name: {**argument.schema, "description": describe_argument(argument)}
        for argument in method.arguments
        for name in documented_names(argument)
    }
    required = [argument.wire for argument in method.arguments if argument.required and not argument.aliases]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def describe_responses(method: Method, example: Example) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if example.reply == PNG:
        responses["200"] = {
            "description": "An image",
            "content": {PNG: {"schema": {"type": "string", "format": "binary"}}},
        }
    else:
        responses["200"] = {
            "description": "Done, or failed with a reason" if method.failure_key else "Done",
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "examples": {"Example": {"value": example.reply}},
                }
            },
        }
    for status in ERRORS:
        if status != 402 or not (method.works_unpaid or method.by_uid):
            responses[str(status)] = {"$ref": f"#/components/responses/Contract{status}"}
    return responses


def error_response(description: str, sentence: str) -> dict[str, Any]:
    examples = {"Example": {"value": {"error": sentence}}}
    return {
        "description": description,
        "content": {"application/json": {"schema": ERROR, "examples": examples}},
    }
