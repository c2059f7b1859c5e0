"""What `/api/config` tells people who are signed in: which features there are, and the choices their page begins with.

Sections are taken from the registry by their prefix: this module is read by the apps that declare them.
"""

from __future__ import annotations

from typing import Any

from owui.config.registry import sections
from owui.config.sections import UiConfig

#: features of the field that this product does not have; clients ask for each by name
_ABSENT = (
    *("direct_connections", "channels", "memories", "calendar", "automations", "web_search", "code_execution"),
    *("code_interpreter", "image_generation", "user_webhooks", "user_status", "admin_analytics", "plugins"),
    *("google_drive_integration", "onedrive_integration", "functions", "terminal_servers", "tool_permissions"),
    *("context_compaction", "version_update_check", "public_active_users_count", "easter_eggs", "subagents", "apps"),
)


def features() -> dict[str, bool]:
    """By the names that clients know."""
    ui, task = UiConfig.load(), _section("task")
    return {f"enable_{name}": False for name in _ABSENT} | {
        "enable_folders": ui.enable_folders,
        "enable_notes": ui.enable_notes,
        "enable_community_sharing": ui.enable_community_sharing,
        "enable_message_rating": ui.enable_message_rating,
        "enable_title_generation": task.title,
        "enable_tags_generation": task.tags,
        "enable_follow_up_generation": task.follow_up,
        "enable_autocomplete_generation": task.auto,
        "enable_tools": True,
        "enable_tool_servers": True,
    }


def choices() -> dict[str, Any]:
    """What a client's page needs besides: models, suggestions, limits of files, speech, the look of the whole."""
    ui, rag = UiConfig.load(), _section("rag")
    return {
        "default_models": ",".join(ui.default_models),
        "default_pinned_models": ",".join(ui.default_pinned_models),
        "default_prompt_suggestions": ui.default_prompt_suggestions,
        "code": {"engine": "", "interpreter_engine": ""},
        "audio": {
            "tts": {"engine": "", "voice": "", "split_on": "punctuation"},
            "stt": {"engine": _section("audio").stt_engine},
        },
        "file": {
            "max_size": rag.file_max_size,
            "max_count": rag.file_max_count,
            "image_compression": {
                "width": rag.file_image_compression_width or None,
                "height": rag.file_image_compression_height or None,
            },
        },
        "ui": {
            "default_interface_settings": ui.default_interface_settings,
            "visibility": ui.visibility,
            "pending_user_overlay_title": ui.pending_user_overlay_title,
            "pending_user_overlay_content": ui.pending_user_overlay_content,
            "response_watermark": ui.response_watermark,
            "iframe_csp": _section("chat").iframe_csp,
        },
    }


def waiting() -> dict[str, Any]:
    """What those see who wait for approval."""
    ui = UiConfig.load()
    names = ("pending_user_overlay_title", "pending_user_overlay_content")
    return {"ui": {name: getattr(ui, name) for name in names}}


def _section(prefix: str) -> Any:
    return sections[prefix].load()
