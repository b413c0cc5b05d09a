"""YAML as plain values: no objects, tags of a caller's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class UnreadableYaml(Exception):
    """The text is no YAML; the message says where."""


def load_yaml(text: str, tagged: Callable[[Any, str, Any], object]) -> Any:
    """Return the value of a YAML text. `tagged(loader, suffix, node)` yields the value of a node tagged `!suffix`."""
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    Loader.add_multi_constructor("!", tagged)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise UnreadableYaml(str(error).splitlines()[0] if str(error) else type(error).__name__) from None
