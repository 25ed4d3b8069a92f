"""The package with its CUDA library by plain cmake: no Boost, no Eigen, no network. Skipped where one is importable."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def run(options):
    """True if `import maas` works here now. Built libraries go into python/maas, which git ignores them in."""
    sys.path.insert(0, str(ROOT / "python"))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    for name in [n for n in sys.modules if n.split(".")[0] == "maas"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    found = importlib.util.find_spec("maas")
    here = Path(found.origin).parent if found and found.origin else None
    if here and any(here.glob("_core.*")) and any(here.glob("libmaas_cuda.*")):
        print(f"build: skipped, there is one in {here}")
        return True
    folder, start = ROOT / "build" / "gpu_check", time.monotonic()
    configure = [
        "cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython_EXECUTABLE={sys.executable}", "-DMAAS_SERVING=OFF", "-DMAAS_EIGEN=OFF", "-DMAAS_CUDA=ON",
    ]  # fmt: skip
    for command in (
        configure,
        ["ninja", "-C", str(folder)],
        ["cmake", "--install", str(folder), "--prefix", str(ROOT / "python")],
    ):
        left = options.seconds - (time.monotonic() - start)
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=left)
        except subprocess.TimeoutExpired:
            print(f"build: {command[0]} did not end in {left:.0f} s; objects are kept for the next run")
            return False
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if "rror" in line] or done.stdout.splitlines()
            print("\n".join([f"build: {' '.join(command)} failed", *errors[:30]]))
            return False
    print(f"build: {time.monotonic() - start:.0f} s")
    return True
