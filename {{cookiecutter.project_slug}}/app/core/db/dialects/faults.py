"""What a driver's error says about the database."""

from enum import Enum, auto


class Fault(Enum):
    """What is wrong with the database, as opposed to a bug of ours."""

    LATE = auto()
    """It did not answer, or did not get a lock, in time."""
    READ_ONLY = auto()
    """It is a standby, or read-only for another reason."""
    INCOMPLETE = auto()
    """It lacks a table or a column: a migration is missing, or the statement is wrong."""
    CHANGED = auto()
    """A migration has just changed what the statement reads."""
    LOST_RACE = auto()
    """It rolled this transaction back, because of a conflict with another."""
