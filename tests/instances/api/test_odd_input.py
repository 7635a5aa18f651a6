"""What Python reads but neither UTF-8 nor PostgreSQL can hold is refused in words, and is never a fault of ours."""

import pytest

from tests.instances.api.conftest import Caller

LONG = "9" * 5000


@pytest.mark.parametrize(
    "data",
    [{"\ud800": 1}, {"webhookUrl": "http://\ud800/"}, {"name": "\udfff"}, {"settings": [{"x": "\ud800"}]}],
)
def test_half_a_surrogate_pair_is_refused(alice: Caller, data: dict[str, object]) -> None:
    assert alice.patch(alice.home, data) == (  # json.dumps escapes it, as clients do
        400,
        {"error": "JSON parse error - a lone surrogate is not a character"},
    )


def test_a_whole_surrogate_pair_is_a_character(alice: Caller) -> None:
    status, shown = alice.patch(alice.home, {"name": "\N{GRINNING FACE}"})
    assert (status, shown["name"]) == (200, "\N{GRINNING FACE}")


def test_a_number_of_thousands_of_digits_is_no_instance(alice: Caller) -> None:
    assert alice.get(f"instances/{LONG}/") == (
        404,
        {"error": f"Your account has no instance {LONG}."},
    )
