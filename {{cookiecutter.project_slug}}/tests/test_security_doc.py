"""`docs/security.md` names tests that exist."""

import ast
import re
from pathlib import Path

NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_every_named_test_exists(project_root: Path) -> None:
    text = (project_root / "docs/security.md").read_text(encoding="utf-8")
    named = NAMED.findall(text)
    missing = [
        f"{path}::{test}" for path, test in named if test not in defined_in(project_root / path)
    ]

    assert len(named) > 40
    assert missing == []


def defined_in(path: Path) -> set[str]:
    """The names of the functions in a file."""
    if not path.is_file():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, functions)}
