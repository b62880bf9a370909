"""Write `0001_initial.py` of the template from its models, a guard around each optional table.

Run it in the environment of the template's own tree: `make initial-migration`. With `--check` it
writes nothing and fails when the file differs.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

from alembic.autogenerate.api import AutogenContext, render_python_code
from alembic.operations import ops
from sqlalchemy import Table

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "{{cookiecutter.project_slug}}"
TARGET = HOUSE / "migrations" / "versions" / "0001_initial.py"
sys.path.insert(0, str(HOUSE))

import app.installed  # noqa: E402, F401, fills the metadata
from app.core.db.base import Base  # noqa: E402
from app.core.db.types import ExactText, UTCDateTime  # noqa: E402

HEADER = '''"""The tables that the service starts with."""

import sqlalchemy as sa
from alembic import op

from app.core.db.types import (
    ExactText,
    UTCDateTime,
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None
'''

# Without tenants, a list of its columns would be one that is spread around a single element.
REFERENCES = "    references,"
COMPOSITE = re.compile(r"\['tenant_id', ('\w+')\], \['(\w+)\.tenant_id', '\2\.id'\]")


def condition(path: str) -> str | None:
    """The Jinja condition under which `path`, relative to the house, is kept."""
    rules = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_prune"]
    tests = [
        f"cookiecutter.{option}" + ("" if wanted is True else f" == {json.dumps(wanted)}")
        for rule in rules
        if any(path == kept or path.startswith(kept + "/") for kept in rule["paths"])
        for option, wanted in rule["keep_when"].items()
    ]
    return " and ".join(tests) or None


def owner(table: Table) -> str:
    """The file, relative to the house, of the model that `table` belongs to."""
    models = (each.class_ for each in Base.registry.mappers if each.local_table is table)
    return next(models).__module__.replace(".", "/") + ".py"


def render_type(kind: str, value: object, autogen: AutogenContext) -> str | Literal[False]:
    """The same rule as in the house's `migrations/env.py`."""
    if kind == "type" and isinstance(value, ExactText):
        return f"ExactText({value.length})"
    return "UTCDateTime()" if kind == "type" and isinstance(value, UTCDateTime) else False


def render(operations: list[ops.MigrateOperation]) -> str:
    """The operations as the statements of a migration."""
    return render_python_code(ops.UpgradeOps(ops=operations), render_item=render_type)


def with_tenants(code: str) -> str:
    """Guard what only multi-tenancy adds to a table: whole elements, or a name within one."""
    test = condition("app/core/tenancy.py")
    begin, end = f"# {{% if {test} %}}\n", "\n# {% endif %}"
    lines: list[str] = []
    for line in code.splitlines():
        if re.search(r"Column\('tenant_id'|'tenants\.id'|_tenant_id_id'|'ix_\w+_tenant_id'", line):
            lines.append(f"{begin}{line}{end}")
        elif COMPOSITE.search(line):
            columns = rf"*references('\2', \n{begin}'tenant_id',{end}\n\1)"
            lines.append(COMPOSITE.sub(columns, line))
        else:
            lines.append(re.sub(r"('(?:\w+\.)?tenant_id',) ", rf"\n{begin}\1{end}\n", line))
    return "\n".join(lines)


def guarded(body: str, table: Table) -> str:
    """`body`, only for answers that include the table."""
    test = condition(owner(table))
    return f"    # {{% if {test} %}}\n{body}\n    # {{% endif %}}\n" if test else body + "\n"


def statements(code: str) -> str:
    """Without the comments that Alembic writes around what it generates."""
    lines = code.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("# ###"))


def upgrade(table: Table) -> str:
    """Create one table and its indexes."""
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    made: list[ops.MigrateOperation] = [ops.CreateTableOp.from_table(table)]
    made += [ops.CreateIndexOp.from_index(index) for index in indexes]
    code = statements(render(made))
    return guarded(code if is_of_tenants(table) else with_tenants(code), table)


def is_of_tenants(table: Table) -> bool:
    """Whether the whole table is there only with tenants."""
    return condition("app/core/tenancy.py") == condition(owner(table))


def downgrade(table: Table) -> str:
    """Drop one table; its indexes go with it."""
    return guarded(f'    op.drop_table("{table.name}")', table)


def migration() -> str:
    """The whole file, formatted."""
    tables = Base.metadata.sorted_tables
    up = "".join(upgrade(table) for table in tables)
    down = "".join(downgrade(table) for table in reversed(tables))
    users = [table for table in tables if "*references(" in upgrade(table)]
    imported = guarded(REFERENCES, users[0]) if users else ""
    header = HEADER.replace("    UTCDateTime,\n", f"    UTCDateTime,\n{imported}")
    text = (
        f'{header}\n\ndef upgrade() -> None:\n    """Create them."""\n{up}'
        f'\n\ndef downgrade() -> None:\n    """Drop them."""\n{down}'
    )
    command = ["ruff", "format", "--stdin-filename", str(TARGET)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    new = migration()
    if parser.parse_args().check:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if current != new:
            print(f"{TARGET.name} is out of date with the models: run `make initial-migration`")
            return 1
        return 0
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
