"""Who may do what: keys, scopes, models, rates, and what a refusal tells."""

import json
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from maas import _core
from maas.cli import main
from maas.serving import Server, keys
from tests.wire import field

from .conftest import Gate, body, call, infer, metric_text, raw, toy, wait_for
from .key_ring import METHODS, Ring, bearer

X = np.ones((1, 16), np.float32)
ROOT = Path(__file__).parents[2]
ROUTES = [row[:3] for row in _core.routes()]
OPEN = {"alive", "live", "ready"}


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    ring = Ring(tmp_path_factory.mktemp("keys"))
    for scope in keys.SCOPES:
        ring.add(scope, scopes=[scope])
    ring.add("other", scopes=["infer", "read"], models=["other*"])
    ring.add("past", scopes=["admin"], expires_in=0.5)
    return ring


@pytest.fixture(scope="module")
def locked(ring):
    with Server({"toy": toy(), "other-1": toy()}, port=0, keys=ring.path) as s:
        time.sleep(1.6)  # the key "past" is past
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200


def path_of(pattern, model="toy"):
    return pattern.replace("{m}", model).replace("{v}", "1").replace("{l}", "stable")


def ask(server, method, path, headers=None):
    """Status of one request with any method, on its own connection."""
    head = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
    data = json.dumps(body(X)) if method == "POST" else ""
    request = (
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}Content-Length: {len(data)}\r\n\r\n{data}"
    )
    answer = raw(server, request.encode())
    return int(answer[9:12]), answer


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: r[1])
def test_s03_no_route_and_no_method_without_a_key(locked, route):
    identity, pattern, _ = route
    done = metric_of(locked)
    for method in METHODS:
        status, answer = ask(locked, method, path_of(pattern))
        if identity in OPEN:
            assert status in ((200,) if method in ("GET", "HEAD") else (405,)), (method, answer)
        else:
            assert status == 401 and b"WWW-Authenticate: Bearer" in answer, (method, answer)
    assert metric_of(locked) == done


def metric_of(server):
    text = call(server.url, "/metrics", headers=bearer(KEY["read"]))[2].decode()
    return [line for line in text.splitlines() if line.startswith("maas_inference_requests_total")]


KEY = {}


@pytest.fixture(scope="module", autouse=True)
def _keys(ring):
    KEY.update(ring.text)


OTHER = ["/nowhere", "/v2/", "/V2/models/toy", "/v2//models", "/./v2", "/v2/%2e", "/v2/models/;x=1"]


@pytest.mark.parametrize("path", OTHER)
def test_s04_other_spellings_are_not_open(locked, path):
    assert ask(locked, "GET", path)[0] == 401
    assert ask(locked, "GET", "http://a" + path)[0] == 400


def test_s05_the_host_header_decides_nothing(locked):
    for host in ("x:80", "127.0.0.1", "v2.health.live"):
        request = f"GET /v2/models/toy HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        assert raw(locked, request)[9:12] == b"401"


# Which scope opens what; "key" is any key.
EXPECTED = {
    "infer": {"infer", "admin"},
    "metrics": {"read", "manage", "admin"},
    **dict.fromkeys(["server", "models", "model", "model_ready", "model_config"], set(keys.SCOPES)),
    **dict.fromkeys(["tfs_models", "tfs_status", "tfs_metadata", "openapi", "repository_index"], set(keys.SCOPES)),
    **dict.fromkeys(["tfs_predict", "tfs_classify", "tfs_regress"], {"infer", "admin"}),
    **dict.fromkeys(["model_stats", "all_stats"], {"read", "manage", "admin"}),
    **dict.fromkeys(["repository_load", "repository_unload"], {"manage", "admin"}),
    **dict.fromkeys(OPEN, set(keys.SCOPES)),
}


@pytest.mark.parametrize("scope", keys.SCOPES)
def test_s08_scopes(locked, scope):
    for identity, pattern, methods in ROUTES:
        [method] = methods
        status, answer = ask(locked, method, path_of(pattern), bearer(KEY[scope]))
        # A route that is not in the table is for admins only.
        allowed = scope in EXPECTED.get(identity, {"admin"})
        # What a key may ask may still be asked in the wrong way, or be closed to everybody.
        refused = status == 403 and b"a model store that may change" not in answer
        assert refused != allowed and status in (200, 400, 403), (pattern, answer)
    assert ask(locked, "GET", "/nowhere", bearer(KEY[scope]))[0] == 404


