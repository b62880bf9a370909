"""What is worth a line in the log: a change, and then a reminder once a minute."""

from time import monotonic

SECONDS = 60.0
MOST = 1000
"""How many things are remembered; then all of them are news again."""


class Changes:
    """What has been said, and when."""

    def __init__(self) -> None:
        self.said: dict[object, tuple[object, float]] = {}

    def are_news(self, what: object, state: object = None, *, usual: bool = False) -> bool:
        """Whether to say that it is in this state; the `usual` one is worth a word only after another."""
        if usual:
            return self.said.pop(what, None) is not None
        before, now = self.said.get(what), monotonic()
        if before and before[0] == state and now - before[1] < SECONDS:
            return False
        if len(self.said) >= MOST:
            self.said.clear()
        self.said[what] = state, now
        return True
