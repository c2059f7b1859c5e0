"""`{% icon "copy" %}`: a symbol of static/owui/icons.svg, decorative. Built into all templates: a page has dozens."""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.conf import settings
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
    return _svg(settings.STATIC_URL, name, extra)


@lru_cache(maxsize=500)
def _svg(below: str, name: str, extra: str) -> SafeString:
    """
    :param below: where static files are; the names of packed ones do not change while a process runs
    """
    classes, url = f"icon {extra}" if extra else "icon", static("owui/icons.svg")
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>', classes, url, name)
