"""Rules about single rows: their owner may access them, and callers with a permission."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import InstrumentedAttribute

from app.core.security.principal import Principal


@dataclass(frozen=True, slots=True)
class OwnedBy:
    """The rule of one action; whatever reads or changes rows asks it alike."""

    column: InstrumentedAttribute[Any]
    """The column that holds the id of a row's owner."""
    others: StrEnum
    """The permission to do this with the rows of others."""

    def only(self, principal: Principal) -> UUID | None:
        """Whose rows alone the caller may access; `None` if all."""
        return None if principal.holds({self.others}) else principal.user_id

    def allows(self, principal: Principal, row: object) -> bool:
        """Whether the caller may access this row."""
        return self.only(principal) in {None, getattr(row, self.column.key)}
