"""Validation of Cookiecutter's answers, with Copier's messages: a bad answer is asked for again.

`cookiecutter.json` calls this after each question. An updater may run the file of one release on the
questions of another: a filter keeps its arguments and behavior, and a new need gets a new filter.
"""

import re
from pathlib import Path
from typing import Any

import click
from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension
from rich.prompt import Prompt

Answers = dict[str, Any]


def command_line() -> dict[str, Any]:
    """The arguments of the command `cookiecutter`; empty if a program calls."""
    context = click.get_current_context(silent=True)
    return context.params if context else {}


def fault(answers: Answers, name: str) -> str:
    """The fault of one answer; empty if it is valid."""
    rule = answers["_validators"][name]
    return "" if re.search(rule["pattern"], answers[name]) else f"{name}: {rule['message']}"


def faults(answers: Answers) -> list[str]:
    """The faults of all answers, without those derived from a wrong one."""
    found: dict[str, str] = {}
    for name in answers["_validators"]:
        wrong = [answers[other].strip() for other in found]
        proposed = any(text and text in answers[name] for text in wrong)
        if (text := fault(answers, name)) and not proposed:
            found[name] = text
    return [*found.values()]


def checked(answers: Answers, name: str) -> str:
    """Ask again until the answer is valid, if questions are asked at all."""
    given = command_line()
    asking = given.get("no_input") is False and not given["replay"]
    while asking and (text := fault(answers, name)):
        click.echo(text)
        answers[name] = Prompt.ask(f"  {name}")
    return ""


def refuse(answers: Answers) -> str:
    """Stop with all faults, before anything is written; the hook checks answers of an earlier run."""
    given = command_line()
    if given.get("replay"):
        return ""
    found = faults(answers)
    target = Path(given.get("output_dir", ""), answers["project_slug"])
    if given.get("overwrite_if_exists") and in_use(target):
        found.append(f"{target} {answers['_in_use']}")
    if found:
        raise FailedHookException("\n".join(found))
    return ""


def in_use(target: Path) -> bool:
    """Whether the folder is in use, by more than a repository without files."""
    if target.is_dir():
        return any(path.name != ".git" for path in target.iterdir())
    return target.exists()


class Questions(Extension):
    """Adds these filters for `cookiecutter.json` and the hooks."""

    def __init__(self, environment: Environment) -> None:
        """Add them."""
        super().__init__(environment)
        environment.filters |= {"checked": checked, "faults": faults, "refuse": refuse}
