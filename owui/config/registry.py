"""Stored settings are declared here: a frozen pydantic class a section, a field a setting.

    class RagConfig(Section, prefix="rag", label=_("Documents")):
        top_k: int = setting(3, env="RAG_TOP_K", label=_("Results kept"), help=_("How many chunks an answer may use."))

The dotted key `rag.top_k` is the prefix and the field. Apps declare sections in their `config.py`, which the config app
imports at start. `RagConfig.load()` gives the values of now; take them once at the edge and pass them down. The
instance is shared between callers: never change a list or dict inside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from owui.config import parsing
from owui.config.parsing import UNSET, Kind
from owui.lib.errors import UserError

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

sections: dict[str, type[Section]] = {}


class InvalidSetting(UserError):
    """A value that cannot be saved."""

    code = "invalid_setting"

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class _Declared:
    """What `setting(...)` was told; rides on the pydantic field."""

    env: str
    label: _StrOrPromise
    help: _StrOrPromise
    stored: bool
    secret: bool
    aliases: tuple[str, ...]
    separator: str
    multiline: bool
    seed: Callable[[], Any] | None
    belongs_to: str


def setting(
    default: Any,
    *,
    env: str = "",
    label: _StrOrPromise,
    help: _StrOrPromise = "",  # noqa: A002
    stored: bool = True,
    secret: bool = False,
    aliases: tuple[str, ...] = (),
    separator: str = ",",
    multiline: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
    seed: Callable[[], Any] | None = None,
    belongs_to: str = "",
) -> Any:
    """Declares one setting.

    :param aliases: further variables, asked in turn when `env` is unset (older names, or `A falls back to B`).
    :param separator: between the entries of a list in the variable: `;` for connections, `,` elsewhere.
    :param belongs_to: of a secret: the field of its section that holds the address it is sent to, see `places`.
    :param seed: for a value that several variables make up: returns it, or None when none of them is set.
    """
    declared = _Declared(env, label, help, stored, secret, aliases, separator, multiline, seed, belongs_to)
    return Field(default, ge=minimum, le=maximum, json_schema_extra={"setting": declared})  # type: ignore[dict-item]


@dataclass(frozen=True)
class Setting:
    """One declared setting with all that admin pages, commands and the store need to know of it."""

    section: type[Section]
    name: str
    annotation: Any
    declared: _Declared

    @property
    def key(self) -> str:
        return f"{self.section.prefix}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that can give this setting, in the order they are asked."""
        return tuple(name for name in (self.declared.env, *self.declared.aliases) if name)

    @property
    def stored(self) -> bool:
        return self.declared.stored

    @property
    def secret(self) -> bool:
        return self.declared.secret

    @property
    def label(self) -> str:
        return str(self.declared.label)

    @property
    def help(self) -> str:
        return str(self.declared.help)

    @cached_property
    def kind(self) -> Kind:
        return parsing.kind_of(self.annotation)

    @property
    def choices(self) -> tuple[Any, ...]:
        annotation = self.annotation
        if get_origin(annotation) is not Literal:
            annotation = next((a for a in get_args(annotation) if get_origin(a) is Literal), Literal[""])
        return get_args(annotation)

    @cached_property
    def optional(self) -> bool:
        return type(None) in get_args(self.annotation)

    @property
    def default(self) -> Any:
        return self.section.model_fields[self.name].get_default(call_default_factory=True)

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        metadata = self.section.model_fields[self.name].metadata
        whole: Any = Annotated[(self.annotation, *metadata)] if metadata else self.annotation
        return TypeAdapter(whole)

    def clean(self, value: Any) -> Any:
        """The value in its own type; InvalidSetting with a sentence for people when it does not fit."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise InvalidSetting(self.key, f"{self.key}: {error.errors()[0]['msg']}.") from error

    def plain(self, value: Any) -> Any:
        """The value as JSON can hold it."""
        return self._adapter.dump_python(value, mode="json")

    def from_text(self, text: str) -> Any:
        """A value typed on a command line; empty text gives the default."""
        try:
            value = parsing.parse(text, self.kind, self.declared.separator)
        except ValueError as error:
            raise InvalidSetting(self.key, f"{self.key}: {text!r} is not of the type {self.kind.value}.") from error
        return self.default if value is UNSET else self.clean(value)

    def from_env(self) -> Any:
        """What the environment says, UNSET when it says nothing usable."""
        if self.declared.seed is not None:
            value = self.declared.seed()
            value = UNSET if value is None else value
        else:
            value = parsing.from_env(self.names, self.kind, self.declared.separator)
        if value is UNSET:
            return UNSET
        try:
            return self.plain(self.clean(value))
        except InvalidSetting as error:
            names = ", ".join(self.names) or self.key
            detail = "it does not fit" if self.secret else error.message
            parsing.log.error("%s has an unusable value (%s); its default is used.", names, detail)
            return UNSET

    def shown(self, value: Any) -> Any:
        """The value for eyes: a secret only says whether there is one."""
        if not self.secret:
            return value
        return "(set)" if value else "(empty)"


class Section(BaseModel):
    """A group of settings with one prefix; subclasses register themselves."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    prefix: ClassVar[str] = ""
    label: ClassVar[_StrOrPromise] = ""
    settings: ClassVar[dict[str, Setting]] = {}

    def __init_subclass__(cls, *, prefix: str = "", label: _StrOrPromise = "") -> None:
        super().__init_subclass__()

    @classmethod
    def __pydantic_init_subclass__(cls, *, prefix: str = "", label: _StrOrPromise = "", **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        known = sections.get(prefix)
        if not prefix or (known is not None and known.__qualname__ != cls.__qualname__):
            raise TypeError(f"{cls.__name__} needs a prefix of its own; {prefix!r} is empty or taken.")
        cls.prefix = prefix
        cls.label = label or prefix
        cls.settings = {}
        for name, field in cls.model_fields.items():
            extra: Any = field.json_schema_extra
            declared = extra.get("setting") if isinstance(extra, dict) else None
            if not isinstance(declared, _Declared):
                raise TypeError(f"{cls.__name__}.{name} must be declared with setting(...).")
            cls.settings[name] = Setting(cls, name, field.annotation, declared)
        sections[prefix] = cls

    @classmethod
    def load(cls) -> Self:
        """The values of now, from one cached read; never raises for a bad stored value."""
        from owui.config import store

        return store.load_section(cls)

    @classmethod
    def save(cls, *, by: Any, **changes: Any) -> Self:
        """Stores the changed fields with one audit event and gives the new values."""
        from owui.config import store

        store.set_values({f"{cls.prefix}.{name}": value for name, value in changes.items()}, by=by)
        return cls.load()


def all_settings() -> Iterator[Setting]:
    """Every declared setting, sections in the order of their prefix."""
    for prefix in sorted(sections):
        yield from sections[prefix].settings.values()


def find(key: str) -> Setting:
    """The setting of a dotted key; InvalidSetting when there is none."""
    prefix, _, name = key.rpartition(".")
    section = sections.get(prefix)
    if section is None or name not in section.settings:
        raise InvalidSetting(key, f"There is no setting {key}. `manage.py config list` shows them all.")
    return section.settings[name]
