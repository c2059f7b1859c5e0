"""Tools and skills: create, change, delete. Sources are stored here and never run; each write has its audit entry."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from inference.models import Skill, Tool
from owui.audit.record import record
from owui.lib.errors import Refused, UserError
from rbac.grants import Grant
from rbac.history import acting
from rbac.permissions import may
from rbac.services import announce, set_grants
from rbac.sharing import Person

ID_TAKEN = "Uh-oh! This id is already registered. Please choose another id string."
LONGEST = 1_000_000
_TOOL_ID = re.compile(r"[a-z_][a-z0-9_]{0,254}")
_SKILL_ID = re.compile(r"[a-z0-9_-]{1,255}")


# --------------------------------------------------------------------------------------------------------------- tools
@transaction.atomic
def create_tool(
    *, by: Person, tool_id: str, name: str, content: str, meta: dict[str, Any], grants: Iterable[Grant] = ()
) -> Tool:
    """A new tool. Grants the person may not give are left out, as in the field.

    :raises Refused: 401 without `workspace.tools` or `workspace.tools_import`
    :raises UserError: 400 the id is taken or malformed, or the source is no Python
    """
    acting(by)
    _require(by, "workspace.tools", "workspace.tools_import")
    tool_id = tool_id.strip().lower()
    if not _TOOL_ID.fullmatch(tool_id):
        raise UserError(_("A tool id has only lower case letters, digits and underscores."), code="id_invalid")
    if Tool.objects.filter(tool_id=tool_id).exists():
        raise UserError(ID_TAKEN, code="id_taken")
    tool = Tool.objects.create(tool_id=tool_id, name=_name(name), content=_source(content), meta=meta, owner_id=by.id)
    _note("tool.created", tool, by, {"tool": tool_id})
    _share(tool, grants, by)
    return tool


@transaction.atomic
def update_tool(
    tool: Tool, *, by: Person, name: str, content: str, meta: dict[str, Any], grants: Iterable[Grant] | None = None
) -> Tool:
    """Changes a tool; the caller has checked that the person may write it.

    :raises Refused: 401 when the source changes and the person may not write code: a grant alone is not enough
    """
    acting(by)
    tool = Tool.objects.select_for_update(of=("self",)).get(pk=tool.pk)
    if content != tool.content:
        _require(by, "workspace.tools", "workspace.tools_import")
    wanted = {"name": _name(name), "content": _source(content), "meta": meta}
    _save(tool, wanted, "tool.updated", by)
    if grants is not None:
        set_grants(tool, grants, by=by, strict=False)
    return tool


@transaction.atomic
def delete_tool(tool: Tool, *, by: Person) -> None:
    """Removes a tool and the grants to it."""
    acting(by)
    announce(Tool.resource_type, str(tool.pk))
    _note("tool.deleted", tool, by, {"tool": tool.tool_id})
    tool.delete()


# -------------------------------------------------------------------------------------------------------------- skills
@transaction.atomic
def create_skill(
    *,
    by: Person,
    skill_id: str,
    name: str,
    description: str,
    content: str,
    meta: dict[str, Any],
    is_active: bool = True,
    grants: Iterable[Grant] = (),
) -> Skill:
    """A new skill. Grants the person may not give are left out, as in the field.

    :raises Refused: 401 without `workspace.skills` or `workspace.skills_import`
    :raises UserError: 400 the id is taken or malformed
    """
    acting(by)
    _require(by, "workspace.skills", "workspace.skills_import")
    skill_id = skill_id.strip().lower()
    if not _SKILL_ID.fullmatch(skill_id):
        raise UserError(_("A skill id has only lower case letters, digits, - and _."), code="id_invalid")
    if Skill.objects.filter(skill_id=skill_id).exists():
        raise UserError(ID_TAKEN, code="id_taken")
    skill = Skill.objects.create(
        skill_id=skill_id,
        name=_name(name),
        description=description,
        content=_text(content),
        meta=meta,
        is_active=is_active,
        owner_id=by.id,
    )
    _note("skill.created", skill, by, {"skill": skill_id})
    _share(skill, grants, by)
    return skill


@transaction.atomic
def update_skill(skill: Skill, *, by: Person, grants: Iterable[Grant] | None = None, **changes: Any) -> Skill:
    """Changes name, description, content, meta or is_active; the caller has checked that the person may."""
    acting(by)
    skill = Skill.objects.select_for_update(of=("self",)).get(pk=skill.pk)
    if "name" in changes:
        changes["name"] = _name(changes["name"])
    if "content" in changes:
        changes["content"] = _text(changes["content"])
    _save(skill, changes, "skill.updated", by)
    if grants is not None:
        set_grants(skill, grants, by=by, strict=False)
    return skill


@transaction.atomic
def delete_skill(skill: Skill, *, by: Person) -> None:
    """Removes a skill and the grants to it."""
    acting(by)
    announce(Skill.resource_type, str(skill.pk))
    _note("skill.deleted", skill, by, {"skill": skill.skill_id})
    skill.delete()


# ------------------------------------------------------------------------------------------------------------- helpers
def _require(by: Person, *keys: str) -> None:
    if not any(may(by, key) for key in keys):
        raise Refused.for_permission(401)


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 255:
        raise UserError(_("It needs a name of at most 255 characters."), code="name_invalid")
    return name


def _text(content: str) -> str:
    if len(content) > LONGEST:
        raise UserError(_("The text is too long: at most 1,000,000 characters."), status=413, code="too_large")
    return content


def _source(content: str) -> str:
    """The source of a tool; 400 when Python cannot read it. Reading is not running."""
    _text(content)
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = getattr(error, "lineno", None)
        text = _("The source cannot be read, line %(line)s: %(why)s") % {"line": where or "?", "why": error}
        raise UserError(text, code="source") from error
    if not any(isinstance(node, ast.ClassDef) and node.name == "Tools" for node in tree.body):
        raise UserError(_("The source needs a class named Tools; its methods are what models may call."), code="source")
    return content


def _save(row: Tool | Skill, wanted: dict[str, Any], action: str, by: Person) -> None:
    changed = sorted(name for name, value in wanted.items() if getattr(row, name) != value)
    for name in changed:
        setattr(row, name, wanted[name])
    if changed:
        row.save(update_fields=[*changed, "updated_at"])
        _note(action, row, by, {"changed": changed})
        if "is_active" in changed:
            announce(row.resource_type, str(row.pk))


def _share(row: Tool | Skill, grants: Iterable[Grant], by: Person) -> None:
    if grants := list(grants):
        set_grants(row, grants, by=by, strict=False)


def _note(action: str, row: Tool | Skill, by: Person, detail: dict[str, Any]) -> None:
    kind = row.resource_type
    record(action, by=by, object_type=kind, object_id=str(row.pk), object_label=row.name, detail=detail)
