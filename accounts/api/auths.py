"""`/api/v1/auths`: sign in, sign up, own profile, API key."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Router

from accounts import services, tokens
from accounts.middleware import identity_of
from accounts.models import User
from accounts.oauth_web import forget
from accounts.schemas import (
    AddUserForm,
    PasswordForm,
    ProfileForm,
    SignInForm,
    SignUpForm,
    TimezoneForm,
    pending_answer,
    session_answer,
    user_info,
    user_json,
)
from accounts.services import Entered, Pending
from accounts.services.oauth import sign_out_address
from accounts.trusted import asserted_of, is_on
from accounts.web import client_of, set_challenge_cookie, set_token_cookie
from owui.lib.errors import Missing
from owui.lib.guards import admin, current, current_human, human, refuse_cross_site, refuse_embedded, verified

router = Router(tags=["auths"])


def sign_in_answer(request: HttpRequest, response: HttpResponse, outcome: Entered | Pending) -> dict[str, Any]:
    """What a REST operation of any way of signing in answers after `services.begin_session`."""
    if isinstance(outcome, Entered):
        set_token_cookie(request, response, outcome.token, outcome.session)
        return session_answer(outcome.user, outcome.token, outcome.session)
    set_challenge_cookie(request, response, outcome.challenge)
    return pending_answer(outcome.step, outcome.challenge)


@router.get("/", auth=current)
def get_session(request: HttpRequest) -> dict[str, Any]:
    identity = identity_of(request)
    assert identity is not None
    text, _cookie = tokens.credential(request.headers, request.COOKIES)
    whole = user_json(identity.user)
    own = ("bio", "gender", "date_of_birth", "status_emoji", "status_message", "status_expires_at")
    return session_answer(identity.user, text, identity.session) | {name: whole[name] for name in own}


@router.post("/signin", auth=None)
def sign_in(request: HttpRequest, form: SignInForm, response: HttpResponse) -> dict[str, Any]:
    refuse_cross_site(request)
    if services.is_alone():
        # As in the field: clients of a site without authentication send anything as e-mail and password.
        outcome: Any = services.sign_in_alone(host=request.get_host(), **client_of(request))
    elif is_on():
        # As in the field: clients of a site behind a proxy send anything as e-mail and password.
        outcome = services.sign_in_by_header(asserted_of(request), **client_of(request))
    else:
        outcome = services.sign_in(email=form.email, password=form.password, **client_of(request))
    return sign_in_answer(request, response, outcome)


@router.post("/signup", auth=None)
def sign_up(request: HttpRequest, form: SignUpForm, response: HttpResponse) -> dict[str, Any]:
    refuse_cross_site(request)
    picture, client = form.profile_image_url or "", client_of(request)
    user = services.sign_up(
        name=form.name, email=form.email, password=form.password, profile_image_url=picture, ip=client["ip"]
    )
    outcome = services.begin_session(user, auth_method="password", **client)
    return sign_in_answer(request, response, outcome)


@router.api_operation(["GET", "POST"], "/signout", auth=current)
def sign_out(request: HttpRequest, response: HttpResponse) -> dict[str, Any]:
    identity = identity_of(request)
    assert identity is not None
    if identity.by_cookie:
        refuse_cross_site(request)
        refuse_embedded(request)
    address = sign_out_address(identity.session, request.build_absolute_uri("/"))
    address = address or settings.BOOT.webui_auth_signout_redirect_url
    services.sign_out(identity.user, identity.session)
    response.delete_cookie(tokens.COOKIE)
    forget(response)
    return {"status": True} | ({"redirect_url": address} if address else {})


@router.post("/update/profile", auth=verified)
def update_profile(request: HttpRequest, form: ProfileForm) -> dict[str, Any]:
    """Fields that were not sent stay; older clients do not know all of them."""
    return user_json(services.update_profile(_me(request), **form.dict(exclude_unset=True)))


@router.post("/update/timezone", auth=current)
def update_timezone(request: HttpRequest, form: TimezoneForm) -> dict[str, bool]:
    services.set_timezone(_me(request), form.timezone)
    return {"status": True}


@router.post("/update/password", auth=current_human)
def update_password(request: HttpRequest, form: PasswordForm) -> bool:
    identity = identity_of(request)
    assert identity is not None
    services.change_password(identity.user, old=form.password, new=form.new_password, keep=identity.session)
    return True


@router.post("/add", auth=admin)
def add_user(request: HttpRequest, form: AddUserForm) -> dict[str, Any]:
    user = services.create_account(
        name=form.name,
        email=form.email,
        password=form.password,
        role=form.role or "pending",
        by=_me(request),
        profile_image_url=form.profile_image_url or "",
    )
    identity = identity_of(request)
    token = ""
    if identity is not None and identity.method != "api_key":
        # A key must not get what outlives it, least of all an administrator's session.
        token, _session = services.open_session(user, auth_method="system", by=_me(request))
    return user_info(user) | {"token": token, "token_type": "Bearer"}


@router.post("/api_key", auth=human)
def create_api_key(request: HttpRequest) -> dict[str, str]:
    return {"api_key": services.create_api_key(_me(request))}


@router.get("/api_key", auth=human)
def get_api_key(request: HttpRequest) -> dict[str, str]:
    key = services.read_api_key(_me(request))
    if key is None:
        raise Missing("API key not found. Create one first.")
    return {"api_key": key}


@router.delete("/api_key", auth=human)
def delete_api_key(request: HttpRequest) -> bool:
    services.delete_api_key(_me(request), by=_me(request))
    return True


def _me(request: HttpRequest) -> User:
    identity = identity_of(request)
    assert identity is not None
    return identity.user
