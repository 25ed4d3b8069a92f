"""The management port: who may do what there, what a web page or a hostile client gets, and the routes of the keys."""

import http.client
import json
import re
import socket
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from maas import _core
from maas.cli import main
from maas.serving import Server, keys
from maas.serving import management as module

from .conftest import body, call, infer, raw, read_all, toy, wait_for
from .error_templates import check_error
from .test_access import METHODS, Ring, bearer

X = np.ones((1, 16), np.float32)


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
        assert call(s.at, "/v2/health/live")[0] == 200 and infer(s.url, body(X), headers=bearer(ring.text["infer"]))[0]


class Port:
    """The management port of a server, for `raw`."""

    def __init__(self, server):
        self.port = server.management_port


def routes_of_the_router(server):
    """(name, path, methods) of every route of the router itself, so that no new one is forgotten."""
    app = module.make_app(server._core, None)
    return [(r.name, r.path.replace("{m}", "toy").replace("{k}", "0"), r.methods) for r in app.router.routes]


def ask(server, method, path, *lines, data=b""):
    """Status and answer of one request on its own connection."""
    head = "".join(f"{line}\r\n" for line in lines)
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}"
    answer = raw(Port(server), f"{request}Content-Length: {len(data)}\r\n\r\n".encode() + data)
    status, text = int(answer[9:12]), answer.partition(b"\r\n\r\n")[2]
    if status >= 400 and method != "HEAD":
        check_error(text)
    return status, answer


def key_line(ring, name):
    return f"Authorization: Bearer {ring.text[name]}"


def state(ring, server):
    index = ask(server, "POST", "/v2/repository/index", key_line(ring, "admin"))[1].partition(b"\r\n\r\n")[2]
    return index, ring.path.read_bytes(), server.models


# ---- who may


def test_the_router_has_the_routes_of_the_table_and_no_others(locked):
    app = module.make_app(locked._core, None)
    table = {(name, pattern) for name, pattern, _, _ in _core.routes(management=True)}
    assert {(r.name, r.path) for r in app.router.routes} == table and len(app.router.routes) == len(table)
    assert {type(r).__name__ for r in app.router.routes} == {"Guarded"} and app.router.default.__name__ == "missing"


def test_s03_no_route_and_no_method_without_a_key(locked, ring):
    before = state(ring, locked)
    for name, path, _ in routes_of_the_router(locked):
        for method in METHODS:
            for lines in ([], ["Authorization: Bearer maas_000000000000_x"], ["Authorization: Basic YTpi"]):
                status, answer = ask(locked, method, path, *lines)
                if name in ("live", "ready"):
                    assert status == (200 if method in ("GET", "HEAD") else 405), (method, answer)
                else:
                    assert status == 401 and b"www-authenticate: Bearer" in answer, (method, path, answer)
    assert state(ring, locked) == before


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v2/", "/v2/models/toy/infer", "/manage", "/v1/models"]
)
def test_s03_what_is_not_a_route_is_told_to_keys_alone(locked, ring, path):
    for method in METHODS:
        assert ask(locked, method, path)[0] == 401
        assert ask(locked, method, path, key_line(ring, "infer"))[0] == 404


EXPECTED = {
    **dict.fromkeys(["live", "ready"], {"infer", "read", "manage", "admin", ""}),
    **dict.fromkeys(["server", "models", "model", "model_ready", "model_config", "repository_index"], set(keys.SCOPES)),
    **dict.fromkeys(["all_stats", "model_stats", "metrics"], {"read", "manage", "admin"}),
    **dict.fromkeys(["repository_load", "repository_unload"], {"manage", "admin"}),
    **dict.fromkeys(["keys_list", "keys_add", "keys_revoke"], {"admin"}),
}


@pytest.mark.parametrize("scope", keys.SCOPES)
def test_s08_scopes(locked, ring, scope):
    for name, path, methods in routes_of_the_router(locked):
        method = sorted(methods - {"HEAD"})[0]
        status, answer = ask(locked, method, path, key_line(ring, scope), data=b"{")
        allowed = scope in EXPECTED[name]
        assert (status != 403) == allowed, (name, answer)
        # What may be asked may still be asked in the wrong way: the body is no JSON, the key is not there.
        assert not allowed or status in (200, 400, 404), (name, answer)
    table = {name: set(scopes) for name, _, _, scopes in _core.routes(management=True)}
    assert table == {
        name: scopes & set(keys.SCOPES) if "" not in scopes else set() for name, scopes in EXPECTED.items()
    }


