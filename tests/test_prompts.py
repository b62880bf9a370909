"""The questions at a terminal, as a person sees and answers them, with both engines."""

from pathlib import Path

import pytest

from tests.template import SOURCE, TOOLS, nobodys_config, recorded, tree
from tests.terminal import CLEAR, DOWN, ENTER, INTERRUPT, Session, converse

pytestmark = pytest.mark.xdist_group("prompts")

PROMPTS = {
    name: text if isinstance(text, str) else text["__prompt__"]
    for name, text in SOURCE["__prompts__"].items()
}
REFUSED = SOURCE["_validators"]["project_slug"]["message"]
IN_SHORT = REFUSED.partition(";")[0]  # Copier cuts what does not fit into a line
TYPED = {"project_name": "Ünï Shop", "project_slug": "shop", "author_email": "ada@example.com"}
CHOSEN = {"use_graphql": True, "multi_tenancy": "row", "include_example": False}
ENGINES = ("cookiecutter", "copier")


def command(engine: str, template: Path) -> list[str | Path]:
    """What a user types, with no settings of a user."""
    if engine == "copier":
        return [TOOLS / "copier", "copy", "--vcs-ref", "HEAD", template, "shop"]
    return [TOOLS / "cookiecutter", "--config-file", nobodys_config(), template]


def keys(engine: str, name: str) -> str:
    """What is typed at this question; Copier has typed the default already, and needs no Enter after y."""
    if name == "multi_tenancy":
        return (DOWN if engine == "copier" else "2") + ENTER
    if name in CHOSEN:
        return ("y" if CHOSEN[name] else "n") + ("" if engine == "copier" else ENTER)
    typed = TYPED.get(name, "")
    return (CLEAR if typed and engine == "copier" else "") + typed + ENTER


def answers(engine: str) -> list[tuple[str, str]]:
    """Each question with what is typed; the first short name is refused, the second accepted."""
    replies: list[tuple[str, str]] = []
    for name, question in PROMPTS.items():
        typed = keys(engine, name)
        if name == "project_slug":
            replies += [(question, typed.replace("shop", "Shop")), (IN_SHORT, typed)]
        else:
            replies.append((question, typed))
    return replies


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each engine is called."""
    return {engine: tmp_path_factory.mktemp(engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def sessions(template: Path, folders: dict[str, Path]) -> dict[str, Session]:
    """The same conversation with each engine."""
    return {
        engine: converse(
            *command(engine, template),
            replies=answers(engine),
            cwd=folder,
            columns=100,
            NO_COLOR="1",
        )
        for engine, folder in folders.items()
    }


def test_both_engines_ask_the_same_in_the_same_order(sessions: dict[str, Session]) -> None:
    for session in sessions.values():
        assert session.status == 0, session.text
        asked = [session.text.index(question) for question in PROMPTS.values()]
        assert asked == sorted(asked)


def test_the_same_answers_make_the_same_project(
    sessions: dict[str, Session], folders: dict[str, Path]
) -> None:
    made, other = (folders[engine] / "shop" for engine in sessions)

    assert tree(made) == tree(other)
    assert recorded(made) == recorded(other)
    assert (TYPED | CHOSEN).items() <= recorded(made).items()


def test_a_refused_answer_is_explained_in_one_line(sessions: dict[str, Session]) -> None:
    assert sessions["cookiecutter"].text.count(f"\nproject_slug: {REFUSED}\n") == 1
    assert IN_SHORT in sessions["copier"].text


def test_the_summary_is_the_same_and_without_colors(sessions: dict[str, Session]) -> None:
    said, other = (
        session.output[session.output.index("is ready in") :].replace("\r", "").strip()
        for session in sessions.values()
    )

    assert said == other
    assert "\x1b" not in said
    assert len(said.splitlines()) <= 25
    assert "Celery         left out" in said
    assert "Multi-tenancy  included" in said
    assert "include_example=true" in said


@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupt_leaves_nothing_behind(template: Path, tmp_path: Path, engine: str) -> None:
    replies = [(PROMPTS["project_name"], ENTER), (PROMPTS["project_slug"], INTERRUPT)]
    given_up = converse(*command(engine, template), replies=replies, cwd=tmp_path)

    assert given_up.status != 0
    assert "Traceback" not in given_up.text
    assert list(tmp_path.iterdir()) == []
