"""The directory on the sign-in page and in REST settings; a server without the client library; odd servers."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.backends import directory
from accounts.backends.directory import groups, library
from accounts.config import DirectoryConfig
from accounts.services import directory as service
from owui.lib.errors import UserError
from tests.accounts.directories import posix, real, use
from tests.real.servers import needs

pytestmark = pytest.mark.django_db
__all__ = ["posix", "real", "use"]
SERVER = {
    "label": "Example Corp", "host": "ldap.example.org", "port": 636, "attribute_for_mail": "mail",
    "attribute_for_username": "uid", "app_dn": "cn=reader", "app_dn_password": "s3cret", "search_base": "dc=example",
    "search_filters": "(a=b)", "use_tls": True, "certificate_path": None, "validate_cert": True, "ciphers": "ALL",
}  # fmt: skip
CONFIG = "/api/v1/auths/admin/config/ldap"


# ------------------------------------------------------------------------------------------------------------ the pages
@needs("ldap")
@pytest.mark.process
def test_the_page_signs_in_and_comes_back_to_where_one_was(client_for, use, posix, dana):
    use(posix, server_label="Meridian <Staff>")
    browser = client_for(csrf=True)
    door = browser.get("/auth", {"next": "/settings"}).content.decode()
    assert "/auth/ldap?next=%2Fsettings" in door and "Meridian &lt;Staff&gt;" in door
    page = browser.get("/auth/ldap", {"next": "/settings"})
    assert page.status_code == 200 and 'value="/settings"' in page.content.decode()
    form = {"user": "akoch", "password": "Test-akoch-1", "next": "/settings"}
    assert browser.post("/auth/ldap", form).status_code == 403, "a form of another site"
    form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"].value
    assert browser.post("/auth/ldap", form | {"password": "wrong"}).status_code == 400
    answer = browser.post("/auth/ldap", form)
    assert answer.status_code == 302 and answer["Location"] == "/settings" and answer.cookies["token"]["httponly"]
    assert browser.post("/auth/ldap", form | {"next": "https://evil.example"}).status_code in (302, 403)


@needs("ldap")
@pytest.mark.process
def test_a_link_leads_nowhere_else_and_htmx_gets_the_form_again(client_for, use, posix, dana):
    use(posix)
    form = {"user": "akoch", "password": "Test-akoch-1", "next": "https://evil.example"}
    assert client_for().post("/auth/ldap", form)["Location"] == "/"
    answer = client_for(htmx=True).post("/auth/ldap", form | {"password": ""})
    assert answer.status_code == 422 and "Test-akoch-1" not in answer.content.decode()


def test_where_the_directory_is_the_only_way_its_page_is_the_door(client_for, set_config, dana, api_for):
    assert client_for().get("/auth/ldap")["Location"].startswith("/auth?")
    set_config("ldap.enable", True)
    assert client_for().get("/auth").status_code == 200, "the form is there as well"
    set_config("auth.enable_login_form", False)
    assert client_for().get("/auth", {"next": "/settings"})["Location"] == "/auth/ldap?next=%2Fsettings"
    assert client_for().get("/auth?ways=1").status_code == 200
    assert api_for().get("/api/config").json()["features"]["enable_ldap"] is True


def test_a_directory_that_is_away_is_said_on_the_page_without_a_lock_out(client_for, set_config, dana):
    from accounts.models import SignInFailure

    for name, value in {"enable": True, "server_host": "127.0.0.1", "server_port": 1}.items():
        set_config(f"ldap.{name}", value)
    page = client_for().post("/auth/ldap", {"user": "x", "password": "y"})
    assert page.status_code == 503 and b"does not answer at the moment" in page.content
    assert not SignInFailure.objects.exists()


# ----------------------------------------------------------------------------------------------------------------- REST
def test_the_settings_have_the_fields_shape_and_hide_the_password(api_for, dana):
    api = api_for(dana)
    saved = api.post(f"{CONFIG}/server", SERVER)
    assert saved.status_code == 200, saved.content
    body = saved.json()
    expected = SERVER | {"app_dn_password": body["app_dn_password"], "certificate_path": ""}
    assert {name: body[name] for name in SERVER} == expected and "s3cret" not in saved.content.decode()
    assert api.get(f"{CONFIG}/server").json() == body
    assert api.post(f"{CONFIG}/server", body | {"label": "Other"}).status_code == 200
    assert DirectoryConfig.load().app_password == "s3cret", "the mask keeps it"
    assert api.post(CONFIG, {"enable_ldap": True}).json() == {"ENABLE_LDAP": True} == api.get(CONFIG).json()


@pytest.mark.parametrize("name", ["label", "host", "attribute_for_mail", "attribute_for_username", "search_base"])
def test_a_required_field_that_is_empty_is_refused_and_nothing_is_stored(api_for, dana, name):
    answer = api_for(dana).post(f"{CONFIG}/server", SERVER | {name: ""})
    assert answer.status_code == 400 and answer.json()["detail"] == f"Required field {name} is empty"
    assert DirectoryConfig.load().server_host == "localhost"


def test_the_password_does_not_follow_to_another_server(api_for, dana):
    api = api_for(dana)
    api.post(f"{CONFIG}/server", SERVER)
    moved = {name: value for name, value in SERVER.items() if name != "app_dn_password"} | {"host": "evil.example"}
    assert api.post(f"{CONFIG}/server", moved).status_code == 400
    assert DirectoryConfig.load().server_host == "ldap.example.org"


# ------------------------------------------------------------------------------------------------------------- the rest
def test_without_the_library_people_and_operators_are_told_what_is_missing(
    api_for, set_config, dana, monkeypatch, caplog
):
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(library, "import_module", missing)
    set_config("ldap.enable", True)
    answer = api_for().post("/api/v1/auths/ldap", {"user": "x", "password": "y"})
    assert answer.status_code == 503 and "not installed" in answer.json()["detail"]
    assert "owui[ldap]" in caplog.text and "libldap2-dev" in caplog.text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"server_host": "a"}, [("ldaps://a:389", False)]),
        ({"server_host": "a", "use_starttls": True}, [("ldap://a:389", True)]),
        ({"server_host": "a", "use_tls": False}, [("ldap://a:389", False)]),
        ({"server_host": "a, b:636"}, [("ldaps://a:389", False), ("ldaps://b:636", False)]),
        ({"server_host": "a\nldaps://c"}, [("ldaps://a:389", False), ("ldaps://c", False)]),
        ({"server_host": "ldap://a:1"}, [("ldap://a:1", True)]),
        ({"server_host": "::1"}, [("ldaps://[::1]:389", False)]),
        ({"server_host": "[::1]:636"}, [("ldaps://[::1]:636", False)]),
    ],
)  # fmt: skip
def test_servers_and_whether_tls_is_said_first(changes, expected):
    assert directory.servers(DirectoryConfig(**changes)) == expected


def test_a_slow_directory_does_not_take_all_threads(set_config, dana, monkeypatch):
    from threading import BoundedSemaphore

    full = BoundedSemaphore(1)
    full.acquire()
    monkeypatch.setattr(service, "_asking", full)
    monkeypatch.setattr(service, "PATIENCE", 0.01)
    set_config("ldap.enable", True)
    with pytest.raises(UserError) as refused:
        service.sign_in_by_directory(user="x", password="y")
    assert refused.value.status == 503


@needs("ldap")
def test_group_names_are_the_first_cn_unescaped():
    values = {
        "CN=Safety\\, Risk,OU=Groups,DC=x": "Safety, Risk",
        "cn=a\\+b\\=c+ou=d,dc=x": "a+b=c",
        "cn=\\E6\\9D\\B1,dc=x": "東",
        "ou=Staff,cn=outer,dc=x": "outer",
        "ou=nothing,dc=x": "",
        "plain name": "plain name",
        "cn=broken\\": "cn=broken\\",
    }
    assert {value: groups.name_of(value) for value in values} == values


class Ranged:
    """Active Directory's way of giving many values: some at a time."""

    def __init__(self, total: int) -> None:
        self.total = total

    def entry(self, start: int) -> tuple[str, dict[str, list[bytes]]]:
        end = min(start + 1500, self.total) - 1
        mark = "*" if end == self.total - 1 else str(end)
        return "CN=x", {f"memberOf;range={start}-{mark}": [f"CN=g{n},DC=x".encode() for n in range(start, end + 1)]}

    def search_ext_s(self, base: str, scope: int, text: str, wanted: list[str], **options: Any) -> list[Any]:
        return [self.entry(int(wanted[0].partition("range=")[2].partition("-")[0]))]