def test_a_key_sees_its_models_only(locked):
    own = bearer(KEY["other"])
    assert infer(locked.url, body(X), "other-1", own)[0] == 200
    # The same answer whether the model exists or not.
    for model in ("toy", "nothing"):
        status, answer = infer(locked.url, body(X), model, own)
        assert status == 403 and answer == {"error": "the API key is not for this model"}
    seen = call(locked.url, "/v2/models", headers=own)[2]
    assert b"other-1" in seen and b"toy" not in seen
    assert call(locked.url, "/metrics", headers=own)[0] == 403


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic YTpi", "bearer maas__", "Bearer maas_000000000000_x", "Bearer " + "a" * 300],
)
def test_what_is_not_a_key_is_401(locked, header):
    status, head, text = call(locked.url, "/v2/models/toy", headers={"Authorization": header})
    assert status == 401 and head["WWW-Authenticate"] == 'Bearer realm="maas"' and set(json.loads(text)) == {"error"}


def test_wrong_secrets_and_past_keys_are_one_answer(locked):
    good = KEY["admin"]
    answers = set()
    wrong = [good[:-1] + ("A" if good[-1] != "A" else "B"), good[:-1], good + "A", good.swapcase(), KEY["past"]]
    for text in [*wrong, "maas_0123456789ab_" + good.split("_", 2)[2]]:
        answers.add(call(locked.url, "/v2/models/toy", headers=bearer(text))[::2])
    assert answers == {(401, b'{"error":"the API key is not valid"}')}
    two = f"GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {good}\r\nAuthorization: Bearer {good}\r\n\r\n"
    assert raw(locked, two.encode())[9:12] == b"400"


def test_refusals_load_time_and_protocol_are_metrics(tmp_path):
    ring = Ring(tmp_path)
    ring.add("read", scopes=["read"])
    slow = bearer(ring.add("slow", requests_per_second=0.01, burst=2))
    read = bearer(ring.text["read"])

    def samples(server, name, label):
        text = call(server.url, "/metrics", headers=read)[2].decode()
        rows = [s for f in text_string_to_metric_families(text) for s in f.samples if s.name == name]
        return {s.labels[label]: s.value for s in rows if s.labels.get("outcome", "success") == "success"}

    with Server(toy(), name="toy", port=0, grpc_port=0, keys=ring.path) as server:
        assert 0 < samples(server, "maas_model_load_seconds", "model")["toy"] < 60
        assert samples(server, "maas_auth_failures_total", "code") == {"401": 0, "403": 0, "429": 0}
        got = [infer(server.url, body(X), headers=h)[0] for h in ({}, {}, bearer("x"), read, slow)]
        assert got == [401, 401, 401, 403, 200]
        metadata = [("authorization", slow["Authorization"])]
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as c:
            ask = c.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            packed = field(1, "x") + field(2, "FP32") + field(3, b"\1\x10")
            ask(field(1, "toy") + field(5, packed) + field(7, X.tobytes()), metadata=metadata, timeout=20)
        assert infer(server.url, body(X), headers=slow)[0] == 429
        assert samples(server, "maas_auth_failures_total", "code") == {"401": 3, "403": 1, "429": 1}
        assert samples(server, "maas_inference_requests_total", "protocol") == {"http": 1, "grpc": 1}


def test_a_body_is_not_read_for_nobody(locked):
    with socket.create_connection(("127.0.0.1", locked.port), timeout=5) as s:
        s.sendall(b"POST /v2/models/toy/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n")
        answer = s.recv(1000)
    assert answer[9:12] == b"401" and b"Connection: close" in answer


def test_refusals_without_a_body_keep_the_connection(locked):
    one = b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n"
    last = f"GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {KEY['read']}\r\nConnection: close\r\n\r\n".encode()
    assert re.findall(rb"HTTP/1.1 (\d+)", raw(locked, one + one + last)) == [b"401", b"401", b"200"]


