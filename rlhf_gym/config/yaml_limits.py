"""YAML within limits, because aliases can expand a few lines to more than any memory holds."""

from __future__ import annotations

from typing import Any

import yaml

MOST_CHARACTERS = 1_000_000
MOST_VALUES = 100_000
"""Most values of a document with its aliases expanded; the settings of a run have 200."""


def load_yaml(text: str, kind: type[yaml.SafeLoader]) -> Any:
    """Read one document.

    Args:
        text: Text of the file.
        kind: Class of the loader.

    Raises:
        yaml.YAMLError: If the text is damaged, or larger than the limits.
        ValueError: If a number or a date in it is invalid.
    """
    if len(text) > MOST_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text)} characters; settings have {MOST_CHARACTERS} at most")
    loader = kind(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if (values := _written_out(node, {})) > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases write it out to {values:g} values; settings have {MOST_VALUES} at most")
        return loader.construct_document(node)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deep, or refers to itself") from error
    finally:
        loader.dispose()


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the values of a node, an aliased one each time that it is referred to."""
    if id(node) not in known:
        known[id(node)] = float("inf")  # for a node inside itself
        inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + sum(_written_out(part, known) for part in inner if isinstance(part, yaml.Node))
    return known[id(node)]
