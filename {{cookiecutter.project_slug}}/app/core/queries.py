"""The parameters of a URL's query, as one model."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from starlette.requests import HTTPConnection

Value = TypeVar("Value")

MOST_VALUES = 50


def distinct(values: Sequence[Any]) -> Sequence[Any]:
    """The values in order, however the client has put them."""
    return sorted(set(values))


def one_or_all(values: Sequence[Any]) -> Any:  # noqa: ANN401, JSON
    """One value as if there could be no other: cursors made before there could be stay good."""
    return values[0] if len(values) == 1 else [*values]


Several = Annotated[
    list[Value],
    Field(min_length=1, max_length=MOST_VALUES),
    AfterValidator(distinct),
    PlainSerializer(one_or_all),
]
"""One or more values of a parameter that a client may repeat, in any order."""


class Query(BaseModel):
    """Parameters of an endpoint: `query: Annotated[ThisQuery, Depends(ThisQuery.requested)]`.

    They are validated and documented as with FastAPI's `Query()`, which takes the model apart for each request: a
    third of what a small page costs.
    """

    model_config = ConfigDict(extra="forbid")
    several: ClassVar[frozenset[str]]
    """The parameters that a client may repeat."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.several = frozenset(
            str(field.validation_alias or name)
            for name, field in cls.model_fields.items()
            if is_collection(field.annotation)
        )

    @classmethod
    async def requested(cls, connection: HTTPConnection) -> Self:
        """What the client requests; of a repeated parameter that has one value, the last."""
        given = connection.query_params
        values = {
            name: given.getlist(name) if name in cls.several else value
            for name, value in given.items()
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            raise RequestValidationError(
                [{**fault, "loc": ("query", *fault["loc"])} for fault in faults]
            ) from None


def is_collection(annotation: Any) -> bool:  # noqa: ANN401, of any field
    """Whether a field of this type has several values."""
    return get_origin(annotation) in {list, set, tuple, frozenset} or any(
        map(is_collection, get_args(annotation))
    )
