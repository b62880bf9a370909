"""Change one thing at a time in the template's code, and see whether a test fails: `make mutants`.

The changes are mutmut's, and three more. Its runner is not used: it wraps functions, which the hooks (rendered
first) and FastAPI (which reads signatures) do not survive. A test runs on a mutant of `app/core` if it executes
the changed line, and every one if that is executed at import; the tests of the other files are named in `TESTS`.
"""

import argparse
import ast
import difflib
import hashlib
import itertools
import json
import os
import random
import re
import sqlite3
import subprocess
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast
from xml.etree import ElementTree as ET

import libcst as cst
import libcst.matchers as m
from coverage.numbits import numbits_to_nums
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tools.try_faults import BUILD, HOUSE, ROOT, copy, listed

CORE = f"{HOUSE}/app/core"
BIN = BUILD / "mutants" / "bin"
EXPLAINED = ROOT / "tools" / "mutants.toml"

# The root tests of each file outside of the service.
TESTS = {
    "hooks/post_gen_project.py": ["tests/test_hooks.py"],
    "hooks/pre_gen_project.py": ["tests/test_hooks.py"],
    "service_answers.py": ["tests/test_hooks.py"],
    "tools/drift.py": ["tests/test_drift.py", "-k", "not upload"],
    "tools/release.py": [
        "tests/test_release.py",
        "-k",
        "two_releases or refused or says or version",
    ],
    "tools/write_copier.py": ["tests/test_generators.py", "-k", "write_copier or text"],
    "tools/write_initial_migration.py": ["tests/test_generators.py", "-k", "migration"],
}
# A mutant is tried with the fastest tests that execute its line, and then with more of them, as long as they
# took in all when they were recorded. One that hangs is stopped.
ROUNDS = (6.0, 60.0)
PATIENCE = 5
AT_LEAST = 60.0
"""Seconds that any run may take."""


@dataclass(frozen=True)
class Mutant:
    """One changed place of a file."""

    path: str
    lines: tuple[int, int]
    original: str
    source: str

    @cached_property
    def difference(self) -> str:
        """What was changed."""
        before, after = self.original.splitlines(), self.source.splitlines()
        lines = difflib.unified_diff(before, after, lineterm="", n=0)
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


@dataclass(frozen=True)
class Result:
    """What came of a mutant: the test that failed, or nothing."""

    mutant: Mutant
    noticed_by: str
    tests: int
    why: str = ""

    @property
    def outcome(self) -> str:
        """In one word."""
        if self.noticed_by:
            return "noticed"
        return "explained" if self.why else "unnoticed" if self.tests else "not run"


def without_call(node: cst.Expr) -> Iterator[cst.Pass]:
    """A call whose result is not used, left out."""
    if isinstance(node.value, cst.Call | cst.Await):
        yield cst.Pass()


def without_raise(node: cst.Raise) -> Iterator[cst.Pass]:
    """A failure that is not raised."""
    yield cst.Pass()


def opposite(node: cst.If) -> Iterator[cst.If]:
    """A condition turned round."""
    test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


OPERATORS: list[tuple[type, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    *mutation_operators,
    (cst.Expr, without_call),
    (cst.Raise, without_raise),
    (cst.If, opposite),
]
# Types, and the words of the log.
SKIPPED = m.Annotation() | m.Import() | m.ImportFrom() | m.Call(m.Name("cast") | m.Name("TypeVar"))
SKIPPED |= m.Call(m.Attribute(m.Name("logger")))


class Places(cst.CSTVisitor):
    """Every place of a module that can be changed, and how."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, tuple[int, int]]] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Collect the changes of one node."""
        position: Any = self.get_metadata(PositionProvider, node)
        if m.matches(node, SKIPPED):
            return False
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                # A text in other cases is the same mutant again.
                variants = itertools.islice(
                    operator(node), 1 if isinstance(node, cst.BaseString) else None
                )
                end = position.start.line if isinstance(node, cst.If) else position.end.line
                self.found += [(node, each, (position.start.line, end)) for each in variants]
        return True


def places(path: str) -> Iterator[Callable[[], Mutant | None]]:
    """The mutants of a file, each still to be written."""
    original = (ROOT / path).read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(original))
    visitor = Places()
    wrapper.visit(visitor)
    unchanged = ast.dump(ast.parse(original))

    def write(node: cst.CSTNode, change: cst.CSTNode, lines: tuple[int, int]) -> Mutant | None:
        changed: Any = wrapper.module.deep_replace(node, change)
        try:
            same = ast.dump(ast.parse(changed.code)) == unchanged
        except SyntaxError:
            return None
        return None if same else Mutant(path, lines, original, changed.code)

    for found in visitor.found:
        yield lambda found=found: write(*found)


