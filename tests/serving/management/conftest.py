"""A server with a file of keys and a management port."""

import pytest

from maas.serving import Server, keys

from ..conftest import body, call, infer, toy
from ..key_ring import Ring, bearer
from .port import X


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    ring = Ring(tmp_path_factory.mktemp("keys"))
    for scope in keys.SCOPES:
        ring.add(scope, scopes=[scope])
    ring.add("other", scopes=["read", "manage"], models=["other*"])
    ring.add("slow", scopes=["manage"], requests_per_second=0.01, burst=1)
    return ring


@pytest.fixture(scope="module")
def locked(ring):
    with Server({"toy": toy(), "other-1": toy()}, port=0, keys=ring.path, management_port=0) as s:
        s.at = f"http://127.0.0.1:{s.management_port}"
        yield s
        assert call(s.at, "/v2/health/live")[0] == 200
        assert infer(s.url, body(X), headers=bearer(ring.text["infer"]))[0] == 200
