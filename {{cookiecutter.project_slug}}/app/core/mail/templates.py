"""Mail templates: `name.txt`, whose first line is the subject, and `name.html`."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape

from app.core.mail import Mail


class MailTemplates:
    """The templates in one folder; variables are written `[[ name ]]`, and escaped in HTML."""

    def __init__(self, folder: Path) -> None:
        self.environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=select_autoescape(["html"], default_for_string=False),
            undefined=StrictUndefined,
            variable_start_string="[[",
            variable_end_string="]]",
            keep_trailing_newline=True,
        )

    def render(self, name: str, to: str, *, command: str = "", **values: object) -> Mail:
        """The mail `name` to this address."""
        subject, text = (part.render(values) for part in parts(self.environment, f"{name}.txt"))
        html = self.environment.get_template(f"{name}.html").render(values)
        return Mail(to, subject, text, html, command)


@cache
def parts(environment: Environment, name: str) -> tuple[Template, Template]:
    """Subject and text as two templates, so that no value can end the subject."""
    loader = environment.loader
    source = loader.get_source(environment, name)[0] if loader else ""
    subject, _, text = source.partition("\n")
    return environment.from_string(subject), environment.from_string(text.lstrip("\n"))
