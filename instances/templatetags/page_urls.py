"""{% page_url "log:hook" hook.public_id as hook_url %}: a page's URL where another app shows the same content.

The support desk shows a customer's hook and message in its own frame. It passes `page_names` to these templates: its
own URL names by those of the account's pages, with the same arguments.
"""

from typing import Any

from django import template
from django.template import Context
from django.urls import reverse

register = template.Library()


@register.simple_tag(takes_context=True)
def page_url(context: Context, name: str, *arguments: Any) -> str:
    """The URL of the page, or of the one that `page_names` has for it; "" if it has none."""
    names = context.get("page_names")
    shown = name if names is None else names.get(name, "")
    return reverse(shown, args=arguments) if shown else ""
