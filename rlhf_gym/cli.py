"""The command line: its verbs, and how their errors are shown."""

from __future__ import annotations

import difflib
import io
import os
import select
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import Any, TextIO

from rlhf_gym.errors import BadInput
from rlhf_gym.flags import read_flags, settings_before_flags
from rlhf_gym.trust import trusting
from rlhf_gym.verbs import VERBS, Train

NOBODY_READS = 128 + 13  # the status in shells of a program ended by a closed pipe


def main(args: Sequence[str] | None = None) -> int:
    """Run one verb.

    Args:
        args: Words of the command line; None takes this process's.

    Returns:
        Exit status: 0, 2 on bad input (one line on stderr says which), 130 when interrupted, 128 plus the signal's
        number when ended by another signal, 141 if stdout is a closed pipe.

    Raises:
        Exception: On a bug in this package, a library or the user's own code, whose traceback is needed.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # where the locale lacks a character, a question mark is printed
        sys.stdout.reconfigure(errors="replace")
    status = _run(sys.argv[1:] if args is None else args)
    return NOBODY_READS if _nobody_reads() else status


def _run(args: Sequence[str]) -> int:
    try:
        verb = parse(args)
        with trusting(getattr(verb, "trust", False)):
            verb.run()
    except SystemExit as stop:  # help or version were shown
        return int(stop.code or 0)
    except KeyboardInterrupt as stop:
        return _complain(str(stop) or "interrupted", getattr(stop, "status", 130))
    except (OSError, ImportError) as error:
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "rlhf_gym":
            raise  # a bug, since no package is missing
        if isinstance(error, BrokenPipeError) and (_nobody_reads() or _is_closed(sys.stdout)):
            return NOBODY_READS
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


def _nobody_reads() -> bool:
    """Return whether stdout is a closed pipe, as with `| head`; what is left to print is then discarded."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _is_closed(stream: TextIO | None) -> bool:
    """Return whether a stream is a pipe whose reading end is closed."""
    if stream is None or not hasattr(select, "poll"):
        return False
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except OSError:  # no file, as in a notebook
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _complain(message: str, status: int) -> int:
    with suppress(OSError):  # the terminal may be closed
        print(f"rlhf-gym: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
