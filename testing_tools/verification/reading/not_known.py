"""What a bin cannot know about a request, in words for its page, its exports and the documentation.

A bin is a view of the site, so it sees a request as the web server (granian) passes it on by WSGI: the path unescaped,
without the original, and the headers as a mapping from upper-case names, in which "-" is "_", to ASCII values.
"""

NOT_KNOWN = (
    "The path's escapes: %2F and / look the same, and so do %41 and A.",
    "The case of header names, and whether a “-” was a “_”. Of names that differ only in that, the last one is shown.",
    "The order of the headers. A header that was sent several times is one, with its values joined by commas.",
    "A value with characters other than ASCII, which is shown as empty.",
    "The version of HTTP.",
)
KNOWN = "The query and the body are byte for byte as sent."
NO_VALUE = "empty, or not ASCII"
SUMMARY = (
    "The web server passes requests on in a changed form. Not known: " + " ".join(NOT_KNOWN) + " " + KNOWN
)
