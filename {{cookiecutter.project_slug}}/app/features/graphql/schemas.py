"""Types of the schema made from the models of REST, so that both show and accept the same."""

import dataclasses
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from enum import Enum
from inspect import get_annotations
from types import GenericAlias, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NewType,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
)

import pydantic
import strawberry
from graphql import GraphQLError
from pydantic import AwareDatetime, BaseModel, EmailStr
from strawberry.scalars import JSON

from app.core.db.versions import Expected
from app.core.pagination import ListQuery
from app.features.graphql.failures import ValidationError

UNSET: Any = strawberry.UNSET
BigInt = NewType("BigInt", int)
LARGEST = 2**63 - 1


def big_int(value: object) -> int:
    """The integer; as with `Int`, from a number only, and not rounded."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > LARGEST:
        raise GraphQLError("BigInt can only represent integers of up to 64 bits.")
    return number


SCALARS: Mapping[object, Any] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of up to 64 bits, as a JSON number",
        serialize=int,
        parse_value=big_int,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="A timestamp in RFC 3339 format, such as 2026-03-01T12:00:00Z",
        serialize=lambda value: value.isoformat().replace("+00:00", "Z"),
        parse_value=str,
    ),
}
PLAIN: Mapping[object, object] = {AwareDatetime: datetime, EmailStr: str, dict[str, Any]: JSON}

Declared = TypeVar("Declared")
Model = TypeVar("Model", bound=BaseModel)


@strawberry.type
class Shown:
    """A type that is made from a row, or from a response."""

    @classmethod
    def of(cls, row: Any, **more: Any) -> Self:  # noqa: ANN401, and what the row does not have
        """The row as the schema shows it."""
        names = {each.name for each in dataclasses.fields(cast("Any", cls)) if each.init}
        return cls(**{name: getattr(row, name) for name in names - more.keys()}, **more)


def plain(annotation: Any) -> Any:  # noqa: ANN401, any annotation
    """The annotation as Strawberry takes it: without pydantic's rules, which apply later."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {Annotated, Literal}:
        first = arguments[0]
        return plain(first if origin is Annotated else type(first))
    if origin is list:
        return GenericAlias(list, (plain(arguments[0]),))
    if origin in {Union, UnionType}:
        one, *others = (plain(each) for each in arguments)
        for other in others:
            one = one | other
        return one
    return strawberry.enum(annotation) if is_enum(annotation) else PLAIN.get(annotation, annotation)


def is_enum(annotation: object) -> bool:
    """Whether it is a class of named values."""
    return isinstance(annotation, type) and issubclass(annotation, Enum)


def shows(
    model: type[BaseModel], *, without: Collection[str] = ()
) -> Callable[[type[Declared]], type[Declared]]:
    """A type with the fields of a response; those that the class itself declares come first."""

    def build(cls: type[Declared]) -> type[Declared]:
        for name, field in model.model_fields.items():
            if name not in without and not declares(cls, name):
                cls.__annotations__[name] = plain(field.annotation)
                setattr(cls, name, strawberry.field(description=field.description))
        return strawberry.type(cls, description=model.__doc__)

    return build


def accepts(
    model: type[BaseModel], *, without: Collection[str] = ()
) -> Callable[[type[Declared]], type[Declared]]:
    """An input with the fields of a request; those that may be omitted may be omitted here."""

    def build(cls: type[Declared]) -> type[Declared]:
        for name, field in model.model_fields.items():
            if name not in without and not declares(cls, name):
                needed = field.is_required()
                kind = plain(field.annotation)
                cls.__annotations__[name] = kind if needed else kind | None
                default = {} if needed else {"default": UNSET}
                setattr(cls, name, strawberry.field(description=field.description, **default))
        return strawberry.input(cls, description=model.__doc__)

    return build


def filters(model: type[ListQuery]) -> Callable[[type[Declared]], type[Declared]]:
    """An input with the filters of a list, besides what each list has."""

    def build(cls: type[Declared]) -> type[Declared]:
        return accepts(model, without=ListQuery.model_fields)(cls)

    return build


def declares(cls: type[Any], name: str) -> bool:
    """Whether a class, or one that it inherits from, declares this field."""
    return any(name in get_annotations(base) for base in cls.__mro__)


def given(wanted: object) -> dict[str, Any]:
    """The fields of an input that the client gave; none, if it gave none."""
    fields = vars(wanted) if wanted is not None else {}
    return {name: value for name, value in fields.items() if value is not UNSET}


def expected(version: int | None) -> Expected:
    """The version that a row must have, if the client names one."""
    return None if version is None else [version]


def checked(model: type[Model], wanted: object) -> Model:
    """The request, by the same rules as in REST."""
    return valid(model, given(wanted))


def valid(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The model with these values, or the failure that names each broken rule."""
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        raise ValidationError(error) from None
