"""What the drawings show; a part of `facts`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import app
import grimp
from app.core.middleware import middleware
from app.core.settings import Settings

ALL_OF_THEM = {"allowed_hosts": ["api.example.com"], "database_replica_urls": ["replica"]}
"""Settings with which every middleware is installed."""


def group(module: str) -> str:
    """What a module belongs to: a feature, a package or module of core, or itself."""
    parts = module.split(".")
    return ".".join(parts[: 3 if parts[1:2] in (["features"], ["core"]) else 2])


def arrows() -> list[tuple[str, str]]:
    """Which group imports which other."""
    graph = grimp.build_graph("app", cache_dir=None)
    found = {
        (group(importer), group(imported))
        for importer in graph.modules
        if ".tests" not in importer
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    return sorted(each for each in found if each[0] != each[1] and "app" not in each)


def among(found: Iterable[tuple[str, str]], prefix: str, names: list[str]) -> list[tuple[str, str]]:
    """The arrows between these, without the prefix."""
    pairs = ((one.removeprefix(prefix), other.removeprefix(prefix)) for one, other in found)
    return [(one, other) for one, other in pairs if one in names and other in names]


def facts() -> dict[str, Any]:
    """The imports, and the middleware in the order that requests pass it."""
    settings = Settings().model_copy(update=ALL_OF_THEM)
    found = arrows()
    core = Path(app.__path__[0]) / "core"
    packages = sorted(path.parent.name for path in core.glob("*/__init__.py"))
    features = sorted(path.parent.name for path in core.parent.glob("features/*/__init__.py"))
    entry = sorted({n for each in found for n in each if n.count(".") == 1})
    entry = [name.removeprefix("app.") for name in entry]
    entry = [name for name in entry if name not in {"__main__", "core", "features"}]
    return {
        "entry": {"names": entry, "arrows": among(found, "app.", entry)},
        "features": {"names": features, "arrows": among(found, "app.features.", features)},
        "core": {"names": packages, "arrows": among(found, "app.core.", packages)},
        "middleware": [each.cls.__name__ for each in middleware(settings, headers=(), exposed=())],
    }
