"""Settings as YAML text: numbers are read as people write them, and every value reads back as it was written."""

from __future__ import annotations

import re
from typing import Any

import yaml

# In YAML 1.1, which PyYAML follows, 3e-4 and 1e6 are texts; in YAML 1.2 they are numbers.
_NUMBER = re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$|^[-+]?\.[0-9][0-9_]*[eE][-+]?[0-9]+$")


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also reads numbers with an exponent but no point, and refuses duplicate names."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping, and refuse duplicate names, of which PyYAML silently takes the last."""
        names = set[str]()
        for key, _ in node.value:  # before `<<` adds others
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in names:
                    raise yaml.YAMLError(f"line {key.start_mark.line + 1} says {key.value} once more; say it once")
                names.add(key.value)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, which quotes texts that the loader would read as such numbers."""


for kind in (Loader, _Dumper):
    kind.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+0123456789."))


def dump(settings: Any) -> str:
    """Write plain values as YAML, in their order; :class:`Loader` reads them back equal.

    Raises:
        yaml.YAMLError: On a value that is no number, text, None, list or mapping.
    """
    return yaml.dump(settings, Dumper=_Dumper, sort_keys=False)
