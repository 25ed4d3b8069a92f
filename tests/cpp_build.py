"""More targets of the folder where the package was built, so that only what changed compiles."""

import contextlib
import fcntl
import os
import re
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import maas

ROOT = Path(__file__).parents[1]
EDITABLE = (
    ROOT in Path(maas.__file__).parents and Path(sysconfig.get_path("platlib")) not in Path(maas.__file__).parents
)


def checked(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert result.returncode == 0, result.stdout[-8000:]
    return result.stdout


def kept_options(cache):
    """Options that must stay as they were when the package was built, for its objects to be used again."""
    text = cache.read_text(encoding="utf-8") if cache.exists() else ""
    kept = r"^((?:MAAS|CMAKE_CXX_COMPILER|CMAKE_BUILD_TYPE)\w*:\w+=.*)$"
    return [f"-D{option}" for option in re.findall(kept, text, re.MULTILINE)]


@contextlib.contextmanager
def alone():
    """One process at a time configures or builds."""
    (ROOT / "build").mkdir(exist_ok=True)
    with open(ROOT / "build/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@cache
def configured():
    """The build folder, with the targets of the tests."""
    folder = ROOT / "build" / ("editable" if EDITABLE else sys.implementation.cache_tag)
    with alone():
        options = [*kept_options(folder / "CMakeCache.txt"), "-DMAAS_TESTS=ON", f"-DPython_EXECUTABLE={sys.executable}"]
        if not EDITABLE:  # the cache names files of pip's temporary build environment
            (folder / "CMakeCache.txt").unlink(missing_ok=True)
        checked(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *options], env=environment())
    return folder


def make(target):
    folder = configured()
    with alone():
        checked(["cmake", "--build", folder, "--target", target], env=environment())


def environment():
    # cmake and ninja of [test] lie beside this Python, which need not be on PATH.
    return os.environ | {"PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]}
