"""The load generator: what it counts, what it sends, what the command says. The oracles are NumPy, wrk, servers that
stall, and the server's own metrics."""

import json
import re
import shutil
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

from maas import _core
from maas.cli import main
from maas.serving import Server, grpc_load, load
from tests.serving.conftest import call, infer, metric, toy


class Scripted:
    """A server of one thread: reads a request, waits as `pause(number)` says, answers `answer` or what it is given."""

    def __init__(self, pause=lambda n: 0, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"):
        self.pause, self.answer, self.heads, self.connections = pause, answer, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with self.listener:
            while True:
                try:
                    connection, _ = self.listener.accept()
                except OSError:
                    return
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            got = b""
            while True:
                while b"\r\n\r\n" not in got:
                    try:
                        more = connection.recv(65536)
                    except OSError:
                        return
                    if not more:
                        return
                    got += more
                head, _, rest = got.partition(b"\r\n\r\n")
                size = int(re.search(rb"Content-Length: (\d+)", head)[1])
                while len(rest) < size:
                    rest += connection.recv(65536)
                got = rest[size:]
                self.heads.append(head)
                time.sleep(self.pause(len(self.heads)))
                if self.answer is None:
                    return
                try:
                    connection.sendall(self.answer)
                except OSError:
                    return
                if b"close" in self.answer or b"Connection: close" in head:
                    return

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def scripted():
    servers = []

    def make(**options):
        servers.append(Scripted(**options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def ask(port, body=b"{}", **options):
    target = load.Target("127.0.0.1", port)
    options = {"warm_up": 0, "seconds": 0.5, "connections": 1, **options}
    keep_alive = options.get("keep_alive", True)
    return load.run([load.request_bytes(target, "/a", body, keep_alive=keep_alive)], target, **options)


def test_histogram_agrees_with_numpy():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.integers(0, 300, 500), rng.lognormal(12, 3, 20000).astype(np.int64)])
    histogram = _core.LatencyHistogram()
    for v in values:
        histogram.record(int(v))
    assert histogram.count == len(values) and histogram.max == values.max() and histogram.min == values.min()
    assert histogram.mean == pytest.approx(values.mean())
    for share in (0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = np.percentile(values, 100 * share, method="inverted_cdf")
        assert exact <= histogram.percentile(share) <= exact * (1 + 1 / 128) + 1
    small = _core.LatencyHistogram()
    assert small.percentile(0.5) == small.max == small.min == 0
    small.record(1 << 60)  # beyond an hour: the last bucket
    small.add(histogram)
    assert small.count == len(values) + 1 and small.percentile(1.0) == (1 << 42) - 1


def test_closed_loop_counts_what_the_server_answered():
    with Server(toy(), name="toy", port=0) as server:
        requests = load.model_requests(load.Target.parse(server.url), "oip", "toy")
        target = load.Target.parse(server.url)
        result = load.run(requests, target, seconds=20, warm_up=0, requests_limit=500, connections=8)
        assert result.answers == result.sent == result.latency.count == 500
        assert result.statuses == {200: 500} and load.summary(result)["errors"] == {}
        assert metric(server.url, "maas_inference_requests_total", outcome="success") == 500
        assert json.loads(result.first_answer)["outputs"][0]["shape"] == [1, 4]
        assert 0 < result.latency.min <= result.latency.percentile(0.5) <= result.latency.max
        assert result.bytes_out == sum(len(requests[i % 8]) for i in range(500))


@pytest.mark.parametrize("protocol", ["oip", "oip-binary", "tfs"])
@pytest.mark.parametrize("rows", [1, 3])
def test_each_protocol_asks_for_what_the_model_takes(protocol, rows):
    with Server(toy(), name="toy", port=0) as server:
        target = load.Target.parse(server.url)
        requests = load.model_requests(target, protocol, "toy", rows=rows)
        result = load.run(requests, target, seconds=20, warm_up=0, requests_limit=40, connections=2)
        assert result.answers == 40, bytes(result.first_refusal)
        assert metric(server.url, "maas_batch_size_sum") == 40 * rows


def test_bodies_say_the_same_in_every_protocol():
    spec = {"name": "x", "shape": [2, 3], "datatype": "FP32"}
    x = np.random.default_rng(0).standard_normal((2, 3), "float32")
    flat = json.loads(load.oip_body([(spec, x)])[1])["inputs"][0]["data"]
    np.testing.assert_array_equal(np.float32(flat).reshape(2, 3), x)
    _, binary, headers = load.oip_binary_body([(spec, x)])
    size = int(dict(headers)["Inference-Header-Content-Length"])
    np.testing.assert_array_equal(np.frombuffer(binary[size:], "<f4").reshape(2, 3), x)
    np.testing.assert_array_equal(np.float32(json.loads(load.tfs_body([(spec, x)])[1])["instances"]), x)
    texts = np.array([[b"a", b"bc"]], object)
    spec = {"name": "s", "shape": [1, 2], "datatype": "BYTES"}
    assert json.loads(load.oip_body([(spec, texts)])[1])["inputs"][0]["data"] == ["a", "bc"]
    assert load.oip_binary_body([(spec, texts)])[1].endswith(b"\1\0\0\0a\2\0\0\0bc")
    assert json.loads(load.tfs_body([(spec, texts)])[1])["instances"] == [[{"b64": "YQ=="}, {"b64": "YmM="}]]


def test_a_stall_is_seen_by_every_request_that_was_due(scripted):
    """Coordinated omission: one stall of 0.4 s in a second of 100 requests."""
    stall = lambda n: 0.4 if n == 30 else 0  # noqa: E731
    closed = ask(scripted(pause=stall).port, seconds=1.0)
    opened = ask(scripted(pause=stall).port, seconds=1.0, rate=100, poisson=False)
    assert closed.latency.max > 0.4e9 and closed.latency.percentile(0.9) < 0.05e9
    # 40 requests were due while the server stalled, and waited for 0.2 s on average.
    assert opened.latency.percentile(0.7) > 0.02e9 and opened.latency.percentile(0.9) > 0.15e9
    assert opened.service.percentile(0.9) < 0.05e9


@pytest.mark.parametrize("poisson", [True, False])
def test_open_loop_keeps_its_rate(scripted, poisson):
    result = ask(_core_port(), seconds=1.0, rate=400, poisson=poisson, connections=8)
    # Five standard deviations of a Poisson count; fixed gaps are exact but for the ends.
    assert abs(result.sent - 400) <= (100 if poisson else 3)
    assert result.unsent == 0 and result.answers >= result.sent - 5


_bare = []


def _core_port():
    if not _bare:
        _bare.append(_core.BareServer(b"{}"))
    return _bare[0].port


def test_requests_that_found_no_connection_are_told(scripted):
    result = ask(scripted(pause=lambda n: 0.1).port, rate=100, poisson=False, seconds=0.5)
    assert result.unsent > 30 and load.summary(result)["errors"]["unsent"] == result.unsent
    assert result.latency.count == result.unsent + result.service.count


def test_errors_by_kind(scripted):
    refused = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nfull"
    result = ask(scripted(answer=refused).port, requests_limit=5)
    assert result.statuses == {429: 5} and result.answers == 0 and result.first_refusal == b"full"
    assert load.summary(result)["errors"] == {"status 429": 5}
    assert ask(scripted(answer=b"SMTP ready\r\n\r\n").port, requests_limit=3).invalid == 3
    assert (
        ask(scripted(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}more").port, requests_limit=3).invalid == 3
    )
    assert ask(scripted(answer=None).port, requests_limit=3).closed_early == 3
    assert ask(scripted(pause=lambda n: 1).port, requests_limit=2, timeout=0.1, seconds=2).timed_out == 2
    with socket.create_server(("127.0.0.1", 0)) as s:
        nobody = s.getsockname()[1]
    assert ask(nobody, requests_limit=3).connect_failed == 3


def test_framings_of_answers(scripted):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert ask(scripted(answer=chunked).port, requests_limit=4).answers == 4
    closing = scripted(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert ask(closing.port, requests_limit=4).answers == 4 and closing.connections == 4
    to_the_end = scripted(answer=b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}")
    result = ask(to_the_end.port, requests_limit=2)
    assert result.answers == 2 and result.first_answer == b"{}"


def test_keep_alive_or_not(scripted):
    kept, fresh = scripted(), scripted()
    assert ask(kept.port, requests_limit=6).answers == 6 and kept.connections == 1
    assert ask(fresh.port, requests_limit=6, keep_alive=False).answers == 6 and fresh.connections == 6
    assert b"Connection: close" in fresh.heads[0] and b"Connection" not in kept.heads[0]


def test_cancels_close_at_random_places_and_the_server_goes_on():
    with Server(toy(), name="toy", port=0) as server:
        target = load.Target.parse(server.url)
        requests = load.model_requests(target, "oip", "toy")
        result = load.run(requests, target, seconds=60, warm_up=0, requests_limit=600, connections=16, cancel=0.5)
        assert 150 < result.cancelled < 450
        assert result.invalid == result.timed_out == result.closed_early == 0
        deadline = time.monotonic() + 10
        while metric(server.url, "maas_inference_in_flight") and time.monotonic() < deadline:
            time.sleep(0.01)
        assert metric(server.url, "maas_inference_in_flight") == 0
        assert infer(server.url, {"inputs": []})[0] == 400


def test_only_this_machine_unless_told():
    for host in ("192.0.2.1", "[2001:db8::1]"):
        with pytest.raises(ValueError, match="allow-remote"):
            load.Target.parse(f"http://{host}:80").check()
        load.Target.parse(f"http://{host}:80").check(allow_remote=True)
    options = _core.LoadOptions()
    options.host, options.requests = "192.0.2.1", [b"x"]
    with pytest.raises(ValueError, match="this machine"):
        _core.run_load(options)


@pytest.mark.parametrize("url", ["https://127.0.0.1", "http://", "http://a:b", "ftp://a", "http://user@a"])
def test_urls_that_are_not_served(url):
    with pytest.raises(ValueError, match="received"):
        load.Target.parse(url)


@pytest.mark.parametrize("header", [("Host", "a"), ("content-length", "1"), ("X", "a\r\nY: b")])
def test_headers_that_would_break_the_framing(header):
    with pytest.raises(ValueError, match="received"):
        load.request_bytes(load.Target("a", 1), "/", b"", headers=[header])


def test_command_writes_json_and_shows_a_table(tmp_path, capsys):
    with Server(toy(), name="toy", port=0) as server:
        arguments = [
            "bench",
            server.url,
            "--model",
            "toy",
            "--duration",
            "0.3",
            "--warm-up",
            "0.1",
            "--connections",
            "2",
        ]
        assert main([*arguments, "--json", str(tmp_path / "f.json")]) == 0
        told = capsys.readouterr().out
        figures = json.loads((tmp_path / "f.json").read_text())
        assert f"{figures['requests_per_second']:,.0f} requests/s" in told and "p99.9" in told
        assert figures["loop"] == "closed" and figures["errors"] == {} and figures["answers"] > 10
        assert list(figures["latency_us"]) == ["p50", "p90", "p99", "p99.9", "max", "mean"]
        assert main([*arguments, "--rate", "200", "--arrivals", "fixed", "--protocol", "tfs", "--json", "-"]) == 0
        figures = json.loads(capsys.readouterr().out)
        assert figures["loop"] == "open" and 150 <= figures["requests_per_second"] <= 210
        (tmp_path / "body").write_text('{"instances": [[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]}')
        url = server.url + "/v1/models/toy:predict"
        arguments = ["bench", url, "--protocol", "http", "--body-file", str(tmp_path / "body"), "--requests", "20"]
        assert main([*arguments, "--warm-up", "0", "--duration", "5", "--json", "-"]) == 0
        assert json.loads(capsys.readouterr().out)["answers"] == 20


def test_command_says_what_is_wrong(capsys):
    with Server(toy(), name="toy", port=0) as server:
        for arguments, told in (
            ([server.url], "--model"),
            ([server.url, "--model", "nobody"], "404"),
            ([server.url, "--model", "toy", "--connections", "0"], "connections"),
            ([server.url, "--protocol", "http"], "--body-file"),
            (["http://192.0.2.1", "--model", "a"], "--allow-remote"),
            ([server.url, "--model", "toy", "--protocol", "grpc", "--no-keep-alive"], "are for HTTP"),
        ):
            assert main(["bench", *arguments]) == 1
            assert told in capsys.readouterr().err


def test_keys_are_sent(tmp_path, monkeypatch, capsys):
    from maas.serving import keys

    text, row = keys.make("bench")
    keys.add(tmp_path / "keys.json", row)
    with Server(toy(), name="toy", port=0, keys=tmp_path / "keys.json") as server:
        arguments = ["bench", server.url, "--model", "toy", "--requests", "10", "--warm-up", "0", "--json", "-"]
        assert main(arguments) == 1 and "401" in capsys.readouterr().err
        assert main([*arguments, "--key", text]) == 0
        assert json.loads(capsys.readouterr().out)["answers"] == 10
        monkeypatch.setenv("MAAS_API_KEY", text)
        assert main(arguments) == 0


@pytest.mark.parametrize("rate", [0, 100])
def test_grpc(rate, capsys):
    with Server(toy(), name="toy", port=0, grpc_port=0) as server:
        where = f"http://127.0.0.1:{server.grpc_port}"
        arguments = ["bench", where, "--model", "toy", "--protocol", "grpc", "--connections", "4", "--rows", "2"]
        arguments += ["--duration", "0.5", "--warm-up", "0.1", "--rate", str(rate), "--json", "-"]
        assert main(arguments) == 0
        figures = json.loads(capsys.readouterr().out)
        assert figures["errors"] == {} and figures["answers"] > 20 and figures["latency_us"]["p50"] > 0
        assert metric(server.url, "maas_inference_requests_total", protocol="grpc", outcome="success") > 0
        assert main(["bench", where, "--model", "nobody", "--protocol", "grpc"]) == 1
        assert "NOT_FOUND" in capsys.readouterr().err


def test_refusals_of_grpc_are_told_by_their_codes():
    with Server(toy(), name="toy", port=0, grpc_port=0) as server:
        message = grpc_load.infer_message("nobody", [])
        at = f"127.0.0.1:{server.grpc_port}"
        result = grpc_load.GrpcLoad(at, [message], connections=2, seconds=10, warm_up=0, requests_limit=6).run()
        assert result.statuses == {"NOT_FOUND": 6} and result.answers == 0 and b"nobody" in result.first_refusal
        assert load.summary(result)["errors"] == {"code NOT_FOUND": 6}


def test_throughput_and_percentiles_agree_with_wrk(tmp_path):
    """On a server whose time is known: 8 connections, 5 ms for each answer."""
    if not shutil.which("wrk"):
        pytest.fail("wrk is missing: install the packages of .ci/packages")
    script = tmp_path / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.body = "{}"\n')
    for _ in range(3):  # whatever else runs on this machine may hit one of the two
        server = Scripted(pause=lambda n: 0.005)
        try:
            ours = ask(server.port, seconds=1.5, connections=8)
            command = ["wrk", "-t1", "-c8", "-d2s", "--latency", "-s", str(script), f"http://127.0.0.1:{server.port}/a"]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        finally:
            server.close()
        pairs = {
            "requests a second": (ours.answers / ours.seconds, float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1])),
            "p50": (ours.latency.percentile(0.5) / 1e6, float(re.search(r"50%\s+([\d.]+)ms", told)[1])),
        }
        if all(a == pytest.approx(b, rel=0.25) for a, b in pairs.values()):
            return
    pytest.fail(f"ours and wrk's differ by more than a quarter: {pairs}")


def test_short_requests_that_come_together_share_a_run():
    """Two models under load from many connections answer each with its own rows, some of them in one batch."""
    import maas

    layers = maas.layers
    x = layers.Input((4,), name="x")
    model = maas.Model(x, layers.Dense(2, name="y")(x))
    with Server({"a": model, "b": model}, port=0) as server:
        target = load.Target.parse(server.url)
        requests = [*load.model_requests(target, "oip", "a"), *load.model_requests(target, "oip", "b", seed=2)]
        result = load.run(requests, target, seconds=30, warm_up=0, requests_limit=4000, connections=32)
        assert result.answers == 4000
        sums, counts = metric(server.url, "maas_batch_size_sum"), metric(server.url, "maas_batch_size_count")
        assert sums == 4000 and counts < 4000
        rows = np.random.default_rng(0).standard_normal((16, 4), "float32")
        wanted = np.asarray(model(rows))

        def one(i):
            body = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": rows[i].tolist()}]}
            status, _, text = call(server.url, f"/v2/models/{'ab'[i % 2]}/infer", body)
            got[i] = json.loads(text)["outputs"][0]["data"] if status == 200 else None

        got = [None] * 16
        threads = [threading.Thread(target=one, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        np.testing.assert_array_equal(np.float32(got), wanted)
