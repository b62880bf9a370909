"""What a list can be sorted by."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, cast
from uuid import UUID

from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from sqlalchemy import Column, ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from app.core.schemas import Instant

KEYS: dict[type, Any] = {
    bool: bool,
    int: Annotated[int, Field(ge=-(2**63), lt=2**63)],
    Decimal: Decimal,
    str: Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")],
    date: date,
    datetime: Instant,
    UUID: UUID,
}
KEY_TYPES: dict[type, TypeAdapter[Any]] = {kind: TypeAdapter(each) for kind, each in KEYS.items()}
"""What a cursor can hold, by the Python type of the column."""
OPTIONAL_KEYS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(cast("Any", each | None)) for kind, each in KEYS.items()
}
"""The same for a column that may be NULL."""

MORE_TERMS = "{0,19}"
"""How many terms an order may have after the first: orders are kept in caches, and clients choose them."""


def stored(attribute: InstrumentedAttribute[Any]) -> Column[Any]:
    """The column behind an attribute."""
    return attribute.property.columns[0]


class SortableBy:
    """The columns that a list can be sorted by, besides the id; part of the type of its `sort`."""

    def __init__(
        self, first: InstrumentedAttribute[Any], *others: InstrumentedAttribute[Any]
    ) -> None:
        last: InstrumentedAttribute[Any] = first.class_.id
        self.columns = {column.key: column for column in [first, *others, last]}
        term = f"-?({'|'.join(self.columns)})"
        self.pattern = f"^{term}(,{term}){MORE_TERMS}$"

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.allowed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = "Fields to sort by; prefix one with `-` for descending order"
        if optional := [name for name in self.columns if self.may_be_null(name)]:
            described += f". Without a value ({', '.join(optional)}), an item sorts as the greatest"
        return handler(schema) | {
            "pattern": self.pattern,
            "examples": ["-" + ",".join(list(self.columns)[:2])],
            "description": described,
        }

    def names_all(self, sort: object) -> bool:
        """Whether all of these are sortable columns."""
        return isinstance(sort, str) and re.fullmatch(self.pattern, sort) is not None

    def allowed(self, sort: str) -> str:
        """Return `sort`, or raise an error that lists the sortable columns."""
        if not self.names_all(sort):
            names = {"names": ", ".join(self.columns)}
            raise PydanticCustomError(
                "unknown_sort", "Sort by {names}; prefix one with `-` for descending order", names
            )
        return sort

    @lru_cache(maxsize=256)  # noqa: B019, it lives as long as the class of its list
    def complete(self, sort: str) -> dict[str, str]:
        """The terms of the complete order by name: without duplicates, and the id last, to make it total."""
        terms: dict[str, str] = {}
        for term in [*sort.split(","), "-id" if sort.startswith("-") else "id"]:
            terms.setdefault(term.removeprefix("-"), term)
        return terms

    @lru_cache(maxsize=64)  # noqa: B019
    def may_be_null(self, name: str) -> bool:
        """Whether the column may be NULL, which sorts as greater than every value, whatever the database."""
        return bool(stored(self.columns[name]).nullable)

    @lru_cache(maxsize=256)  # noqa: B019, it lives as long as the class of its list
    def order(
        self, terms: tuple[tuple[str, str], ...], *, reverse: bool, parted: bool
    ) -> Sequence[ColumnElement[Any]]:
        """These terms as columns; from the end, if reversed. In a part of the list, no NULL is beside values of the first."""
        found: list[ColumnElement[Any]] = []
        for name, term in terms:
            column = self.columns[name]
            keys = [column.is_(None), column] if self.may_be_null(name) else [column]
            kept = keys[-1:] if parted and not found else keys
            ascending = (term == name) is not reverse
            found += [key.asc() if ascending else key.desc() for key in kept]
        return found

    def key_type(self, name: str) -> TypeAdapter[Any]:
        """The type of this column's values in a cursor."""
        kinds = OPTIONAL_KEYS if self.may_be_null(name) else KEY_TYPES
        return kinds[stored(self.columns[name]).type.python_type]

    def faults(self) -> Iterator[str]:
        """Why a list cannot be paged in some of these orders."""
        for name, attribute in self.columns.items():
            column = stored(attribute)
            kind = column.type.python_type
            if attribute.class_ is not self.columns["id"].class_:
                yield f"{name}: {column} is not a column of the listed rows"
            elif kind not in KEY_TYPES:
                yield f"{name}: {column} holds {kind.__name__}, which is not in KEY_TYPES"
