"""A graph in rows, so that every arrow points down and few cross."""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise, permutations

Arrow = tuple[str, str]
Rows = list[list[str]]
SWEEPS = 4
PLACE = "|"
"""The first character of a place that an arrow passes."""


def reached(start: str, arrows: Iterable[Arrow]) -> set[str]:
    """Everything that the arrows lead to from there."""
    following: dict[str, set[str]] = {}
    for source, target in arrows:
        following.setdefault(source, set()).add(target)
    found: set[str] = set()
    ahead = [start]
    while ahead:
        for target in following.get(ahead.pop(), set()) - found:
            found.add(target)
            ahead.append(target)
    return found


def reduced(arrows: Sequence[Arrow]) -> list[Arrow]:
    """Without the arrows that others imply."""
    return [
        (source, target)
        for source, target in arrows
        if not any(
            target in reached(other, arrows)
            for begin, other in arrows
            if begin == source and other != target
        )
    ]


def ranks(names: Iterable[str], arrows: Sequence[Arrow]) -> dict[str, int]:
    """The row of each: one below the lowest of what points to it."""
    found = dict.fromkeys(names, 0)
    for _ in found:
        for source, target in arrows:
            found[target] = max(found[target], found[source] + 1)
    return found


def passing(names: Iterable[str], arrows: Sequence[Arrow]) -> tuple[dict[str, int], list[Arrow]]:
    """The row of each, and arrows from row to row only: a longer one passes places of its own on its way."""
    rank = ranks(names, arrows)
    short: list[Arrow] = []
    for source, target in arrows:
        way = [source]
        for row in range(rank[source] + 1, rank[target]):
            way.append(f"{PLACE}{source} {target} {row}")
            rank[way[-1]] = row
        short += pairwise([*way, target])
    return rank, short


def rows(names: Sequence[str], arrows: Sequence[Arrow]) -> tuple[Rows, list[Arrow]]:
    """The rows from top to bottom, each in the order with the fewest crossings, and the arrows between them."""
    rank, short = passing(names, arrows)
    made: Rows = [
        sorted(name for name in rank if rank[name] == row) for row in range(max(rank.values()) + 1)
    ]
    for _ in range(SWEEPS):
        for place, row in enumerate(made):
            others = made[:place], made[place + 1 :]
            orders = permutations(sorted(row))
            best = min(orders, key=lambda order: cost([*others[0], [*order], *others[1]], short))
            made[place] = [*best]
    return made, short


def places(made: Rows) -> dict[str, tuple[float, int]]:
    """The place of each: across, from 0 to 1, and its row."""
    return {
        name: ((at + 0.5) / len(row), number)
        for number, row in enumerate(made)
        for at, name in enumerate(row)
    }


def cost(made: Rows, arrows: Sequence[Arrow]) -> float:
    """How much an order disturbs: crossings, and lengths."""
    at = places(made)
    found = sum(0.1 * abs(at[source][0] - at[target][0]) for source, target in arrows)
    for one, other in combinations(arrows, 2):
        above, below = at[one[0]][0] - at[other[0]][0], at[one[1]][0] - at[other[1]][0]
        found += at[one[0]][1] == at[other[0]][1] and above * below < 0
    return found
