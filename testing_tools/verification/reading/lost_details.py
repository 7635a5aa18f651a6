"""The details of a request that a bin cannot show, as sentences for its page, its exports and the documentation.

A bin is a view of the site and receives a request through WSGI, as the web server (granian) passes it: the path is
unescaped and the original is missing; the headers are a mapping from upper-case names, with "_" for "-", to ASCII
values.
"""

LOST_DETAILS = (
    "The path's escapes: %2F and / look the same, and so do %41 and A.",
    "The case of header names, and whether a “-” was a “_”. Of names that differ only in that, the last one is shown.",
    "The order of the headers. A header that was sent several times is one, with its values joined by commas.",
    "Values with non-ASCII characters, which are shown as empty.",
    "The version of HTTP.",
)
EXACT_PARTS = "The query and the body are byte for byte as sent."
EMPTY_VALUE = "empty, or not ASCII"
SUMMARY = (
    "The web server passes requests to the site in a changed form. These details are lost: "
    + " ".join(LOST_DETAILS)
    + " "
    + EXACT_PARTS
)
