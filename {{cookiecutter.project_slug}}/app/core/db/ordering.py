"""The order of the steps of a generated migration, which Alembic does not arrange."""

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect


def put_in_order(migration: MigrationContext, script: ops.MigrationScript) -> None:
    """Arrange what refers to each other: foreign keys, and tables that are dropped."""
    up, down = script.upgrade_ops, script.downgrade_ops
    if up is None or down is None or migration.connection is None:
        return
    drops = [each for each in up.ops if isinstance(each, ops.DropTableOp)]
    if len(drops) > 1:
        known = inspect(migration.connection).get_sorted_table_and_fkc_names()
        places = {name: place for place, (name, _) in enumerate(known)}
        drops.sort(key=lambda each: places.get(each.table_name, -1), reverse=True)
        up.ops[:] = [*(each for each in up.ops if each not in drops), *drops]
        made = [each for each in down.ops if isinstance(each, ops.CreateTableOp)]
        made.sort(key=lambda each: places.get(each.table_name, -1))
        down.ops[:] = [*made, *(each for each in down.ops if each not in made)]
    for each in (up, down):
        put_references_in_order(each)


def put_references_in_order(found: ops.OpContainer) -> None:
    """Drop foreign keys before anything that they use changes, and create them when all of it is there."""
    dropped: list[ops.MigrateOperation] = []
    others: list[ops.MigrateOperation] = []
    created: list[ops.MigrateOperation] = []
    for old in found.ops:
        if not isinstance(old, ops.ModifyTableOps):
            others.append(old)
            continue
        for place, chosen in (
            (dropped, [each for each in old.ops if is_dropped_reference(each)]),
            (created, [each for each in old.ops if isinstance(each, ops.CreateForeignKeyOp)]),
        ):
            if chosen:
                place.append(ops.ModifyTableOps(old.table_name, chosen, schema=old.schema))
                old.ops = [each for each in old.ops if each not in chosen]
        if old.ops:
            others.append(old)
    found.ops[:] = [*dropped, *others, *created]


def is_dropped_reference(operation: ops.MigrateOperation) -> bool:
    """Whether it drops a foreign key."""
    return isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "foreignkey"
