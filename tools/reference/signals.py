"""The pages of the metrics and of the events."""

from typing import Any

from tools.reference.markup import Facts, code, feature_of, only_with, page, table
from tools.reference.sources import described_metrics, wanted_by


def metrics(facts: Facts) -> str:
    """Every metric."""
    intro = """
`/metrics` serves them in the text format of Prometheus; staging and production expose them only with
[`METRICS_TOKEN`](settings.md#metrics_token). A histogram also has `_count`, `_sum` and `_bucket`. The project's
`docs/observability.md` covers scraping and several processes, and `deploy/alerts.yml` has alerts."""
    parts = []
    for name, labels, meaning, needs in described_metrics():
        kind = facts["metrics"][name]["type"].capitalize()
        about = f"{meaning[0].upper()}{meaning[1:]}. {only_with(needs)}".strip()
        parts.append(f"## `{name}`\n\n*{kind}{'; labels: ' if labels else ''}{labels}.*\n\n{about}")
    return page("Metrics", intro, *parts)


def events(facts: Facts) -> str:
    """Every event."""
    intro = """
A feature [publishes events](../how-to/event.md) and others listen, without knowing each other. A listener runs in the
publisher's transaction, so that both take effect or neither does, unless it is declared `after_commit`. Events stay inside the
service."""
    found = sorted(facts["events"], key=lambda each: each["name"])
    return page("Events", intro, *map(event, found))


def event(each: Any) -> str:
    """One event."""
    listeners = [
        f"* `{feature_of(one['module'])}`: {one['about']}"
        + (" After the commit." if one["after_commit"] else "")
        for one in each["listeners"]
    ]
    parts = [
        f"## `{each['name']}`",
        each["about"],
        f"`{each['module']}.{each['class']}`, version {each['version']}. {only_with(wanted_by(each['module']))}",
        table(["field", "type"], [[code(name), kind] for name, kind in each["fields"].items()]),
        "\n".join(["Listeners:\n", *listeners]) if listeners else "",
    ]
    return "\n\n".join(part.strip() for part in parts if part)
