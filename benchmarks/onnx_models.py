"""Models brought as ONNX: `python -m benchmarks.onnx_models [run load start]`.

run: a model loaded from ONNX against the same model built from layers, in turns, outputs compared. load: reading ONNX
and compiling against ONNX Runtime's session creation. start: from the start of a process to its first answer. Both
read the same weights, each time in a new process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

MODELS = ("ResNet-50", "MobileNetV2", "BERT-base")

# A process that prints the seconds of its parts; sys.argv: path, threads.
_PROCESSES = {
    "maas": """
import time; begin = time.perf_counter()
import sys, numpy as np, maas
from maas.saving.maas_file import load_graph
if sys.argv[1].endswith(".onnx"):
    import onnx, maas.onnx.convert, maas.onnx.model
maas.set_num_threads(int(sys.argv[2]))
ready = time.perf_counter()
model = maas.onnx.load(sys.argv[1]) if sys.argv[1].endswith(".onnx") else load_graph(sys.argv[1])
model.serving_program()
loaded = time.perf_counter()
y = model(np.ones([d or 1 for d in model.inputs[0].shape], "float32")).numpy()
""",
    "ONNX Runtime": """
import time; begin = time.perf_counter()
import sys, numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
ready = time.perf_counter()
model = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
loaded = time.perf_counter()
(port,) = model.get_inputs()
y = model.run(None, {port.name: np.ones([d if isinstance(d, int) else 1 for d in port.shape], "float32")})[0]
""",
}
_TELL = """
import json
end = time.perf_counter()
print(json.dumps({"imports": ready - begin, "load": loaded - ready, "first": end - loaded, "sum": float(y.sum())}))
"""


def built(name):
    """A model of layers and its inputs."""
    from maas import zoo

    rng = np.random.default_rng(0)
    if name == "BERT-base":
        ids = rng.integers(0, 30522, (1, 128)).astype("int32")
        return zoo.BERTBase(sequence_length=128, pooling=False), [ids, np.zeros_like(ids)]
    make = {"ResNet-50": zoo.ResNet50, "MobileNetV2": zoo.MobileNetV2}[name]
    x = rng.standard_normal((1, 224, 224, 3)).astype("float32")
    return make(input_shape=(224, 224, 3), classifier_activation=None), [x]


def seconds_of(run, calls):
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - begin) / calls


def measure_run(name, rounds, folder):
    """A row: milliseconds of one call of both, and kernels that only one of them runs."""
    import maas

    layers, xs = built(name)
    path = os.path.join(folder, "m.onnx")
    layers.export(path)
    brought = maas.onnx.load(path)
    # A model of several inputs gets all of them as one list.
    runs = {"layers": lambda: layers(xs if len(xs) > 1 else xs[0]), "ONNX": lambda: brought(*xs)}
    a, b = (np.asarray(run()) for run in runs.values())
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * np.abs(a).max())
    calls = max(1, int(0.1 / seconds_of(runs["layers"], 2)))
    times = {key: [] for key in runs}
    for i in range(rounds):
        for key in sorted(runs, reverse=bool(i % 2)):
            times[key].append(seconds_of(runs[key], calls) * 1e3)
    (program,) = brought._onnx_programs.values()
    kernels = sorted({kernel for _, kernel in program.kernels if "gemm" in kernel or "conv" in kernel})
    median = {key: statistics.median(t) for key, t in times.items()}
    ratio = statistics.median(x / y for x, y in zip(times["layers"], times["ONNX"]))
    return {"row": name, **median, "ratio": ratio, "steps": len(program.kernels), "kernels": kernels}


def one_process(who, path, threads):
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _PROCESSES[who] + _TELL, path, str(threads)], capture_output=True, text=True, check=True
    )
    return {"whole": time.perf_counter() - begin, **json.loads(done.stdout.splitlines()[-1])}


def measure_processes(what, rounds, threads, folder):
    """A row: seconds of both in new processes, one after the other."""
    model, _ = built("ResNet-50")
    theirs, ours = os.path.join(folder, "r.onnx"), os.path.join(folder, "r.maas")
    model.export(theirs)
    model.export(ours)
    paths = {"maas": theirs if what == "load" else ours, "ONNX Runtime": theirs}
    found = {who: [] for who in paths}
    for i in range(rounds + 1):
        for who, path in paths.items():
            row = one_process(who, path, threads)
            if i:  # the first one reads the files from the disk
                found[who].append(row)
    median = {who: {k: statistics.median(r[k] for r in rows) for k in rows[0]} for who, rows in found.items()}
    a, b = (m.pop("sum") for m in median.values())
    assert abs(a - b) <= 1e-3 * max(abs(a), 1), (a, b)
    key = "load" if what == "load" else "whole"
    return {"row": f"ResNet-50 {what}", **median, "ratio": median["ONNX Runtime"][key] / median["maas"][key]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["run", "load", "start"], help="run, load, start")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    import maas

    maas.set_num_threads(options.threads)
    for part in options.parts:
        for name in MODELS if part == "run" else ("ResNet-50",):
            with tempfile.TemporaryDirectory() as folder:
                if part == "run":
                    row = measure_run(name, options.rounds, folder)
                else:
                    row = measure_processes(part, options.rounds, options.threads, folder)
            print(json.dumps(row, default=float), flush=True)


if __name__ == "__main__":
    main()
