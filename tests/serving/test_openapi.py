"""The OpenAPI document: it names every route, and what the server does is what it says."""

import json
import re

import pytest

from maas import _core
from maas.serving import Server

from . import peers
from .conftest import call, toy

ROUTES = [row[:3] for row in _core.routes()]


@pytest.fixture(scope="module")
def server():
    with Server(toy(), name="toy", port=0, header_timeout=2.0) as s:
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200


def test_it_names_every_route_and_no_other(server):
    status, headers, text = call(server.url, "/openapi.json")
    document = json.loads(text)
    assert status == 200 and headers["Content-Type"] == "application/json" and document["openapi"] == "3.1.0"
    names = {"{m}": "{model}", "{v}": "{version}", "{l}": "{label}"}
    want = set()
    for _, pattern, methods in ROUTES:
        for short, long in names.items():
            pattern = pattern.replace(short, long)
        want |= {(pattern, method.lower()) for method in methods}
    assert {(path, method) for path, ways in document["paths"].items() for method in ways} == want
    ids = [way["operationId"] for ways in document["paths"].values() for way in ways.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES)
    for reference in re.findall(r'"\$ref":"#/components/schemas/(\w+)"', text.decode()):
        assert reference in document["components"]["schemas"]


def test_schemathesis(server):
    peers.run("schemathesis", "schema.py", server.url, timeout=240)
