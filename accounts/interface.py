"""What people may switch on the page, and its keys: one table each, which settings page, help and scripts read.

The names are the field's, so that settings that were brought along go on to count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import preferences
from accounts.models import User
from owui.lib.errors import UserError
from owui.lib.languages import number
from rbac.permissions import may

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

KEYBOARD = "keyboardShortcuts"
#: sections of the settings page
CHAT, NOTICES, SPEECH = "chat", "notices", "speech"
LARGEST_PICTURE = 10_000


@dataclass(frozen=True, slots=True)
class Toggle:
    """A switch of the interface page. A dot in the name leads into an object."""

    name: str
    label: _StrOrPromise
    help: _StrOrPromise = ""
    default: bool = False
    group: str = CHAT
    #: a permission that the switch means nothing without
    key: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values; with `is_open` any other text as well, of which the browser knows what it may be.

    With `most` it is a whole number up to that, or none.
    """

    name: str
    label: _StrOrPromise
    values: Sequence[tuple[str, _StrOrPromise]]
    group: str = CHAT
    key: str = ""
    is_open: bool = False
    most: int = 0


TOGGLES = (
    Toggle("ctrlEnterToSend", gettext_lazy("Ctrl Enter sends"), gettext_lazy("Enter alone begins a new line.")),
    Toggle(
        "largeTextAsFile",
        gettext_lazy("Long pasted text becomes a file"),
        gettext_lazy("From 1,000 characters on; the message stays short."),
    ),
    Toggle("temporaryChatByDefault", gettext_lazy("New chats are temporary"), gettext_lazy("They are not stored.")),
    Toggle("copyFormatted", gettext_lazy("Copy answers with their formatting")),
    Toggle(
        "scrollOnResponseGeneration",
        gettext_lazy("Follow the answer while it is written"),
        default=True,
    ),
    Toggle(
        "detectArtifacts",
        gettext_lazy("Open pages and drawings beside the chat"),
        gettext_lazy("When an answer that holds one is written; the Preview button is there either way."),
        default=True,
    ),
    Toggle(
        "regenerateMenu",
        gettext_lazy("Ask how an answer shall be written again"),
        gettext_lazy("With more details, more concise, or as I say. Otherwise the button asks again at once."),
        default=True,
        key="chat.regenerate_response",
    ),
    Toggle("title.auto", gettext_lazy("Give my chats a title after the first answer"), default=True),
    Toggle("autoTags", gettext_lazy("Give my chats tags"), default=True),
    Toggle("autoFollowUps", gettext_lazy("Suggest questions that could follow"), default=True),
    Toggle("keepFollowUpPrompts", gettext_lazy("Keep the suggestions under older answers")),
    Toggle(
        "insertFollowUpPrompt",
        gettext_lazy("Put a suggestion into the message"),
        gettext_lazy("Instead of sending it at once."),
    ),
    Toggle(
        "enableMessageQueue",
        gettext_lazy("Let messages wait while an answer is written"),
        gettext_lazy("Otherwise a new message stops the answer."),
        default=True,
    ),
    Toggle(
        "imageCompression",
        gettext_lazy("Make pictures smaller before they are sent"),
        gettext_lazy("To the width and height below. Small pictures, GIF and SVG stay as they are."),
        key="chat.file_upload",
    ),
    Toggle("widescreenMode", gettext_lazy("Wide text"), gettext_lazy("Conversations use the width of the window.")),
    Toggle("highContrastMode", gettext_lazy("High contrast")),
    Toggle(
        "notificationEnabled",
        gettext_lazy("Tell me outside this page"),
        gettext_lazy("When an answer is finished that I am not looking at. The browser asks for its permission once."),
        group=NOTICES,
    ),
    Toggle("notificationSound", gettext_lazy("Play a sound with it"), group=NOTICES),
    Toggle(
        "responseAutoPlayback",
        gettext_lazy("Read each answer aloud when it is finished"),
        group=SPEECH,
        key="chat.tts",
    ),
)
CHOICES = (
    Choice(
        "textScale",
        gettext_lazy("Size of text"),
        (("", "100 %"), ("1.1", "110 %"), ("1.25", "125 %"), ("1.5", "150 %")),
    ),
    Choice(
        "chatDirection",
        gettext_lazy("Direction of text"),
        (("auto", gettext_lazy("As written")), ("LTR", gettext_lazy("Left to right")),
         ("RTL", gettext_lazy("Right to left"))),
    ),
    Choice("imageCompressionSize.width", gettext_lazy("Widest picture, in pixels"), (), key="chat.file_upload",
           most=LARGEST_PICTURE),
    Choice("imageCompressionSize.height", gettext_lazy("Highest picture, in pixels"), (), key="chat.file_upload",
           most=LARGEST_PICTURE),
    Choice("audio.tts.voice", gettext_lazy("Voice"), (("", gettext_lazy("The browser's own")),), SPEECH, "chat.tts",
           is_open=True),
    Choice(
        "audio.tts.playbackRate",
        gettext_lazy("Speed of reading"),
        (("", "100 %"), ("0.75", "75 %"), ("1.25", "125 %"), ("1.5", "150 %"), ("2", "200 %")),
        SPEECH,
        "chat.tts",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shortcut:
    """Keys for an action. `mod` is Ctrl, on a Mac Command."""

    name: str
    label: _StrOrPromise
    keys: str
    #: a person may choose others
    is_free: bool = True

    @property
    def caps(self) -> list[str]:
        """What stands on the keys, in order."""
        return [_CAPS.get(key, key.capitalize()) for key in split(self.keys)]


_CAPS = {"mod": "Ctrl", "escape": "Esc", "arrowup": "↑", "backspace": "Backspace"}
SHORTCUTS = (
    Shortcut("new", gettext_lazy("New chat"), "mod+shift+o"),
    Shortcut("temporary", gettext_lazy("New temporary chat"), "mod+shift+'"),
    Shortcut("search", gettext_lazy("Search chats"), "mod+k"),
    Shortcut("sidebar", gettext_lazy("Show or hide the sidebar"), "mod+shift+s"),
    Shortcut("models", gettext_lazy("Choose a model"), "mod+shift+m"),
    Shortcut("controls", gettext_lazy("Controls of this chat"), "mod+shift+."),
    Shortcut("dictate", gettext_lazy("Dictate"), "mod+shift+l"),
    Shortcut("write", gettext_lazy("Write a message"), "shift+escape"),
    Shortcut("send", gettext_lazy("Send"), "enter", is_free=False),
    Shortcut("line", gettext_lazy("New line"), "shift+enter", is_free=False),
    Shortcut("knowledge", gettext_lazy("Add knowledge to a message"), "#", is_free=False),
    Shortcut("prompt", gettext_lazy("Insert a prompt"), "/", is_free=False),
    Shortcut("skill", gettext_lazy("Insert a skill"), "$", is_free=False),
    Shortcut("model", gettext_lazy("Choose a model for one message"), "@", is_free=False),
    Shortcut("edit", gettext_lazy("Edit the last question, in an empty message"), "arrowup", is_free=False),
    Shortcut("copy", gettext_lazy("Copy the last answer"), "mod+shift+c"),
    Shortcut("code", gettext_lazy("Copy the last code block"), "mod+shift+;"),
    Shortcut("regenerate", gettext_lazy("Ask for the last answer again"), "mod+alt+r"),
    Shortcut("delete", gettext_lazy("Delete this chat"), "mod+shift+backspace"),
    Shortcut("settings", gettext_lazy("Settings"), "mod+."),
    Shortcut("close", gettext_lazy("Close what is open, or stop the answer"), "escape", is_free=False),
    Shortcut("help", gettext_lazy("This list"), "?", is_free=False),
)
_LONGEST = 40
_LONGEST_CHOICE = 200


def split(keys: str) -> list[str]:
    """`mod+shift++` has three keys, the last of which is a plus."""
    head, _plus, last = keys.rpartition("+") if not keys.endswith("++") else (keys[:-2], "+", "+")
    return [*(part for part in head.split("+") if part), last]


def shortcuts_of(ui: Mapping[str, Any]) -> list[Shortcut]:
    """All actions with the keys that count for the person."""
    own = ui.get(KEYBOARD)
    own = own if isinstance(own, Mapping) else {}
    return [
        Shortcut(s.name, s.label, own[s.name])
        if s.is_free and isinstance(own.get(s.name), str) and 0 < len(own[s.name]) <= _LONGEST
        else s
        for s in SHORTCUTS
    ]


def value_of(ui: Mapping[str, Any], toggle: Toggle) -> bool:
    """Whether a switch is on."""
    found = _at(ui, toggle.name)
    return toggle.default if found is None else bool(found)


def choice_of(ui: Mapping[str, Any], choice: Choice) -> str:
    """The chosen value, the first one where what is stored is none of them."""
    found = str(_at(ui, choice.name) or "")
    if choice.most:
        return str(int(found)) if found.isdecimal() and len(found) < 10 and 0 < int(found) <= choice.most else ""
    if choice.is_open and found:
        return found[:_LONGEST_CHOICE]
    return next((value for value, _label in choice.values if value == found), choice.values[0][0])


def _at(ui: Mapping[str, Any], name: str) -> Any:
    found: Any = ui
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _with(ui: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """The object with another value at a place in it."""
    outer, _dot, inner = name.partition(".")
    former = ui.get(outer)
    return {**ui, outer: _with(former if isinstance(former, Mapping) else {}, inner, value) if inner else value}


def shown_to(user: User, setting: Toggle | Choice) -> bool:
    """Whether the person may set it, and has use for it."""
    return preferences.may_set(user, setting.name.partition(".")[0]) and (not setting.key or may(user, setting.key))


def for_scripts(ui: Mapping[str, Any]) -> dict[str, Any]:
    """What the page's scripts and styles need to know."""
    return {t.name: value_of(ui, t) for t in TOGGLES} | {c.name: choice_of(ui, c) for c in CHOICES}


def save_interface(user: User, group: str, on: Sequence[str], chosen: Mapping[str, str]) -> None:
    """Stores the switches of one section that were changed; those the person may not set stay as they are.

    :param on: the names of all switches of the section that are on now
    """
    ui = after = preferences.interface_of(user)
    names = set()
    for toggle in TOGGLES:
        is_on = toggle.name in on
        if toggle.group == group and shown_to(user, toggle) and value_of(ui, toggle) != is_on:
            after = _with(after, toggle.name, is_on)
            names.add(toggle.name.partition(".")[0])
    for choice in CHOICES:
        value = chosen.get(choice.name)
        if value is None or choice.group != group or not shown_to(user, choice) or value == choice_of(ui, choice):
            continue
        if choice.most:
            after = _with(after, choice.name, _number(choice, value.strip()))
            names.add(choice.name.partition(".")[0])
        elif value in {allowed for allowed, _label in choice.values} or (
            choice.is_open and len(value) <= _LONGEST_CHOICE
        ):
            after = _with(after, choice.name, value.replace("\x00", ""))
            names.add(choice.name.partition(".")[0])
    if names:
        preferences.change_interface(user, {name: after[name] for name in names})


def _number(choice: Choice, text: str) -> int | str:
    if text and not (text.isdecimal() and len(text) < 10 and 0 < int(text) <= choice.most):
        raise UserError(
            _("“%(name)s” is a whole number from 1 to %(most)s, or empty.")
            % {"name": choice.label, "most": number(choice.most)}
        )
    return int(text) if text else ""


def picture_box(ui: Mapping[str, Any]) -> tuple[int, int]:
    """The width and height to which the person wants pictures made smaller; 0 where there is no limit."""
    if not ui.get("imageCompression"):
        return 0, 0
    sizes = [choice_of(ui, c) for c in CHOICES if c.name.startswith("imageCompressionSize.")]
    return int(sizes[0] or 0), int(sizes[1] or 0)


def save_shortcut(user: User, name: str, keys: str) -> None:
    """Other keys for an action; empty ones bring the first ones back.

    :raises UserError: 400 no such action, keys that another one has, or that would be in the way of writing
    """
    known = {s.name: s for s in SHORTCUTS if s.is_free}
    if name not in known:
        raise UserError(_("There is no such shortcut."))
    ui = preferences.interface_of(user)
    own = dict(ui[KEYBOARD]) if isinstance(ui.get(KEYBOARD), Mapping) else {}
    own.pop(name, None)
    if keys:
        keys = keys.lower()[:_LONGEST]
        if not {"mod", "alt"} & set(split(keys)[:-1]) and split(keys)[-1] != "escape":
            raise UserError(_("Hold Ctrl or Alt with a key; others are needed for writing."))
        taken = next((s for s in shortcuts_of({KEYBOARD: own}) if s.keys == keys and s.name != name), None)
        if taken:
            raise UserError(_("“%(action)s” has these keys already. Choose others.") % {"action": taken.label})
        if keys != known[name].keys:
            own[name] = keys
    preferences.change_interface(user, {KEYBOARD: own})
