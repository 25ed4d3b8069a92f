import os

import pytest

from maas import _core
from tests.cpp_build import configured, make


@pytest.fixture(scope="session", autouse=True)
def emulated():
    """Where there is no GPU these tests run on the emulated one, made by the folder that made the package."""
    os.environ.setdefault("MAAS_UNVERIFIED", "1")
    if not _core.gpu_problem() or "MAAS_CUDA_HEADERS-NOTFOUND" in (configured() / "CMakeCache.txt").read_text():
        return
    make("libmaas_cuda_emulated")
    os.environ["MAAS_CUDA_LIBRARY"] = str(configured() / "emulated/libmaas_cuda.so")


@pytest.fixture
def gpu(emulated):
    if problem := _core.gpu_problem():
        pytest.skip(f"no GPU: {problem}")
