"""`maas demo`: trains a model that reads digits, saves, loads and serves it, and asks the server over HTTP."""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import json
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MIN_ACCURACY = 0.97
MAX_BATCH_SIZE = 32
EPOCHS = 25
NAME = "digits"
READY_TIMEOUT_S = 20.0
REQUEST_TIMEOUT_S = 20.0
say = functools.partial(print, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", default="digits.keras", help="where the model is saved (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and of the order (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes over the digits (default: %(default)s)")


def build_model() -> Any:
    """The tutorial CNN: two convolutions with pooling, and one Dense layer. Takes pixels from 0 to 16."""
    from maas import Input, Sequential, layers

    return Sequential(
        [
            Input((8, 8, 1), name="image"),
            layers.Rescaling(1 / 16),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name=NAME,
    )


def train(seed: int = 0, epochs: int = EPOCHS, verbose: int = 1) -> tuple[Any, float]:
    """Trains the model on the shipped digits. Returns it and its accuracy on the 360 test digits."""
    from maas import datasets, utils

    (x, y), (x_test, y_test) = datasets.digits.load_data()
    utils.set_random_seed(seed)
    model = build_model()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[..., None], y, batch_size=32, epochs=epochs, verbose=verbose)
    return model, model.evaluate(x_test[..., None], y_test, verbose=0, return_dict=True)["accuracy"]


@contextlib.contextmanager
def serve(path: Path, wait: float = READY_TIMEOUT_S) -> Iterator[tuple[int, int]]:
    """Runs `maas serve PATH` on a free port as a second process, which ends with the block.

    Args:
        path: the model file.
        wait: seconds until the server must be ready.

    Yields:
        `(process id, port)`.

    Raises:
        RuntimeError: if the server ends or is not ready in time.
    """
    command = [sys.executable, "-m", "maas.cli", "serve", str(path), "--name", NAME, "--port", "0"]
    command += ["--management-port", "none"]
    command += ["--max-batch-size", str(MAX_BATCH_SIZE)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: lines.put(server.stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=wait)
        except queue.Empty:
            raise RuntimeError(f"the server was not ready after {wait:g} s, received no line from it") from None
        found = re.search(r" at http://127\.0\.0\.1:([0-9]+) ", line)
        if not found:
            raise RuntimeError(f"the server must print its address, received {line!r}, status {server.poll()}")
        yield server.pid, int(found[1])
    finally:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


class Client:
    """The few requests of the demo, over one connection that stays open."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=REQUEST_TIMEOUT_S)

    def call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        text = None if body is None else json.dumps(body)
        try:
            self.connection.request("GET" if body is None else "POST", path, text)
            response = self.connection.getresponse()
            answer = response.read()
        except http.client.HTTPException as error:
            raise RuntimeError(f"{path}: expected an answer, received {error!r}") from error
        if response.status != 200:
            raise RuntimeError(f"{path}: expected status 200, received {response.status} {answer[:200]!r}")
        return json.loads(answer) if answer else {}

    def ask(self, rows: Any) -> Any:
        """Answers for rows of pixels, float32 of shape (rows, 10)."""
        import numpy as np

        output = self.call(f"/v2/models/{NAME}/infer", request(rows))["outputs"][0]
        return np.array(output["data"], np.float32).reshape(output["shape"])


def request(rows: Any) -> dict[str, Any]:
    """Body of an inference request, in the JSON of the Open Inference Protocol."""
    pixels = rows.ravel().tolist()
    return {"inputs": [{"name": "image", "shape": list(rows.shape), "datatype": "FP32", "data": pixels}]}


def draw(image: Any) -> str:
    """An 8x8 image as text, two characters per pixel."""
    return "\n".join("".join(" .:-=+*#%@"[int(pixel) * 9 // 16] * 2 for pixel in row) for row in image)


class Stages:
    """Prints a heading for each stage and keeps its time."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []

    @contextlib.contextmanager
    def stage(self, name: str, text: str) -> Iterator[None]:
        say(f"\n{len(self.times) + 1}. {name}: {text}")
        began = time.perf_counter()
        yield
        self.times.append((name, time.perf_counter() - began))

    def table(self) -> str:
        total = ("all", sum(seconds for _, seconds in self.times))
        return "\n".join(f"   {name:<6} {seconds:7.2f} s" for name, seconds in [*self.times, total])


def by_hand(path: Path, image: Any) -> str:
    """The commands that do the same."""
    name = "" if path.stem == NAME else f" --name {NAME}"
    return "\n".join(
        [
            f"   maas serve {shlex.quote(str(path))}{name}",
            f"   curl http://127.0.0.1:8000/v2/models/{NAME}",
            f"   curl http://127.0.0.1:8000/v2/models/{NAME}/infer -d '{json.dumps(request(image[None]))}'",
        ]
    )


def run_stages(path: Path, seed: int, epochs: int) -> None:
    import numpy as np

    import maas

    stages = Stages()
    _, (x_test, y_test) = maas.datasets.digits.load_data()
    x_test = x_test[..., None]
    with stages.stage("train", f"the tutorial CNN on 1,437 handwritten digits, {epochs} epochs"):
        model, accuracy = train(seed, epochs)
        say(f"   accuracy on {len(y_test)} digits it has not seen: {accuracy:.2%}")
        if not accuracy >= MIN_ACCURACY:
            raise RuntimeError(f"the accuracy must be at least {MIN_ACCURACY:.0%}, received {accuracy:.2%}")
    with stages.stage("save", f"to {path}, and load it back"):
        model.save(path)
        loaded = maas.saving.load_model(path)
        expected = loaded.predict(x_test, verbose=0)
        if expected.tobytes() != model.predict(x_test, verbose=0).tobytes():
            raise RuntimeError("the loaded model must answer as the trained one, received other bits")
        say(f"   {path.stat().st_size:,} bytes; the loaded model answers with the same bits")
    with contextlib.ExitStack() as stack:
        with stages.stage("serve", f"`maas serve {path}` as a second process"):
            process, port = stack.enter_context(serve(path))
            client = Client(port)
            client.call("/v2/health/ready")
            say(f"   process {process} is ready at http://127.0.0.1:{port}")
        with stages.stage(
            "ask", f"{len(x_test)} digits over HTTP, each alone and again with up to {MAX_BATCH_SIZE} in a request"
        ):
            alone, answers = (
                np.concatenate([client.ask(x_test[i : i + rows]) for i in range(0, len(x_test), rows)])
                for rows in (1, MAX_BATCH_SIZE)
            )
            right = int((answers.argmax(-1) == y_test).sum())
            say(f"   sent one image, label {y_test[0]}:\n\n{draw(x_test[0, ..., 0])}\n")
            say(f"   came back: {alone[0].argmax()} with probability {alone[0].max():.4f}")
            say(f"   of all {len(answers)} answers {right} are right")
            for sent, got in {"alone": alone, "in batches": answers}.items():
                if got.tobytes() != expected.tobytes():
                    raise RuntimeError(f"answers to images sent {sent} must be those of predict, received other bits")
            say("   alone or in a batch, every answer is bit for bit that of predict")
    say(f"\nHow long it took:\n{stages.table()}")
    say(f"\nThe same by hand:\n{by_hand(path, x_test[0])}")


def run(args: argparse.Namespace) -> int:
    path = Path(args.output)
    if path.suffix != ".keras":
        raise ValueError(f"--output must end in .keras, received {args.output!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--output must be in a folder that exists, received {args.output!r}")
    if args.epochs < 1:
        raise ValueError(f"--epochs must be at least 1, received {args.epochs}")

    def end(number: int, frame: Any) -> None:
        # An exception, so that the server is ended on the way out.
        raise SystemExit(128 + number)

    previous = {s: signal.signal(s, end) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        run_stages(path, args.seed, args.epochs)
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)
    return 0
