"""What stands behind a question besides the chat itself: the house's defaults, the folder, the person's own settings.

Read in one go by the thread that commits a turn; an ordinary chat costs no statement here.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.models import User
from accounts.preferences import interface_of
from chat.config import ChatConfig
from chat.engine.prompt import system_prompt
from chat.models import Folder
from inference.catalogue import Resolved
from inference.permitted import Permitted, trimmed_params
from inference.providers.params import cleaned
from inference.variables import fill, values_for
from knowledge.config import RagConfig
from owui.config.sections import UiConfig

KINDS = ("collection", "file")


@dataclass(frozen=True, slots=True)
class Background:
    """Plain values. `params` are the product's, the administrator's on top; `items` the folder's knowledge."""

    system: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    items: Sequence[dict[str, Any]] = ()
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    #: what stands for the variables of the template around passages
    values: Mapping[str, str] = field(default_factory=dict)
    largest_picture: int = 0

    @property
    def sees(self) -> bool:
        """Whether the model can look at pictures; one that says nothing about it can."""
        return self.capabilities.get("vision") is not False


def sees(resolved: Resolved) -> bool:
    """Whether a model can look at pictures, before anything is asked."""
    return Background(capabilities=capabilities_of(resolved)).sees


def capabilities_of(resolved: Resolved) -> dict[str, Any]:
    """What a model can do, by its own word and the house's for those that say nothing."""
    return _capabilities(UiConfig.load().default_model_metadata) | _capabilities(resolved.meta)


def background_of(
    user: User,
    resolved: Resolved,
    permitted: Permitted,
    *,
    chat_params: Mapping[str, Any] | None = None,
    sampling: Mapping[str, Any] | None = None,
    folder_id: uuid.UUID | None = None,
    variables: Any = None,
    is_page: bool = True,
) -> Background:
    """For a thread. What was stored while the person was allowed to set it counts no longer than that.

    :param sampling: OpenAI's own fields of a request, which are taken as they are
    :param is_page: the parameters of the person's settings count for the page; programs send their own
    """
    interface = UiConfig.load()
    own = interface_of(user)
    asked = trimmed_params(cleaned(chat_params or {}), permitted)
    if is_page and isinstance(own.get("params"), Mapping):
        asked = trimmed_params(cleaned(own["params"]), permitted) | asked
    params = asked | dict(sampling or {}) | cleaned(interface.default_model_params) | cleaned(resolved.params)
    folder, items = _folder(user, folder_id, permitted) if folder_id else ("", [])
    model = str(resolved.params.get("system") or interface.default_model_params.get("system") or "")
    prompt = system_prompt(
        folder=folder,
        model=model,
        chat=str(asked.get("system") or ""),
        user=str(own.get("system") or "") if permitted.system else "",
    )
    template = RagConfig.load().template
    values = values_for(user, (prompt, template), variables)
    return Background(
        system=fill(prompt, values),
        params=params,
        items=items,
        capabilities=capabilities_of(resolved),
        values=values,
        largest_picture=ChatConfig.load().max_image_bytes,
    )


def _capabilities(meta: Mapping[str, Any]) -> dict[str, Any]:
    told = meta.get("capabilities")
    return dict(told) if isinstance(told, Mapping) else {}


def _folder(user: User, folder_id: uuid.UUID, permitted: Permitted) -> tuple[str, list[dict[str, Any]]]:
    """The folder's prompt and knowledge, while the person may read it. Retrieval asks for the right to each piece of
    knowledge again. Whoever may set no system prompt sets none by way of a folder that they can write in."""
    readable = Folder.objects.readable_by(user).filter(pk=folder_id).order_by()
    data = readable.values_list("data", flat=True).first()
    if not isinstance(data, dict):
        return "", []
    prompt = str(data.get("system_prompt") or "")
    if prompt and not permitted.system and Folder.objects.writable_by(user).filter(pk=folder_id).exists():
        prompt = ""
    files = data.get("files")
    items = [
        {key: item[key] for key in ("type", "id", "name", "context") if key in item}
        for item in (files if isinstance(files, list) else [])
        if isinstance(item, dict) and item.get("type") in KINDS and item.get("id")
    ]
    return prompt, items
