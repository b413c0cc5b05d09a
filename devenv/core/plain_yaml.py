"""YAML as plain values: no objects; the caller chooses the tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

MOST_VALUES: Final = 200_000


class UnreadableYaml(Exception):
    """The text is no YAML; the message says where."""


class TooManyValues(UnreadableYaml):
    """The text's aliases stand for more values than a file of this kind can have, or for themselves."""

    def __init__(self) -> None:
        super().__init__(f"its aliases stand for more than {MOST_VALUES:,} values")


def load_yaml(text: str, tagged: Callable[[Any, str, Any], object]) -> Any:
    """Return the value of a YAML text. UnreadableYaml. Aliases are counted before anything is made of them.

    `tagged(loader, suffix, node)` yields the value of a node tagged `!suffix`.
    """
    import yaml  # type: ignore[import-untyped]

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        pass

    Loader.add_multi_constructor("!", tagged)
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if size_of(node, {}) > MOST_VALUES:
            raise TooManyValues
        return loader.construct_document(node)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise UnreadableYaml(str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def size_of(node: Any, known: dict[int, int]) -> int:
    """Return how many values a node stands for, each alias counted as what it names. TooManyValues if it is endless."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise TooManyValues
        return known[id(node)]
    known[id(node)] = -1
    total = 1
    for part in node.value if isinstance(node.value, list) else ():
        total += sum(size_of(each, known) for each in part) if isinstance(part, tuple) else size_of(part, known)
    known[id(node)] = total
    return total
