"""Somebody leaves: what ends, what stays, and who cannot be made to leave."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import services, tokens
from accounts.models import ApiKey, Session, User
from accounts.services import Program
from owui.audit.models import AuditEvent
from owui.lib.errors import Refused
from tests.conftest import Api, token_for

DIRECTORY = Program("Directory sync")
ME = "/api/v1/auths/"


def test_who_is_off_boarded_is_refused_with_every_credential(alice: Any, dana: Any, set_config: Any) -> None:
    set_config("auth_api_key.enable", True)
    set_config("user.permissions", {"features": {"api_keys": True}})
    key, token = services.create_api_key(alice), token_for(alice)
    assert Api(token).get(ME).status_code == Api(key).get("/api/v1/chats/").status_code == 200
    services.off_board(alice, by=DIRECTORY, why="ldap")
    assert Api(token).get(ME).status_code == Api(key).get("/api/v1/chats/").status_code == 401
    alice.refresh_from_db()
    assert not alice.is_active
    assert not Session.objects.filter(user=alice, revoked_at=None).exists()


def test_keys_do_not_come_back_with_the_person(alice: Any, dana: Any) -> None:
    tokens.new_api_key(alice)
    services.off_board(alice, by=DIRECTORY, why="ldap")
    services.update_user(alice, by=DIRECTORY, is_active=True)
    assert not ApiKey.objects.filter(user=alice).exists()
    assert Api(token_for(alice)).get(ME).status_code == 200


def test_an_administrator_who_unticks_may_sign_in_off_boards_too(alice: Any, dana: Any) -> None:
    tokens.new_api_key(alice)
    token = token_for(alice)
    services.update_user(alice, by=dana, is_active=False)
    assert Api(token).get(ME).status_code == 401
    assert not ApiKey.objects.filter(user=alice).exists()


def test_off_boarding_names_who_did_it_and_why(alice: Any, dana: Any) -> None:
    services.off_board(alice, by=DIRECTORY, why="ldap")
    event = AuditEvent.objects.get(action="user.off_board")
    assert (event.actor_label, event.object_id, event.detail) == ("Directory sync", str(alice.pk), {"why": "ldap"})
    services.off_board(User.objects.get(pk=alice.pk), by=DIRECTORY, why="ldap")
    assert AuditEvent.objects.filter(action="user.off_board").count() == 1, "the second time there is nothing to do"


def test_the_first_administrator_cannot_be_made_to_leave(dana: Any) -> None:
    token = token_for(dana)
    for leave in (services.off_board, services.end_access):
        with pytest.raises(Refused) as refused:
            leave(dana, by=DIRECTORY, why="scim")
        assert refused.value.code == "primary_admin"
    assert Api(token).get(ME).status_code == 200


def test_the_last_active_administrator_stays(dana: Any, alice: Any) -> None:
    services.update_user(alice, by=dana, role="admin")
    User.objects.filter(pk=dana.pk).update(is_active=False)
    with pytest.raises(Refused) as refused:
        services.off_board(User.objects.get(pk=alice.pk), by=DIRECTORY, why="scim")
    assert refused.value.code == "last_admin"


def test_a_logout_at_the_provider_ends_what_is_open_and_leaves_the_account(alice: Any, dana: Any) -> None:
    tokens.new_api_key(alice)
    token = token_for(alice)
    services.end_access(alice, by=None, why="backchannel")
    assert Api(token).get(ME).status_code == 401
    assert ApiKey.objects.filter(user=alice).exists()
    assert Api(token_for(alice)).get(ME).status_code == 200, "whoever may sign in again may come back"
    services.end_access(alice, by=None, why="backchannel", keys=True)
    assert not ApiKey.objects.filter(user=alice).exists()
