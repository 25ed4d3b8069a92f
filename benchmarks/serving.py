"""The server against FastAPI over ONNX Runtime on uvicorn: requests a second, by `wrk` on the same machine.

Needs `wrk` on the PATH, and fastapi, uvicorn, onnxruntime and onnx for the peer. Loopback only, a few seconds a round.
"""

import importlib.util
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

from benchmarks import runner
from benchmarks.rows import Row


def _net():
    from maas import zoo

    return Row("MLP 16-16-4", lambda: zoo.MLP((16,), (16,), 4, classifier_activation=None)).net()


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _start_maas(folder):
    import maas

    net, path = _net(), Path(folder) / "mlp.keras"
    net.build(maas).save(path)
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "maas.cli", "serve", str(path), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    meta = json.loads(_wait(f"http://127.0.0.1:{port}/v2/models/mlp"))
    name = meta["inputs"][0]["name"]
    body = {"inputs": [{"name": name, "shape": [1, 16], "datatype": "FP32", "data": net.inputs[0][0].tolist()}]}
    return process, f"http://127.0.0.1:{port}/v2/models/mlp/infer", json.dumps(body)


def _start_fastapi(folder):
    from benchmarks.baselines.onnx_graph import graph

    net = _net()
    (Path(folder) / "mlp.onnx").write_bytes(graph(net)[0].SerializeToString())
    (Path(folder) / "app.py").write_text(
        "import numpy as np, onnxruntime as ort\nfrom fastapi import FastAPI\nfrom pydantic import BaseModel\n"
        "o = ort.SessionOptions(); o.intra_op_num_threads = 1\n"
        "s = ort.InferenceSession('mlp.onnx', o, providers=['CPUExecutionProvider'])\napp = FastAPI()\n"
        "class Q(BaseModel):\n    data: list[list[float]]\n"
        "@app.post('/infer')\nasync def infer(q: Q):\n"
        "    return {'data': s.run(None, {'x0': np.array(q.data, 'float32')})[0].tolist()}\n"
        "@app.get('/ready')\ndef ready():\n    return {}\n"
    )
    port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "error"], cwd=folder,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _wait(f"http://127.0.0.1:{port}/ready")
    return process, f"http://127.0.0.1:{port}/infer", json.dumps({"data": [net.inputs[0][0].tolist()]})


def _wait(url, seconds=20):
    end = time.time() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.read()
        except OSError:
            if time.time() > end:
                raise
            time.sleep(0.05)


def _wrk(url, body, folder, name, seconds, connections):
    script = Path(folder) / f"{name}.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = [==[{body}]==]\nwrk.headers["Content-Type"] = "application/json"\n'
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        raise RuntimeError(f"{name} answered errors: {text}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])


def main():
    parser = runner.arguments(__doc__)
    parser.add_argument("--connections", type=int, default=16)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("benchmarks.serving needs the program wrk (Debian package wrk)")
    starters = {"maas": _start_maas}
    if all(importlib.util.find_spec(m) for m in ("fastapi", "uvicorn", "onnxruntime", "onnx")):
        starters["fastapi"] = _start_fastapi
    with tempfile.TemporaryDirectory() as folder:
        servers, rates = {}, {}
        try:
            for name, start in starters.items():
                servers[name], rates[name] = start(folder), []
            for _ in range(min(options.rounds, 5)):
                for name, (_, url, body) in servers.items():
                    rates[name].append(_wrk(url, body, folder, name, max(2, int(options.seconds)), options.connections))
        finally:
            for process, _, _ in servers.values():
                process.terminate()
                process.wait()
    for name, values in rates.items():
        print(f"{name}: {np.median(values):,.0f} requests/s (median of {len(values)} rounds)")
    if "fastapi" in rates:
        ratio = runner.interval([a / b for a, b in zip(rates["maas"], rates["fastapi"])])
        print(f"ratio: {ratio[0]:.1f}x ({ratio[1]:.1f}-{ratio[2]:.1f})")
    runner.RESULTS.mkdir(exist_ok=True)
    (runner.RESULTS / "serving.json").write_text(json.dumps(rates, indent=1))


if __name__ == "__main__":
    main()
