"""{% tool_url "simulation" instance.number %}: links from pages of instances to the tools of upper apps."""

from django import template

from instances import tool_links

register = template.Library()
register.simple_tag(tool_links.tool_url)