def test_rates_are_429_with_the_time_to_wait(tmp_path):
    ring = Ring(tmp_path)
    slow = bearer(ring.add("slow", requests_per_second=0.5, burst=3))
    free = bearer(ring.add("free"))
    with Server(toy(), name="toy", port=0, keys=ring.path) as server:
        got = [call(server.url, "/v2/models/toy/infer", body(X), headers=slow) for _ in range(5)]
        assert [g[0] for g in got] == [200, 200, 200, 429, 429]
        assert got[-1][1]["Retry-After"] == "2" and b"over its rate" in got[-1][2]
        assert infer(server.url, body(X), headers=free)[0] == 200


def test_requests_in_flight_of_one_key_are_limited(tmp_path):
    ring, gate = Ring(tmp_path), Gate()
    one, two, reader = bearer(ring.add("one")), bearer(ring.add("two")), bearer(ring.add("reader", scopes=["read"]))
    with Server(toy(gate), name="toy", port=0, keys=ring.path, max_in_flight_per_key=2) as server:
        threads = [threading.Thread(target=infer, args=(server.url, body(X), "toy", one)) for _ in range(2)]
        for t in threads:
            t.start()
        # Not asked with the key itself: a question of its own could take one of the two places.
        wait_for(lambda: metric_text(call(server.url, "/metrics", headers=reader)[2], "maas_inference_in_flight{") == 2)
        assert infer(server.url, "{", headers=one)[0] == 429
        assert infer(server.url, "{", headers=two)[0] == 400
        gate.open.set()
        for t in threads:
            t.join(10)
        assert infer(server.url, body(X), headers=one)[0] == 200


def test_the_file_is_read_again_and_a_bad_one_changes_nothing(tmp_path, capfd):
    ring = Ring(tmp_path)
    first = bearer(ring.add("first"))
    with Server(toy(), name="toy", port=0, keys=ring.path, header_timeout=0.1) as server:
        second = bearer(ring.add("second"))
        wait_for(lambda: infer(server.url, body(X), headers=second)[0] == 200)
        keys.revoke(ring.path, "first")
        wait_for(lambda: infer(server.url, body(X), headers=first)[0] == 401)
        ring.path.write_text("{")
        wait_for(lambda: "keys stay as they were" in capfd.readouterr().err)
        assert infer(server.url, body(X), headers=second)[0] == 200


def test_s06_the_comparison_is_of_digests_and_takes_constant_time():
    source = (ROOT / "cpp/serving/access.cpp").read_text()
    assert "equal_in_constant_time(digest, " in source and "volatile" in source
    assert not re.search(r"sha256\s*[!=]=|[!=]=\s*\w*sha256", source)


def test_s09_keys_are_in_no_answer_and_no_log(locked, capfd):
    for text in KEY.values():
        for path in ("/v2/models/toy", "/metrics", "/nowhere"):
            answer = call(locked.url, path, headers=bearer(text))
            assert text not in str(answer[1]) + answer[2].decode()
    captured = capfd.readouterr()
    assert not any(text.split("_", 2)[2] in captured.out + captured.err for text in KEY.values())


BROKEN = """
import sys
import numpy as np
from maas.serving import Server
from tests.serving.conftest import toy

def broken(arrays):
    raise RuntimeError("the model is broken")

with Server(toy(broken), name="toy", port=0, keys=sys.argv[1]) as s:
    print(s.url, flush=True)
    sys.stdin.read()
"""


