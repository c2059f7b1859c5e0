"""One real OpenID provider for the module, everything of it as at its start for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.accounts.oidc.forger import CLIENT, Forger, forging
from tests.accounts.oidc.world import CALLBACK, HOST, Person, variables
from tests.factories.accounts import UserFactory
from tests.real.servers import Real, RealServer


@pytest.fixture(scope="package")
def real_provider() -> Iterator[RealServer]:
    addresses = ("--redirect", CALLBACK, "--post-logout", f"{HOST}/auth")
    with Real() as real:
        yield real.start("oidc", *addresses, "--backchannel", f"{HOST}/oauth/backchannel-logout")


class Control:
    """What an administrator of the provider does."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.http = httpx.Client(base_url=f"{issuer}/control/", timeout=10)

    def person(self, uid: str, **values: Any) -> None:
        self.http.patch(f"people/{uid}", json=values).raise_for_status()

    def faults(self, **paths: Any) -> None:
        """`faults(token={"status": 503})`"""
        wanted = {"/" + name.replace("__", "/").replace("_", "-"): fault for name, fault in paths.items()}
        self.http.post("faults", json=wanted).raise_for_status()

    def reset(self) -> None:
        self.http.post("reset").raise_for_status()


@pytest.fixture
def control(real_provider: RealServer) -> Iterator[Control]:
    found = Control(f"http://127.0.0.1:{real_provider.port}")
    found.reset()
    yield found
    found.http.close()


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """What one test's provider said of itself is nothing to the next."""
    from accounts.backends.oidc import discovery
    from accounts.services.oauth import exchange

    discovery.forget()
    exchange._tries.clear()
    yield


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`configure(OAUTH_ADMIN_ROLES="boss")`: variables, read anew."""

    def change(**values: str) -> None:
        from owui.config import store

        for name, value in values.items():
            monkeypatch.setenv(name, value)
        store.clear_cache()

    return change


@pytest.fixture
def sso(control: Control, configure: Callable[..., None]) -> Control:
    """The site is set up for the real provider, as the seed has it."""
    configure(**variables(control.issuer))
    return control


@pytest.fixture(scope="package")
def forger_server() -> Iterator[Forger]:
    with forging() as running:
        yield running


@pytest.fixture
def forger(forger_server: Forger, configure: Callable[..., None], db: None) -> Forger:
    """A provider that says what the test wants, and an administrator who was here before."""
    forger_server.begin_anew()
    UserFactory(name="Dana Reyes", email="dana@example.org", role="admin")
    configure(
        OPENID_PROVIDER_URL=forger_server.issuer,
        OAUTH_CLIENT_ID=CLIENT,
        OAUTH_CLIENT_SECRET="a-client-secret-that-is-long-enough-for-it",
        ENABLE_OAUTH_SIGNUP="True",
        ENABLE_OAUTH_GROUP_MANAGEMENT="True",
        ENABLE_OAUTH_ROLE_MANAGEMENT="True",
    )
    return forger_server


@pytest.fixture
def browser() -> Iterator[Callable[..., Person]]:
    opened: list[Person] = []

    def make(uid: str = "", provider: str = "oidc") -> Person:
        opened.append(Person(uid, provider))
        return opened[-1]

    yield make
    for person in opened:
        person.close()
