"""List what is installed with its version and licence, and count the licences."""

from collections import Counter
from importlib.metadata import Distribution, distributions

CLASSIFIER = "License :: "


def licence_of(distribution: Distribution) -> str:
    """Say under what licence a distribution says that it is."""
    told = distribution.metadata
    classified = [one.rpartition(" :: ")[2] for one in told.get_all("Classifier", []) if one.startswith(CLASSIFIER)]
    text = told.get("License-Expression") or ", ".join(classified) or told.get("License") or "unknown"
    return text.strip().splitlines()[0][:60]


found = {one.metadata["Name"].lower(): (one.version, licence_of(one)) for one in distributions()}
for name, (version, licence) in sorted(found.items()):
    print(f"{name} {version}: {licence}")
print()
for licence, n in Counter(licence for _, licence in found.values()).most_common():
    print(f"{n:4} {licence}")
