"""`instance.channel|channel_icon`: the name of a channel's icon, for {% icon %}."""

from django import template

from instances.pages import channel_icons

register = template.Library()
register.filter(channel_icons.channel_icon)
