"""Optional dependencies, which are installed by the name of an extra."""

from importlib.util import find_spec


def demand(variable: str, extra: str, module: str) -> None:
    """Refuse a setting whose dependencies are not installed, without importing them."""
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise ValueError(f"{variable} needs what is not installed: run `uv sync --extra {extra}`")
