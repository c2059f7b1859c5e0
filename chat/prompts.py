"""Prompts, the texts behind `/command`: create, change, delete. Each with its audit entry in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from chat.models import Prompt, PromptVersion
from owui.audit.record import record
from owui.lib.errors import Missing, Refused, UserError
from rbac.grants import Grant
from rbac.history import acting
from rbac.permissions import may
from rbac.services import announce, set_grants
from rbac.sharing import Person

COMMAND_TAKEN = "Uh-oh! This command is already registered. Please choose another command string."
LONGEST = 200_000
#: of one prompt
MOST_VERSIONS = 200
_RESTORED = ("name", "content", "tags", "meta")


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
    message: str = "",
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
    _keep(prompt, by, message)
    _note("created", prompt, by, {"command": prompt.command})
    if grants := list(grants):
        set_grants(prompt, grants, by=by, strict=False)
    return prompt


@transaction.atomic
def update_prompt(
    prompt: Prompt, *, by: Person, grants: Iterable[Grant] | None = None, message: str = "", **changes: Any
) -> Prompt:
    """Changes command, name, content, tags, meta or is_active; the caller has checked that the person may.

    :param message: what this change is, for the history
    """
    acting(by)
    prompt = Prompt.objects.select_for_update(of=("self",)).get(pk=prompt.pk)
    before = {field: getattr(prompt, field) for field in changes}
    _fill(prompt, changes)
    changed = sorted(field for field in changes if getattr(prompt, field) != before[field])
    if changed:
        prompt.save()
        if changed != ["is_active"]:
            _keep(prompt, by, message)
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


# -------------------------------------------------------------------------------------------------------------- history
def version_of(prompt: Prompt, version_id: str) -> PromptVersion:
    """One version of a prompt that the caller may read. 404 for any other."""
    found = prompt.versions.select_related("saved_by").filter(pk=version_id).first() if version_id.isdecimal() else None
    if found is None:
        raise Missing
    return found


@transaction.atomic
def restore(prompt: Prompt, version: PromptVersion, *, by: Person) -> Prompt:
    """The prompt as it was then, as its newest version; its command stays, for by that people call it."""
    values = {name: value for name, value in version.snapshot.items() if name in _RESTORED}
    return update_prompt(prompt, by=by, message=_("Taken up again"), **values)


@transaction.atomic
def delete_version(prompt: Prompt, version: PromptVersion, *, by: Person) -> None:
    """One version less. 400 for the newest, which is the prompt."""
    if version.pk == prompt.versions.values_list("pk", flat=True).first():
        raise UserError(_("This version is the prompt as it is now. Delete the prompt, or save another version first."))
    _note("version_deleted", prompt, by, {"version": version.pk})
    version.delete()


def _keep(prompt: Prompt, by: Person, message: str) -> None:
    """The newest MOST_VERSIONS are kept."""
    before = prompt.versions.first()
    snapshot = {name: getattr(prompt, name) for name in ("command", *_RESTORED)}
    if before is not None and before.snapshot == snapshot:
        return
    text = " ".join(message.replace("\x00", "").split())[:500]
    PromptVersion.objects.create(prompt=prompt, parent=before, saved_by_id=by.id, snapshot=snapshot, message=text)
    old = list(prompt.versions.values_list("pk", flat=True)[MOST_VERSIONS:])
    prompt.versions.filter(pk__in=old).delete()


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
