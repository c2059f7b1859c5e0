"""The table of permission keys, and the one question: may this person use this feature?

Keys, defaults, parents and variable names are the field's (spec: permissions are additive; no key denies).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from owui import env
from owui.lib.errors import Refused
from rbac.models import Group
from rbac.sharing import Person, groups_of, is_verified

PREFIX = "USER_PERMISSIONS_"


@dataclass(frozen=True, slots=True)
class PermissionKey:
    """One row of the table. `env` is the variable that sets the default at first start."""

    key: str
    env: str
    default: bool
    parent: str
    label: str | Promise

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]


def _row(key: str, env_suffix: str, default: bool, parent: str, label: str | Promise) -> PermissionKey:
    return PermissionKey(key, PREFIX + env_suffix, default, parent, label)


_ROWS = (
    _row("workspace.models", "WORKSPACE_MODELS_ACCESS", False, "", _("Create models")),
    _row("workspace.models_import", "WORKSPACE_MODELS_IMPORT", False, "workspace.models", _("Import models")),
    _row("workspace.models_export", "WORKSPACE_MODELS_EXPORT", False, "workspace.models", _("Export models")),
    _row("workspace.models_hidden", "WORKSPACE_MODELS_HIDDEN", False, "workspace.models", _("See hidden models")),
    _row("workspace.knowledge", "WORKSPACE_KNOWLEDGE_ACCESS", False, "", _("Create knowledge bases")),
    _row("workspace.prompts", "WORKSPACE_PROMPTS_ACCESS", False, "", _("Create prompts")),
    _row("workspace.prompts_import", "WORKSPACE_PROMPTS_IMPORT", False, "workspace.prompts", _("Import prompts")),
    _row("workspace.prompts_export", "WORKSPACE_PROMPTS_EXPORT", False, "workspace.prompts", _("Export prompts")),
    _row("workspace.tools", "WORKSPACE_TOOLS_ACCESS", False, "", _("Create tools (runs code on the server)")),
    _row("workspace.tools_import", "WORKSPACE_TOOLS_IMPORT", False, "workspace.tools", _("Import tools")),
    _row("workspace.tools_export", "WORKSPACE_TOOLS_EXPORT", False, "workspace.tools", _("Export tools")),
    _row("workspace.skills", "WORKSPACE_SKILLS_ACCESS", False, "", _("Create skills")),
    _row("workspace.skills_import", "WORKSPACE_SKILLS_IMPORT", False, "workspace.skills", _("Import skills")),
    _row("workspace.skills_export", "WORKSPACE_SKILLS_EXPORT", False, "workspace.skills", _("Export skills")),
    _row("sharing.models", "WORKSPACE_MODELS_ALLOW_SHARING", False, "", _("Share own models")),
    _row(
        "sharing.public_models",
        "WORKSPACE_MODELS_ALLOW_PUBLIC_SHARING",
        False,
        "sharing.models",
        _("Share models with everyone"),
    ),
    _row("sharing.knowledge", "WORKSPACE_KNOWLEDGE_ALLOW_SHARING", False, "", _("Share own knowledge bases")),
    _row(
        "sharing.public_knowledge",
        "WORKSPACE_KNOWLEDGE_ALLOW_PUBLIC_SHARING",
        False,
        "sharing.knowledge",
        _("Share knowledge bases with everyone"),
    ),
    _row("sharing.prompts", "WORKSPACE_PROMPTS_ALLOW_SHARING", False, "", _("Share own prompts")),
    _row(
        "sharing.public_prompts",
        "WORKSPACE_PROMPTS_ALLOW_PUBLIC_SHARING",
        False,
        "sharing.prompts",
        _("Share prompts with everyone"),
    ),
    _row("sharing.tools", "WORKSPACE_TOOLS_ALLOW_SHARING", False, "", _("Share own tools")),
    _row(
        "sharing.public_tools",
        "WORKSPACE_TOOLS_ALLOW_PUBLIC_SHARING",
        False,
        "sharing.tools",
        _("Share tools with everyone"),
    ),
    _row("sharing.skills", "WORKSPACE_SKILLS_ALLOW_SHARING", False, "", _("Share own skills")),
    _row(
        "sharing.public_skills",
        "WORKSPACE_SKILLS_ALLOW_PUBLIC_SHARING",
        False,
        "sharing.skills",
        _("Share skills with everyone"),
    ),
    _row("sharing.notes", "NOTES_ALLOW_SHARING", False, "", _("Share own notes")),
    _row("sharing.public_notes", "NOTES_ALLOW_PUBLIC_SHARING", False, "sharing.notes", _("Share notes with everyone")),
    _row("sharing.folders", "FOLDERS_ALLOW_SHARING", False, "", _("Share own folders")),
    _row(
        "sharing.public_chats",
        "CHAT_ALLOW_PUBLIC_SHARING",
        False,
        "chat.share",
        _("Share chats with everyone signed in"),
    ),
    _row("sharing.open_chats", "CHAT_ALLOW_OPEN_SHARING", False, "chat.share", _("Share chats without sign-in")),
    _row(
        "sharing.public_calendars",
        "CALENDAR_ALLOW_PUBLIC_SHARING",
        False,
        "features.calendar",
        _("Share calendars with everyone"),
    ),
    _row("access_grants.allow_users", "ACCESS_GRANTS_ALLOW_USERS", True, "", _("Grant access to single people")),
    _row("access_grants.allow_groups", "ACCESS_GRANTS_ALLOW_GROUPS", True, "", _("Grant access to groups")),
    _row("chat.controls", "CHAT_CONTROLS", True, "", _("Chat controls")),
    _row("chat.valves", "CHAT_VALVES", True, "chat.controls", _("Tool settings in a chat")),
    _row("chat.system_prompt", "CHAT_SYSTEM_PROMPT", True, "chat.controls", _("System prompt")),
    _row("chat.params", "CHAT_PARAMS", True, "chat.controls", _("Model parameters")),
    _row("chat.file_upload", "CHAT_FILE_UPLOAD", True, "", _("Upload files")),
    _row("chat.web_upload", "CHAT_WEB_UPLOAD", True, "", _("Attach web pages")),
    _row("chat.delete", "CHAT_DELETE", True, "", _("Delete chats")),
    _row("chat.delete_message", "CHAT_DELETE_MESSAGE", True, "", _("Delete messages")),
    _row("chat.continue_response", "CHAT_CONTINUE_RESPONSE", True, "", _("Continue an answer")),
    _row("chat.regenerate_response", "CHAT_REGENERATE_RESPONSE", True, "", _("Ask for another answer")),
    _row("chat.rate_response", "CHAT_RATE_RESPONSE", True, "", _("Rate answers")),
    _row("chat.edit", "CHAT_EDIT", True, "", _("Edit messages")),
    _row("chat.share", "CHAT_SHARE", True, "", _("Share chats")),
    _row("chat.export", "CHAT_EXPORT", True, "", _("Export chats")),
    _row("chat.import", "CHAT_IMPORT", True, "", _("Import chats")),
    _row("chat.stt", "CHAT_STT", True, "", _("Dictation")),
    _row("chat.tts", "CHAT_TTS", True, "", _("Read aloud")),
    _row("chat.call", "CHAT_CALL", True, "", _("Voice calls")),
    _row("chat.multiple_models", "CHAT_MULTIPLE_MODELS", True, "", _("Several models at once")),
    _row("chat.temporary", "CHAT_TEMPORARY", True, "", _("Temporary chats")),
    _row("chat.temporary_enforced", "CHAT_TEMPORARY_ENFORCED", False, "chat.temporary", _("Only temporary chats")),
    _row("features.api_keys", "FEATURES_API_KEYS", False, "", _("API keys")),
    _row("features.notes", "FEATURES_NOTES", True, "", _("Notes")),
    _row("features.folders", "FEATURES_FOLDERS", True, "", _("Folders")),
    _row("features.channels", "FEATURES_CHANNELS", True, "", _("Channels")),
    _row("features.encrypted_channels", "FEATURES_ENCRYPTED_CHANNELS", False, "", _("Encrypted channels")),
    _row("features.direct_tool_servers", "FEATURES_DIRECT_TOOL_SERVERS", False, "", _("Own tool servers")),
    _row("features.web_search", "FEATURES_WEB_SEARCH", True, "", _("Web search")),
    _row("features.image_generation", "FEATURES_IMAGE_GENERATION", True, "", _("Image generation")),
    _row("features.code_interpreter", "FEATURES_CODE_INTERPRETER", True, "", _("Code interpreter")),
    _row("features.memories", "FEATURES_MEMORIES", True, "", _("Memories")),
    _row("features.automations", "FEATURES_AUTOMATIONS", False, "", _("Automations")),
    _row("features.calendar", "FEATURES_CALENDAR", True, "", _("Calendar")),
    _row("features.webhooks", "FEATURES_USER_WEBHOOKS", False, "", _("Own webhooks")),
    _row("settings.interface", "SETTINGS_INTERFACE", True, "", _("Interface settings")),
)
PERMISSIONS: dict[str, PermissionKey] = {row.key: row for row in _ROWS}

Tree = dict[str, dict[str, bool]]


@lru_cache(maxsize=1)
def environment_defaults() -> Tree:
    """The defaults as the environment sets them, in the field's nested form."""
    return nested({row.key: env.truth(env.raw(row.env), row.default) for row in _ROWS})


