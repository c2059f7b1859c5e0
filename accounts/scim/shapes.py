"""What SCIM resources look like here: only what the product uses is published, stored and given back.

Attributes that are not here are ignored when they come: a directory sends telephone numbers and managers, and what is
not stored cannot leak.
"""

from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from scim2_models import (
    URN,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    Mutability,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    Schema,
    ScimPolicy,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

#: the most rows of one answer, and how many come when nobody says
MOST, USUAL = 200, 100
#: how real clients write: unknown attributes, a value in a remove, a filter for an entry that is not there yet
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


def _truth(value: Any) -> Any:
    """true and false, also as the words that Entra sends; nothing else passes for a truth value."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if value is not None and not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


Truth = Annotated[bool | None, BeforeValidator(_truth)]


class Email(ComplexAttribute):
    value: Annotated[str | None, Required.true] = None
    type: str | None = None
    primary: Truth = None


class Name(ComplexAttribute):
    formatted: str | None = None
    family_name: str | None = None
    given_name: str | None = None


class GroupOfUser(ComplexAttribute):
    value: Annotated[str | None, Mutability.read_only, CaseExact.true] = None
    ref: Annotated[Reference["Group"] | None, Mutability.read_only] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    display: Annotated[str | None, Mutability.read_only] = None


class User(Resource[Any]):
    """A person."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    name: Name | None = None
    display_name: str | None = None
    active: Truth = None
    emails: Annotated[list[Email] | None, Required.true] = None
    groups: Annotated[list[GroupOfUser] | None, Mutability.read_only] = None


class Member(ComplexAttribute):
    value: Annotated[str | None, Mutability.immutable, CaseExact.true, Required.true] = None
    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])


class Group(Resource[Any]):
    """A group."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true, Uniqueness.server] = None
    members: list[Member] | None = None


MODELS: dict[str, type[Resource[Any]]] = {"User": User, "Group": Group}


# ---------------------------------------------------------------------------------------------------------- discovery
@cache
def schemas() -> dict[str, dict[str, Any]]:
    """What `/Schemas` answers, by id: the resources, and what describes them."""
    models: list[type[Resource[Any]]] = [User, Group, ServiceProviderConfig, ResourceType, Schema]
    found = {}
    for model in models:
        schema = model.to_schema()
        for attribute in schema.attributes or []:
            if model is User and attribute.name == "active":
                # An account is on or off: it can be left out, when it is on or stays as it is, but not be removed.
                attribute.required = Required.true
        found[str(schema.id)] = schema.model_dump() | {
            "meta": {"resourceType": "Schema", "location": f"Schemas/{schema.id}"}
        }
    return found


@cache
def resource_types() -> dict[str, dict[str, Any]]:
    """What `/ResourceTypes` answers, by name."""
    return {
        name: ResourceType.from_resource(model).model_dump()
        | {"meta": {"resourceType": "ResourceType", "location": f"ResourceTypes/{name}"}}
        for name, model in MODELS.items()
    }


@cache
def service_provider_config() -> dict[str, Any]:
    config = ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=Filter(supported=True, max_results=MOST),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="The token of the provisioning client, in the Authorization header.",
                primary=True,
            )
        ],
    )
    return config.model_dump() | {
        "meta": {"resourceType": "ServiceProviderConfig", "location": "ServiceProviderConfig"}
    }
