"""What a provisioning file may say, as types; and every fault of one, in words, at its line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from django.core.exceptions import ValidationError as BadValue
from django.core.validators import validate_email
from django.utils.dateparse import parse_datetime
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from owui.provision.parse import BadFile, Node, Path_, Problem, Source
from rbac.ends import END_OF_DAY


def _name(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if len(text) > 255:
        raise ValueError("is too long: use at most 255 characters")
    return text


def _email(text: str) -> str:
    text = text.strip().lower()
    try:
        validate_email(text)
    except BadValue as error:
        raise ValueError(f"is no e-mail address: {text!r}") from error
    return text


def _moment(value: Any) -> datetime:
    """A day counts to its last second (UTC), as on the pages; a time means that moment."""
    text = str(value).strip()
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime.combine(day, END_OF_DAY, tzinfo=UTC)
        found = parse_datetime(text)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is no day that exists: {text!r}") from error
    if found is None:
        raise ValueError(f"must be a day such as 2027-01-31 or a time such as 2027-01-31T18:00:00Z, not {text!r}")
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).replace(microsecond=0)


def _uuid(value: Any) -> UUID:
    try:
        return UUID(str(value))
    except ValueError as error:
        raise ValueError(f"must be an id such as 7f3a0c52-…, not {value!r}") from error


def _grants(value: Any) -> Any:
    """`read`, `{permission: read, until: …}` or a list of these."""
    entries = value if isinstance(value, list) else [value]
    return [{"permission": entry} if isinstance(entry, str) else entry for entry in entries]


Name = Annotated[str, AfterValidator(_name)]
Email = Annotated[str, AfterValidator(_email)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Id = Annotated[UUID, BeforeValidator(_uuid)]
Level = Literal["read", "write"]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    def given(self, name: str) -> bool:
        """Whether the file says anything about a field: what it does not name is left as it is."""
        return name in self.model_fields_set


class GrantEntry(_Shape):
    permission: Level = "read"
    until: Moment | None = None


Entries = Annotated[list[GrantEntry], BeforeValidator(_grants)]


class Denial(GrantEntry):
    group: Name | None = None
    user: Email | None = None


class Access(_Shape):
    """Who may read and write one object."""

    everyone: Literal["none", "read", "write"] | None = None
    groups: dict[str, Entries] = {}
    users: dict[str, Entries] = {}
    deny: list[Denial] = []


class GroupEntry(_Shape):
    name: Name
    description: str = ""
    parent: Name | None = None
    permissions: dict[str, Any] = {}
    share: Literal["anyone", "members", "nobody"] = "members"
    default_models: list[str] = []
    managers: list[Email] = []
    members: list[Email] = []


class UserEntry(_Shape):
    email: Email
    name: Name | None = None
    role: Literal["admin", "user", "pending"] = "user"
    is_active: bool = True
    groups: list[Name] = []
    password_env: Name | None = None
    password_file: Name | None = None


class ConnectionEntry(_Shape):
    url: Name
    key_env: Name | None = None
    key_file: Name | None = None
    enable: bool = True
    prefix_id: str = ""
    model_ids: list[str] = []
    tags: list[str] = []
    connection_type: str = ""
    auth_type: str = ""
    provider: str = ""
    #: a text, or {env: NAME} or {file: PATH} for one that is secret
    headers: dict[str, Any] = {}


class Connections(_Shape):
    openai: list[ConnectionEntry] = []
    ollama: list[ConnectionEntry] = []


class ModelEntry(_Shape):
    id: Name
    name: Name | None = None
    base: Name | None = None
    owner: Email | None = None
    params: dict[str, Any] = {}
    meta: dict[str, Any] = {}
    knowledge: list[str] = []
    is_active: bool = True
    access: Access = Field(default_factory=Access)


class BaseEntry(_Shape):
    name: Name
    id: Id | None = None
    description: str = ""
    owner: Email | None = None
    access: Access = Field(default_factory=Access)


class ServerEntry(_Shape):
    """A tool server or terminal that an administrator has connected: the file says who may use it."""

    id: Name
    access: Access = Field(default_factory=Access)


class FileShape(_Shape):
    """The whole file."""

    version: Literal[1]
    settings: dict[str, Any] = {}
    permissions: dict[str, Any] = {}
    groups: list[GroupEntry] = []
    users: list[UserEntry] = []
    connections: Connections = Field(default_factory=Connections)
    models: list[ModelEntry] = []
    knowledge_bases: list[BaseEntry] = []
    tool_servers: list[ServerEntry] = []
    terminals: list[ServerEntry] = []


def validate(source: Source) -> tuple[FileShape, list[Problem]]:
    """The file as types, and every fault of form.

    What is faulty is taken out of the source and the rest is looked at again, so that names that do not exist can be
    told in the same breath. BadFile only when nothing is left to look at.
    """
    problems: list[Problem] = []
    for attempt in range(4):
        try:
            return FileShape.model_validate(source.root.plain()), problems
        except ValidationError as error:
            doomed: set[Path_] = set()
            for fault in error.errors(include_url=False):
                path: Path_ = fault["loc"]
                line, column = source.root.where(path, key=fault["type"] == "extra_forbidden")
                if not (attempt and fault["type"] == "missing"):  # it is missing because it was taken out
                    problems.append(Problem(line, column, _sentence(fault, path)))
                doomed.add(_reachable(source.root, path))
            if () in doomed:
                break
            for path in sorted(doomed, key=_order, reverse=True):
                _take_out(source.root, path)
    raise BadFile(source.name, problems)


def _reachable(root: Node, path: Path_) -> Path_:
    """The longest part of a path that is in the file."""
    node = root
    found: list[str | int] = []
    for part in path:
        inside = node.value
        if isinstance(inside, dict) and str(part) in inside:
            node = inside[str(part)]
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            node = inside[part]
        else:
            break
        found.append(part)
    return tuple(found)


def _order(path: Path_) -> list[tuple[int, int, str]]:
    return [(0, part, "") if isinstance(part, int) else (1, 0, str(part)) for part in path]


def _take_out(root: Node, path: Path_) -> None:
    node = root
    for part in path[:-1]:
        inside = node.value
        if isinstance(inside, dict) and str(part) in inside:
            node = inside[str(part)]
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            node = inside[part]
        else:
            return
    last = path[-1]
    if isinstance(node.value, dict):
        node.value.pop(str(last), None)
    elif isinstance(node.value, list) and isinstance(last, int) and last < len(node.value):
        node.value.pop(last)


def _sentence(fault: Mapping[str, Any], path: Path_) -> str:
    """One fault, for people."""
    name, value = shown(path), fault["input"]
    match fault["type"]:
        case "extra_forbidden":
            fields = _fields_at(path[:-1])
            return f"There is no field {path[-1]!r} here.{guess(str(path[-1]), fields)}"
        case "missing":
            return f"{path[-1]!r} is missing" + (f" in {shown(path[:-1])}." if len(path) > 1 else ".")
        case "string_type":
            quotes = " Put it into quotes." if isinstance(value, (int, float)) else ""
            return f"{name} must be a text, not {_kind(value)}.{quotes}"
        case "bool_type":
            return f"{name} must be true or false, not {_kind(value)}."
        case "list_type":
            return f"{name} must be a list, not {_kind(value)}."
        case "dict_type" | "model_type" | "model_attributes_type":
            return f"{name} must be a mapping (key: value), not {_kind(value)}."
        case "literal_error":
            return f"{name} must be {fault['ctx']['expected']}, not {_kind(value)}."
        case "value_error":
            return f"{name} {fault['ctx']['error']}."
    return f"{name}: {fault['msg']}."


def guess(word: str, known: Any) -> str:
    """` Did you mean …?` when something near exists."""
    near = difflib.get_close_matches(word, [str(k) for k in known], 1, 0.7)
    return f" Did you mean {near[0]!r}?" if near else ""


def shown(path: Path_) -> str:
    """`groups[2].parent`, counting from one."""
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "The file"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return repr(value) if len(repr(value)) < 60 else repr(value)[:60] + "…"


def _fields_at(path: Path_) -> list[str]:
    """The fields of the type that a path leads to."""
    shape: type[BaseModel] | None = FileShape
    for part in path:
        if isinstance(part, int) or shape is None or part not in shape.model_fields:
            continue
        shape = _inner(shape.model_fields[part].annotation)
    return list(shape.model_fields) if shape else []


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if (found := _inner(part)) is not None:
            return found
    return None