def test_a_key_sees_its_models_only(locked, ring):
    own = key_line(ring, "other")
    assert ask(locked, "GET", "/v2/models/other-1/config", own)[0] == 200
    for path in ("/v2/models/toy/config", "/v2/models/nothing/config", "/metrics"):
        assert ask(locked, "GET", path, own)[0] == 403
    for act in ("load", "unload"):
        assert ask(locked, "POST", f"/v2/repository/models/toy/{act}", own)[0] == 403
    index = ask(locked, "POST", "/v2/repository/index", own)[1]
    assert b"other-1" in index and b"toy" not in index
    assert locked.models == ["other-1", "toy"]


def test_rates_count_here_too(locked, ring):
    assert ask(locked, "GET", "/v2", key_line(ring, "slow"))[0] == 200
    status, answer = ask(locked, "GET", "/v2", key_line(ring, "slow"))
    assert status == 429 and b"retry-after: 100" in answer


SPELLINGS = ["/v2//models", "/./v2", "/v2/%2e", "/%76%32", "/V2", "/v2/models;x=1", "/v2/models/..%2fmodels", "/v2/"]
SPELLINGS += [
    "/manage/../v2",
    "/manage/keys/",
    "/MANAGE/keys",
    "/manage%2fkeys",
    "/v2/health/live/../../models",
    "//v2",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_s04_other_spellings_are_not_open(locked, ring, path):
    assert ask(locked, "GET", path)[0] == 401
    assert ask(locked, "GET", path, key_line(ring, "infer"))[0] in (403, 404)
    assert ask(locked, "GET", f"http://localhost{path}")[0] in (400, 401)


def test_names_are_checked_before_anything_is_opened(locked, ring):
    for name in ("..", ".hidden", "-rf", "CON", "con.txt", "lpt1", "a%2e%2e", "a;b", "a\\b", "x" * 129):
        status, answer = ask(locked, "POST", f"/v2/repository/models/{name}/load", key_line(ring, "admin"), data=b"{}")
        assert status == 404, (name, answer)


def test_two_keys_are_none(locked, ring):
    assert ask(locked, "GET", "/v2", key_line(ring, "admin"), key_line(ring, "admin"))[0] == 401


# ---- web pages


HOSTS = {
    "evil.example": 421,
    "evil.example:80": 421,
    "localhost.evil.example": 421,
    "127.0.0.1.evil.example": 421,
    "a/../v2": 421,
    "localhost:80/v2/health": 421,
    "localhost:": 421,
    "localhost:x": 421,
    "0.0.0.0": 421,
    "169.254.169.254": 421,
    "[::1": 421,
    "": 421,
    "localhost": 200,
    "LOCALHOST:9": 200,
    "127.0.0.1:8001": 200,
    "[::1]:1": 200,
    "[::1]": 200,
}


@pytest.mark.parametrize("host", HOSTS)
def test_s05_s07_hosts(locked, ring, host):
    request = f"GET /v2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{key_line(ring, 'read')}\r\n\r\n"
    answer = raw(Port(locked), request.encode())
    assert int(answer[9:12]) in (HOSTS[host], 400 if HOSTS[host] == 421 else 200), answer
    assert b"access-control" not in answer.lower()


def test_s05_two_hosts_and_none(locked, ring):
    for lines in ("Host: localhost\r\nHost: localhost\r\n", ""):
        answer = raw(Port(locked), f"GET /v2 HTTP/1.1\r\n{lines}{key_line(ring, 'read')}\r\n\r\n".encode())
        assert answer[9:12] == b"400"


@pytest.mark.parametrize("origin", ["https://evil", "null", "http://localhost.evil", "http://localhost:1", ""])
def test_s07_other_origins_are_refused_with_a_key_and_without(locked, ring, origin):
    for lines in ([key_line(ring, "admin")], []):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            status, answer = ask(locked, method, "/v2/repository/index", f"Origin: {origin}", *lines)
            assert status == 403 and b"access-control" not in answer.lower()
    assert ask(locked, "GET", "/v2", "Origin: http://localhost", key_line(ring, "read"))[0] == 200


# ---- hostile bodies


DEEP = {
    "arrays": b"[" * 50_000 + b"]" * 50_000,
    "many arrays": b"[" * 250_000,
    "objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "in parameters": b'{"parameters":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001,
    "mixed": b'[{"a":' * 20_000,
    "not utf-8": b'{"name":"\xff"}',
    "a list": b"[]",
    "cut": b'{"name":"a"',
}


@pytest.mark.parametrize("case", DEEP)
def test_s11_deep_json_on_every_route(locked, ring, case):
    for name, path, methods in routes_of_the_router(locked):
        if "POST" not in methods:
            continue
        began = time.monotonic()
        status, _ = ask(locked, "POST", path, key_line(ring, "admin"), data=DEEP[case])
        assert status == 400 and time.monotonic() - began < 1, name


def test_s11_s13_bodies_are_bounded(locked, ring):
    line = key_line(ring, "admin")
    assert ask(locked, "POST", "/manage/keys", line, data=b" " * (module.MAX_BODY_BYTES + 1))[0] == 413
    assert ask(locked, "POST", "/v2/repository/index", line, data=b" " * (module.MAX_BODY_BYTES - 2) + b"{}")[0] == 200
    assert ask(locked, "POST", "/v2/repository/index", line, "Content-Encoding: gzip", data=b"x")[0] == 415
    for extra, status in {
        "X: " + "a" * (20 << 10): 431,
        "\r\n".join("X: a" for _ in range(101)): 431,
        "X: a": 200,
    }.items():
        assert ask(locked, "GET", "/v2", line, extra)[0] == status
    assert ask(locked, "GET", "/v2?" + "a" * 9000, line)[0] == 414
    answer = raw(Port(locked), b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (600 << 10) + b"\r\n\r\n")
    assert answer[9:12] in (b"400", b"431", b"")
    # Nobody without a right gets a body read.
    with socket.create_connection(("127.0.0.1", locked.management_port), timeout=5) as s:
        s.sendall(b"POST /manage/keys HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n")
        assert s.recv(100)[9:12] == b"401"


def test_s18_multipart_is_no_form(locked, ring):
    boundary = "-" * 1_000_000
    for kind in (f"multipart/form-data; boundary={boundary}", "multipart/form-data; boundary=" + "-" * 70):
        began = time.monotonic()
        head = f"POST /manage/keys HTTP/1.1\r\nHost: localhost\r\n{key_line(ring, 'admin')}\r\nContent-Type: {kind}\r\n"
        data = ("--" + boundary[:900_000]).encode()
        answer = raw(Port(locked), f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data, timeout=0.3)
        assert answer[9:12] in (b"400", b"431", b"") and time.monotonic() - began < 1
    assert "multipart" not in " ".join(sys.modules)


POST = "POST /manage/keys HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
FRAMING = {
    "both lengths": f"{POST}Content-Length: 5\r\n{CHUNKED}\r\n0\r\n\r\n",
    "two lengths": f"{POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a chunk size": f"{POST}{CHUNKED}\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a space": "GET /v2 HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "no HTTP": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
    "a NUL": "GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
}
NEXT = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("case", FRAMING)
def test_s16_framing(locked, case):
    answer = raw(
        Port(locked), FRAMING[case].encode("latin-1") + b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    # Nothing after it is answered: at most one refusal, and the connection ends.
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) in ([b"400"], [b"401"]), answer


def test_slow_clients_are_let_go(locked, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.2)
    began = time.monotonic()
    for begin in (b"", b"GET /v2 HT"):
        with socket.create_connection(("127.0.0.1", locked.management_port), timeout=5) as s:
            s.sendall(begin)
            assert read_all(s) == b""
    assert time.monotonic() - began < 3


def test_connections_are_bounded(locked, monkeypatch):
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 8)
    many = [socket.create_connection(("127.0.0.1", locked.management_port), timeout=5) for _ in range(12)]
    try:
        wait_for(lambda: sum(_closed(s) for s in many) >= 4)
    finally:
        for s in many:
            s.close()
    monkeypatch.undo()
    wait_for(lambda: call(locked.at, "/v2/health/live")[0] == 200)


