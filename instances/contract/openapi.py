"""The wire contract's part of the OpenAPI document, made of registry.METHODS and their examples.

Each method has the verbs by which it is documented, though it answers GET and POST alike, and the first of the
three address forms. An argument stands in the query of a GET and in the JSON of a POST, though any place will do.
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
        "description": "The instance's token, on its page and in `GET /api/v1/instances/{id}/`.",
    },
    "instanceBearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The instance's token, where it is not to stand in access logs.",
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
    "description": "The instance's number.",
    "schema": {"type": "string", "pattern": "^[0-9]{1,10}$"},
}
ERROR = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
# Status → what it means, and the sentence of an example.
REFUSALS = {
    400: ("An argument is wrong, or the body is not JSON", "limit takes a whole number from 0 to 2147483647"),
    401: (
        "The token or the key is missing or wrong",
        "Wrong token. Please provide token as a GET parameter.",
    ),
    402: ("The instance is not paid", "Instance is not paid. Please pay for it in your account."),
    403: ("The instance is stopped, or its account is blocked", "Instance is stopped. Ask its operator."),
    404: ("There is no such instance, or not what the call is about", "Instance not found"),
    429: ("Too many calls; `Retry-After` says when to go on", "Too many calls. Try again in 12 seconds."),
}


def add_contract(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """drf-spectacular's hook: puts the contract's paths behind those of REST."""
    rest = list(result["paths"].values())
    for group, method, example in described():
        path = f"/{method.name}" if method.by_uid else f"/instance{{instanceId}}/{method.name}"
        result["paths"][path] = {
            verb.lower(): operation(group, method, example, verb) for verb in method.verbs
        }
    result["components"].setdefault("securitySchemes", {}).update(SECURITY_SCHEMES)
    result["components"].setdefault("responses", {}).update(
        {f"Contract{status}": refusal(*words) for status, words in REFUSALS.items()}
    )
    # those without a place here come last: so the ones of REST are named first, in the order of their paths
    first = dict.fromkeys(name for path in rest for each in path.values() for name in each["tags"])
    result["tags"] = [
        *({"name": name} for name in first),
        *({"name": tag(group), "description": "The wire contract."} for group in GROUPS),
    ]
    return result


def tag(group: str) -> str:
    return f"Contract: {group}"


def operation(group: str, method: Method, example: Example, verb: str) -> dict[str, Any]:
    summary, text = words(method)
    parameters = [] if method.by_uid else [INSTANCE_ID]
    made: dict[str, Any] = {
        "operationId": f"contract_{method.name}" + ("" if verb == method.verbs[0] else f"_{verb.lower()}"),
        "tags": [tag(group)],
        "summary": summary,
        "description": text,
        "security": UID if method.by_uid else TOKEN,
    }
    if verb == "GET":
        parameters = [*parameters, *queries(method, example)]
    elif method.arguments:
        made["requestBody"] = {
            "content": {
                "application/json": {
                    "schema": body_schema(method),
                    "examples": {"Example": {"value": example.given}},
                }
            }
        }
    made["parameters"] = parameters
    made["responses"] = responses(method, example)
    return made


def words(method: Method) -> tuple[str, str]:
    """The first sentence of the method's docstring without its full stop, and the whole; other names at the end."""
    text = inspect.cleandoc(method.function.__doc__ or "").replace(" (*ours*)", "")
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    first = re.split(r"(?<=[a-z\d`)])[.;:] |\.?\n|\.$", text, maxsplit=1)[0]
    if method.aliases:
        text += f"\n\nAlso by the name {', '.join(f'`{name}`' for name in method.aliases)}."
    if method.refusal:
        text += f"\n\nRefused, it answers 200 with `{method.refusal}` {json.dumps(method.failed)} and why as `message`."
    return first, text


def names(argument: Argument) -> list[str]:
    """The keys by which it is documented: of a needed one all, as one of them must come."""
    return [argument.wire, *(argument.aliases if argument.required else ())]


def meaning(argument: Argument) -> str:
    """What the argument takes, and what is so when it does not come."""
    text = argument.takes[0].upper() + argument.takes[1:]
    default = argument.default
    if default in (NOT_GIVEN, None, "", ()) or default is False:
        return text
    return f"{text.rstrip('.')}. Default: {json.dumps(default)}."


def queries(method: Method, example: Example) -> list[dict[str, Any]]:
    found = []
    for argument in method.arguments:
        for name in names(argument):
            query = {
                "in": "query",
                "name": name,
                "required": argument.required and len(names(argument)) == 1,
                "description": meaning(argument),
                "schema": dict(argument.schema),
            }
            if name in example.given:
                query["example"] = example.given[name]
            found.append(query)
    return found


def body_schema(method: Method) -> dict[str, Any]:
    properties = {
        name: {**argument.schema, "description": meaning(argument)}
        for argument in method.arguments
        for name in names(argument)
    }
    required = [argument.wire for argument in method.arguments if argument.required and not argument.aliases]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def responses(method: Method, example: Example) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if example.reply == PNG:
        found["200"] = {
            "description": "A picture",
            "content": {PNG: {"schema": {"type": "string", "format": "binary"}}},
        }
    else:
        found["200"] = {
            "description": "Done, or refused with a reason" if method.refusal else "Done",
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "examples": {"Example": {"value": example.reply}},
                }
            },
        }
    for status in REFUSALS:
        if status != 402 or not (method.unpaid or method.by_uid):
            found[str(status)] = {"$ref": f"#/components/responses/Contract{status}"}
    return found


def refusal(description: str, sentence: str) -> dict[str, Any]:
    examples = {"Example": {"value": {"error": sentence}}}
    return {
        "description": description,
        "content": {"application/json": {"schema": ERROR, "examples": examples}},
    }
