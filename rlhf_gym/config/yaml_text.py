"""Settings as YAML text: numbers as people write them, and nothing that would be read back as something else."""

from __future__ import annotations

import re
from typing import Any

import yaml

# YAML 1.1, as PyYAML reads it, takes 3e-4 and 1e6 for texts; YAML 1.2 and everybody else for numbers.
_NUMBER = re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$|^[-+]?\.[0-9][0-9_]*[eE][-+]?[0-9]+$")


class Loader(yaml.SafeLoader):
    """PyYAML's safe one, which also reads numbers with an exponent but no point, and refuses a name said twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping; PyYAML's own takes the last of equal names in silence."""
        names = set[str]()
        for key, _ in node.value:  # before `<<` adds others
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in names:
                    raise yaml.YAMLError(f"line {key.start_mark.line + 1} says {key.value} once more; say it once")
                names.add(key.value)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe one, which quotes texts that the loader would take for such numbers."""


for kind in (Loader, _Dumper):
    kind.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))


def dump(settings: Any) -> str:
    """Write plain values as YAML, in their order, which :class:`Loader` reads back equal.

    Raises:
        yaml.YAMLError: On a value that is no number, text, None, list or mapping.
    """
    return yaml.dump(settings, Dumper=_Dumper, sort_keys=False)
