"""The command line: its verbs, and how their errors are shown."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from rlhf_gym.errors import BadInput
from rlhf_gym.flags import read_flags, settings_before_flags
from rlhf_gym.verbs import VERBS, Train


def main(args: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        args: Words of the command line; None takes this process's.

    Returns:
        Exit status: 0, 2 on bad input (one line on stderr says which), 130 when interrupted.

    Raises:
        Exception: A mistake of ours, of a library or of the user's own code: that is no bad input, and its traceback
            is needed.
    """
    try:
        parse(sys.argv[1:] if args is None else args).run()
    except SystemExit as stop:  # help or version were shown
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "interrupted; the files written so far stay", 130)
    except (OSError, ImportError) as error:
        return _complain(str(error), 2)
    except BadInput as error:
        return _complain(str(error), 2)
    return 0


def parse(args: Sequence[str]) -> Any:
    """Parse `args` into the verb they ask for, ready to run.

    Raises:
        BadInput: On an unknown verb or flag, or a value that doesn't fit.
        SystemExit: After showing help or the version; its code is 2 if no verb was given.
    """
    if not args:
        print(_usage(), file=sys.stderr)
        raise SystemExit(2)
    verb, *rest = args
    if verb in ("-h", "--help", "--version"):
        print(_usage() if verb != "--version" else f"rlhf-gym {metadata.version('rlhf-gym')}")
        raise SystemExit(0)
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(VERBS)};"
        raise BadInput(f"verb is {verb!r}; {hint} see rlhf-gym --help")
    prog = f"rlhf-gym {verb}"
    if verb != "train":
        return read_flags(VERBS[verb], rest, prog=prog)
    settings, file, rest = settings_before_flags(rest, prog=prog)
    return read_flags(Train, rest, prog=prog, default=Train(settings, file))


def _usage() -> str:
    verbs = "\n".join(f"  {verb:<10}{kind.__doc__.splitlines()[0]}" for verb, kind in VERBS.items())
    return (
        "usage: rlhf-gym VERB [OPTIONS]\n\nReinforcement learning from human feedback on Gymnasium control tasks.\n\n"
        f"verbs:\n{verbs}\n\nrlhf-gym VERB --help lists a verb's options; rlhf-gym --version says which this is."
    )


def _complain(message: str, status: int) -> int:
    print(f"rlhf-gym: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
