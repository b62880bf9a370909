"""No sequence of actions brings an order into a state that the table of transitions does not allow."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from hypothesis import given, settings as examples, strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.states import Machine, Transition, WrongState
from app.features.orders.states import ORDERS

ALLOWED = {
    ("pending", "pay"): "paid",
    ("pending", "cancel"): "cancelled",
    ("paid", "ship"): "shipped",
    ("paid", "refund"): "refunded",
    ("shipped", "deliver"): "delivered",
    ("shipped", "refund"): "refunded",
    ("delivered", "refund"): "refunded",
}


class Flushing:
    """As much of a session as a transition without an event needs."""

    async def flush(self) -> None:
        """Nothing to write."""


@given(st.lists(st.sampled_from(sorted(ORDERS.transitions)), max_size=12))
@examples(deadline=None)
async def test_whatever_is_attempted_the_table_holds(actions: list[str]) -> None:
    without_guards = {
        name: Transition(each.sources, each.target) for name, each in ORDERS.transitions.items()
    }
    machine = Machine(ORDERS.initial, without_guards)
    order: Any = SimpleNamespace(id=uuid4(), state=ORDERS.initial)
    session = cast("AsyncSession", Flushing())
    expected: str = "pending"

    for action in actions:
        assert (action in machine.possible(order)) == ((expected, action) in ALLOWED)
        if target := ALLOWED.get((expected, action)):
            await machine.apply(session, action, order)
            expected = target
        else:
            with pytest.raises(WrongState):
                await machine.apply(session, action, order)
        assert order.state == expected


def test_a_state_that_nothing_leads_to_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"no transition leads to .*delivered"):
        Machine(ORDERS.initial, {"pay": ORDERS.transitions["pay"]})
