"""Stored settings of this app."""

from typing import Any

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
    iframe_csp: str = setting(
        "",
        env="IFRAME_CSP",
        label=_("Content Security Policy of artifacts"),
        help=_("What HTML that a model wrote may load in its frame. Empty: nothing from other hosts."),
    )


class AudioConfig(Section, prefix="audio", label=_("Speech")):
    """Speaking instead of writing. Reading aloud is the browser's own affair."""

    stt_engine: str = setting(
        "",
        env="AUDIO_STT_ENGINE",
        label=_("Dictation"),
        help=_(
            "web: by whatever the browser uses, and some browsers send what is said to their maker. Empty: only by "
            "browsers that understand speech on the device itself; nothing leaves it."
        ),
    )


def _on(default: bool, env: str, label: Any) -> Any:
    return setting(default, env=env, label=label)


def _template(env: str, label: Any) -> Any:
    return setting("", env=env, label=label, help=_("Empty: the built-in prompt."), multiline=True)


class TaskConfig(Section, prefix="task", label=_("Task model")):
    """Small jobs beside the conversation: titles, tags, follow-up questions, search queries."""

    model: str = setting(
        "",
        env="TASK_MODEL",
        label=_("Task model for local models"),
        help=_("Id of the model that does these jobs where the conversation's is Ollama's. Empty: the same model."),
    )
    model_external: str = setting(
        "",
        env="TASK_MODEL_EXTERNAL",
        label=_("Task model for other models"),
        help=_("The same where the conversation's model is on an OpenAI-compatible server."),
    )
    model_params: dict[str, Any] = setting({}, env="TASK_MODEL_PARAMS", label=_("Parameters of the task model"))
    title: bool = _on(True, "ENABLE_TITLE_GENERATION", _("Titles of chats"))
    title_template: str = _template("TITLE_GENERATION_PROMPT_TEMPLATE", _("Prompt for titles"))
    tags: bool = _on(True, "ENABLE_TAGS_GENERATION", _("Tags of chats"))
    tags_template: str = _template("TAGS_GENERATION_PROMPT_TEMPLATE", _("Prompt for tags"))
    follow_up: bool = _on(True, "ENABLE_FOLLOW_UP_GENERATION", _("Follow-up questions"))
    follow_up_template: str = _template("FOLLOW_UP_GENERATION_PROMPT_TEMPLATE", _("Prompt for follow-up questions"))
    search_queries: bool = _on(True, "ENABLE_SEARCH_QUERY_GENERATION", _("Queries for web search"))
    retrieval_queries: bool = _on(True, "ENABLE_RETRIEVAL_QUERY_GENERATION", _("Queries for knowledge"))
    queries_template: str = _template("QUERY_GENERATION_PROMPT_TEMPLATE", _("Prompt for queries"))
    auto: bool = _on(False, "ENABLE_AUTOCOMPLETE_GENERATION", _("Completion while one writes"))
    autocomplete_max_length: int = setting(
        -1,
        env="AUTOCOMPLETE_GENERATION_INPUT_MAX_LENGTH",
        label=_("Longest text to complete"),
        help=_("Characters; -1: no limit."),
        minimum=-1,
    )
    auto_template: str = _template("AUTOCOMPLETE_GENERATION_PROMPT_TEMPLATE", _("Prompt for completions"))
    image_prompt_template: str = _template("IMAGE_PROMPT_GENERATION_PROMPT_TEMPLATE", _("Prompt for pictures"))

    def template(self, kind: str) -> str:
        """The administrator's prompt for a kind of job, empty for the built-in one."""
        return str(getattr(self, f"{kind}_template", "")).strip()

    def is_on(self, kind: str, purpose: str = "") -> bool:
        """Whether a kind of job is done at all.

        :param purpose: of queries: web_search or retrieval
        """
        if kind == "queries":
            return self.search_queries if purpose == "web_search" else self.retrieval_queries
        return bool(getattr(self, kind, True))
