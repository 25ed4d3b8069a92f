"""Clients that cannot live in one environment: each has a virtual environment of its own, kept in a cache."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

CLIENTS = Path(__file__).parent / "clients"
REQUIREMENTS = {
    "triton": ["tritonclient[grpc,http]>=2.45,<3"],
    "kserve": ["kserve>=0.15,<1"],
    "ovms": ["ovmsclient==2023.1"],
    "schemathesis": ["schemathesis>=4,<5"],
}


@contextlib.contextmanager
def locked(path):
    with open(path, "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@cache
def python_of(name):
    """The Python of the client's environment, which is made if it is not there yet."""
    wanted = "\n".join([sys.version, *REQUIREMENTS[name]])
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "maas-tests"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    python = folder / "bin/python"
    with locked(f"{folder}.lock"):
        if not (folder / "complete").is_file():
            venv.create(folder, clear=True, with_pip=True)
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *REQUIREMENTS[name]]
            result = subprocess.run(install, capture_output=True, text=True, timeout=600)
            assert result.returncode == 0, result.stderr[-4000:]
            (folder / "complete").touch()
    return python


def run(name, script, *arguments, timeout=120):
    """Runs tests/serving/clients/SCRIPT in the client's environment; it ends with an error if a check fails."""
    command = [python_of(name), CLIENTS / script, *map(str, arguments)]
    # Of this environment nothing may be seen there.
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | {"GRPC_VERBOSITY": "ERROR"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env)
    assert result.returncode == 0, (result.stdout + result.stderr)[-8000:]
    return result.stdout
