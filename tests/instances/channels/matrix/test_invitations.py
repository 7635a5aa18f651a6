"""How many rooms an account joins, and when it joins more."""

from __future__ import annotations

from instances.channels.matrix.invitations import (
    HOUR,
    MAX_ROOMS,
    PER_HOUR,
    SENDER_PER_HOUR,
    JoinLimits,
    limits_of,
)


def test_one_user_and_all_users_have_a_limit_for_each_hour() -> None:
    now = 0.0
    limits = JoinLimits(lambda: now)
    for number in range(PER_HOUR):
        sender = f"@user{number // SENDER_PER_HOUR}:example.org"
        assert limits.refusal(sender, 0) == ""
        limits.count(sender)
        if number == SENDER_PER_HOUR - 1:
            assert limits.refusal(sender, 0) == "this user has invited it to 30 rooms within an hour"
    assert limits.refusal("@new:example.org", 0) == "the account has joined 300 rooms within an hour"
    now = HOUR
    assert limits.refusal("@user0:example.org", 0) == ""


def test_an_account_in_too_many_rooms_joins_none() -> None:
    limits = JoinLimits()
    assert limits.refusal("@ann:example.org", MAX_ROOMS - 1) == ""
    assert limits.refusal("@ann:example.org", MAX_ROOMS) == "the account is in 5,000 rooms"


def test_a_new_connection_of_an_account_has_the_same_limits() -> None:
    assert limits_of("@bot:example.org") is limits_of("@bot:example.org")
    assert limits_of("@bot:example.org") is not limits_of("@other:example.org")
