"""Letters from templates: `name.txt`, whose first line is the subject, and `name.html`."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from app.core.mail import Mail


class Letters:
    """The templates in one folder; values stand in `[[ ]]`, and are escaped in HTML."""

    def __init__(self, folder: Path) -> None:
        self.environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            variable_start_string="[[",
            variable_end_string="]]",
            keep_trailing_newline=True,
        )

    def write(self, name: str, to: str, *, command: str = "", **values: object) -> Mail:
        """The letter `name` to this address."""
        whole = self.environment.get_template(f"{name}.txt").render(values)
        subject, _, text = whole.partition("\n")
        html = self.environment.get_template(f"{name}.html").render(values)
        return Mail(to, subject.strip(), text.lstrip("\n"), html, command)
