"""Each server of the comparison: what it needs, how it starts, what it is asked and what it answers."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.servers.environment import clean_variables, python_of

APPS = Path(__file__).parent / "apps"
_ORT = "onnxruntime>=1.18,<2"
REQUIREMENTS = {
    "fastapi": ["fastapi>=0.110,<1", "uvicorn[standard]>=0.29,<1", "granian[uvloop]>=2,<3", "orjson>=3.9,<4", _ORT],
    "mlserver": ["mlserver>=1.7,<2", _ORT],
    "litserve": ["litserve>=0.2.10,<1", _ORT],
    "bentoml": ["bentoml>=1.4,<2", _ORT],
    "ray": ["ray[serve]>=2.40,<3", _ORT],
}


def _rows_body(x, name):
    return "application/json", json.dumps({"data": x.tolist()}).encode(), ()


def _oip_body(x, name):
    tensor = {"name": name, "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    return "application/json", json.dumps({"inputs": [tensor]}).encode(), ()


def _oip_binary_body(x, name):
    from maas.serving.load import oip_binary_body

    kind, body, headers = oip_binary_body([({"name": name, "shape": list(x.shape), "datatype": "FP32"}, x)])
    return kind, body, tuple(headers)


def _rows_answer(body, headers):
    answer = json.loads(body)
    return np.array(answer["data"] if isinstance(answer, dict) else answer, np.float32)


def _oip_answer(body, headers):
    size = headers.get("Inference-Header-Content-Length")
    if size is not None:
        output = json.loads(body[: int(size)])["outputs"][0]
        return np.frombuffer(body[int(size) :], np.float32).reshape(output["shape"])
    output = json.loads(body)["outputs"][0]
    return np.array(output["data"], np.float32).reshape(output["shape"])


@dataclasses.dataclass
class Contender:
    """A server. `command(python, folder, port)` starts it; `body(x, input name)` is what it is asked."""

    name: str
    command: Callable
    environment: str | None = None  # of REQUIREMENTS; None is this one
    path: str = "/infer"
    body: Callable = _rows_body
    answer: Callable = _rows_answer
    headers: tuple = ()
    prepare: Callable = lambda folder, port, batch: None


def _maas(options=(), keys=True):
    def command(python, folder, port):
        more = ["--keys", str(folder / "keys.json")] if keys else []
        model = str(folder / "model.keras")
        return [
            python, "-m", "maas.cli", "serve", model, "--name", "m", "--port", str(port),
            "--management-port", "none",  # both rows of ours run at a time, and it has one default port
            *more, *options,
        ]  # fmt: skip

    return command


def _uvicorn(workers):
    def command(python, folder, port):
        return [
            python, "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--log-level", "error",
            "--workers", str(workers), "--no-access-log",
        ]  # fmt: skip

    return command


def _granian(workers):
    def command(python, folder, port):
        return [
            python, "-m", "granian", "--interface", "asgi", "fastapi_app:app", "--port", str(port),
            "--workers", str(workers), "--loop", "uvloop", "--log-level", "error",
        ]  # fmt: skip

    return command


def _mlserver_files(folder, port, batch):
    ports = free_ports(2)
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": ports[0], "metrics_port": ports[1]}
    (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0, "logging_settings": None}))
    model = {"name": "m", "implementation": "mlserver_runtime.Runtime"}
    if batch > 1:
        model |= {"max_batch_size": batch, "max_batch_time": 0.001}
    (folder / "model-settings.json").write_text(json.dumps(model))


def contenders():
    """All of them, ours first."""
    oip = {"path": "/v2/models/m/infer", "answer": _oip_answer}
    script = lambda name: lambda python, folder, port: [python, str(APPS / name)]  # noqa: E731
    tool = lambda *words: lambda python, folder, port: [str(Path(python).parent / words[0]), *words[1:]]  # noqa: E731
    bento = lambda python, folder, port: [  # noqa: E731
        str(Path(python).parent / "bentoml"), "serve", "bentoml_service:Mlp", "--port", str(port),
        "--host", "127.0.0.1", "--working-dir", str(APPS),
    ]  # fmt: skip
    return [
        Contender("maas", _maas(), body=_oip_body, **oip),
        Contender("maas-binary", _maas(), body=_oip_binary_body, **oip),
        Contender("fastapi-uvicorn", _uvicorn(1), "fastapi"),
        Contender("fastapi-uvicorn-2", _uvicorn(2), "fastapi"),
        Contender("fastapi-granian", _granian(1), "fastapi"),
        Contender("fastapi-granian-2", _granian(2), "fastapi"),
        Contender(
            "mlserver", tool("mlserver", "start", "."), "mlserver", body=_oip_body, prepare=_mlserver_files, **oip
        ),
        Contender("litserve", script("litserve_app.py"), "litserve", path="/predict"),
        Contender("bentoml", bento, "bentoml"),
        Contender("ray", script("ray_app.py"), "ray"),
    ]


def free_ports(n):
    """`n` ports of 127.0.0.1 that nobody listens on now."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Running:
    """A contender's processes: stopped with SIGSTOP unless asked, so that idle ones take no core."""

    def __init__(self, contender, x, wanted, folder, threads, key, batch=1, seconds=60):
        """Starts it and checks one answer.

        Args:
            contender: `Contender`.
            x: array, one row, what it will be asked.
            wanted: array, the right answer.
            folder: Path with model.keras, model.onnx, keys.json.
            threads: int, compute threads.
            key: str, the API key of the server here.
            batch: int, rows that a server which batches may take together.
            seconds: float, until it must answer.

        Raises:
            RuntimeError: if it does not answer, or wrong.
        """
        self.contender = contender
        python = sys.executable if contender.environment is None else python_of(
            contender.environment, REQUIREMENTS[contender.environment]
        )  # fmt: skip
        self.port = free_ports(1)[0]
        work = folder / contender.name
        work.mkdir(exist_ok=True)
        contender.prepare(work, self.port, batch)
        own = contender.environment is None
        environment = (os.environ if own else clean_variables()) | {
            "BENCH_MODEL": str(folder / "model.onnx"), "BENCH_THREADS": str(threads), "BENCH_PORT": str(self.port),
            "BENCH_BATCH": str(batch),
            "BENTOML_DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0",
        }  # fmt: skip
        if not own:
            environment["PYTHONPATH"] = str(APPS)
        command = [str(word) for word in contender.command(python, folder, self.port)]
        command += ["--threads", str(threads)] if own else []
        self.log = work / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.url = f"http://127.0.0.1:{self.port}{contender.path}"
        self.content_type, self.body, more = contender.body(x, "x")
        self.headers = [*more, *([("Authorization", f"Bearer {key}")] if own else [])]
        try:
            got = self._first(seconds)
            error = np.abs(got.reshape(wanted.shape) - wanted).max() / np.abs(wanted).max()
            if not error < 1e-4:
                raise RuntimeError(f"its answer is wrong by {error:.1e}")
        except BaseException:
            self.close()
            raise

    def _first(self, seconds):
        end, problem = time.monotonic() + seconds, ""
        headers = {"Content-Type": self.content_type, **dict(self.headers)}
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                request = urllib.request.Request(self.url, self.body, headers)
                with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
                    return self.contender.answer(answer.read(), answer.headers)
            except urllib.error.HTTPError as error:
                problem = f"status {error.code}: {error.read()[:200]!r}"
            except OSError as error:
                problem = str(error)
            time.sleep(0.1)
        told = self.log.read_text(errors="replace").strip()[-400:]
        raise RuntimeError(f"no answer ({problem}); its log ends: {told}")

    def signal(self, which):
        """Sends a signal to all of its processes."""
        try:
            os.killpg(self.process.pid, which)
        except ProcessLookupError:
            pass

    def close(self):
        """Ends it: politely, then for good."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        self.signal(signal.SIGKILL)
        self.process.wait()
