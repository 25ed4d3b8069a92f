"""An authority, a pair of its, and a server with that."""

import pytest

from .certificates import Authority
from .clients import serve


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def pair(ca):
    return ca.server()


@pytest.fixture(scope="module")
def server(pair):
    with serve(pair) as s:
        yield s
