"""The settings that belong to no app: the look of the whole, contact, and the switches of features."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from owui.config.registry import Section, setting

#: Marked only: kept and handed to programs in English, shown in the reader's language.
SUGGESTIONS = [
    {
        "title": [gettext_noop("Summarise"), gettext_noop("a text I paste")],
        "content": gettext_noop("Summarise the following text in five points:\n\n"),
    },
    {
        "title": [gettext_noop("Draft a message"), gettext_noop("to a colleague")],
        "content": gettext_noop("Draft a short, friendly message to a colleague about: "),
    },
    {
        "title": [gettext_noop("Explain"), gettext_noop("a term to a newcomer")],
        "content": gettext_noop("Explain to someone new in our field what this means: "),
    },
    {
        "title": [gettext_noop("Find weak spots"), gettext_noop("in my plan")],
        "content": gettext_noop("Here is my plan. Which weak spots do you see, and why?\n\n"),
    },
]


class UiConfig(Section, prefix="ui", label=_("Interface and features")):
    """What people see, and which features are there at all. Who may use a feature is a permission."""

    name: str = setting("owui", env="WEBUI_NAME", stored=False, label=_("Product name"))
    url: str = setting(
        "",
        env="WEBUI_URL",
        label=_("Public address"),
        help=_("Where people reach this instance; used in links and for sign-in at other services."),
    )
    default_locale: str = setting(
        "",
        env="DEFAULT_LOCALE",
        label=_("Language"),
        help=_("Code of the language, for example de. Empty: the browser decides."),
    )
    default_models: list[str] = setting(
        [],
        env="DEFAULT_MODELS",
        label=_("Models of new chats"),
        help=_("Model ids, one a line; the first that a person may use."),
    )
    default_pinned_models: list[str] = setting([], env="DEFAULT_PINNED_MODELS", label=_("Pinned models"))
    model_order_list: list[str] = setting([], env="MODEL_ORDER_LIST", label=_("Order of models in lists"))
    default_model_metadata: dict[str, Any] = setting(
        {},
        env="DEFAULT_MODEL_METADATA",
        label=_("Abilities of new models"),
        help=_("JSON: what models can do that say nothing about it, such as capabilities."),
    )
    default_model_params: dict[str, Any] = setting(
        {}, env="DEFAULT_MODEL_PARAMS", label=_("Parameters of new models"), help=_("JSON, such as temperature.")
    )
    default_prompt_suggestions: list[dict[str, Any]] = setting(
        SUGGESTIONS,
        env="DEFAULT_PROMPT_SUGGESTIONS",
        label=_("Prompt suggestions"),
        help=_('Shown in an empty chat: [{"title": ["first line", "second line"], "content": "the prompt"}]'),
    )
    default_interface_settings: dict[str, Any] = setting(
        {}, env="DEFAULT_INTERFACE_SETTINGS", label=_("Interface settings of new people")
    )
    visibility: dict[str, Any] = setting({}, env="UI_VISIBILITY", label=_("Hidden parts of the interface"))
    banners: list[dict[str, Any]] = setting(
        [],
        env="WEBUI_BANNERS",
        label=_("Banners"),
        help=_(
            '[{"id": "…", "type": "info", "title": "…", "content": "…", "dismissible": true}]; type is info, '
            "success, warning or error."
        ),
    )
    response_watermark: str = setting(
        "", env="RESPONSE_WATERMARK", label=_("Watermark"), help=_("Added to every answer that is copied.")
    )
    pending_user_overlay_title: str = setting(
        "", env="PENDING_USER_OVERLAY_TITLE", label=_("Title for people who wait for approval")
    )
    pending_user_overlay_content: str = setting(
        "", env="PENDING_USER_OVERLAY_CONTENT", multiline=True, label=_("Text for people who wait for approval")
    )
    show_admin_details: bool = setting(
        True,
        env="SHOW_ADMIN_DETAILS",
        label=_("Show a contact"),
        help=_("Show people who wait for approval whom to write to."),
    )
    admin_email: str = setting(
        "", env="ADMIN_EMAIL", label=_("Contact address"), help=_("Empty: the address of the first administrator.")
    )
    webhook_url: str = setting(
        "",
        env="WEBHOOK_URL",
        secret=True,
        label=_("System webhook"),
        help=_(
            "Address in a team chat that is told of sign-ups. It lets anyone post there, so it is kept as a secret."
        ),
    )
    enable_community_sharing: bool = setting(
        True,
        env="ENABLE_COMMUNITY_SHARING",
        label=_("Community sharing"),
        help=_("Show links that share things with the public community site."),
    )
    enable_message_rating: bool = setting(
        True,
        env="ENABLE_MESSAGE_RATING",
        label=_("Rating of answers"),
        help=_("People may rate answers with a thumb up or down."),
    )
    enable_folders: bool = setting(
        True, env="ENABLE_FOLDERS", label=_("Folders"), help=_("People may sort their chats into folders.")
    )
    enable_notes: bool = setting(True, env="ENABLE_NOTES", label=_("Notes"))
    enable_channels: bool = setting(
        False,
        env="ENABLE_CHANNELS",
        label=_("Channels"),
        help=_("Rooms in which several people talk with each other and with models."),
    )
    enable_encrypted_channels: bool = setting(False, env="ENABLE_ENCRYPTED_CHANNELS", label=_("Encrypted channels"))
    enable_memories: bool = setting(
        True,
        env="ENABLE_MEMORIES",
        label=_("Memories"),
        help=_("Models may be told what a person asked to be remembered."),
    )
    enable_memory_system_context: bool = setting(
        True, env="ENABLE_MEMORY_SYSTEM_CONTEXT", label=_("Memories in the system prompt")
    )
    enable_memory_background_review: bool = setting(
        False, env="ENABLE_MEMORY_BACKGROUND_REVIEW", label=_("Background review of memories")
    )
    enable_user_status: bool = setting(
        True, env="ENABLE_USER_STATUS", label=_("Presence"), help=_("Show who is active now.")
    )
    enable_calendar: bool = setting(True, env="ENABLE_CALENDAR", label=_("Calendar"))
    enable_automations: bool = setting(
        True, env="ENABLE_AUTOMATIONS", label=_("Automations"), help=_("Prompts that run on a schedule.")
    )
    enable_subagents: bool = setting(
        False, env="ENABLE_SUBAGENTS", label=_("Sub-agents"), help=_("Models may hand tasks to further models.")
    )
    subagents_background_enabled: bool = setting(
        False, env="SUBAGENTS_BACKGROUND_ENABLED", label=_("Sub-agents in the background")
    )
    enable_apps: bool = setting(False, env="ENABLE_APPS", label=_("Embedded apps"))
    enable_evaluation_arena_models: bool = setting(
        False, env="ENABLE_EVALUATION_ARENA_MODELS", label=_("Arena models"), help=_("Compare models blindly.")
    )
    enable_direct_connections: bool = setting(
        False,
        env="ENABLE_DIRECT_CONNECTIONS",
        label=_("Direct connections"),
        help=_("People may connect their own inference servers."),
    )
    enable_direct_integrations: bool = setting(
        False,
        env="ENABLE_DIRECT_INTEGRATIONS",
        label=_("Direct tool servers"),
        help=_("People may connect their own tool servers."),
    )
    enable_user_webhooks: bool = setting(
        False,
        env="ENABLE_USER_WEBHOOKS",
        label=_("Webhooks of people"),
        help=_("People may have notices sent to an address of their own."),
    )
    enable_tool_permissions: bool = setting(False, env="ENABLE_TOOL_PERMISSIONS", label=_("Ask before tools run"))
    enable_tool_search: bool = setting(
        False,
        env="ENABLE_TOOL_SEARCH",
        label=_("Tool search"),
        help=_("Give models a search for tools instead of all tools at once."),
    )
    tool_search_defer_builtin_tools: bool = setting(
        False, env="TOOL_SEARCH_DEFER_BUILTIN_TOOLS", label=_("Tool search covers built-in tools")
    )
    enable_skill_lazy_loading: bool = setting(
        False, env="ENABLE_SKILL_LAZY_LOADING", label=_("Load skills when needed")
    )
    enable_context_compaction: bool = setting(
        False,
        env="ENABLE_CONTEXT_COMPACTION",
        label=_("Summarise long chats"),
        help=_("Older turns are summarised when a chat outgrows the model's context."),
    )


class CodeExecutionConfig(Section, prefix="code_execution", label=_("Code execution")):
    """Running the code blocks of an answer."""

    enable: bool = setting(
        True, env="ENABLE_CODE_EXECUTION", label=_("Run button"), help=_("Code blocks of an answer can be run.")
    )
    engine: str = setting("pyodide", env="CODE_EXECUTION_ENGINE", label=_("Engine"), help=_("pyodide or jupyter"))
    jupyter_url: str = setting("", env="CODE_EXECUTION_JUPYTER_URL", label=_("Address of Jupyter"))
    jupyter_auth: str = setting(
        "", env="CODE_EXECUTION_JUPYTER_AUTH", label=_("Sign-in at Jupyter"), help=_("token or password")
    )
    jupyter_auth_token: str = setting(
        "",
        env="CODE_EXECUTION_JUPYTER_AUTH_TOKEN",
        label=_("Token for Jupyter"),
        secret=True,
        belongs_to="jupyter_url",
    )
    jupyter_auth_password: str = setting(
        "",
        env="CODE_EXECUTION_JUPYTER_AUTH_PASSWORD",
        label=_("Password for Jupyter"),
        secret=True,
        belongs_to="jupyter_url",
    )
    jupyter_timeout: int = setting(
        60, env="CODE_EXECUTION_JUPYTER_TIMEOUT", label=_("Seconds a run may take"), minimum=1
    )


class CodeInterpreterConfig(Section, prefix="code_interpreter", label=_("Code interpreter")):
    """Code that models write and have run."""

    enable: bool = setting(True, env="ENABLE_CODE_INTERPRETER", label=_("Models may run code"))
    engine: str = setting("pyodide", env="CODE_INTERPRETER_ENGINE", label=_("Engine"), help=_("pyodide or jupyter"))
    prompt_template: str = setting(
        "",
        env="CODE_INTERPRETER_PROMPT_TEMPLATE",
        label=_("Instruction"),
        help=_("Empty: the built-in one."),
        multiline=True,
    )
    jupyter_url: str = setting(
        "",
        env="CODE_INTERPRETER_JUPYTER_URL",
        aliases=("CODE_EXECUTION_JUPYTER_URL",),
        label=_("Address of Jupyter"),
    )
    jupyter_auth: str = setting(
        "",
        env="CODE_INTERPRETER_JUPYTER_AUTH",
        aliases=("CODE_EXECUTION_JUPYTER_AUTH",),
        label=_("Sign-in at Jupyter"),
        help=_("token or password"),
    )
    jupyter_auth_token: str = setting(
        "",
        env="CODE_INTERPRETER_JUPYTER_AUTH_TOKEN",
        aliases=("CODE_EXECUTION_JUPYTER_AUTH_TOKEN",),
        label=_("Token for Jupyter"),
        secret=True,
        belongs_to="jupyter_url",
    )
    jupyter_auth_password: str = setting(
        "",
        env="CODE_INTERPRETER_JUPYTER_AUTH_PASSWORD",
        aliases=("CODE_EXECUTION_JUPYTER_AUTH_PASSWORD",),
        label=_("Password for Jupyter"),
        secret=True,
        belongs_to="jupyter_url",
    )
    jupyter_timeout: int = setting(
        60,
        env="CODE_INTERPRETER_JUPYTER_TIMEOUT",
        aliases=("CODE_EXECUTION_JUPYTER_TIMEOUT",),
        label=_("Seconds a run may take"),
        minimum=1,
    )


class SubagentsConfig(Section, prefix="subagents", label=_("Delegated tasks")):
    """What a model may hand on to further runs of models."""

    enable: bool = setting(False, env="ENABLE_SUBAGENTS", label=_("Models may delegate tasks"))
    background_enabled: bool = setting(
        False, env="SUBAGENTS_BACKGROUND_ENABLED", label=_("Delegated tasks may go on in the background")
    )
    max_concurrent: int = setting(20, env="SUBAGENTS_MAX_CONCURRENT", label=_("Tasks at once"), minimum=1)
    max_async: int = setting(20, env="SUBAGENTS_MAX_ASYNC", label=_("Background tasks at once"), minimum=0)
    max_iterations: int = setting(30, env="SUBAGENTS_MAX_ITERATIONS", label=_("Rounds of one task"), minimum=1)
    max_output: int = setting(
        30000, env="SUBAGENTS_MAX_OUTPUT", label=_("Characters that a task gives back"), minimum=1
    )
    system_prompt: str = setting("", env="SUBAGENTS_SYSTEM_PROMPT", label=_("Instruction"), multiline=True)
