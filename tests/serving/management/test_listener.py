"""The management port beside the data port: the key of a run, the command, the extra, the end."""

import http.client
import re
import socket
import subprocess
import sys
import time

import pytest

from maas.cli import main
from maas.serving import Server
from maas.serving import management as module

from ..conftest import body, call, infer, toy
from ..error_templates import check_error
from ..key_ring import bearer
from .port import X


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
