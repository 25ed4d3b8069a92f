"""What the server promises about itself, measured with the load generator of `maas bench` on this machine:

overhead   median time of one request on one connection, over a bare `model(x)`
half       p99 at half of the most requests a second, open loop
batching   requests a second with dynamic batching over batch size 1, GEMM-bound model, 32 clients
overload   answers at three times the most requests a second, as a share of the most; heavy model, open loop

Ours runs as `maas serve` with keys, limits, metrics and batching on. Loopback only.
"""

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import report, runner
from benchmarks.servers.contenders import Contender, Running, _maas, _oip_answer, _oip_binary_body, _oip_body
from benchmarks.serving import make_key, make_model

SMALL, GEMM = (16, 16, 4), (1024, 2048, 1024)
# Heavy enough that sending three times the peak is not itself what fills the cores: the client shares them.
HEAVY = (256, 4096, 4096, 256)


def _server(folder, x, wanted, key, *options, binary=False):
    body = _oip_binary_body if binary else _oip_body
    name = "-".join(["maas", *options]).replace("/", "")
    contender = Contender(name, _maas(options), path="/v2/models/m/infer", body=body, answer=_oip_answer)
    return Running(contender, x, wanted, folder, 2, key)


def _ask(server, seconds, **options):
    from maas.serving import load

    target = load.Target.parse(server.url)
    request = load.request_bytes(target, target.path, server.body, server.content_type, server.headers)
    return load.run([request], target, seconds=seconds, warm_up=0.3, **options)


def _rate(result):
    return result.answers / result.seconds


def overhead(folder, options):
    """Microseconds."""
    import maas

    x, wanted = make_model(SMALL, folder)
    model, times = maas.models.load_model(str(folder / "model.keras")), []
    for _ in range(2000):
        began = time.perf_counter()
        model(x)
        times.append((time.perf_counter() - began) * 1e6)
    bare = float(np.median(times))
    server = _server(folder, x, wanted, make_key(folder))
    try:
        one = [_ask(server, options.seconds, connections=1).latency.percentile(0.5) / 1e3 for _ in range(3)]
    finally:
        server.close()
    return {"bare_us": bare, "one_connection_us": float(np.median(one)), "overhead_us": float(np.median(one)) - bare}


def half(folder, options):
    """Microseconds at half load."""
    x, wanted = make_model(SMALL, folder)
    server = _server(folder, x, wanted, make_key(folder))
    try:
        most = max(_rate(_ask(server, options.seconds, connections=16)) for _ in range(2))
        runs = [_ask(server, options.seconds, connections=64, rate=most / 2, seed=i) for i in range(3)]
    finally:
        server.close()
    return {
        "most": most,
        "answered": float(np.median([_rate(r) for r in runs])),
        "p50_us": float(np.median([r.latency.percentile(0.5) for r in runs])) / 1e3,
        "p99_us": float(np.median([r.latency.percentile(0.99) for r in runs])) / 1e3,
    }


def batching(folder, options):
    """Requests a second of both, in interleaved rounds."""
    x, wanted = make_model(GEMM, folder)
    key, rates = make_key(folder), {"batching": [], "one": []}
    both = {
        "batching": _server(folder, x, wanted, key, binary=True),
        "one": _server(folder, x, wanted, key, "--max-batch-size", "1", binary=True),
    }
    try:
        for _ in range(3):
            for name, server in both.items():
                rates[name].append(_rate(_ask(server, options.seconds, connections=32)))
    finally:
        for server in both.values():
            server.close()
    ratio = runner.interval([a / b for a, b in zip(rates["batching"], rates["one"])])
    return {**{name: float(np.median(r)) for name, r in rates.items()}, "ratio": ratio}


def overload(folder, options):
    """Requests a second at the peak, and answered with status 200 when three times as many come."""
    x, wanted = make_model(HEAVY, folder)
    server = _server(folder, x, wanted, make_key(folder), "--max-queue-size", "64", binary=True)
    goodput, late, refused, unsent = [], [], 0, 0
    try:
        peak = max(_rate(_ask(server, options.seconds, connections=64)) for _ in range(3))
        for i in range(3):
            result = _ask(server, options.seconds, connections=256, rate=3 * peak, seed=i)
            goodput.append(_rate(result))
            refused += result.statuses.get(429, 0)
            unsent += result.unsent
            late.append(result.latency.percentile(0.99) / 1e3)
    finally:
        server.close()
    return {
        "peak": peak,
        "goodput": float(np.median(goodput)),
        "share": float(np.median(goodput)) / peak,
        "refused_429": refused,
        "unsent": unsent,
        "p99_us": float(np.median(late)),
    }


PARTS = {"overhead": overhead, "half": half, "batching": batching, "overload": overload}


def main():
    parser = runner.arguments(__doc__)
    parser.set_defaults(seconds=1.0)
    options = parser.parse_args()
    path = report.RESULTS / "serving_targets.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    for name, part in PARTS.items():
        if not runner.wanted(name, options.rows):
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[name] = part(Path(folder), options)
        print(f"{name}: " + json.dumps(found[name]), flush=True)
        report.RESULTS.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
