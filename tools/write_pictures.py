"""Make the pictures of README and documentation from a real run: the questions, and the page `/docs`.

It needs Chromium, and network or a filled cache of uv. Look at the pictures before you commit them.
"""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.browser import browsing
from tests.ports import free_port
from tests.processes import running, wait_for
from tests.template import ROOT, SOURCE, TOOLS, export, nobodys_config, run
from tests.terminal import ENTER, converse

PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 92
# What is typed at a question that does not keep its default.
TYPED = {"author_name": "Ada Lovelace", "author_email": "ada@example.com", "use_graphql": "y"}
THEME = TerminalTheme(
    (17, 24, 39),
    (229, 231, 235),
    [
        (75, 85, 99),
        (248, 113, 113),
        (74, 222, 128),
        (250, 204, 21),
        (96, 165, 250),
        (232, 121, 249),
        (34, 211, 238),
        (229, 231, 235),
    ],
)
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>The questions, and what is printed when the project is there</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; \
font-size: {char_height}px; line-height: {line_height}px }}
.{unique_id}-title {{ font: 16px system-ui, sans-serif }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">\
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def asked(template: Path, folder: Path, questions: Mapping[str, Any]) -> str:
    """Everything that Cookiecutter prints, to the last line."""
    replies = [
        (text if isinstance(text, str) else text["__prompt__"], TYPED.get(name, "") + ENTER)
        for name, text in questions.items()
    ]
    command = [TOOLS / "cookiecutter", "--config-file", nobodys_config(), template]
    session = converse(*command, replies=replies, cwd=folder, columns=COLUMNS)
    if session.status:
        raise RuntimeError(session.text)
    return session.output


def drawn(output: str) -> str:
    """The terminal as a picture of text, with no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output.replace("\r", "").strip("\n") + "\n"))
    svg = console.export_svg(title="cookiecutter", theme=THEME, code_format=SVG, unique_id="t")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def photograph(project: Path, folder: Path) -> None:
    """The documentation page of the running service."""
    run("uv", "sync", "--quiet", cwd=project)
    port = free_port()
    command = [project / ".venv" / "bin" / "app", "dev", "--port", str(port)]
    with (
        running(*command, cwd=project, log=folder / "log"),
        browsing(folder / "profile") as browser,
    ):
        wait_for(f"http://127.0.0.1:{port}/health/ready", 200)
        browser.page.set_viewport_size({"width": 1100, "height": 800})
        browser.page.goto(f"http://127.0.0.1:{port}/docs")
        browser.page.locator(".opblock").last.wait_for()
        browser.page.evaluate("scrollTo(0, 30)")
        browser.page.screenshot(path=PICTURES / "docs.png")


def main() -> None:
    """Bake as a user does, and draw both."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "template").mkdir()
        template = export(folder / "template")
        output = asked(template, folder, SOURCE["__prompts__"])
        (PICTURES / "prompts.svg").write_text(drawn(output), encoding="utf-8")
        photograph(folder / "acme-api", folder)


if __name__ == "__main__":
    main()
