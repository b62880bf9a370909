"""In CI, a pull request that breaks clients fails, and names what does."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.combinations import parameter, smallest
from tests.template import Answers, commit_all, edit, environment, git, tree

Installed = Callable[[Answers], Path]

WITHOUT = smallest() | {"include_example": True}
SCHEMAS = "app/features/products/schemas.py"
JOBS = "app/features/graphql/types/jobs.py"


def add(project: Path) -> None:
    """Show one more field."""
    field = 'one(Job, "Get a job.")\n'
    edit(project / JOBS, f"    job = {field}", f"    job = {field}    task = {field}")


def rename(project: Path) -> None:
    """Call a mutation and a field something else."""
    edit(project / JOBS, "async def retry_job(", "async def run_again(")
    edit(project / JOBS, "    job = one(", "    task = one(")


def add_filter(project: Path) -> None:
    """Let lists be filtered by one more field."""
    field = "    currency: Annotated[Currency | None, Equal(Product.currency)] = None\n"
    edit(project / SCHEMAS, field, field + field.replace("currency:", "coin:"))


def tighten(project: Path) -> None:
    """Refuse prices that were accepted, and rename what is shown."""
    edit(project / SCHEMAS, "HIGHEST_PRICE = 10**12", "HIGHEST_PRICE = 10**6")
    edit(project / SCHEMAS, "    price: int\n", "    amount: int\n")


def proposed(base: Path, change: Path, folder: Path) -> Path:
    """A repository as CI has it: what the change becomes, merged into the base branch."""
    folder.mkdir()
    for source, message in ((base, "Base"), (change, "Change")):
        for path in folder.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, data in tree(source).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        if (source / "uv.lock").exists():
            shutil.copy(source / "uv.lock", folder)
        commit_all(folder, message)
        git(folder, "checkout", "--quiet", "-B", "change")
    git(folder, "checkout", "--quiet", "main")
    git(folder, "merge", "--quiet", "--no-ff", "--message", "Merge", "change")
    return folder


def changed(base: Path, make: Callable[[Path], None], folder: Path) -> Path:
    """A repository as CI has it, in which this change of the project is proposed."""
    change = folder / "changed"
    shutil.copytree(base, change, ignore=shutil.ignore_patterns(".venv", ".data"))
    make(change)
    return proposed(base, change, folder / "ours")


def compare(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the scripts that compare, as GitHub does, up to the first that fails."""
    workflow = yaml.safe_load((project / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["compatibility"]["steps"]
    results = (
        subprocess.run(
            ["bash", "-e", "-c", step["run"]],
            cwd=project,
            env=environment(PWD=str(project)),
            capture_output=True,
            text=True,
            check=False,
        )
        for step in steps
        if "name" in step
    )
    done = next(results)
    for following in results:
        if done.returncode == 0:
            done = following
    return done


@pytest.mark.parametrize("answers", [parameter(WITHOUT)])
@pytest.mark.parametrize(
    ("make", "broken"),
    [
        (add_filter, set[str]()),
        (
            tighten,
            {
                "POST /api/v1/products: price in the body has the rule maximum 1000000",
                "POST /api/v1/products: the response no longer has price",
                "GET /api/v1/products/{product_id}: the response no longer has price",
            },
        ),
    ],
    ids=["added", "tightened"],
)
def test_what_breaks_clients_of_the_api_is_named(
    installed: Installed,
    tmp_path: Path,
    answers: Answers,
    make: Callable[[Path], None],
    broken: set[str],
) -> None:
    done = compare(changed(installed(answers), make, tmp_path))

    assert done.returncode == bool(broken), done.stderr
    assert broken <= set(done.stdout.splitlines())


@pytest.mark.parametrize("answers", [parameter(WITHOUT | {"use_graphql": True})])
@pytest.mark.parametrize(
    ("make", "broken"),
    [(add, set[str]()), (rename, {"Mutation.retryJob", "Query.job"})],
    ids=["added", "renamed"],
)
def test_what_breaks_clients_of_graphql_is_named(
    installed: Installed,
    tmp_path: Path,
    answers: Answers,
    make: Callable[[Path], None],
    broken: set[str],
) -> None:
    done = compare(changed(installed(answers), make, tmp_path))

    assert done.returncode == bool(broken), done.stderr
    assert (
        set(re.findall(r"^field removed: Field (\S+) was removed\.$", done.stdout, re.MULTILINE))
        == broken
    )


@pytest.mark.parametrize("answers", [parameter(WITHOUT | {"use_graphql": True})])
def test_a_base_branch_without_graphql_is_no_failure(
    installed: Installed, tmp_path: Path, answers: Answers
) -> None:
    done = compare(proposed(installed(WITHOUT), installed(answers), tmp_path / "ours"))

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("The base branch has no GraphQL.\n")