def test_s09_keys_are_not_in_the_log_of_a_whole_server(ring):
    command = [sys.executable, "-c", BROKEN, str(ring.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    p = subprocess.Popen(command, text=True, cwd=ROOT, **pipes)
    try:
        url = p.stdout.readline().strip()
        for text in KEY.values():
            call(url, "/v2/models/toy/infer", body(X), headers=bearer(text))
            call(url, "/nowhere?" + text, headers=bearer(text))
        assert infer(url, body(X), headers=bearer(KEY["infer"])) == (500, {"error": "model 'toy' failed"})
        out, err = p.communicate("", timeout=30)
    finally:
        p.kill()
    assert "the model is broken" in err
    assert not any(text.split("_", 2)[2] in out + err for text in KEY.values())


@pytest.mark.parametrize(
    "content, text",
    [
        ("", "cannot be read"),
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "no list 'keys'"),
        ('{"keys":[5]}', "must be an object"),
        ('{"keys":[{"id":"a"}]}', "'sha256'"),
        ('{"keys":[{"id":"a_b","sha256":"0"}]}', "id of a key"),
        ('{"keys":[{"id":"a","sha256":"0"}]}', "64 hexadecimal"),
        (json.dumps({"keys": [{"id": "a", "sha256": "0" * 64, "scopes": ["root"], "models": ["*"]}]}), "scope"),
        (json.dumps({"keys": [{"id": "a", "sha256": "0" * 64, "scopes": ["read"], "models": []}]}), "'models'"),
        (json.dumps({"keys": [{"id": "a", "sha256": "0" * 64, "scopes": ["read"], "models": ["*"]}] * 2}), "two keys"),
        ("[" * 100000, "not a JSON object"),
    ],
)
def test_bad_files_of_keys_are_refused_at_start(content, text, tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises((ValueError, RuntimeError), match=text):
        Server(toy(), name="toy", port=0, keys=path)


def test_no_keys_in_the_file_open_nothing(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text('{"keys":[]}')
    with Server(toy(), name="toy", port=0, keys=path) as server:
        assert infer(server.url, body(X))[0] == 401 and call(server.url, "/v2/health/live")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_s01_other_addresses_need_keys(host, ring):
    with pytest.raises(ValueError, match=f"loopback only.*received host '{host}'"):
        Server(toy(), name="toy", host=host, port=0)
    Server(toy(), name="toy", host=host, port=0, keys=ring.path)
    Server(toy(), name="toy", host=host, port=0, insecure_no_auth=True)


def test_the_command_makes_lists_and_revokes(tmp_path, capsys):
    path = tmp_path / "keys.json"
    given = ["--keys", str(path)]
    limits = ["--expires-in", "90d", "--requests-per-second", "5"]
    assert main(["keys", "create", "--name", "[red]web", "--scope", "infer", "--scope", "read", *limits, *given]) == 0
    text = capsys.readouterr().out.strip()
    assert re.fullmatch(r"maas_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and text.split("_", 2)[2] not in path.read_text()
    assert main(["keys", "list", *given]) == 0
    shown = capsys.readouterr().out
    assert "[red]web" in shown and "infer read" in shown and text.split("_")[1] in shown and text not in shown
    assert main(["keys", "revoke", "[red]web", *given]) == 0 and keys.read(path) == []
    capsys.readouterr()
    for bad in (["revoke", "x"], ["list", "--keys", str(tmp_path / "no")], ["create", "--model", "a/b"]):
        assert main(["keys", *bad, *(given if "--keys" not in bad else [])]) == 1
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("option", ["expires_in", "requests_per_second", "burst"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e15, 1e300])
def test_numbers_that_the_server_would_refuse(option, value):
    with pytest.raises(ValueError, match=f"{option} must be a number above 0 and below 1e15"):
        keys.make(**{"requests_per_second": 1, option: value})


def test_the_largest_numbers_are_read_by_the_server(tmp_path):
    ring = Ring(tmp_path)
    key = bearer(ring.add("one", requests_per_second=9e14, burst=9e14, expires_in=9e14))
    with pytest.raises(ValueError, match="since 1970"):
        keys.make(expires_in=1e15 - 1)
    with Server(toy(), name="toy", port=0, keys=ring.path) as server:
        assert infer(server.url, body(X), headers=key)[0] == 200


def test_the_file_of_keys_keeps_its_mode_and_its_link(tmp_path):
    ring = Ring(tmp_path)
    ring.add("one")
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    ring.path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(ring.path)
    keys.add(link, keys.make("two")[1])
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o640 and link.is_symlink()
    assert [row["name"] for row in keys.read(ring.path)] == ["one", "two"]
    assert {p.name for p in tmp_path.iterdir()} == {"keys.json", "link.json"}


def test_serve_takes_keys(tmp_path):
    import maas

    model = tmp_path / "m.keras"
    maas.Sequential([maas.Input((16,), name="x"), maas.layers.Dense(4)]).save(model)
    ring = Ring(tmp_path)
    key = bearer(ring.add("one"))
    command = [sys.executable, "-m", "maas.cli", "serve", str(model), "--port", "0", "--keys", str(ring.path)]
    command += ["--management-port", "none"]
    p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://[^ ]*", p.stdout.readline())[0]
        assert infer(url, body(X), "m")[0] == 401 and infer(url, body(X), "m", key)[0] == 200
    finally:
        p.kill()
        p.communicate()
