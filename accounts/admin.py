"""Governance of people: who is here, who waits, which sessions and keys are open. Every change is a service's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import services
from accounts.devices import devices_of
from accounts.forms import UserAdminForm
from accounts.models import ApiKey, DirectoryRun, ExternalLogin, Lockout, Role, Session, User
from accounts.models.keys import SOON
from accounts.reports import sentences
from owui.lib.errors import UserError
from rbac.admin import ServiceAdmin
from rbac.admin_lists import GroupFilter
from rbac.models import Group


@admin.register(User)
class UserAdmin(ServiceAdmin[User]):
    form = UserAdminForm
    list_display = ("name", "email", "role", "group_names", "is_active", "last_active_at", "created_at")
    list_filter = ("role", "is_active", ("last_active_at", admin.DateFieldListFilter), GroupFilter)
    search_fields = ("name", "email")
    ordering = ("name", "pk")
    list_per_page = 50
    readonly_fields = ("group_names", "last_active_at", "created_at")
    fields = ("name", "email", "role", "is_active", "new_password", "group_names", "last_active_at", "created_at")
    actions = ("approve", "end_sessions", "reset_factors")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:pk>/sessions/end/", view(self.end_all_of), name="accounts_user_end_sessions"),
            path("<uuid:pk>/sessions/<uuid:session>/end/", view(self.end_one_of), name="accounts_user_end_session"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        """The form, and below it where the person is signed in and under which names others know them."""
        user = self.get_object(request, object_id)
        if user is not None:
            logins = ExternalLogin.objects.filter(user=user).order_by("provider", "pk")
            extra_context = (extra_context or {}) | {
                "device_list": devices_of(user, None),
                "login_list": [(login, sentences(login.last_report)) for login in logins],
            }
        return super().change_view(request, object_id, form_url, extra_context)

    def end_one_of(self, request: HttpRequest, pk: uuid.UUID, session: uuid.UUID) -> HttpResponse:
        row = get_object_or_404(Session.objects.select_related("user"), pk=session, user_id=pk, revoked_at=None)
        return self._ended(request, pk, lambda: services.end_session(row, by=request.user))  # type: ignore[arg-type]

    def end_all_of(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
        user = services.get_user(pk)
        return self._ended(request, pk, lambda: services.revoke_sessions(user, by=request.user))  # type: ignore[arg-type]

    def _ended(self, request: HttpRequest, pk: uuid.UUID, end: Callable[[], None]) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            end()
        except UserError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, _("Ended. It holds everywhere from now on."), messages.SUCCESS)
        return HttpResponseRedirect(f"{reverse('admin:accounts_user_change', args=[pk])}#devices")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """As in Django's own user admin: `?password__startswith=` would ask out hashes letter by letter."""
        return not lookup.startswith("password") and super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        names = Prefetch("direct_groups", Group.objects.only("name"))
        return super().get_queryset(request).prefetch_related(names)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return ("name", "email", "role", "new_password") if obj is None else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        return () if obj is None else self.readonly_fields

    @admin.display(description=_("groups"))
    def group_names(self, user: User) -> str:
        return ", ".join(sorted({group.name for group in user.direct_groups.all()})) or "–"

    def save_model(self, request: HttpRequest, obj: User, form: forms.ModelForm[User], change: bool) -> None:
        by: Any = request.user
        data = form.cleaned_data
        password = data.get("new_password") or None
        if change:
            changed = {name: data[name] for name in form.changed_data if name in ("name", "email", "role", "is_active")}
            services.update_user(obj, by=by, password=password, **changed)
        else:
            user = services.create_account(
                name=data["name"], email=data["email"], password=password, role=data["role"], by=by
            )
            obj.pk, obj._state.adding = user.pk, False

    def obstacles(self, request: HttpRequest, obj: User) -> list[str]:
        others = User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=obj.pk)
        if obj.role == Role.ADMIN and not others.exists():
            return [_("%(name)s is the last active administrator. Make somebody else administrator first.")
                    % {"name": obj.name}]  # fmt: skip
        return []

    def remove(self, request: HttpRequest, obj: User) -> None:
        services.delete_user(obj, by=request.user)  # type: ignore[arg-type]

    @admin.action(description=_("Approve (make user)"))
    def approve(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        waiting = list(queryset.filter(role=Role.PENDING))
        for user in waiting:
            services.update_user(user, by=request.user, role=Role.USER)  # type: ignore[arg-type]
        text = ngettext("%d person may come in now.", "%d people may come in now.", len(waiting)) % len(waiting)
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description=_("End all sessions"))
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users = list(queryset)
        for user in users:
            services.revoke_sessions(user, by=request.user)  # type: ignore[arg-type]
        text = ngettext("Sessions of %d person were ended.", "Sessions of %d people were ended.", len(users)) % len(
            users
        )
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description=_("Reset the second factor"))
    def reset_factors(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        users = list(queryset)
        for user in users:
            services.reset_factors(user, by=request.user)  # type: ignore[arg-type]
        text = ngettext("%d person starts anew.", "%d people start anew.", len(users)) % len(users)
        self.message_user(request, text, messages.SUCCESS)


class ReadOnlyAdmin(ServiceAdmin[Any]):
    """A list to look at; its actions end things."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin):
    list_display = ("user", "auth_method", "ip", "user_agent", "created_at", "expires_at", "revoked_at")
    list_filter = ("auth_method", ("created_at", admin.DateFieldListFilter), ("revoked_at", admin.EmptyFieldListFilter))
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email", "ip")
    ordering = ("-created_at",)
    actions = ("end",)

    @admin.action(description=_("End these sessions"), permissions=["view"])
    def end(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        sessions = list(queryset.filter(revoked_at=None).select_related("user"))
        for session in sessions:
            services.end_session(session, by=request.user)  # type: ignore[arg-type]
        text = ngettext("%d session was ended.", "%d sessions were ended.", len(sessions)) % len(sessions)
        self.message_user(request, text, messages.SUCCESS)


class _KeyState(admin.SimpleListFilter):
    """Which keys want to be looked at."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("ending", _("ends soon")),
            ("ended", _("has ended")),
            ("endless", _("never ends")),
            ("unused", _("not used for 90 days")),
            ("unlimited", _("without limits")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = timezone.now()
        quiet = now - timedelta(days=90)
        wanted = {
            "ending": Q(expires_at__gt=now, expires_at__lte=now + SOON),
            "ended": Q(expires_at__lte=now),
            "endless": Q(expires_at=None),
            "unused": Q(created_at__lt=quiet) & (Q(last_used_at=None) | Q(last_used_at__lt=quiet)),
            "unlimited": Q(allowed_paths=[], allowed_models=[], allowed_addresses=[]),
        }
        return queryset.filter(wanted[self.value()]) if self.value() in wanted else queryset  # type: ignore[index]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ("user", "name", "last_four", "created_at", "last_used_at", "last_used_ip", "expires_at", "limits")
    list_filter = (_KeyState, ("last_used_at", admin.DateFieldListFilter), "is_classic", "user__role")
    list_select_related = ("user",)
    search_fields = ("user__name", "user__email", "name", "last_four")
    ordering = ("-created_at",)
    # The digest and the encrypted key stay out of every page.
    fields = (
        *("user", "name", "last_four", "is_classic", "created_at", "last_used_at", "last_used_ip", "expires_at"),
        *("allowed_paths", "allowed_models", "allowed_addresses"),
    )
    actions = ("revoke",)

    @admin.display(description=_("limits"))
    def limits(self, key: ApiKey) -> str:
        parts = [(_("paths"), key.allowed_paths), (_("models"), key.allowed_models)]
        parts.append((_("addresses"), key.allowed_addresses))
        return ", ".join(f"{name}: {len(entries)}" for name, entries in parts if entries) or "–"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Hashes and secrets cannot be asked out letter by letter."""
        return not lookup.startswith(("digest", "secret", "user__password")) and super().lookup_allowed(
            lookup,
            value,
            request,  # type: ignore[arg-type]
        )

    @admin.action(description=_("Delete these keys"), permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        keys = list(queryset.select_related("user"))
        for key in keys:
            services.delete_key(key, by=request.user)  # type: ignore[arg-type]
        text = ngettext("%d key was deleted.", "%d keys were deleted.", len(keys)) % len(keys)
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Lockout)
class LockoutAdmin(ReadOnlyAdmin):
    """Who has to wait after too many failed sign-ins. Rows of the past stay for a while: the next one is longer."""

    list_display = ("value", "kind", "until", "times")
    list_filter = ("kind", ("until", admin.DateFieldListFilter))
    search_fields = ("value",)
    ordering = ("-until",)
    actions = ("lift",)

    @admin.action(description=_("Let them try again"), permissions=["view"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Lockout]) -> None:
        locks = list(queryset)
        for lock in locks:
            services.lift(lock, by=request.user)  # type: ignore[arg-type]
        text = ngettext("%d lock-out was lifted.", "%d lock-outs were lifted.", len(locks)) % len(locks)
        self.message_user(request, text, messages.SUCCESS)


@admin.register(DirectoryRun)
class DirectoryRunAdmin(ReadOnlyAdmin):
    """What a directory sync changed, and what kept it from changing more."""

    list_display = ("started_at", "state", "seen", "known", "changed_count", "error_count", "finished_at")
    list_filter = ("state", ("started_at", admin.DateFieldListFilter))
    ordering = ("-started_at",)
    fields = ("started_at", "finished_at", "state", "seen", "known", "changed_count", "changed", "faults")
    readonly_fields = fields

    @admin.display(description=_("errors"))
    def error_count(self, run: DirectoryRun) -> int:
        return len(run.errors)

    @admin.display(description=_("what changed"))
    def changed(self, run: DirectoryRun) -> SafeString:
        return format_html_join("", "<p>{}: {} {}</p>", ((c["user"], c["what"], c.get("how", "")) for c in run.changes))

    @admin.display(description=_("errors"))
    def faults(self, run: DirectoryRun) -> SafeString:
        return format_html_join("", "<p>{}</p>", ((text,) for text in run.errors))
