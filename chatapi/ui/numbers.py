"""Whole numbers from outside: keys, instance numbers and lengths in URLs, query strings and headers."""

# 18 digits always fit into PostgreSQL's bigint.
KEY_DIGITS = 18
# No instance number has more (instances.models.new_number).
INSTANCE_NUMBER_DIGITS = 10


def parse_digits(text: str | None, *, max_digits: int = KEY_DIGITS) -> int | None:
    """Returns the number; None if the text is not ASCII digits or has more than `max_digits`.

    Python refuses to convert texts of thousands of digits, and the database cannot compare numbers beyond a bigint.
    """
    if not text or len(text) > max_digits or not text.isascii() or not text.isdigit():
        return None
    return int(text)
