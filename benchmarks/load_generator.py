"""What `maas bench` costs itself: against `wrk` on a server of Beast alone, interleaved rounds, and against the same
machine's bare connection. The two must agree on requests a second and on percentiles for either to be believed."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import report, runner

BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 16], "datatype": "FP32", "data": [0.123456] * 16}]})
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}
SERVER = (
    "import sys; from maas import _core; s = _core.BareServer(b'{\"outputs\":[]}'); "
    "print(s.port, flush=True); sys.stdin.read()"
)


def wrk(url, body, folder, seconds, connections, headers=()):
    """One run of wrk: requests a second and percentiles in microseconds."""
    script = Path(folder) / "post.lua"
    lines = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers)
    script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\n{lines}')
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"wrk met errors: {text}")
    found = {f"p{p}": float(v) * UNITS[u] for p, v, u in re.findall(r"(50|90|99)%\s+([\d.]+)(us|ms|s)\b", text)}
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), **found}


def ours(url, body, seconds, connections, headers=(), content_type="application/json", **options):
    """The same with the load generator of `maas bench`, here; `options` as `maas.serving.load.run` takes them."""
    from maas.serving import load

    target = load.Target.parse(url)
    body = body.encode() if isinstance(body, str) else body
    requests = [load.request_bytes(target, target.path or "/", body, content_type, headers)]
    options = {"seconds": seconds, "warm_up": 0.2, "connections": connections, **options}
    figures = load.summary(load.run(requests, target, **options))
    return {"rate": figures["requests_per_second"], **figures["latency_us"], "errors": figures["errors"]}


def main():
    parser = runner.arguments(__doc__)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("benchmarks.load_generator needs the program wrk (Debian package wrk)")
    seconds = max(1, int(options.seconds))
    rounds = {"wrk": [], "maas bench": []}
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
        with tempfile.TemporaryDirectory() as folder:
            for _ in range(options.rounds):
                rounds["wrk"].append(wrk(url, BODY, folder, seconds, options.connections))
                rounds["maas bench"].append(ours(url, BODY, seconds, options.connections))
    finally:
        server.stdin.close()
        server.wait()
    for name, list_ in rounds.items():
        middle = {key: float(np.median([r[key] for r in list_])) for key in ("rate", "p50", "p90", "p99")}
        print(f"{name}: " + ", ".join(f"{key} {value:,.0f}" for key, value in middle.items()))
    for key in ("rate", "p50", "p99"):
        pairs = [a[key] / b[key] for a, b in zip(rounds["maas bench"], rounds["wrk"])]
        print(f"{key}, maas bench over wrk: {'{:.2f} ({:.2f}-{:.2f})'.format(*runner.interval(pairs))}")
    report.RESULTS.mkdir(exist_ok=True)
    (report.RESULTS / "load_generator.json").write_text(json.dumps(rounds, indent=1))


if __name__ == "__main__":
    main()
