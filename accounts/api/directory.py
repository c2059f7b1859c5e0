"""`/api/v1/auths/ldap` and its settings, in the field's shapes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Body, Router, Schema

from accounts import services
from accounts.api.auths import sign_in_answer
from accounts.config import DirectoryConfig
from accounts.web import client_of
from owui.config.api import page_of_settings, save_page
from owui.lib.errors import UserError
from owui.lib.guards import admin, refuse_cross_site

router = Router(tags=["auths"])
#: the field's names of the server's settings
SERVER = {
    "label": "ldap.server_label",
    "host": "ldap.server_host",
    "port": "ldap.server_port",
    "attribute_for_mail": "ldap.attribute_for_mail",
    "attribute_for_username": "ldap.attribute_for_username",
    "app_dn": "ldap.app_dn",
    "app_dn_password": "ldap.app_password",
    "search_base": "ldap.search_base",
    "search_filters": "ldap.search_filter",
    "use_tls": "ldap.use_tls",
    "certificate_path": "ldap.ca_cert_file",
    "validate_cert": "ldap.validate_cert",
    "ciphers": "ldap.ciphers",
}
#: and ours, under the names of their variables
SERVER |= {
    "use_starttls": "ldap.use_starttls",
    "disabled_filter": "ldap.disabled_filter",
    "default_email_domain": "ldap.default_email_domain",
    "merge_accounts_by_email": "ldap.merge_accounts_by_email",
    "enable_group_management": "ldap.enable_group_management",
    "enable_group_creation": "ldap.enable_group_creation",
    "attribute_for_groups": "ldap.attribute_for_groups",
    "attribute_for_members": "ldap.attribute_for_members",
    "group_search_base": "ldap.group_search_base",
    "nested_groups": "ldap.nested_groups",
    "enable_sync": "ldap.enable_sync",
    "sync_interval": "ldap.sync_interval",
    "sync_max_removals": "ldap.sync_max_removals",
}
REQUIRED = ("label", "host", "attribute_for_mail", "attribute_for_username", "search_base")


class DirectorySignInForm(Schema):
    user: str
    password: str


class SwitchForm(Schema):
    enable_ldap: bool | None = None


@router.post("/ldap", auth=None)
def sign_in(request: HttpRequest, form: DirectorySignInForm, response: HttpResponse) -> dict[str, Any]:
    refuse_cross_site(request)
    outcome = services.sign_in_by_directory(user=form.user, password=form.password, **client_of(request))
    return sign_in_answer(request, response, outcome)


@router.get("/admin/config/ldap/server", auth=admin)
def get_server(request: HttpRequest) -> dict[str, Any]:
    return page_of_settings(SERVER)


@router.post("/admin/config/ldap/server", auth=admin)
def set_server(request: HttpRequest, form: Body[dict[str, Any]]) -> dict[str, Any]:
    """Stores what was sent: all, or nothing and every problem in one answer (400)."""
    for name in REQUIRED:
        if not str(form.get(name) or "").strip():
            raise UserError(_("Required field %(name)s is empty") % {"name": name}, code="invalid_setting")
    # Clients send null for a field that is empty.
    sent = {name: _default(name) if value is None else value for name, value in form.items() if name in SERVER}
    return save_page(SERVER, sent, request.user)


@router.get("/admin/config/ldap", auth=admin)
def get_switch(request: HttpRequest) -> dict[str, bool]:
    return {"ENABLE_LDAP": DirectoryConfig.load().enable}


@router.post("/admin/config/ldap", auth=admin)
def set_switch(request: HttpRequest, form: SwitchForm) -> dict[str, bool]:
    if form.enable_ldap is not None:
        save_page({"enable": "ldap.enable"}, {"enable": form.enable_ldap}, request.user)
    return {"ENABLE_LDAP": DirectoryConfig.load().enable}


def _default(name: str) -> Any:
    return DirectoryConfig.settings[SERVER[name].partition(".")[2]].default
