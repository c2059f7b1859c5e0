"""Real directories for tests of sign-in and sync: OpenLDAP, and OpenLDAP in the clothes of Active Directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.real.servers import Real, RealServer

SUFFIX = "dc=meridian,dc=test"
MANAGER = (f"cn=manager,{SUFFIX}", "manager-secret")
POSIX: dict[str, Any] = {
    "enable": True,
    "use_tls": False,
    "use_starttls": True,
    "app_dn": f"cn=reader,ou=services,{SUFFIX}",
    "app_password": "reader-secret",
    "search_base": f"ou=people,{SUFFIX}",
    "group_search_base": f"ou=groups,{SUFFIX}",
    "disabled_filter": "(employeeType=disabled)",
    "enable_group_management": True,
    "network_timeout": 2,
    "search_timeout": 3,
}
AD_SUFFIX = "DC=ad,DC=meridian,DC=test"
AD: dict[str, Any] = POSIX | {
    "app_dn": f"CN=svc-ai,OU=Service Accounts,{AD_SUFFIX}",
    "search_base": AD_SUFFIX,
    "search_filter": "(objectClass=adUser)",
    "group_search_base": "",
    "disabled_filter": "",
    "attribute_for_username": "sAMAccountName",
}


def values(server: RealServer, **changes: Any) -> dict[str, Any]:
    """Settings that lead to a server, with StartTLS and its own certificate authority."""
    base = AD if server.name == "ldap-ad" else POSIX
    return base | {"server_host": "localhost", "server_port": server.port, "ca_cert_file": str(server.ca)} | changes


def manager(server: RealServer) -> Any:
    """The directory's own administrator, to change it."""
    import ldap

    suffix = AD_SUFFIX if server.name == "ldap-ad" else SUFFIX
    connection = ldap.initialize(f"ldap://127.0.0.1:{server.port}")
    connection.simple_bind_s(f"cn=manager,{suffix}", "manager-secret")
    return connection


def person(uid: str) -> str:
    return f"uid={uid},ou=people,{SUFFIX}"


def group(name: str) -> str:
    return f"cn={name},ou=groups,{SUFFIX}"


def add_person(server: RealServer, uid: str, **attributes: str | list[str]) -> str:
    """A new entry below ou=people; its password is `Test-<uid>-1` unless given."""
    import ldap.dn
    from ldap.modlist import addModlist

    found: dict[str, Any] = {"objectClass": ["inetOrgPerson"], "uid": uid, "cn": uid, "sn": uid}
    found |= {"userPassword": f"Test-{uid}-1", "mail": f"{uid}@meridian.test"} | attributes
    encoded = {
        key: [str(v).encode() for v in (value if isinstance(value, list) else [value])]
        for key, value in found.items()
        if value
    }
    dn = f"uid={ldap.dn.escape_dn_chars(uid)},ou=people,{SUFFIX}"
    with_manager = manager(server)
    with_manager.add_s(dn, addModlist(encoded))
    with_manager.unbind_s()
    return dn


def add_group(server: RealServer, name: str, *members: str) -> str:
    import ldap.dn
    from ldap.modlist import addModlist

    dn = f"cn={ldap.dn.escape_dn_chars(name)},ou=groups,{SUFFIX}"
    found = {"objectClass": [b"groupOfNames"], "cn": [name.encode()], "member": [m.encode() for m in members]}
    with_manager = manager(server)
    with_manager.add_s(dn, addModlist(found))
    with_manager.unbind_s()
    return dn


def change(server: RealServer, dn: str, **attributes: list[str] | None) -> None:
    """Replaces attributes of an entry; None removes one."""
    import ldap

    rows = [
        (ldap.MOD_REPLACE, name, None if found is None else [value.encode() for value in found])
        for name, found in attributes.items()
    ]
    with_manager = manager(server)
    with_manager.modify_s(dn, rows)
    with_manager.unbind_s()


def remove(server: RealServer, dn: str) -> None:
    with_manager = manager(server)
    with_manager.delete_s(dn)
    with_manager.unbind_s()


@pytest.fixture(scope="module")
def real() -> Iterator[Real]:
    with Real() as running:
        yield running


@pytest.fixture(scope="module")
def posix(real: Real) -> RealServer:
    """One OpenLDAP for a module; it lets in who has no password, as many directories do."""
    return real.start("ldap", env={"ALLOW_EMPTY_PASSWORD": "1"})


@pytest.fixture
def use(set_config: Callable[..., None]) -> Callable[..., None]:
    """`use(server, nested_groups=True)`: the settings of a server, changed."""
    from owui.config import store

    def make(server: RealServer, **changes: Any) -> None:
        found = {f"ldap.{name}": value for name, value in values(server, **changes).items()}
        store.set_values(found, by=None)

    return make
