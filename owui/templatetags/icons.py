"""`{% icon "copy" %}`: a symbol of static/owui/icons.svg, decorative. Built into all templates: a page has dozens."""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """
    :param name: of the symbol
    :param extra: classes
    """
    return _svg(static("owui/icons.svg"), name, extra)


@lru_cache(maxsize=500)
def _svg(url: str, name: str, extra: str) -> SafeString:
    classes = f"icon {extra}" if extra else "icon"
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>', classes, url, name)