def _closed(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


# ---- the routes


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
    triton = pytest.importorskip("tritonclient.http")
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


# ---- the key of a run


def test_without_keys_one_is_made_and_the_data_port_stays_open():
    with Server(toy(), name="toy", port=0, management_port=0) as s:
        at = f"http://127.0.0.1:{s.management_port}"
        own = bearer(s.management_key)
        assert call(at, "/v2/models")[0] == 401 and call(at, "/v2/models", headers=own)[0] == 200
        assert infer(s.url, body(X))[0] == 200 and call(s.url, "/metrics")[0] == 200
        status, _, text = call(at, "/manage/keys", {"name": "a"}, headers=own)
        assert status == 409 and check_error(text)
        with Server(toy(), name="toy", port=0, management_port=0) as other:
            assert other.management_key != s.management_key
            assert call(f"http://127.0.0.1:{other.management_port}", "/v2", headers=own)[0] == 401


def test_s01_s09_the_command_prints_the_key_once_and_listens_on_loopback(tmp_path):
    import maas

    model = tmp_path / "m.maas"
    maas.Sequential([maas.Input((16,), name="x"), maas.layers.Dense(4)]).save(model)
    command = [sys.executable, "-m", "maas.cli", "serve", str(model), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    p = subprocess.Popen(command, text=True, cwd=tmp_path, **pipes)
    try:
        url = re.search(r"http://[^ ]*", p.stdout.readline())[0]
        at = re.search(r"management at (http://127.0.0.1:(\d+))", p.stdout.readline())
        key = re.fullmatch(r"maas: the key of this run, shown once: (maas_\S+)\n", p.stderr.readline())[1]
        assert call(at[1], "/v2/models")[0] == 401
        assert call(at[1], "/v2/models", headers=bearer(key))[2] == b'{"models":["m"]}'
        assert call(at[1], "/v2/repository/models/m/load", "{}", headers=bearer(key))[0] == 200
        assert call(at[1], "/nowhere?" + key, headers=bearer(key))[0] == 404
        assert infer(url, body(X), "m")[0] == 200
        with open("/proc/net/tcp") as f:
            bound = [line.split()[1] for line in f.readlines()[1:] if line.split()[3] == "0A"]
        assert f"0100007F:{int(at[2]):04X}" in bound and f"00000000:{int(at[2]):04X}" not in bound
        began = time.monotonic()
        p.terminate()
        out, err = p.communicate(timeout=20)
        assert p.returncode == 0 and time.monotonic() - began < 2
        assert err == "" and key not in out and out.count("\n") == 2
        # A key is in no file.
        assert [f.name for f in tmp_path.iterdir()] == ["m.maas"]
    finally:
        p.kill()
        p.communicate()


def test_a_port_in_use_is_an_error_before_anything_is_served(tmp_path, capsys, monkeypatch):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}"):
            Server(toy(), name="toy", port=0, management_port=port).start()
        monkeypatch.setattr("maas.serving.server.load", lambda path: toy())
        assert main(["serve", "toy.keras", "--port", "0", "--management-port", str(port)]) == 1
        assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err


def test_without_the_extra_the_data_port_runs_alone_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(module, "available", lambda: False)
    with pytest.raises(ImportError, match=r"pip install maas\[serve\]"):
        Server(toy(), name="toy", port=0, management_port=0)
    monkeypatch.setattr("maas.serving.server.load", lambda path: toy())
    assert main(["serve", "toy.keras", "--port", "0", "--management-port", "0"]) == 1
    assert "maas[serve]" in capsys.readouterr().err
    import argparse

    from maas.cli.serve import _management_port, add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert _management_port(parser.parse_args(["toy.keras"])) is None
    assert "maas[serve]" in capsys.readouterr().err
    monkeypatch.undo()
    assert _management_port(parser.parse_args(["toy.keras"])) == 8001
    assert _management_port(parser.parse_args(["toy.keras", "--port", "0"])) == 0
    assert _management_port(parser.parse_args(["toy.keras", "--management-port", "none"])) is None


def test_keep_alive_and_stop_with_open_connections():
    server = Server(toy(), name="toy", port=0, management_port=0).start()
    c = http.client.HTTPConnection("127.0.0.1", server.management_port, timeout=10)
    for _ in range(3):
        c.request("GET", "/v2/health/live")
        assert c.getresponse().read() == b'{"live":true}'
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.management_port), timeout=1)
    c.close()


