"""Stored settings of this app."""

from django.utils.translation import gettext_lazy as _

from owui.config.registry import Section, setting


class ChatConfig(Section, prefix="chat"):
    """Limits of a conversation."""

    max_message_chars: int = setting(
        500_000,
        env="CHAT_MAX_MESSAGE_CHARS",
        label=_("Longest message"),
        help=_("Characters of one message; longer texts belong into a document."),
        stored=True,
        minimum=1000,
    )
    max_image_bytes: int = setting(
        10_000_000,
        env="CHAT_MAX_IMAGE_BYTES",
        label=_("Largest picture"),
        help=_("Bytes of one picture in a message."),
        stored=True,
        minimum=1000,
    )
    max_running_turns: int = setting(
        64,
        env="CHAT_MAX_RUNNING_TURNS",
        label=_("Answers at once"),
        help=_("How many answers one person may have written at the same time."),
        stored=True,
        minimum=1,
    )
