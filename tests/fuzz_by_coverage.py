"""Alter files towards code that no alteration has reached yet: `python -m tests.fuzz_by_coverage lines --seconds 60`.

The same kinds of file as hypothesis tries in `test_hostile_files.py` (all but the two that SB3's archives are in, whose
code is C's and torch's), drawn by atheris, libFuzzer for Python, which no test needs: install it where you like
(`pip install atheris`), with this project beside it. What fails is shown with its traceback, and its bytes are kept in
a file `crash-...`, which may be given in place of seconds to try it again.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

try:
    import atheris
except ImportError as error:
    raise ImportError("fuzzing by coverage needs atheris: pip install atheris") from error

READERS = (
    "rlhf_gym.arrays",
    "rlhf_gym.config",
    "rlhf_gym.kinds",
    "rlhf_gym.preferences",
    "rlhf_gym.runs",
    "rlhf_gym.segments",
    "rlhf_gym.spaces",
    "rlhf_gym.store",
)
"""What is watched: the rest, and libraries, would only make it slow."""


def main(name: str, *further: str) -> None:
    """Try one kind of file.

    Args:
        name: Of a function of `tests.hostile`.
        *further: `--seconds N`, or options of libFuzzer and files to try again.
    """
    with atheris.instrument_imports(include=list(READERS), enable_loader_override=False):
        from hypothesis import given, settings
        from hypothesis import strategies as st

        from tests import hostile
    warnings.simplefilter("ignore")
    place = Path(tempfile.mkdtemp(prefix="hostile-"))
    hostile.make_whole(place)
    target = getattr(hostile, name)

    @settings(database=None, **hostile.ANY)
    @given(st.data())
    def one(data: st.DataObject) -> None:
        target(place, data)

    words = list(further)
    if "--seconds" in words:
        at = words.index("--seconds")
        words[at : at + 2] = [f"-max_total_time={words[at + 1]}"]
    atheris.Setup([sys.argv[0], "-len_control=0", "-print_final_stats=1", *words], one.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
