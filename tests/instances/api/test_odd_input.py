"""Input that UTF-8 and PostgreSQL cannot store is rejected with an error, never a 500."""

import pytest
from rest_framework import serializers

from instances.api.sandbox.fields import WholeCharacters, check_characters_at_once
from tests.instances.api.conftest import ApiClient

LONG = "9" * 5000


@pytest.mark.parametrize(
    "data",
    [{"\ud800": 1}, {"webhookUrl": "http://\ud800/"}, {"name": "\udfff"}, {"settings": [{"x": "\ud800"}]}],
)
def test_half_a_surrogate_pair_is_refused(alice: ApiClient, data: dict[str, object]) -> None:
    assert alice.patch(alice.home, data) == (  # json.dumps escapes it, as clients do
        400,
        {"error": "JSON parse error - a lone surrogate is not a character"},
    )


def test_a_whole_surrogate_pair_is_a_character(alice: ApiClient) -> None:
    status, shown = alice.patch(alice.home, {"name": "\N{GRINNING FACE}"})
    assert (status, shown["name"]) == (200, "\N{GRINNING FACE}")


@pytest.mark.parametrize(
    "text", ["ab", "\N{GRINNING FACE}\ud7ff\ue000", "a\ud800b", "\udfff\udbff", "a\x00b"]
)
def test_the_check_at_once_finds_the_same_characters(text: str) -> None:
    found = []
    for is_quick in (False, True):
        field = serializers.CharField()
        if is_quick:
            check_characters_at_once(field)
            assert any(isinstance(one, WholeCharacters) for one in field.validators)
        try:
            found.append(field.run_validation(text))
        except serializers.ValidationError as error:
            found.append(error.detail)
    assert found[0] == found[1]


def test_a_number_of_thousands_of_digits_is_no_instance(alice: ApiClient) -> None:
    assert alice.get(f"instances/{LONG}/") == (
        404,
        {"error": f"Your account has no instance {LONG}."[:999] + "…"},
    )
