"""Connecting to the directory: which servers there are, TLS, fail-over, and the account that searches."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.utils.translation import gettext as _

from accounts.backends.directory.library import DirectoryProblem, ldap, reason
from accounts.config import DirectoryConfig

log = logging.getLogger(__name__)
#: TLS 1.2 in the numbers of the protocol, as libldap wants it
_TLS_1_2 = 0x303


def servers(config: DirectoryConfig) -> list[tuple[str, bool]]:
    """Address of each server, and whether StartTLS is said first. TLS that is switched on is never left out: a plain
    `ldap://` address then means StartTLS."""
    found = []
    for name in re.split(r"[,\s]+", config.server_host.strip()):
        if not name:
            continue
        scheme, mark, rest = name.partition("://")
        if not mark:
            host = f"[{name}]" if name.count(":") > 1 and not name.startswith("[") else name
            has_port = re.search(r"(^[^:]+|\]):\d+$", host)
            scheme = "ldaps" if config.use_tls and not config.use_starttls else "ldap"
            rest = host if has_port else f"{host}:{config.server_port}"
        scheme = scheme.lower()
        if scheme not in ("ldap", "ldaps"):
            raise DirectoryProblem(
                _("The directory is not set up correctly. Tell your administrator."),
                detail=f"LDAP_SERVER_HOST holds an address that is neither ldap:// nor ldaps:// ({scheme}://).",
            )
        found.append((f"{scheme}://{rest}", scheme == "ldap" and (config.use_starttls or config.use_tls)))
    return found


@contextmanager
def connected(config: DirectoryConfig) -> Iterator[Any]:
    """A connection to the first server that answers, signed in as the searching account.

    :raises DirectoryProblem: none answers (503), or the searching account is refused (400)
    """
    connection = _connect(config)
    try:
        yield connection
    except ldap().LDAPError as error:
        raise _silent(reason(error)) from error
    finally:
        with suppress(Exception):
            connection.unbind_ext_s()


def _silent(detail: str) -> DirectoryProblem:
    return DirectoryProblem(
        _("The directory does not answer at the moment. Try again shortly; if it stays so, tell your administrator."),
        detail=detail,
    )


def _connect(config: DirectoryConfig) -> Any:
    failures = []
    library = ldap()
    for url, is_starttls in servers(config):
        try:
            return _open(config, url, is_starttls)
        except (library.INVALID_CREDENTIALS, library.INAPPROPRIATE_AUTH, library.INVALID_DN_SYNTAX) as error:
            raise DirectoryProblem(
                _("The directory does not accept this site's own account. Tell your administrator."),
                detail=f"{url} refuses the searching account {config.app_dn}: {reason(error)}",
                status=400,
                code="directory_account",
            ) from error
        except (library.LDAPError, OSError, ValueError) as error:
            # ValueError: an option that the library does not take, such as ciphers or a file it cannot read.
            failures.append(f"{url}: {reason(error)}{_hint(url, error)}")
            log.warning("directory %s", failures[-1])
    raise _silent("no server answers. " + "; ".join(failures) if failures else "LDAP_SERVER_HOST names no server")


def _hint(url: str, error: Exception) -> str:
    """The TLS library says little; most often it is one of these."""
    library = ldap()
    is_tls = isinstance(error, library.CONNECT_ERROR) or (url.startswith("ldaps") and not isinstance(error, OSError))
    if is_tls or str(error) == "option error":
        return " (TLS: see LDAP_CA_CERT_FILE, the host name in the certificate, LDAP_CIPHERS, and the port)"
    return ""


def _open(config: DirectoryConfig, url: str, is_starttls: bool) -> Any:
    library = ldap()
    connection = library.initialize(url)
    try:
        connection.set_option(library.OPT_PROTOCOL_VERSION, library.VERSION3)
        # A server elsewhere that a referral names would get the password.
        connection.set_option(library.OPT_REFERRALS, 0)
        connection.set_option(library.OPT_NETWORK_TIMEOUT, float(config.network_timeout))
        connection.set_option(library.OPT_TIMEOUT, float(config.network_timeout))
        connection.set_option(library.OPT_TIMELIMIT, config.search_timeout)
        if url.startswith("ldaps:") or is_starttls:
            _set_tls(connection, config)
        if is_starttls:
            connection.start_tls_s()
        as_searcher(connection, config)
        connection.set_option(library.OPT_TIMEOUT, float(config.search_timeout))
    except BaseException:
        with suppress(Exception):
            connection.unbind_ext_s()
        raise
    return connection


def as_searcher(connection: Any, config: DirectoryConfig) -> None:
    """Makes the connection the searching account's again, after it was somebody else's."""
    connection.simple_bind_s(config.app_dn, config.app_password if config.app_dn else "")


def _set_tls(connection: Any, config: DirectoryConfig) -> None:
    library = ldap()
    if config.ca_cert_file:
        if not os.access(config.ca_cert_file, os.R_OK):
            raise ValueError(f"LDAP_CA_CERT_FILE names {config.ca_cert_file}, which cannot be read")
        connection.set_option(library.OPT_X_TLS_CACERTFILE, config.ca_cert_file)
    must = library.OPT_X_TLS_DEMAND if config.validate_cert else library.OPT_X_TLS_NEVER
    connection.set_option(library.OPT_X_TLS_REQUIRE_CERT, must)
    connection.set_option(library.OPT_X_TLS_PROTOCOL_MIN, _TLS_1_2)
    if config.ciphers.strip() not in ("", "ALL"):
        connection.set_option(library.OPT_X_TLS_CIPHER_SUITE, config.ciphers.strip())
    # Last: makes a context of what was set, for this connection alone.
    connection.set_option(library.OPT_X_TLS_NEWCTX, 0)
