"""Coming in: the first account, later ones, and what the form refuses."""

from __future__ import annotations

import threading

import bcrypt
import pytest
from argon2 import PasswordHasher
from django.contrib.auth.hashers import identify_hasher
from django.db import connection

from accounts import services
from accounts.backends.password import hash_password
from accounts.models import User
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused, UserError
from tests.factories.accounts import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
FORM = {"name": "Ana Costa", "email": "Ana@Example.org", "password": PASSWORD}


@pytest.mark.django_db(transaction=True)
def test_fifty_people_racing_for_the_first_account_make_exactly_one_administrator(settings):
    start = threading.Barrier(50)
    errors: list[Exception] = []

    def join(number: int) -> None:
        try:
            start.wait(20)
            services.sign_up(name=f"P{number}", email=f"p{number}@example.org", password=PASSWORD)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=join, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(errors) == 49 and all(isinstance(error, Refused) for error in errors), "the first one closes sign-up"
    assert User.objects.get().role == "admin"
    assert services.primary_admin_id() == User.objects.get(role="admin").pk


def test_the_first_account_is_signed_in_and_lands_on_the_start_page(client_for):
    client = client_for()
    page = client.get("/auth/signup")
    assert page.status_code == 200 and page.context["is_first"] is True
    answer = client.post("/auth/signup", FORM)
    assert answer.status_code == 302 and answer["Location"] == "/"
    user = User.objects.get(email="ana@example.org")
    assert user.role == "admin"
    cookie = answer.cookies["token"]
    assert cookie["httponly"] and cookie["samesite"].lower() == "lax"
    assert client.get("/settings").status_code == 200


def test_the_second_account_waits(client_for, dana):
    client = client_for()
    assert client.post("/auth/signup", FORM).status_code == 302
    assert User.objects.get(email="ana@example.org").role == "pending"
    assert client.get("/settings")["Location"] == "/auth/pending"
    page = client.get("/auth/pending")
    assert page.status_code == 200 and b"dana@example.org" in page.content
    assert page["Refresh"]


def test_the_role_and_group_of_new_accounts_are_settings(dana, set_config):
    from tests.factories.rbac import make_group

    group = make_group("Everyone")
    set_config("auth.default_user_role", "user")
    set_config("auth.default_group_id", str(group.pk))
    user = services.sign_up(**FORM)
    assert user.role == "user" and list(user.direct_groups.all()) == [group]


def test_a_default_role_that_makes_no_sense_means_waiting(dana, set_config):
    set_config("auth.default_user_role", "emperor")
    assert services.sign_up(**FORM).role == "pending"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "DANA@example.org"}, "email"),
        ({"name": "   "}, "name"),
        ({"password": ""}, "password"),
        ({"password": "x" * 1025}, "password"),
    ],
)
@pytest.mark.parametrize(("htmx", "status"), [(False, 400), (True, 422)])
def test_the_form_says_at_the_field_what_is_wrong(client_for, dana, change, field, htmx, status):
    answer = client_for(htmx=htmx).post("/auth/signup", FORM | change)
    assert answer.status_code == status
    assert list(answer.context["form"].errors) == [field]
    assert User.objects.count() == 6


def test_rest_refuses_the_same(api_for, dana):
    api = api_for()
    for change in ({"email": "no address"}, {"email": "dana@example.org"}, {"password": ""}, {"name": " "}):
        answer = api.post("/api/v1/auths/signup", FORM | change)
        assert answer.status_code == 400 and answer.json()["detail"]


def test_the_rule_for_passwords_holds_when_it_is_on(boot, dana):
    boot(enable_password_validation=True, password_validation_hint="Twelve signs, please.")
    with pytest.raises(UserError, match="Twelve"):
        services.sign_up(**FORM)
    assert services.sign_up(**FORM | {"password": "Abcdef1!"}).pk


@pytest.mark.parametrize("key", ["auth.enable_signup", "auth.enable_login_form"])
def test_closed_sign_up_is_refused_at_every_face(client_for, api_for, dana, set_config, key):
    set_config(key, False)
    assert client_for().get("/auth/signup")["Location"] == "/auth?error=signup_closed"
    assert client_for().post("/auth/signup", FORM).status_code == 403
    answer = api_for().post("/api/v1/auths/signup", FORM)
    assert answer.status_code == 403 and "permission" in answer.json()["detail"]
    assert b"signup" not in client_for().get("/auth?form=true").content


def test_the_first_account_needs_no_open_sign_up_but_a_form(set_config, boot):
    set_config("auth.enable_signup", False)
    assert services.signup_open()
    set_config("auth.enable_login_form", False)
    assert not services.signup_open(), "behind single sign-on no stranger becomes administrator"
    boot(enable_initial_admin_signup=True)
    assert services.signup_open()
    UserFactory()
    assert not services.signup_open()


def test_new_passwords_are_hashed_with_argon2(settings):
    from owui import settings as ours

    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    user = services.sign_up(**FORM)
    assert identify_hasher(user.password).algorithm == "argon2"
    assert user.check_password(PASSWORD)


