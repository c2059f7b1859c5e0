"""What answers: connections to model servers, the models people may be given, tools and skills."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from rbac.sharing import GroupGrant, Person, SharedQuerySet, SharedResource, UserGrant, bypasses_access


class AIModelQuerySet(SharedQuerySet):
    """Models also need every hop of their base to be readable before they can be used."""

    def usable_by(self, user: Person | None) -> Any:
        """Active models the person may send a message to: readable, and so is each base they stand on.

        Bases are followed three hops deep; deeper chains are refused when they are written.
        """
        readable = self.readable_by(user).filter(is_active=True)
        if user is not None and AIModel.bypass_applies(user):
            return readable
        allowed = AIModel.objects.readable_by(user).filter(is_active=True)
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