def mutants(paths: Iterable[str], seed: int) -> Iterator[Mutant]:
    """All of these files, in an order that the seed decides."""
    found = [place for path in sorted(paths) for place in places(path)]
    random.Random(seed).shuffle(found)  # noqa: S311, only to be repeatable
    return filter(None, (place() for place in found))


class Coverage:
    """Which tests of the service execute which lines, and how long each takes."""

    def __init__(self, copied: Path, environ: dict[str, str]) -> None:
        digest = hashlib.sha256()
        for name in sorted(filter(lambda name: name.startswith(HOUSE), listed())):
            digest.update(name.encode() + (ROOT / name).read_bytes())
        self.folder = BUILD / "coverage" / digest.hexdigest()[:16]
        if not (self.folder / "junit.xml").exists():
            self.record(copied / HOUSE, environ)
        self.seconds: dict[str, float] = {}
        for case in ET.parse(self.folder / "junit.xml").iter("testcase"):  # noqa: S314, our own
            module = case.attrib["classname"].replace(".", "/")
            self.seconds[f"{module}.py::{case.attrib['name']}"] = float(case.attrib["time"])
        self.of_file = self.read()

    def record(self, house: Path, environ: dict[str, str]) -> None:
        """Run all tests of the default tier once."""
        print("recording which tests execute which lines", flush=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [BIN / "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        command += ["--cov=.", "--cov-context=test", "--cov-report=", "-p", "tools.remade"]
        command += [f"--cov-config={ROOT / 'tools/coverage.ini'}"]
        command += [f"--junitxml={self.folder / 'running.xml'}"]
        data = {"COVERAGE_FILE": str(self.folder / "data"), "PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=house, env=environ | data, check=True)
        (self.folder / "running.xml").rename(self.folder / "junit.xml")

    def read(self) -> dict[str, dict[int, set[str]]]:
        """File, line, tests, each with the phase of it that executes the line."""
        found: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        query = (
            "SELECT path, context, numbits FROM line_bits"
            " JOIN file ON file.id = file_id JOIN context ON context.id = context_id"
            " WHERE path LIKE '%.py'"  # Jinja's templates are code, too
        )
        with sqlite3.connect(self.folder / "data") as database:
            for path, context, numbits in database.execute(query):
                name = f"{HOUSE}/{path.split(f'{HOUSE}/', 1)[-1]}"
                for line in numbits_to_nums(numbits):
                    found[name][line] |= {context} if context else set()
        return found

    def rounds(self, mutant: Mutant) -> list[list[str]]:
        """The tests of a mutant, the fastest first.

        What is executed at import, or for all tests in the set-up of the first, matters to any: they follow those
        that execute a line which names it.
        """
        lines = self.of_file[mutant.path]
        executed = [
            lines[line] for line in range(mutant.lines[0], mutant.lines[1] + 1) if line in lines
        ]
        contexts = {tuple(context.rsplit("|", 1)) for found in executed for context in found}
        chosen = {test for test, _ in contexts}
        set_up = [test for test, phase in contexts if phase == "setup"]
        named = set[str]() if chosen else self.naming(mutant)
        others = (
            set(self.seconds) - chosen if executed and (len(set_up) == 1 or not chosen) else set()
        )
        rounds: list[list[str]] = [[] for _ in ROUNDS]
        total = 0.0
        for test in [*self.by_time(chosen or named), *self.by_time(others - named)]:
            total += self.seconds.get(test, 1.0)
            fitting = (tests for tests, most in zip(rounds, ROUNDS, strict=True) if total <= most)
            next(fitting, rounds[0] if not rounds[0] else []).append(test)
        return [tests for tests in rounds if tests]

    def naming(self, mutant: Mutant) -> set[str]:
        """The tests that execute a line which names what the changed line assigns; for a table, of migrations too."""
        found = {test for test in self.seconds if "test_migrations" in test}
        tests = found if mutant.path.endswith("models.py") else set[str]()
        assigned = [
            ast.unparse(target)
            for node in ast.walk(ast.parse(mutant.original))
            if isinstance(node, ast.Assign | ast.AnnAssign)
            and node.lineno <= mutant.lines[0] <= (node.end_lineno or node.lineno)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        ]
        names = re.compile(rf"\b({'|'.join(map(re.escape, assigned))})\b") if assigned else None
        for path, lines in self.of_file.items() if names else ():
            text = (ROOT / path).read_text(encoding="utf-8").splitlines()
            for number, contexts in lines.items():
                if names and contexts and names.search(text[number - 1]):
                    tests |= {context.rsplit("|", 1)[0] for context in contexts}
        return tests

    def by_time(self, tests: Iterable[str]) -> list[str]:
        """The fastest first."""
        return sorted(tests, key=lambda test: (self.seconds.get(test, 1.0), test))


def environment() -> dict[str, str]:
    """Of the tests: on a running PostgreSQL if there is one, and with no cache in the tree."""
    here = tempfile.mkdtemp(prefix="mutants-")
    server = os.environ.get("TEST_POSTGRES_URL")
    return (
        os.environ
        | ({"TEST_DATABASE_URL": server} if server else {})
        | {
            "DATA_DIR": f"{here}/data",
            "HYPOTHESIS_STORAGE_DIRECTORY": f"{here}/hypothesis",
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONPYCACHEPREFIX": f"{here}/pycache",
        }
    )


Attempt = Callable[[Mutant], tuple[str, int]]


def in_place(copied: Path, mutant: Mutant, attempt: Callable[[], str]) -> str:
    """Try with the mutant in place of the file."""
    path = copied / mutant.path
    stat = path.stat()
    path.write_text(mutant.source, encoding="utf-8")
    try:
        return attempt()
    finally:
        path.write_text(mutant.original, encoding="utf-8")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # bytecode of it is valid again


class Server:
    """Runs tests in processes that need not load the libraries again."""

    def __init__(self, python: Path, folder: Path, environ: dict[str, str], *modules: str) -> None:
        self.process = subprocess.Popen(
            [python, ROOT / "tools/mutants_server.py", *modules],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.output = cast("IO[str]", self.process.stdout)
        self.told()

    def told(self) -> Any:
        """Its next line."""
        return json.loads(self.output.readline())

    def run(self, *tests: str, seconds: float = ROUNDS[-1]) -> str:
        """The first test that failed; empty if none did. They usually take so many `seconds`."""
        print(
            json.dumps({"tests": tests, "seconds": AT_LEAST + seconds * PATIENCE}),
            file=self.process.stdin,
            flush=True,
        )
        told = self.told()
        return told["failed"] or ("pytest" if told["code"] else "")


def of_core(copied: Path) -> Attempt:
    """Runs the service's tests on a mutant."""
    environ = environment()
    covered = Coverage(copied, environ)
    modules = ("app.main", "app.cli", "app.worker", "conftest")
    server = Server(BUILD / "mutants/bin/python", copied / HOUSE, environ, *modules)
    options = ("-p", "no:cacheprovider", "-p", "no:randomly")

    def attempt(mutant: Mutant) -> tuple[str, int]:
        rounds = covered.rounds(mutant)

        def run() -> str:
            for tests in rounds:
                usual = sum(covered.seconds.get(test, 1.0) for test in tests)
                if failed := server.run(*options, *tests, seconds=usual):
                    return failed
            return ""

        return in_place(copied, mutant, run), sum(map(len, rounds))

    return attempt


def of_template(copied: Path) -> Attempt:
    """Runs root tests on a mutant."""
    server = Server(BUILD / "tools/bin/python", copied, environment(), "tests.conftest")

    def attempt(mutant: Mutant) -> tuple[str, int]:
        tests = TESTS[mutant.path]
        return in_place(copied, mutant, lambda: server.run(*tests)), len(tests)

    return attempt


def explanation(mutant: Mutant) -> str:
    """Why no test can tell this mutant from the original."""
    known = tomllib.loads(EXPLAINED.read_text(encoding="utf-8"))["equivalent"]
    return next(
        (
            each["why"]
            for each in known
            if mutant.path.endswith(each["file"]) and re.search(each["line"], mutant.difference)
        ),
        "",
    )


def run_all(
    name: str, found: Iterator[Mutant], attempt: Attempt, count: int, minutes: float
) -> None:
    """Try as many as fit, and write down what came of them."""
    end = time.monotonic() + minutes * 60
    results: list[Result] = []
    for mutant in itertools.islice(found, count):
        if time.monotonic() > end:
            print(f"{minutes:.0f} minutes have passed")
            break
        noticed_by, tests = attempt(mutant)
        if not any(result.noticed_by for result in results) and noticed_by:
            unchanged, _ = attempt(replace(mutant, source=mutant.original))
            if unchanged:
                raise SystemExit(f"nothing is changed, and yet this fails: {unchanged}")
        results.append(Result(mutant, noticed_by, tests, "" if noticed_by else explanation(mutant)))
        last = results[-1]
        print(
            f"{len(results)} {last.outcome} {mutant.path}:{mutant.lines[0]} {noticed_by}",
            flush=True,
        )
    report = "\n".join(written(name, results))
    (BUILD / f"mutants-{name}.md").write_text(report, encoding="utf-8")
    print(report)


def written(name: str, results: list[Result]) -> Iterator[str]:
    """The score, and what was not noticed."""
    outcomes = Counter(result.outcome for result in results)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    yield f"# Mutants of {name}\n\n{len(results)}: {told}.\n"
    for result in results:
        if result.outcome != "noticed":
            mutant = result.mutant
            yield f"## {result.outcome}: {mutant.path}:{mutant.lines[0]} ({result.tests} tests)\n"
            yield f"{result.why}\n\n```diff\n{mutant.difference}\n```\n".lstrip()


def main() -> None:
    """Try the mutants of the core, or those of hooks and tools."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["core", "template"])
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--count", type=int, default=300, help="how many; the seed decides which")
    parser.add_argument("--minutes", type=float, default=25, help="stop after this time")
    parser.add_argument("--file", help="only files whose path contains this")
    asked = parser.parse_args()
    core = [name for name in listed() if name.startswith(CORE) and name.endswith(".py")]
    other = ["mysql.py"]  # whose tests are skipped
    if "TEST_POSTGRES_URL" in os.environ:
        other += ["sqlite.py", "embedded_postgresql.py"]
    core = [name for name in core if Path(name).name not in other]
    chosen = [
        path for path in (core if asked.what == "core" else TESTS) if (asked.file or "") in path
    ]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copied = Path(folder) / "template"
        copied.mkdir()
        copy(copied)
        attempt = of_core(copied) if asked.what == "core" else of_template(copied)
        found = mutants(chosen, asked.seed)
        run_all(asked.what, found, attempt, asked.count, asked.minutes)


if __name__ == "__main__":
    main()
