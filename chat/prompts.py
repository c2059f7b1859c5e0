"""Prompts, the texts behind `/command`: create, change, delete. Each with its audit entry in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from chat.models import Prompt
from owui.audit.record import record
from owui.lib.errors import Refused, UserError
from rbac.grants import Grant
from rbac.history import acting
from rbac.permissions import may
from rbac.services import announce, set_grants
from rbac.sharing import Person

COMMAND_TAKEN = "Uh-oh! This command is already registered. Please choose another command string."
LONGEST = 200_000


@transaction.atomic
def create_prompt(
    *,
    by: Person,
    command: str,
    name: str,
    content: str,
    tags: Iterable[str] = (),
    meta: dict[str, Any] | None = None,
    grants: Iterable[Grant] = (),
) -> Prompt:
    """A new prompt. Grants the person may not give are left out, as in the field.

    :raises Refused: 401 without `workspace.prompts` or `workspace.prompts_import`
    :raises UserError: 400 the command is taken or malformed, or a field is empty
    """
    if not (may(by, "workspace.prompts") or may(by, "workspace.prompts_import")):
        raise Refused.for_permission(401)
    acting(by)
    prompt = Prompt(owner_id=by.id)
    _fill(prompt, {"command": command, "name": name, "content": content, "tags": tags, "meta": meta or {}})
    prompt.save()
    _note("created", prompt, by, {"command": prompt.command})
    if grants := list(grants):
        set_grants(prompt, grants, by=by, strict=False)
    return prompt


@transaction.atomic
def update_prompt(prompt: Prompt, *, by: Person, grants: Iterable[Grant] | None = None, **changes: Any) -> Prompt:
    """Changes command, name, content, tags, meta or is_active; the caller has checked that the person may."""
    acting(by)
    prompt = Prompt.objects.select_for_update(of=("self",)).get(pk=prompt.pk)
    before = {field: getattr(prompt, field) for field in changes}
    _fill(prompt, changes)
    changed = sorted(field for field in changes if getattr(prompt, field) != before[field])
    if changed:
        prompt.save()
        _note("updated", prompt, by, {"changed": changed})
    if "is_active" in changed:
        announce("prompt", str(prompt.pk))
    if grants is not None:
        set_grants(prompt, grants, by=by, strict=False)
    return prompt


@transaction.atomic
def delete_prompt(prompt: Prompt, *, by: Person) -> None:
    """Removes a prompt and the grants to it."""
    acting(by)
    announce("prompt", str(prompt.pk))
    _note("deleted", prompt, by, {"command": prompt.command})
    prompt.delete()


def _fill(prompt: Prompt, values: dict[str, Any]) -> None:
    if "command" in values:
        values["command"] = _clean_command(values["command"], prompt)
    if "name" in values:
        values["name"] = " ".join(str(values["name"]).split())
        if not values["name"] or len(values["name"]) > 255:
            raise UserError(_("A prompt needs a name of at most 255 characters."))
    if "content" in values and (not values["content"].strip() or len(values["content"]) > LONGEST):
        raise UserError(_("A prompt needs a text of at most 200,000 characters."))
    if "tags" in values:
        values["tags"] = list(dict.fromkeys(str(tag).strip() for tag in values["tags"] if str(tag).strip()))
    for field, value in values.items():
        setattr(prompt, field, value)


def _clean_command(command: str, prompt: Prompt) -> str:
    command = command.strip().removeprefix("/")
    if not command or len(command) > 255 or any(sign.isspace() or sign in "/?#" for sign in command):
        raise UserError(_("A command is one word without spaces and slashes, such as summarise."))
    if Prompt.objects.filter(command=command).exclude(pk=prompt.pk).exists():
        raise UserError(COMMAND_TAKEN, code="command_taken")
    return command


def _note(verb: str, prompt: Prompt, by: Person, detail: dict[str, Any]) -> None:
    label = prompt.label
    record(f"prompt.{verb}", by=by, object_type="prompt", object_id=str(prompt.pk), object_label=label, detail=detail)
