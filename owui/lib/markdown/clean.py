"""The last lock: whatever the writer produced passes an allow-list before it leaves this package."""

from __future__ import annotations

import re

import nh3

from . import code, formula
from .labels import words

_HTML = words(
    """a blockquote br button code del div em h3 h4 h5 h6 hr img input kbd li mark ol p pre s small span strong sub sup
    table tbody td th thead tr u ul"""
)
_CLASSES: dict[str, set[str]] = {
    "blockquote": {"alert", "alert-note", "alert-tip", "alert-important", "alert-warning", "alert-caution"},
    "button": {"code-copy"},
    "code": {"math-error"},
    "div": {"code", "code-head", "footnote", "table-scroll", "html-source"},
    "li": {"task"},
    "ol": {"list-more"},
    "ul": {"list-more"},
    "p": {"alert-title"},
    "span": {"code-lang", *code.CLASSES},
    "sup": {"cite", "footnote-ref"},
    "td": {"left", "center", "right"},
    "th": {"left", "center", "right"},
    **{f"h{level}": {f"md-h{number}" for number in range(1, 7)} for level in range(3, 7)},
}
_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "button": {"data-copy", "data-cite", "aria-label"},
    "div": {"data-lang"},
    "img": {"src", "alt", "title"},
    "input": {"checked", "aria-label"},
    "ol": {"start"},
    **{name: set(formula.ATTRIBUTES) for name in formula.ELEMENTS},
}
_SAFE_PATH = r"[\w.~%/?&=#+,@!:-]*"
# One leading slash at most, no backslash, no control character: browsers read `/\host` and `/<tab>/host` as a host.
_LOCAL = re.compile(rf"(?:/(?![/\\]){_SAFE_PATH}|\.{{1,2}}/{_SAFE_PATH}|\w[\w.~%/?&=#+,@!-]*)", re.ASCII)
_LOCAL_LINK = re.compile(rf"/(?![/\\]){_SAFE_PATH}|#[\w-]*", re.ASCII)
_REMOTE = re.compile(r"(?:https?://[^\s\\/]|mailto:)[^\x00-\x20\x7f\\]*", re.IGNORECASE)
_DATA_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+", re.ASCII)


def link(url: str) -> bool:
    """A link may go to the web, to a mailbox or to a path of this server, and nowhere else."""
    return bool(_REMOTE.fullmatch(url) or _LOCAL_LINK.fullmatch(url))


def remote(url: str) -> bool:
    return bool(_REMOTE.fullmatch(url))


def image(url: str) -> bool:
    """Only what the browser fetches from here: an image elsewhere tells that server what the model was told."""
    return bool(_LOCAL.fullmatch(url) or _DATA_IMAGE.fullmatch(url))


def _filter(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if tag == "img" and image(value) else None
    if name == "href":
        return value if tag == "a" and link(value) else None
    return value


def _cleaner(*, pictures: bool) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set((_HTML | formula.ELEMENTS) - (set() if pictures else {"img"})),
        clean_content_tags={"script", "style"},
        attributes=_ATTRIBUTES,
        # Called for every attribute, therefore only where an image or link was written.
        attribute_filter=_filter if pictures else None,
        tag_attribute_values={
            "pre": {"tabindex": {"0"}},
            "div": {"tabindex": {"0"}},
            "button": {"type": {"button"}},
            "img": {"loading": {"lazy"}},
            "input": {"type": {"checkbox"}, "disabled": {""}},
        },
        # The writer writes these already: what is missing would be added in an order that differs between processes.
        set_tag_attribute_values={
            "a": {"target": "_blank"},
            "button": {"type": "button"},
            "img": {"loading": "lazy"},
            "input": {"type": "checkbox", "disabled": ""},
        },
        link_rel="noopener noreferrer nofollow",
        url_schemes={"http", "https", "mailto", "data"} if pictures else {"http", "https", "mailto"},
        allowed_classes=_CLASSES,
    )


# Cleaners are costly to build and safe to share between threads.
_PLAIN = _cleaner(pictures=False)
_PICTURES = _cleaner(pictures=True)


def clean(html: str) -> str:
    return (_PICTURES if "<img" in html else _PLAIN).clean(html)
