"""Write constraints-hashed.txt: constraints.txt and all that it brings, on any Python, with the files' hashes.

    python -m tests.packaging.lock       # needs uv and an index; `make lock` sees to both

What has no line is installed after it, by constraints.txt alone: torch, whose file is another one on machines without a
GPU (2.13.0+cpu), while pip prefers any whose hash the index tells; what torch's build for GPUs brings (nvidia, CUDA,
triton); tfp-nightly, a build of each day that sbx-rl wants; and setuptools, where a package is built.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "constraints-hashed.txt"
UNLOCKED = re.compile(r"(torch==|nvidia-|cuda-|triton==|tfp-nightly==)")
HEAD = """\
# Made by `make lock` from constraints.txt.
# Install with: pip install --no-deps --require-hashes -r constraints-hashed.txt
# What it leaves out, and why, is said in tests/packaging/lock.py.
"""


def blocks(text: str) -> list[str]:
    """Cut a requirements file into its requirements, each with its hashes."""
    return re.findall(r"^[a-z0-9].*\n(?:    --hash=.*\n)*", text, re.MULTILINE)


def compile_all() -> str:
    """Resolve for every Python and platform at once; each release's own markers say where it is for."""
    command = ["uv", "pip", "compile", "setup.cfg", "--all-extras", "--universal", "--python-version", "3.10"]
    command += ["--generate-hashes", "--no-annotate", "--no-header", "--quiet", "--constraint", "constraints.txt"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    kept = [block for block in blocks(compile_all()) if not UNLOCKED.match(block)]
    LOCK.write_text(HEAD + "".join(kept))
    print(f"{LOCK.name}: {len(kept)} releases")
