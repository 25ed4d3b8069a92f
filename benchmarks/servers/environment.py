"""Virtual environments of servers that cannot live in one: made once, kept in a cache outside of the project."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path


@contextlib.contextmanager
def _locked(path):
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def cache_folder():
    """`$XDG_CACHE_HOME/maas-benchmarks`, or the same in ~/.cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maas-benchmarks"
    root.mkdir(parents=True, exist_ok=True)
    return root


def python_of(name, requirements, seconds=900):
    """The Python of an environment that holds `requirements`.

    Args:
        name: str, part of the folder's name.
        requirements: list of str, as pip takes them.
        seconds: float, time limit of pip.

    Returns:
        Path of its interpreter.

    Raises:
        RuntimeError: with the end of pip's words, if it cannot be made.
    """
    wanted = "\n".join([sys.version, *requirements])
    folder = cache_folder() / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    with _locked(f"{folder}.lock"):
        if not (folder / "complete").is_file():
            print(f"making the environment of {name} ...", file=sys.stderr, flush=True)
            venv.create(folder, clear=True, with_pip=True)
            command = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            try:
                result = subprocess.run([*command, *requirements], capture_output=True, text=True, timeout=seconds)
            except subprocess.TimeoutExpired:
                raise RuntimeError(f"pip took more than {seconds:.0f} s for {name}") from None
            if result.returncode != 0:
                raise RuntimeError(f"pip cannot install {name}: {result.stderr.strip()[-300:]}")
            (folder / "complete").touch()
    return folder / "bin/python"


def clean_variables():
    """This process's environment variables without those that Python reads: nothing of here may be seen there."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
