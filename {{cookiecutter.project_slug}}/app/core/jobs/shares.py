"""Which queue a free slot goes to, so that none waits for the backlog of another."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable
from copy import deepcopy


class Shares:
    """What each queue has of the slots of one process."""

    def __init__(self) -> None:
        self.under_way: Counter[str] = Counter()
        self.last_turn: Counter[str] = Counter()

    def begin(self, queue: str) -> None:
        """A slot went to this queue."""
        self.under_way[queue] += 1
        self.last_turn[queue] = max(self.last_turn.values(), default=0) + 1

    def end(self, queue: str) -> None:
        """It is free again."""
        self.under_way[queue] -= 1

    def next(self, queues: Collection[str]) -> str:
        """The one with the fewest jobs under way; of those, the one whose last turn is longest ago.

        Turns matter where slots are few: with a single one, no queue ever has fewer than another.
        """
        return min(queues, key=lambda queue: (self.under_way[queue], self.last_turn[queue]))

    def share_out(self, due: Iterable[tuple[str, str]], slots: int) -> Counter[str]:
        """How many jobs of each name to begin; `due` are queues and names, the oldest first."""
        lines: defaultdict[str, deque[str]] = defaultdict(deque)
        for queue, name in due:
            lines[queue].append(name)
        trial, chosen = deepcopy(self), Counter[str]()
        while lines and chosen.total() < slots:
            queue = trial.next(lines)
            trial.begin(queue)
            chosen[lines[queue].popleft()] += 1
            if not lines[queue]:
                del lines[queue]
        return chosen