def test_hashes_of_every_kind_fit_and_are_renewed_at_sign_in(settings, dana):
    from django.contrib.auth.hashers import BCryptSHA256PasswordHasher, PBKDF2PasswordHasher

    from owui import settings as ours

    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    salt = bcrypt.gensalt(4)
    stored = {
        "Django's bcrypt": BCryptSHA256PasswordHasher().encode(PASSWORD, salt),
        "PBKDF2": PBKDF2PasswordHasher().encode(PASSWORD, "salt-of-a-test", iterations=1000),
        "bare bcrypt": bcrypt.hashpw(PASSWORD.encode(), salt).decode(),
        "bare bcrypt of PHP": bcrypt.hashpw(PASSWORD.encode(), salt).decode().replace("$2b$", "$2y$"),
        "bare argon2id": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD),
    }
    for kind, hashed in stored.items():
        User.objects.filter(pk=dana.pk).update(password=hashed)
        with pytest.raises(UserError):
            services.sign_in(email=dana.email, password="wrong")
        assert User.objects.get(pk=dana.pk).password == hashed, f"{kind}: a wrong password renews nothing"
        services.sign_in(email=dana.email, password=PASSWORD)
        dana.refresh_from_db()
        assert dana.password.startswith("argon2$argon2id$v=19$m=65536,t=2,p=1$"), kind
        assert dana.check_password(PASSWORD), kind


def test_a_long_password_of_a_product_that_cut_it_still_fits(settings, dana):
    """bcrypt looks at 72 bytes; today's library refuses more, older ones cut in silence."""
    from owui import settings as ours

    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    long = "ä" * 60
    hashed = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    User.objects.filter(pk=dana.pk).update(password=hashed)
    services.sign_in(email=dana.email, password=long)
    dana.refresh_from_db()
    assert dana.check_password(long) and not dana.check_password("ä" * 59)


def test_hashes_are_as_dear_as_owasp_asks(settings):
    """OWASP's least for argon2id (2025): 19 MiB with 2 passes and 1 lane, or 46 MiB with 1. Ours: 64 MiB and 2."""
    from owui import settings as ours

    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    _algorithm, variety, _version, costs, *_rest = hash_password(PASSWORD).split("$")
    memory, passes, lanes = (int(part.partition("=")[2]) for part in costs.split(","))
    assert variety == "argon2id" and memory >= 46 * 1024 and passes >= 2 and lanes >= 1


@pytest.mark.parametrize("value", ["bcrypt", "argon2"])
def test_the_fields_variable_for_hashes_is_taken_and_new_ones_are_argon2(value, monkeypatch, settings):
    from owui import env
    from owui import settings as ours

    monkeypatch.setenv("PASSWORD_HASH_ALGORITHM", value)
    assert env.load().password_hash_algorithm == value
    settings.PASSWORD_HASHERS = ours.PASSWORD_HASHERS
    assert hash_password(PASSWORD).startswith("argon2$")


def test_the_first_account_closes_sign_up_until_an_administrator_opens_it(client_for, api_for, set_config):
    assert client_for().post("/auth/signup", FORM)["Location"] == "/"
    another = FORM | {"email": "second@example.org"}
    assert api_for().post("/api/v1/auths/signup", another).status_code == 403
    assert client_for().get("/auth/signup")["Location"] == "/auth?error=signup_closed"
    set_config("auth.enable_signup", True)
    assert api_for().post("/api/v1/auths/signup", another).json()["role"] == "pending"
    third = FORM | {"email": "third@example.org"}
    assert api_for().post("/api/v1/auths/signup", third).status_code == 200, "only the first one closes it"


def test_sign_up_stays_open_where_the_operator_wrote_so_and_later_ones_wait(api_for, monkeypatch):
    monkeypatch.setenv("ENABLE_SIGNUP", "True")
    assert api_for().post("/api/v1/auths/signup", FORM).json()["role"] == "admin"
    another = FORM | {"email": "second@example.org"}
    assert api_for().post("/api/v1/auths/signup", another).json()["role"] == "pending"


def test_the_password_is_asked_twice_where_that_is_wanted(client_for, api_for, dana, boot):
    assert "again" not in client_for().get("/auth/signup").context["form"].fields
    boot(enable_signup_password_confirmation=True)
    assert api_for().get("/api/config").json()["features"]["enable_signup_password_confirmation"] is True
    wrong = client_for().post("/auth/signup", FORM | {"again": "other horse battery"})
    assert wrong.status_code == 400 and list(wrong.context["form"].errors) == ["again"]
    assert client_for().post("/auth/signup", FORM).status_code == 400
    assert client_for().post("/auth/signup", FORM | {"again": PASSWORD}).status_code == 302


def test_signing_up_is_recorded(dana):
    user = services.sign_up(**FORM)
    event = AuditEvent.objects.get(action="user.sign_up")
    assert event.actor_id == user.pk and event.detail == {"role": "pending"}


def test_the_configured_administrator_is_made_once_and_closes_sign_up(boot):
    boot(webui_admin_email="root@example.org", webui_admin_password=PASSWORD)
    user = services.ensure_configured_admin()
    assert user is not None and user.role == "admin" and user.check_password(PASSWORD)
    assert not services.signup_open()
    assert services.ensure_configured_admin() is None
    with pytest.raises(Refused):
        services.sign_up(**FORM)
