"""Numbers from outside: keys, instance numbers and lengths in URLs, query strings and headers; phone numbers."""

import unicodedata

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


def clean_number(text: str) -> str:
    """The text without spaces and invisible format characters (Unicode classes Zs and Cf); every dash (Pd) is "-".

    Phones and address books put such characters around and between the digits that people copy: U+202A…202C,
    U+2066…2069, U+00A0, U+2011, U+FEFF.
    """
    if text.isascii():
        return text.strip().replace(" ", "")
    replacements = {"Zs": "", "Cf": "", "Pd": "-"}
    return "".join(replacements.get(unicodedata.category(letter), letter) for letter in text).strip()
