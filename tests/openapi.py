"""JSON Schema validators for parts of the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

URI = "urn:openapi"


def pointer(*path: str) -> str:
    """Returns the JSON pointer of a place in the document."""
    return "#/" + "/".join(
        part.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D") for part in path
    )


def validator(document: Any, place: str) -> Draft202012Validator:
    """Returns a validator for the schema at this pointer."""
    resource: Resource[Any] = Resource.from_contents(document, default_specification=DRAFT202012)
    registry: Registry[Any] = Registry().with_resource(URI, resource)
    return Draft202012Validator(
        {"$ref": f"{URI}{place}"}, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def key_orders(document: Any, name: str, value: Any) -> list[str]:
    """Returns the names of the schemas whose objects in `value` have other keys, or have them in another order."""
    schemas = document["components"]["schemas"]

    def walk(schema: Any, found: Any) -> Iterator[str]:
        if "$ref" in schema:
            yield from walk_object(schema["$ref"].rpartition("/")[2], found)
        elif "items" in schema:
            for each in found:
                yield from walk(schema["items"], each)
        elif "oneOf" in schema and found is not None:
            yield from walk(schema["oneOf"][0], found)

    def walk_object(of: str, found: Any) -> Iterator[str]:
        schema = schemas[of]
        wanted = [key for key in schema["properties"] if key in found or key in schema["required"]]
        if list(found) != wanted:
            yield of
        for key in found:
            yield from walk(schema["properties"].get(key, {}), found[key])

    return list(walk_object(name, value))
