import pytest

from maas import _core


@pytest.fixture
def gpu():
    if problem := _core.gpu_problem():
        pytest.skip(f"no GPU: {problem}")
