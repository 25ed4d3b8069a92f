"""benchmarks.serving: its own part of the comparison runs, and a peer that cannot be made says why."""

from types import SimpleNamespace

import pytest

from benchmarks import load_generator, serving, serving_targets
from benchmarks.servers import environment
from benchmarks.servers.contenders import APPS, REQUIREMENTS, contenders
from maas import _core


def test_our_own_contenders_answer_right_and_are_measured():
    label = "serving, MLP 16-16-4, 16 connections"
    row = serving.measure(label, SimpleNamespace(only=["maas", "maas-binary"], rounds=2, seconds=0.2))
    assert row["row"] == label and "ratio" not in row and set(row["contenders"]) == {"maas", "maas-binary"}
    for result in row["contenders"].values():
        assert len(result["rates"]) == 2 and min(result["rates"]) > 0
        assert result["us"] == pytest.approx(sorted(1e6 / r for r in result["rates"])[0], rel=1)
    serving.show(row)


def test_every_peer_of_the_comparison_is_there():
    names = {c.name for c in contenders()}
    peers = {"fastapi-uvicorn", "fastapi-granian", "mlserver", "litserve", "ray", "bentoml"}
    assert peers | {"maas", "maas-binary"} <= names
    assert {c.environment for c in contenders() if c.environment} == set(REQUIREMENTS)
    for path in APPS.glob("*.py"):
        compile(path.read_text(), str(path), "exec")
    assert set(serving_targets.PARTS) == {"overhead", "half", "batching", "overload"}


def test_an_environment_that_cannot_be_made_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(RuntimeError, match="pip cannot install nothing"):
        environment.python_of("nothing", ["./there-is-no-such-folder"])


def test_the_generator_against_a_bare_server(tmp_path):
    server = _core.BareServer(b"{}")
    try:
        url = f"http://127.0.0.1:{server.port}/"
        ours = load_generator.ours(url, load_generator.BODY, 0.3, 2)
        assert ours["rate"] > 100 and ours["errors"] == {} and ours["p50"] <= ours["p99"]
        assert load_generator.wrk(url, load_generator.BODY, tmp_path, 1, 2)["rate"] > 100
    finally:
        server.stop()
