"""Which queue a free slot goes to, so that none waits for the backlog of another."""

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable
from copy import deepcopy


class Shares:
    """The slots of one process, shared by its queues."""

    def __init__(self) -> None:
        self.under_way: Counter[str] = Counter()
        self.last_turn: Counter[str] = Counter()

    def begin(self, queue: str) -> None:
        """Give a slot to this queue."""
        self.under_way[queue] += 1
        self.last_turn[queue] = max(self.last_turn.values(), default=0) + 1

    def end(self, queue: str) -> None:
        """Free the slot."""
        self.under_way[queue] -= 1

    def next(self, queues: Collection[str]) -> str:
        """The queue with the fewest running jobs; of those, the least recently served.

        Turns matter if slots are few: with a single one, no queue ever has fewer than another.
        """
        return min(queues, key=lambda queue: (self.under_way[queue], self.last_turn[queue]))

    def share_out(self, due: Iterable[tuple[str, str]], slots: int) -> Counter[str]:
        """How many jobs of each name to start; `due` lists queues and names, oldest first."""
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
