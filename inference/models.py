"""What answers: the models people may be given, tools and skills, connections to tool servers and terminals."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from rbac.sharing import (
    GroupGrant,
    Person,
    SharedQuerySet,
    SharedResource,
    UserGrant,
    bypasses_access,
    is_verified,
)


def in_scope(user: Person | None, model_id: str) -> bool:
    """Whether the credential in use (an API key) opens this model; what the person may use is asked besides."""
    scope = _scope_of(user)
    return scope is None or model_id in scope


def _scope_of(user: Person | None) -> frozenset[str] | None:
    return getattr(user, "model_scope", None)


class AIModelQuerySet(SharedQuerySet):
    """Models also need every hop of their base to be readable before they can be used."""

    def readable_by(self, user: Person | None) -> Any:
        """Models the person may read with the credential in use."""
        return self._within(user).reachable_by(user)

    def reachable_by(self, user: Person | None) -> Any:
        """The same whatever the credential: a preset that a key opens brings its bases along."""
        return super().readable_by(user)

    def writable_by(self, user: Person | None) -> Any:
        """Models the person may change. BYPASS_MODEL_ACCESS_CONTROL lets everybody use every model, and no more."""
        rows = self._within(user)
        if user is None or not is_verified(user) or bypasses_access(user):
            return super(AIModelQuerySet, rows).writable_by(user)
        return rows.by_rights(user, write=True)

    def _within(self, user: Person | None) -> Any:
        scope = _scope_of(user)
        return self.all() if scope is None else self.filter(model_id__in=scope)

    def usable_by(self, user: Person | None) -> Any:
        """Active models the person may send a message to: readable, and so is each base they stand on.

        Bases are followed three hops deep; deeper chains are refused when they are written.
        """
        readable = self.readable_by(user).filter(is_active=True)
        if user is not None and AIModel.bypass_applies(user):
            return readable
        allowed = AIModel.objects.reachable_by(user).filter(is_active=True)
        for hop in ("base_model", "base_model__base_model", "base_model__base_model__base_model"):
            readable = readable.filter(models.Q(**{f"{hop}__isnull": True}) | models.Q(**{f"{hop}__in": allowed}))
        return readable


class AIModel(SharedResource):
    """Something one can chat with: a model a server offers, or a preset on top of one.

    A model that no administrator has registered has no row and is for administrators only.
    """

    resource_type: ClassVar[str] = "model"
    sharing_key: ClassVar[str] = "models"

    model_id = models.CharField(_("model id"), max_length=255, unique=True)
    name = models.CharField(_("name"), max_length=255)
    base_model = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="presets", verbose_name=_("base model")
    )
    params = models.JSONField(_("parameters"), default=dict, blank=True)
    meta = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    objects = AIModelQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def bypass_applies(cls, user: Person) -> bool:
        return bypasses_access(user) or bool(settings.BYPASS_MODEL_ACCESS_CONTROL)


class AIModelUserGrant(UserGrant):
    content_object = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        verbose_name = _("grant to a person")
        verbose_name_plural = _("grants to people")


class AIModelGroupGrant(GroupGrant):
    content_object = models.ForeignKey(AIModel, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        verbose_name = _("grant to a group")
        verbose_name_plural = _("grants to groups")


class Tool(SharedResource):
    """A tool: code a model may call. Its editor and sandbox come with the tools issue; rights hold from the start."""

    resource_type: ClassVar[str] = "tool"
    sharing_key: ClassVar[str] = "tools"

    tool_id = models.CharField(_("tool id"), max_length=255, unique=True)
    name = models.CharField(_("name"), max_length=255)
    content = models.TextField(_("source"), blank=True)
    specs = models.JSONField(default=list, blank=True)
    meta = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name = _("tool")
        verbose_name_plural = _("tools")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ToolUserGrant(UserGrant):
    content_object = models.ForeignKey(Tool, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class ToolGroupGrant(GroupGrant):
    content_object = models.ForeignKey(Tool, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


class Skill(SharedResource):
    """Written know-how that is put into a prompt by name."""

    resource_type: ClassVar[str] = "skill"
    sharing_key: ClassVar[str] = "skills"

    skill_id = models.SlugField(_("skill id"), max_length=255, unique=True)
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    content = models.TextField(_("text"), blank=True)
    meta = models.JSONField(default=dict, blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("skill")
        verbose_name_plural = _("skills")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SkillUserGrant(UserGrant):
    content_object = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class SkillGroupGrant(GroupGrant):
    content_object = models.ForeignKey(Skill, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


class ConnectionQuerySet(SharedQuerySet):
    """Connections are lent by administrators: a grant lets people use one, never change it."""

    def writable_by(self, user: Person | None) -> Any:
        may_change = is_verified(user) and user is not None and self.model.bypass_applies(user)
        return self if may_change else self.none()


class ServerConnection(SharedResource):
    """A server that an administrator has connected. Without grants it is for administrators only.

    Its row is written by `inference.tool_servers` alone: `sealed` holds everything that may be a secret, encrypted.
    """

    #: administrators see and change every one, whatever BYPASS_ADMIN_ACCESS_CONTROL says; a write grant only reads
    administered: ClassVar[bool] = True

    server_id = models.CharField(_("server id"), max_length=255, unique=True)
    name = models.CharField(_("name"), max_length=255)
    description = models.TextField(_("description"), blank=True)
    url = models.CharField(_("address"), max_length=2000)
    is_enabled = models.BooleanField(_("in use"), default=True)
    position = models.PositiveIntegerField(_("place in the list"), default=0)
    sealed = models.TextField(editable=False, blank=True)

    objects = ConnectionQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        abstract = True
        ordering = ["position", "server_id"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def bypass_applies(cls, user: Person) -> bool:
        return user.role == "admin" and user.is_active


class ToolServer(ServerConnection):
    """A server that offers tools by OpenAPI or MCP."""

    resource_type: ClassVar[str] = "tool_server"

    kind = models.CharField(
        _("protocol"), max_length=10, choices=[("openapi", "OpenAPI"), ("mcp", "MCP")], default="openapi"
    )

    class Meta(ServerConnection.Meta):
        abstract = False
        verbose_name = _("tool server")
        verbose_name_plural = _("tool servers")

    @property
    def tool_id(self) -> str:
        """How requests name it in `tool_ids`."""
        return f"server:mcp:{self.server_id}" if self.kind == "mcp" else f"server:{self.server_id}"


class ToolServerUserGrant(UserGrant):
    content_object = models.ForeignKey(ToolServer, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class ToolServerGroupGrant(GroupGrant):
    content_object = models.ForeignKey(ToolServer, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass


class TerminalServer(ServerConnection):
    """A server that gives people a shell of their own."""

    resource_type: ClassVar[str] = "terminal_server"

    class Meta(ServerConnection.Meta):
        abstract = False
        verbose_name = _("terminal")
        verbose_name_plural = _("terminals")


class TerminalServerUserGrant(UserGrant):
    content_object = models.ForeignKey(TerminalServer, on_delete=models.CASCADE, related_name="user_grants")

    class Meta(UserGrant.Meta):
        pass


class TerminalServerGroupGrant(GroupGrant):
    content_object = models.ForeignKey(TerminalServer, on_delete=models.CASCADE, related_name="group_grants")

    class Meta(GroupGrant.Meta):
        pass
