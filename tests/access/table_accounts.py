"""Who may do what with people, groups, access, settings, health and administration."""

from __future__ import annotations

from typing import Any

from tests.access.rows import Row, World, thing
from tests.factories.accounts import UserFactory
from tests.factories.rbac import make_group, make_shared


@thing("user_id")
def _user(world: World) -> Any:
    return UserFactory(password=None).pk


@thing("group_id")
def _group(world: World) -> Any:
    return make_group().pk


@thing("managed_group")
def _managed_group(world: World) -> Any:
    from rbac.services import set_managers

    group = make_group(members=[world.reader])
    set_managers(group, [world.writer.pk], by=world.admin)
    return group.pk


@thing("group_member")
def _group_member(world: World) -> Any:
    return world.reader.pk


@thing("pk")
def _knowledge_base(world: World) -> Any:
    return world.share(make_shared("knowledge", world.owner)).pk


@thing("resource_type")
def _resource_type(world: World) -> str:
    return "knowledge"


@thing("namespace")
def _namespace(world: World) -> str:
    return "ui"


def everyone(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    return Row(method, path, out=code, pending=code, user=code, **extra)


def current(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    """Any session, also of people who wait."""
    return Row(method, path, out=401, pending=code, user=code, **extra)


def verified(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    return Row(method, path, out=401, pending=401, user=code, **extra)


def admins(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    return Row(method, path, out=401, pending=401, user=401, admin=code, **extra)


def page(method: str, path: str, code: int = 200, **extra: Any) -> Row:
    """A page for verified people: others are sent to the door."""
    return Row(method, path, out=302, pending=302, user=code, **extra)


def governance(path: str) -> Row:
    """A list of Django admin: administrators only; others are led to the one door, which sends them back or refuses."""
    return Row("GET", path, out=302, pending=302, user=302, admin=200)


_SIGN_IN = {"email": "nobody@example.org", "password": "x"}
_NEW = {"name": "New", "email": "new@example.org", "password": "correct horse", "role": "user"}
_AUTHS, _USERS, _GROUPS, _CONFIGS = ("/api/v1/auths", "/api/v1/users", "/api/v1/groups", "/api/v1/configs")

HEALTH = [
    everyone("GET", "/health"),
    everyone("GET", "/health/db"),
    everyone("GET", "/ready"),
    everyone("GET", "/api/version"),
    everyone("GET", "/api/config"),
]
AUTHS = [
    current("GET", f"{_AUTHS}/"),
    everyone("POST", f"{_AUTHS}/signin", 400, json=_SIGN_IN),
    everyone("POST", f"{_AUTHS}/signup", 200, json=_NEW),
    current("POST", f"{_AUTHS}/signout"),
    current("GET", f"{_AUTHS}/signout"),
    verified("POST", f"{_AUTHS}/update/profile", json={"name": "Other"}),
    current("POST", f"{_AUTHS}/update/password", 400, json={"password": "x", "new_password": "y"}),
    admins("POST", f"{_AUTHS}/add", json=_NEW),
    verified("POST", f"{_AUTHS}/api_key", 403),
    verified("GET", f"{_AUTHS}/api_key", 403),
    verified("DELETE", f"{_AUTHS}/api_key"),
    admins("GET", f"{_AUTHS}/admin/config"),
    admins("POST", f"{_AUTHS}/admin/config", json={"ENABLE_NOTES": True}),
    current("GET", f"{_AUTHS}/admin/details"),
]
USERS = [
    admins("GET", f"{_USERS}/"),
    admins("GET", f"{_USERS}/all"),
    verified("GET", f"{_USERS}/search"),
    verified("GET", f"{_USERS}/groups"),
    verified("GET", f"{_USERS}/permissions"),
    verified("GET", f"{_USERS}/user/settings"),
    verified("POST", f"{_USERS}/user/settings/update", json={"ui": {"models": ["a"]}}),
    admins("GET", f"{_USERS}/default/permissions"),
    admins("GET", f"{_USERS}/default/permissions/defaults"),
    admins("POST", f"{_USERS}/default/permissions", json={"chat": {"delete": False}}),
    verified("GET", f"{_USERS}/user/info"),
    verified("POST", f"{_USERS}/user/info/update", json={"colour": "blue"}),
    admins("GET", f"{_USERS}/{{user_id}}"),
    verified("GET", f"{_USERS}/{{user_id}}/info"),
    verified("GET", f"{_USERS}/{{user_id}}/profile/image", 302),
    verified("GET", f"{_USERS}/{{user_id}}/active"),
    admins("GET", f"{_USERS}/{{user_id}}/oauth/sessions"),
    admins("GET", f"{_USERS}/{{user_id}}/groups"),
    admins("GET", f"{_USERS}/{{user_id}}/preview"),
    admins("POST", f"{_USERS}/{{user_id}}/update", json={"role": "user"}),
    admins("POST", f"{_USERS}/{{user_id}}/sessions/revoke"),
    admins("DELETE", f"{_USERS}/{{user_id}}"),
]
GROUPS = [
    verified("GET", f"{_GROUPS}/"),
    admins("POST", f"{_GROUPS}/create", json={"name": "New"}),
    admins("GET", f"{_GROUPS}/id/{{group_id}}"),
    admins("GET", f"{_GROUPS}/id/{{group_id}}/preview"),
    # Nobody here is in the group, and only members may share with it.
    verified("GET", f"{_GROUPS}/id/{{group_id}}/info", 404, admin=200),
    admins("GET", f"{_GROUPS}/id/{{group_id}}/export"),
    admins("GET", f"{_GROUPS}/id/{{group_id}}/members"),
    admins("GET", f"{_GROUPS}/id/{{group_id}}/managers"),
    admins("POST", f"{_GROUPS}/id/{{group_id}}/managers", json={"user_ids": ["{user_id}"]}),
    admins("POST", f"{_GROUPS}/id/{{group_id}}/update", json={"name": "Other"}),
    admins("POST", f"{_GROUPS}/id/{{group_id}}/users"),
    admins("POST", f"{_GROUPS}/id/{{group_id}}/users/add", json={"user_ids": ["{user_id}"]}),
    admins("POST", f"{_GROUPS}/id/{{group_id}}/users/remove", json={"user_ids": ["{user_id}"]}),
    admins("DELETE", f"{_GROUPS}/id/{{group_id}}/delete"),
]
CONFIGS = [
    admins("GET", f"{_CONFIGS}/export"),
    admins("POST", f"{_CONFIGS}/import", json={"config": {"ui.admin_email": "a@example.org"}}),
    admins("GET", f"{_CONFIGS}/namespace/{{namespace}}"),
    verified("GET", f"{_CONFIGS}/banners"),
    admins("POST", f"{_CONFIGS}/banners", json={"banners": []}),
    admins("POST", f"{_CONFIGS}/suggestions", json={"suggestions": []}),
    admins("POST", f"{_CONFIGS}/interface/visibility", json={}),
    admins("GET", f"{_CONFIGS}/models"),
    admins("POST", f"{_CONFIGS}/models", json={"MODEL_ORDER_LIST": ["a"]}),
    verified("GET", f"{_CONFIGS}/models/defaults"),
    admins("GET", f"{_CONFIGS}/connections"),
    admins("POST", f"{_CONFIGS}/connections", json={"ENABLE_DIRECT_CONNECTIONS": False}),
    admins("GET", f"{_CONFIGS}/code_execution"),
    admins("POST", f"{_CONFIGS}/code_execution", json={"ENABLE_CODE_EXECUTION": True}),
    admins("GET", f"{_CONFIGS}/subagents"),
    admins("POST", f"{_CONFIGS}/subagents", json={"ENABLE_SUBAGENTS": False}),
]
PAGES = [
    Row("GET", "/auth", out=200, pending=302, user=302),
    everyone("POST", "/auth", 400, data=_SIGN_IN),
    Row("GET", "/auth/signup", out=200, pending=302, user=302),
    everyone("POST", "/auth/signup", 302, data=_NEW),
    everyone("POST", "/auth/signout", 302),
    Row("GET", "/auth/pending", out=302, pending=200, user=302),
    page("GET", "/settings"),
    page("POST", "/settings", 302, data={"name": "Other"}),
    page("POST", "/settings/theme", 204, data={"theme": "dark"}),
    page("POST", "/settings/interface", 204),
    page("POST", "/settings/language", 204),
    page("POST", "/settings/keyboard", 200, data={"name": "new", "keys": ""}),
    page("GET", "/settings/password", 302),
    page("POST", "/settings/password", 400, data={"old": "x", "new": "y"}),
    page("GET", "/access/principals"),
]
_SHARED = {"out": 302, "pending": 302, "outsider": 404, "reader": 404, "writer": 200, "owner": 200, "admin": 200}
ACCESS = [
    Row("GET", "/access/{resource_type}/{pk}", **_SHARED),
    Row("POST", "/access/{resource_type}/{pk}", data={"general_access": "private"}, **_SHARED),
    Row("GET", "/access/{resource_type}/{pk}/who", **_SHARED),
]
# The writer manages the group; everybody else must not even learn that it is there.
_MANAGED = {"out": 302, "pending": 302, "outsider": 404, "reader": 404, "writer": 200, "owner": 404, "admin": 200}
_MANAGED_FORM = _MANAGED | {"writer": 302, "admin": 302}
_IN_GROUP = {"pk": "managed_group", "user_id": "group_member"}
MANAGERS = [
    page("GET", "/groups"),
    Row("GET", "/groups/{pk}", fill=_IN_GROUP, **_MANAGED),
    Row("GET", "/groups/{pk}/people?q=per", fill=_IN_GROUP, **_MANAGED),
    Row("POST", "/groups/{pk}/members", data={"user_id": "{user_id}"}, fill=_IN_GROUP, **_MANAGED_FORM),
    Row("GET", "/groups/{pk}/members/{user_id}/remove", fill=_IN_GROUP, **_MANAGED),
    Row("POST", "/groups/{pk}/members/{user_id}/remove", fill=_IN_GROUP, **_MANAGED_FORM),
]
GOVERNANCE = [
    governance("/admin/"),
    governance("/admin/accounts/user/"),
    governance("/admin/accounts/session/"),
    governance("/admin/accounts/apikey/"),
    governance("/admin/rbac/group/"),
    governance("/admin/rbac/membership/"),
    governance("/admin/audit/auditevent/"),
    governance("/admin/preview/"),
    Row("GET", "/admin/preview/user/{pk}/", out=302, pending=302, user=302, admin=200, fill={"pk": "user_id"}),
    Row("GET", "/admin/preview/group/{pk}/", out=302, pending=302, user=302, admin=200, fill={"pk": "group_id"}),
    Row("GET", "/admin/sync/{pk}/", out=302, pending=302, user=302, admin=200, fill={"pk": "user_id"}),
    governance("/admin/config/configvalue/"),
    governance("/admin/security/"),
    Row("POST", "/admin/security/export/", out=302, pending=302, user=302, admin=200),
    Row("GET", "/admin/login/", out=302, pending=403, user=403),
]

ROWS = [*HEALTH, *AUTHS, *USERS, *GROUPS, *CONFIGS, *PAGES, *ACCESS, *MANAGERS, *GOVERNANCE]
