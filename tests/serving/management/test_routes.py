"""The routes of the management port, and those of the keys."""

import json
import re
import stat
import time

import numpy as np
import pytest

from maas.serving import Server, keys
from maas.serving import management as module

from ..conftest import body, call, infer, toy
from ..error_templates import check_error
from ..key_ring import Ring, bearer
from .port import X


def test_the_routes_say_what_the_data_port_says(locked, ring):
    own = bearer(ring.text["admin"])
    for path in (
        "/v2",
        "/v2/models",
        "/v2/models/toy",
        "/v2/models/toy/config",
        "/v2/models/toy/ready",
        "/v2/health/ready",
    ):
        assert call(locked.at, path, headers=own)[2] == call(locked.url, path, headers=own)[2]
    status, headers, text = call(locked.at, "/metrics", headers=own)
    assert (
        status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4") and b"maas_build_info" in text
    )
    assert call(locked.at, "/v2/models/nothing", headers=own)[0] == 404
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"


def test_tritonclient_manages_here(locked, ring):
    import tritonclient.http as triton

    client = triton.InferenceServerClient(f"127.0.0.1:{locked.management_port}")
    own = bearer(ring.text["manage"])
    assert client.is_server_live() and client.is_model_ready("toy", headers=own)
    assert {m["name"] for m in client.get_model_repository_index(headers=own)} == {"toy", "other-1"}
    with pytest.raises(triton.InferenceServerException, match="it did not come from a file"):
        client.load_model("toy", headers=own)
    client.close()


def test_keys_are_made_listed_and_revoked(locked, ring):
    own = bearer(ring.text["admin"])
    before = call(locked.at, "/manage/keys", headers=own)[2]
    # Of a key only what is no secret is told.
    assert not re.search(rb"sha256|[0-9a-f]{64}", before) and not any(k.encode() in before for k in ring.text.values())
    given = {"name": "new", "scopes": ["infer"], "models": ["toy"], "expires_in": 3600}
    status, _, text = call(locked.at, "/manage/keys", given, headers=own)
    made = json.loads(text)
    assert status == 201 and set(made) == {"id", "key"}
    assert infer(locked.url, body(X), headers=bearer(made["key"]))[0] == 200  # at once
    assert infer(locked.url, body(X), "other-1", bearer(made["key"]))[0] == 403
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600 and made["key"] not in ring.path.read_text()
    assert call(locked.at, f"/manage/keys/{made['id']}", method="DELETE", headers=own)[0] == 200
    assert infer(locked.url, body(X), headers=bearer(made["key"]))[0] == 401
    assert call(locked.at, f"/manage/keys/{made['id']}", method="DELETE", headers=own)[0] == 404
    assert call(locked.at, "/manage/keys", headers=own)[2] == before


@pytest.mark.parametrize(
    "given",
    [
        {"scopes": ["root"]},
        {"scopes": "admin"},
        {"scopes": []},
        {"scopes": [5]},
        {"models": ["a/b"]},
        {"models": {"a": 1}},
        {"name": 5},
        {"name": "a\nb"},
        {"name": "a" * 129},
        {"expires_in": -1},
        {"expires_in": 1e300},
        {"expires_in": True, "burst": 1},
        {"requests_per_second": "1"},
        {"sha256": "0" * 64},
        {"id": "a"},
    ],
)
def test_keys_that_cannot_be_made(locked, ring, given):
    before = ring.path.read_bytes()
    status, _, text = call(locked.at, "/manage/keys", given, headers=bearer(ring.text["admin"]))
    assert status == 400 and check_error(text) and ring.path.read_bytes() == before


def test_the_last_admin_stays(tmp_path):
    ring = Ring(tmp_path)
    text = ring.add("only", scopes=["admin"])
    with Server(toy(), name="toy", port=0, keys=ring.path, management_port=0) as s:
        at = f"http://127.0.0.1:{s.management_port}"
        status, _, answer = call(at, f"/manage/keys/{text.split('_')[1]}", method="DELETE", headers=bearer(text))
        assert status == 409 and check_error(answer) and len(keys.read(ring.path)) == 1


# ---- comparing keys


def test_s06_no_comparison_of_its_own():
    """Keys are compared in one place, the C++ `authorise`; Python never sees the keys of the file."""
    source = open(module.__file__).read()
    assert "core.authorise(" in source and "sha256" not in source and "compare_digest" not in source


def test_s06_a_wrong_first_byte_takes_as_long_as_a_wrong_last(ring):
    """Welch's t over interleaved tries: the hash of the whole is compared, so no byte of the key shows."""
    good = ring.text["admin"]
    head, secret = good[:18], good[18:]  # "maas_", an id of 12 characters, "_"
    first = "Bearer " + head + ("A" if secret[0] != "A" else "B") + secret[1:]
    last = "Bearer " + good[:-1] + ("A" if good[-1] != "A" else "B")
    core = Server(toy(), name="toy", port=0, keys=ring.path)._core

    def tell_apart():
        times = {first: [], last: []}
        for _ in range(5000):
            for text in (first, last):
                began = time.perf_counter_ns()
                decision = core.authorise("server", "", text)
                times[text].append(time.perf_counter_ns() - began)
                assert decision.status == 401
        a, b = (np.sort(np.array(t, float))[: int(len(t) * 0.9)] for t in times.values())
        t = abs(a.mean() - b.mean()) / np.sqrt(a.var() / len(a) + b.var() / len(b))
        return t >= 4 and abs(a.mean() - b.mean()) >= 0.02 * a.mean()

    # What leaks shows every time; what a neighbour on the machine does shows now and then.
    assert not all(tell_apart() for _ in range(3))
