"""The alerts in `deploy` are about metrics that the service has, and lead to what to do."""

import re
from pathlib import Path

from httpx2 import AsyncClient

import app.core.outbound.sending  # noqa: F401  # pyright: ignore[reportUnusedImport], the first call imports its metrics

ROOT = Path(__file__).parents[1]
RUNBOOK = "docs/operations.md"
RULES = (ROOT / "deploy/alerts.yml").read_text(encoding="utf-8")
FUNCTIONS = {"histogram_quantile"}


def metrics_of(rules: str) -> set[str]:
    """The names of metrics in the expressions of rules."""
    expressions = re.findall(r"^ +expr: (?:\|\n((?: {10}.*\n)+)|(.*))", rules, re.MULTILINE)
    plain = re.sub(r"\{[^}]*\}|by \([^)]*\)", "", "\n".join(map("".join, expressions)))
    return set(re.findall(r"[a-z]+(?:_[a-z]+)+", plain)) - FUNCTIONS


def exposed_by(text: str) -> set[str]:
    """The names of series that can be queried."""
    kinds: dict[str, str] = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    histograms = [name for name, kind in kinds.items() if kind == "histogram"]
    return kinds.keys() | {f"{name}_{part}" for name in histograms for part in ("bucket", "count")}


async def test_every_metric_in_the_alerts_is_exposed(client: AsyncClient) -> None:
    exposed = exposed_by((await client.get("/metrics")).text)

    assert metrics_of(RULES) - exposed == set()


def test_every_alert_leads_to_a_section_that_says_what_to_do() -> None:
    text = (ROOT / RUNBOOK).read_text(encoding="utf-8")
    sections = {title.lower() for title in re.findall(r"^#+ (\w+)$", text, re.MULTILINE)}

    names = re.findall(r"alert: (\w+)", RULES)
    assert names
    assert re.findall(rf"runbook: {re.escape(RUNBOOK)}#(\w+)", RULES) == [*map(str.lower, names)]
    assert {name.lower() for name in names} <= sections
