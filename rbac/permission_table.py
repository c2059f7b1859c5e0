"""The table of permission keys: one row each. Nothing else in the program lists them.

Keys, defaults, parents and variable names are the field's.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

PREFIX = "USER_PERMISSIONS_"
#: `POST /prompts/create` takes either key
_ALONE = frozenset({"workspace.prompts_import"})


@dataclass(frozen=True, slots=True)
class PermissionKey:
    """One row of the table. `env` is the variable that sets the default at first start; `help` says what the key opens,
    for people who hand it out."""

    key: str
    env: str
    default: bool
    parent: str
    label: str | Promise
    help: str | Promise

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]

    @property
    def needs(self) -> str:
        """The key without which this one opens nothing: its parent, unless the field's route asks this one alone."""
        return "" if self.key in _ALONE else self.parent


def _row(
    key: str, env_suffix: str, default: bool, parent: str, label: str | Promise, help_text: str | Promise
) -> PermissionKey:
    return PermissionKey(key, PREFIX + env_suffix, default, parent, label, help_text)


# fmt: off
_ROWS = (
    _row("workspace.models", "WORKSPACE_MODELS_ACCESS", False, "", _("Create models"),
         _("Open the models page of the workspace and make models of one's own on top of those one may use.")),
    _row("workspace.models_import", "WORKSPACE_MODELS_IMPORT", False, "workspace.models", _("Import models"),
         _("Create and change many models at once from a file.")),
    _row("workspace.models_export", "WORKSPACE_MODELS_EXPORT", False, "workspace.models", _("Export models"),
         _("Download the models one may change, with their prompts and parameters.")),
    _row("workspace.models_hidden", "WORKSPACE_MODELS_HIDDEN", False, "workspace.models", _("See hidden models"),
         _("See other people's models that are flagged as hidden in the lists of the workspace.")),
    _row("workspace.knowledge", "WORKSPACE_KNOWLEDGE_ACCESS", False, "", _("Create knowledge bases"),
         _("Make knowledge bases of one's own and put documents into them.")),
    _row("workspace.prompts", "WORKSPACE_PROMPTS_ACCESS", False, "", _("Create prompts"),
         _("Make prompts that are called by a slash command.")),
    _row("workspace.prompts_import", "WORKSPACE_PROMPTS_IMPORT", False, "workspace.prompts", _("Import prompts"),
         _("Create many prompts at once from a file.")),
    _row("workspace.prompts_export", "WORKSPACE_PROMPTS_EXPORT", False, "workspace.prompts", _("Export prompts"),
         _("Download prompts as a file.")),
    _row("workspace.tools", "WORKSPACE_TOOLS_ACCESS", False, "", _("Create tools (runs code on the server)"),
         _("Write tools: code that runs on the server. As much trust as an administrator needs.")),
    _row("workspace.tools_import", "WORKSPACE_TOOLS_IMPORT", False, "workspace.tools", _("Import tools"),
         _("Bring in tools from a file: code that runs on the server.")),
    _row("workspace.tools_export", "WORKSPACE_TOOLS_EXPORT", False, "workspace.tools", _("Export tools"),
         _("Download tools with their code.")),
    _row("workspace.skills", "WORKSPACE_SKILLS_ACCESS", False, "", _("Create skills"),
         _("Write instructions that models are given by name.")),
    _row("workspace.skills_import", "WORKSPACE_SKILLS_IMPORT", False, "workspace.skills", _("Import skills"),
         _("Create many skills at once from a file.")),
    _row("workspace.skills_export", "WORKSPACE_SKILLS_EXPORT", False, "workspace.skills", _("Export skills"),
         _("Download skills as a file.")),

    _row("sharing.models", "WORKSPACE_MODELS_ALLOW_SHARING", False, "", _("Share own models"),
         _("Give people and groups access to one's own models.")),
    _row("sharing.public_models", "WORKSPACE_MODELS_ALLOW_PUBLIC_SHARING", False, "sharing.models",
         _("Share models with everyone"), _("Give everybody who is signed in access to one's own models.")),
    _row("sharing.knowledge", "WORKSPACE_KNOWLEDGE_ALLOW_SHARING", False, "", _("Share own knowledge bases"),
         _("Give people and groups access to one's own knowledge bases and all documents in them.")),
    _row("sharing.public_knowledge", "WORKSPACE_KNOWLEDGE_ALLOW_PUBLIC_SHARING", False, "sharing.knowledge",
         _("Share knowledge bases with everyone"), _("Give everybody who is signed in access to one's own documents.")),
    _row("sharing.prompts", "WORKSPACE_PROMPTS_ALLOW_SHARING", False, "", _("Share own prompts"),
         _("Give people and groups access to one's own prompts.")),
    _row("sharing.public_prompts", "WORKSPACE_PROMPTS_ALLOW_PUBLIC_SHARING", False, "sharing.prompts",
         _("Share prompts with everyone"), _("Give everybody who is signed in access to one's own prompts.")),
    _row("sharing.tools", "WORKSPACE_TOOLS_ALLOW_SHARING", False, "", _("Share own tools"),
         _("Give people and groups access to one's own tools.")),
    _row("sharing.public_tools", "WORKSPACE_TOOLS_ALLOW_PUBLIC_SHARING", False, "sharing.tools",
         _("Share tools with everyone"), _("Give everybody who is signed in access to one's own tools.")),
    _row("sharing.skills", "WORKSPACE_SKILLS_ALLOW_SHARING", False, "", _("Share own skills"),
         _("Give people and groups access to one's own skills.")),
    _row("sharing.public_skills", "WORKSPACE_SKILLS_ALLOW_PUBLIC_SHARING", False, "sharing.skills",
         _("Share skills with everyone"), _("Give everybody who is signed in access to one's own skills.")),
    _row("sharing.notes", "NOTES_ALLOW_SHARING", False, "", _("Share own notes"),
         _("Give people and groups access to one's own notes.")),
    _row("sharing.public_notes", "NOTES_ALLOW_PUBLIC_SHARING", False, "sharing.notes",
         _("Share notes with everyone"), _("Give everybody who is signed in access to one's own notes.")),
    _row("sharing.folders", "FOLDERS_ALLOW_SHARING", False, "", _("Share own folders"),
         _("Give people and groups access to one's own folders and what lies in them. Folders are never public.")),
    _row("sharing.public_chats", "CHAT_ALLOW_PUBLIC_SHARING", False, "chat.share",
         _("Share chats with everyone signed in"), _("Make links to chats that everybody who is signed in may open.")),
    _row("sharing.open_chats", "CHAT_ALLOW_OPEN_SHARING", False, "chat.share", _("Share chats without sign-in"),
         _("Make links to chats that anybody may open, also without an account.")),
    _row("sharing.public_calendars", "CALENDAR_ALLOW_PUBLIC_SHARING", False, "features.calendar",
         _("Share calendars with everyone"), _("Give everybody who is signed in access to one's own calendars.")),

    _row("access_grants.allow_users", "ACCESS_GRANTS_ALLOW_USERS", True, "", _("Grant access to single people"),
         _("Name single people when sharing. Off: groups only.")),
    _row("access_grants.allow_groups", "ACCESS_GRANTS_ALLOW_GROUPS", True, "", _("Grant access to groups"),
         _("Name groups when sharing. Off: single people only.")),

    _row("chat.controls", "CHAT_CONTROLS", True, "", _("Chat controls"),
         _("Steer how a model answers. Off: no system prompt, parameters or tool settings of one's own.")),
    _row("chat.valves", "CHAT_VALVES", True, "chat.controls", _("Tool settings in a chat"),
         _("Set the personal values that a tool asks for.")),
    _row("chat.system_prompt", "CHAT_SYSTEM_PROMPT", True, "chat.controls", _("System prompt"),
         _("Give models a system prompt of one's own. Off: what is sent is left out; models keep theirs.")),
    _row("chat.params", "CHAT_PARAMS", True, "chat.controls", _("Model parameters"),
         _("Set temperature, length and the like. Off: what is sent is left out; models keep theirs.")),
    _row("chat.file_upload", "CHAT_FILE_UPLOAD", True, "", _("Upload files"),
         _("Attach files to messages. Knowledge bases one may change take files without it.")),
    _row("chat.web_upload", "CHAT_WEB_UPLOAD", True, "", _("Attach web pages"),
         _("Have a web page fetched and attached to a message.")),
    _row("chat.delete", "CHAT_DELETE", True, "", _("Delete chats"),
         _("Delete one's own chats. Off: chats are kept.")),
    _row("chat.delete_message", "CHAT_DELETE_MESSAGE", True, "", _("Delete messages"),
         _("Delete single messages of one's own chats.")),
    _row("chat.continue_response", "CHAT_CONTINUE_RESPONSE", True, "", _("Continue an answer"),
         _("Have a model go on writing an answer that ended.")),
    _row("chat.regenerate_response", "CHAT_REGENERATE_RESPONSE", True, "", _("Ask for another answer"),
         _("Have a question answered again.")),
    _row("chat.rate_response", "CHAT_RATE_RESPONSE", True, "", _("Rate answers"),
         _("Say whether an answer was good.")),
    _row("chat.edit", "CHAT_EDIT", True, "", _("Edit messages"),
         _("Ask a question again in other words. The former one stays.")),
    _row("chat.share", "CHAT_SHARE", True, "", _("Share chats"),
         _("Make a link to a chat for people and groups.")),
    _row("chat.export", "CHAT_EXPORT", True, "", _("Export chats"),
         _("Download one's own chats as files.")),
    _row("chat.import", "CHAT_IMPORT", True, "", _("Import chats"),
         _("Bring in chats from files.")),
    _row("chat.stt", "CHAT_STT", True, "", _("Dictation"),
         _("Speak instead of writing.")),
    _row("chat.tts", "CHAT_TTS", True, "", _("Read aloud"),
         _("Have answers read aloud.")),
    _row("chat.call", "CHAT_CALL", True, "", _("Voice calls"),
         _("Talk with a model.")),
    _row("chat.multiple_models", "CHAT_MULTIPLE_MODELS", True, "", _("Several models at once"),
         _("Ask several models the same question side by side.")),
    _row("chat.temporary", "CHAT_TEMPORARY", True, "", _("Temporary chats"),
         _("Chat without a stored chat. Programs that ask without one stay allowed; the audit log says so.")),
    _row("chat.temporary_enforced", "CHAT_TEMPORARY_ENFORCED", False, "chat.temporary", _("Only temporary chats"),
         _("A limit, not a right: who has it can store no chats. It never holds for administrators.")),

    _row("features.api_keys", "FEATURES_API_KEYS", False, "", _("API keys"),
         _("Make a key for programs, and use it. API keys must be switched on in the settings as well.")),
    _row("features.notes", "FEATURES_NOTES", True, "", _("Notes"),
         _("Write and read notes. Notes must be switched on in the settings as well.")),
    _row("features.folders", "FEATURES_FOLDERS", True, "", _("Folders"),
         _("Sort chats into folders. Folders must be switched on in the settings as well.")),
    _row("features.channels", "FEATURES_CHANNELS", True, "", _("Channels"),
         _("Write and read in channels. Channels must be switched on in the settings as well.")),
    _row("features.encrypted_channels", "FEATURES_ENCRYPTED_CHANNELS", False, "", _("Encrypted channels"),
         _("Open channels whose messages the server cannot read.")),
    _row("features.direct_tool_servers", "FEATURES_DIRECT_TOOL_SERVERS", False, "", _("Own tool servers"),
         _("Let the browser use tool servers of one's own. Must be switched on in the settings as well.")),
    _row("features.web_search", "FEATURES_WEB_SEARCH", True, "", _("Web search"),
         _("Let answers draw on a web search, ours or the model server's own. What is searched for leaves the house.")),
    _row("features.image_generation", "FEATURES_IMAGE_GENERATION", True, "", _("Image generation"),
         _("Have images made.")),
    _row("features.code_interpreter", "FEATURES_CODE_INTERPRETER", True, "", _("Code interpreter"),
         _("Let a model run the code it writes.")),
    _row("features.memories", "FEATURES_MEMORIES", True, "", _("Memories"),
         _("Let models remember things about oneself.")),
    _row("features.automations", "FEATURES_AUTOMATIONS", False, "", _("Automations"),
         _("Have questions asked on a schedule.")),
    _row("features.calendar", "FEATURES_CALENDAR", True, "", _("Calendar"),
         _("Keep a calendar.")),
    _row("features.webhooks", "FEATURES_USER_WEBHOOKS", False, "", _("Own webhooks"),
         _("Have notices sent to an address of one's own. Must be switched on in the settings as well.")),

    _row("settings.interface", "SETTINGS_INTERFACE", True, "", _("Interface settings"),
         _("Change how the interface looks and behaves for oneself.")),
)
# fmt: on
PERMISSIONS: dict[str, PermissionKey] = {row.key: row for row in _ROWS}
#: the administrator's switch that a feature needs besides the key: a field of `UiConfig`
SWITCHES = {
    "features.notes": "enable_notes",
    "features.folders": "enable_folders",
    "features.channels": "enable_channels",
    "features.encrypted_channels": "enable_encrypted_channels",
    "features.direct_tool_servers": "enable_direct_integrations",
    "features.memories": "enable_memories",
    "features.automations": "enable_automations",
    "features.calendar": "enable_calendar",
    "features.webhooks": "enable_user_webhooks",
}
#: shared types that are part of a feature: without it nobody handles them
FEATURES_OF_TYPES = {"note": "features.notes", "folder": "features.folders"}
