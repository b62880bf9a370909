"""The command `app shell`: Python with a session at hand."""

import ast
import asyncio
import sys
from code import InteractiveConsole
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from inspect import iscoroutine
from types import CodeType, FunctionType
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typer import Context, Option, Typer

from app.core.db import migrations
from app.core.db.carried import AFTER_COMMIT, ANYWAY
from app.core.db.session import act_all, reading
from app.core.feature import CustomerById, Feature
from app.core.service import Service


class Session(AsyncSession):
    """A session that is committed by hand; what waits for a commit happens after each."""

    async def commit(self) -> None:
        """Keep what was written."""
        certain, uncertain = (self.info.pop(each, []) for each in (AFTER_COMMIT, ANYWAY))
        try:
            await super().commit()
        except asyncio.CancelledError:  # it may have been committed nevertheless
            await act_all(uncertain)
            raise
        await act_all(certain)

    async def rollback(self) -> None:
        """Discard what was written."""
        await super().rollback()
        self.info.pop(AFTER_COMMIT, None)
        self.info.pop(ANYWAY, None)


class Console(InteractiveConsole):
    """Python with `await` anywhere."""

    def __init__(self, runner: asyncio.Runner, names: dict[str, Any]) -> None:
        super().__init__(names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.runner, self.names = runner, names
        sys.excepthook = sys.__excepthook__  # not Typer's, which shows more than what was typed
        with suppress(ImportError):  # not on Windows
            import readline  # noqa: PLC0415
            from rlcompleter import Completer  # noqa: PLC0415

            readline.set_completer(Completer(names).complete)
            editline = "libedit" in (readline.__doc__ or "")
            readline.parse_and_bind("bind ^I rl_complete" if editline else "tab: complete")

    def runcode(self, code: CodeType) -> None:
        """Run it in the event loop, where Ctrl-C interrupts it alone."""
        self.runner.run(self.execute(code))

    async def execute(self, code: CodeType) -> None:
        """Run it, and show what it raises."""
        try:
            result = FunctionType(code, self.names)()
            if iscoroutine(result):
                await result
        except Exception:  # noqa: BLE001, of any kind
            self.showtraceback()


async def names_in(
    service: Service, stack: AsyncExitStack, by_id: CustomerById | None, customer: UUID | None
) -> dict[str, Any]:
    """What is at hand."""
    async with reading(service.database) as session:
        await migrations.ahead(session)
        if by_id and customer:
            stack.enter_context(await by_id[1](session, customer))
    session = await stack.enter_async_context(Session(**service.database.writer.kw))
    models = {each.__name__: each for feature in service.features for each in feature.models}
    ours = {"session": session, "settings": service.settings, "service": service}
    return {**ours, "select": select, **dict(sorted(models.items()))}


def add_shell(cli: Typer, features: Sequence[Feature]) -> None:
    """Add the command, with an option for the customer if the service has customers."""
    by_id = next((feature.customer for feature in features if feature.customer), None)
    name = by_id[0] if by_id else "customer"
    option = Option(f"--{name}", help=f"Act for the {name} with this id.", hidden=not by_id)

    @cli.command()
    def shell(context: Context, customer: Annotated[UUID | None, option] = None) -> None:
        """Open a Python shell with a session, the models and the service at hand."""
        with asyncio.Runner() as runner:
            stack = AsyncExitStack()
            try:
                service = runner.run(stack.enter_async_context(context.obj()))
                names = runner.run(names_in(service, stack, by_id, customer))
                scope = f"for {name} {customer or '(none: choose one with --' + name + ')'}"
                url, at_hand = service.settings.database_url, ", ".join(names)
                Console(runner, names).interact(
                    f"{url!r}{', ' + scope if by_id else ''}\nAt hand: {at_hand}\n"
                    "Use `await`. Nothing is kept without `await session.commit()`. A statement opens a"
                    " transaction, which may block\nmigrations: end it with commit or `await session.rollback()`.",
                    "",
                )
            finally:
                runner.run(stack.aclose())