@needs("ldap")
def test_five_thousand_groups_that_come_in_parts():
    server = Ranged(5000)
    entry = directory.Entry.of(server.entry(0))
    names = directory.Groups(server, DirectoryConfig(search_base="DC=x")).names(entry)
    assert names is not None and len(names) == 5000 and names[-1] == "g4999"


@needs("ldap")
@pytest.mark.parametrize(
    ("values", "closed"),
    [
        ({}, False),
        ({"userAccountControl": [b"512"]}, False),
        ({"userAccountControl": [b"514"]}, True),
        ({"userAccountControl": [b"junk"]}, False),
        ({"nsAccountLock": [b"TRUE"]}, True),
        ({"pwdAccountLockedTime": [b"000001010000Z"]}, True),
        ({"accountExpires": [b"0"]}, False),
        ({"accountExpires": [b"9223372036854775807"]}, False),
        ({"accountExpires": [b"132000000000000000"]}, True),
    ],
)
def test_accounts_that_the_directory_itself_calls_closed(values, closed):
    assert directory.Entry.of(("cn=x", values)).is_closed is closed


def test_the_lasting_id_is_the_directorys_own_or_the_name():
    guid = bytes(range(16))
    assert directory.Entry.of(("cn=X", {"objectGUID": [guid]})).subject == "03020100-0504-0706-0809-0a0b0c0d0e0f"
    assert directory.Entry.of(("cn=X", {"entryUUID": [b"ABC"], "objectGUID": [guid]})).subject == "abc"
    assert directory.Entry.of(("CN=X,DC=y", {})).subject == "cn=x,dc=y"
