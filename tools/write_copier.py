"""Write `copier.yml` from `cookiecutter.json`, so that the two engines cannot differ.

With `--check` it writes nothing and fails when the file differs.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "copier.yml"

HEADER = """\
# Written by tools/write_copier.py from cookiecutter.json. Do not edit.
_min_copier_version: "9.10.0"
_subdirectory: "{{ '{{cookiecutter.project_slug}}' }}"
_templates_suffix: ""
"""
NAMESPACE = """\
cookiecutter: # the answers under the names that the templates use
  type: yaml
  when: false
  default: |
"""
# Inside double quotes of YAML; `tojson` writes what lies beyond 16 bits as two surrogates.
ESCAPED = r"""| replace('\\', '\\\\') | replace('"', '\\u0022')"""
MIGRATIONS = "/migrations/versions"
CONDITION = "{{{{ '' if {test} else {otherwise} }}}}"


def quoted(text: str) -> str:
    """`text` as a string literal of Jinja."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def in_copier(default: str) -> str:
    """A default of cookiecutter's, without the namespace that Copier lacks."""
    return default.replace("cookiecutter.", "")


def question(name: str, default: Any, source: dict[str, Any]) -> dict[str, Any]:
    """One question, with its choices and its rule."""
    prompt = source["__prompts__"][name]
    rule = source["_validators"].get(name)
    if isinstance(default, bool):
        return {"type": "bool", "help": prompt, "default": default}
    if isinstance(default, list):
        labels = {prompt[choice]: choice for choice in default}
        return {
            "type": "str",
            "help": prompt["__prompt__"],
            "choices": labels,
            "default": default[0],
        }
    test = f"{name} | regex_search({quoted(rule['pattern'])}) is not none"
    validator = CONDITION.format(test=test, otherwise=quoted(rule["message"]))
    return {"type": "str", "help": prompt, "default": in_copier(default), "validator": validator}


def exclusions(rules: list[dict[str, Any]]) -> list[str]:
    """What the answers exclude."""
    found: list[str] = []
    for rule in rules:
        tests = [
            f"{option} == {quoted(wanted) if isinstance(wanted, str) else json.dumps(wanted)}"
            for option, wanted in rule["keep_when"].items()
        ]
        test = " and ".join(tests)
        found += [
            CONDITION.format(test=test, otherwise=quoted("/" + path)) for path in rule["paths"]
        ]
    return found


def namespace(source: dict[str, Any]) -> str:
    """The answers under the names that the templates use: `cookiecutter.project_name`."""
    lines: list[str] = []
    for name, default in source.items():
        if name.startswith("__") and name.removeprefix("__") in source:
            expression = in_copier(default).removeprefix("{{").removesuffix("}}").strip()
            lines.append(f'{name}: "{{{{ ({expression}) {ESCAPED} }}}}"')
        elif isinstance(default, bool):
            lines.append(f"{name}: {{{{ {name} | tojson }}}}")
        elif not name.startswith("_"):
            lines.append(f'{name}: "{{{{ {name} {ESCAPED} }}}}"')
    return "".join(f"    {line}\n" for line in lines)


def closing(source: dict[str, Any]) -> str:
    """The next steps, and what updates lack if the version is unknown."""
    folder = "{{ _copier_conf.dst_path | string | quote }}"
    reason = "git is not installed, or the template has no git history there"
    text = "\n" + source["__unversioned"].replace("@reason@", reason)
    lack = CONDITION.format(test="_copier_answers._commit is defined", otherwise=quoted(text))
    return in_copier("\n".join(source["__summary"])).replace("@folder@", folder) + lack


def configuration(source: dict[str, Any]) -> str:
    """The whole file."""
    settings: dict[str, Any] = {
        "_envops": {"keep_trailing_newline": True, **source["_jinja2_env_vars"]},
        "_skip_if_exists": ["migrations/versions/*"],
        # An update excludes them: it would bring back one that the user has replaced.
        "_exclude": [
            CONDITION.format(test="_copier_operation != 'update'", otherwise=quoted(MIGRATIONS)),
            *exclusions(source["_prune"]),
        ],
        "_message_after_copy": closing(source),
    }
    for name, default in source.items():
        if not name.startswith("_"):
            settings[name] = question(name, default, source)
    body = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=1000)
    return HEADER + body + NAMESPACE + namespace(source)


def main() -> int:
    """Write, or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    source = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    new = configuration(source)
    if parser.parse_args().check:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != new:
            print("copier.yml is out of date with cookiecutter.json: run `make copier`")
            return 1
        return 0
    TARGET.write_text(new, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
