"""Filters of the bin: the icon of a capture, sizes, and a sentence with emphasis."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chatapi.ui import sizes
from testing_tools.verification.models import Capture, Family
from testing_tools.verification.reading.sentences import Sentence

register = template.Library()

ICONS = {
    Family.MESSAGE: "message-circle",
    Family.ACK: "checks",
    Family.STATUS: "device-mobile",
    Family.CHAT: "messages",
    Family.OTHER: "code",
}


@register.filter
def family_icon(capture: Capture) -> str:
    """Returns the icon of the capture's family, from static/vendor/tabler-icons."""
    return "alert-triangle" if capture.too_large else ICONS[Family(capture.family)]


@register.filter
def file_size(size: int) -> str:
    """Returns 512 as "512 B", 3482 as "3.4 KB"."""
    return sizes.in_words(size)


@register.filter
def emphasised(sentence: Sentence) -> SafeString:
    """Returns the sentence with its emphasised word in <em>."""
    return format_html("{} <em>{}</em>{}", sentence.before, sentence.emphasis, sentence.after)
