"""People. They come by single sign-on as a rule: who has no password in the file cannot sign in with one."""

from __future__ import annotations

import uuid
from typing import Any

from accounts.models import Role, User
from accounts.services import check_password_rules
from owui.lib.errors import UserError
from owui.provision.kinds.secrets import named, reference, resolve
from owui.provision.kinds.trust import is_known
from owui.provision.parse import Path_
from owui.provision.plan import CREATE, REMOVE, FieldChange, Planner
from owui.provision.shape import UserEntry


def plan_users(planner: Planner) -> None:
    """Adds new accounts and changed ones. An account that left the file is switched off, never deleted: its chats and
    its name in the audit log are records."""
    entries = planner.shape.users
    planner.once(("users",), "email", [entry.email for entry in entries], "e-mail address")
    for index, entry in enumerate(entries):
        path: Path_ = ("users", index)
        user = planner.world.users.get(entry.email)
        if user is None:
            _plan_new(planner, entry, path)
        elif is_known(planner, user, (*path, "email")):
            _plan_known(planner, entry, user, path)
    listed = {entry.email for entry in entries}
    for email in planner.owned_keys("user"):
        user = planner.world.users.get(email)
        if email not in listed and user is not None:
            _plan_gone(planner, user)
    _check_administrators(planner)


def _plan_new(planner: Planner, entry: UserEntry, path: Path_) -> None:
    name = entry.name or entry.email.partition("@")[0]
    values: dict[str, Any] = {"email": entry.email, "name": name, "role": entry.role, "is_active": entry.is_active}
    secret = reference(entry.password_env, entry.password_file)
    if secret is not None:
        values["password"] = _password(planner, secret, path)
    pk = uuid.uuid4()
    planner.world.users[entry.email] = User(pk=pk, email=entry.email, name=name, role=entry.role)
    planner.world.emails[pk] = entry.email
    planner.own("user", entry.email, pk, _applied(entry))
    change = planner.change("user", CREATE, entry.email, pk)
    change.values = values
    change.fields = [FieldChange("name", None, name), FieldChange("role", None, entry.role)]


def _password(planner: Planner, secret: dict[str, str], path: Path_) -> str:
    text = resolve(secret)
    place = (*path, f"password_{next(iter(secret))}")
    if text is None:
        planner.problem(place, f"The password needs {named(secret)}, which is not there.")
        return ""
    try:
        check_password_rules(text)
    except UserError as error:
        planner.problem(place, f"The password in {named(secret)} is not accepted: {error.message}")
    return text


def _plan_known(planner: Planner, entry: UserEntry, user: User, path: Path_) -> None:
    columns = {
        name: (getattr(user, name), getattr(entry, name), {name: getattr(entry, name)})
        for name in ("name", "role", "is_active")
        if entry.given(name) and getattr(entry, name) is not None
    }
    if user.pk == planner.world.primary:
        if "role" in columns and entry.role != "admin":
            planner.problem((*path, "role"), f"{entry.email} is the first administrator and cannot give up that role.")
        if not entry.is_active:
            text = f"{entry.email} is the first administrator; the account cannot be switched off."
            planner.problem((*path, "is_active"), text)
    planner.compare("user", entry.email, entry.email, user.pk, columns)
    planner.own("user", entry.email, user.pk, _applied(entry))


def _applied(entry: UserEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in ("name", "role", "is_active") if entry.given(name)}


def _plan_gone(planner: Planner, user: User) -> None:
    if user.pk == planner.world.primary or not user.is_active:
        return
    if planner.left_the_file("user", user.email, f"person {user.email}"):
        change = planner.change("user", REMOVE, user.email, user.pk)
        change.fields = [FieldChange("is_active", True, False)]
        change.values = {"is_active": False}


def _check_administrators(planner: Planner) -> None:
    """An instance without an administrator could not be governed: not by this file either."""
    changed = {change.label: change.values for change in planner.plan.changes.values() if change.kind == "user"}
    if not changed:
        return
    for email, user in planner.world.users.items():
        values = changed.get(email, {})
        if values.get("role", user.role) == Role.ADMIN and values.get("is_active", user.is_active):
            return
    planner.problem(("users",), "There would be no administrator. Give at least one person the role admin.", key=True)