def nested(flat: dict[str, bool]) -> Tree:
    """`{"chat.delete": True}` as `{"chat": {"delete": True}}`."""
    tree: Tree = {}
    for key, value in flat.items():
        section, _dot, name = key.partition(".")
        tree.setdefault(section, {})[name] = value
    return tree


def is_true(tree: Any, key: str) -> bool:
    """Whether a nested permissions object says true for a key; a missing branch counts as false."""
    section, _dot, name = key.partition(".")
    branch = tree.get(section) if isinstance(tree, dict) else None
    return isinstance(branch, dict) and branch.get(name) is True


def default_permissions() -> Tree:
    """The stored defaults, filled up from the environment where a key is missing."""
    from rbac.config import UserConfig

    stored = UserConfig.load().permissions
    base = environment_defaults()
    return {
        section: {
            name: bool(stored.get(section, {}).get(name, value)) if isinstance(stored.get(section), dict) else value
            for name, value in names.items()
        }
        for section, names in base.items()
    }


def effective_permissions(user: Person) -> Tree:
    """Defaults OR any of the person's groups (ancestors included), nested. Two statements at most, once a request:
    the answer is kept on the user object, which lives as long as the request."""
    cached = getattr(user, "_effective_permissions", None)
    if cached is not None:
        return cached  # type: ignore[no-any-return]
    trees: list[Any] = [default_permissions()]
    trees += (
        Group.objects.filter(pk__in=groups_of(user.id)).exclude(permissions={}).values_list("permissions", flat=True)
    )
    answer = nested({key: any(is_true(tree, key) for tree in trees) for key in PERMISSIONS})
    user._effective_permissions = answer  # type: ignore[attr-defined]
    return answer


def may(user: Person | None, key: str) -> bool:
    """Whether the person may use the feature behind a permission key.

    Administrators always may; pending and anonymous people never. An unknown key is a bug and raises KeyError.
    """
    PERMISSIONS[key]
    if not is_verified(user):
        return False
    assert user is not None
    return user.role == "admin" or is_true(effective_permissions(user), key)


def require(user: Person | None, key: str, *, status: int = 401) -> None:
    """Raises the spec's refusal when the person may not; `status` is the reference's code for the route."""
    if not may(user, key):
        raise Refused.for_permission(status)


def with_flat_keys(tree: Tree) -> dict[str, Any]:
    """The nested object plus the same values under dotted keys (DECISIONS 3: clients know both forms)."""
    flat = {f"{section}.{name}": value for section, names in tree.items() for name, value in names.items()}
    return {**tree, **flat}