def test_s06_no_comparison_of_its_own():
    """Keys are compared in one place, the C++ `authorise`; Python never sees the keys of the file."""
    source = open(module.__file__).read()
    assert "core.authorise(" in source and "sha256" not in source and "compare_digest" not in source


def test_s06_a_wrong_first_byte_takes_as_long_as_a_wrong_last(ring):
    """Welch's t over interleaved tries: the hash of the whole is compared, so no byte of the key shows."""
    good = ring.text["admin"]
    head, secret = good.rsplit("_", 1)[0] if good.count("_") == 2 else good[:18], good[18:]
    first = "Bearer " + good[:18] + ("A" if secret[0] != "A" else "B") + secret[1:]
    last = "Bearer " + good[:-1] + ("A" if good[-1] != "A" else "B")
    assert head
    core = Server(toy(), name="toy", port=0, keys=ring.path)._core
    times = {first: [], last: []}
    for _ in range(5000):
        for text in (first, last):
            began = time.perf_counter_ns()
            decision = core.authorise("server", "", text)
            times[text].append(time.perf_counter_ns() - began)
            assert decision.status == 401
    a, b = (np.sort(np.array(t, float))[: int(len(t) * 0.9)] for t in times.values())
    t = abs(a.mean() - b.mean()) / np.sqrt(a.var() / len(a) + b.var() / len(b))
    assert t < 4 or abs(a.mean() - b.mean()) < 0.02 * a.mean()
