"""`docs/observability.md` lists every metric."""

import re
from pathlib import Path

from prometheus_client import REGISTRY

import app.core.outbound.sending  # pyright: ignore[reportUnusedImport], the first call imports its metrics
import app.main  # noqa: F401  # pyright: ignore[reportUnusedImport], it imports whatever measures

OTHERS = ("process_", "python_")
ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def exposed() -> set[str]:
    """The metrics of the service, as Prometheus sees them."""
    families = [each for each in REGISTRY.collect() if not each.name.startswith(OTHERS)]
    return {f"{each.name}_total" if each.type == "counter" else each.name for each in families}


def test_the_documentation_lists_the_metrics_that_there_are(project_root: Path) -> None:
    text = (project_root / "docs/observability.md").read_text(encoding="utf-8")
    table, _, _ = text.partition("## Logs")

    assert {*ROW.findall(table)} == exposed()


def test_each_metric_says_what_it_is() -> None:
    assert [each.name for each in REGISTRY.collect() if not each.documentation] == []
