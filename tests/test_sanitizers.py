"""The C++ tests under ThreadSanitizer, and under AddressSanitizer with UndefinedBehaviorSanitizer.

`-m sanitizer` is what CI runs: every program, a minute of eight threads on one model, and 20 s of changed inputs for
each reader. `-m "sanitizer or long"` adds the emulated GPU and longer runs. Both keep build/<sanitizer>, so that the
next run compiles what changed.
"""

import os
import re
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import maas

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(p.stem for p in (ROOT / "cpp/tests").glob("*_test.cpp"))
# The emulator compiles every kernel of the GPU library once more.
EMULATED = [p for p in PROGRAMS if p.startswith("cuda_")]
FUZZERS = {  # program: its readers, each alone so that each gets its time
    "fuzz_test": ["json_text", "safetensors_files", "graphs"],
    "serving_fuzz_test": ["requests_over_sockets", "bodies", "tfs_bodies", "compressed_bodies", "grpc_messages"],
}
PLAIN = [p for p in PROGRAMS if p not in EMULATED and p not in FUZZERS and p != "planted_test"]
OPTIONS = {
    "thread": {"TSAN_OPTIONS": "halt_on_error=1 second_deadlock_stack=1"},
    "address": {
        "ASAN_OPTIONS": "detect_stack_use_after_return=1 allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    },
}


def checked(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert result.returncode == 0, result.stdout[-8000:]
    return result.stdout


@cache
def configured(sanitizer):
    folder = ROOT / "build" / sanitizer
    headers = {str(p) for p in map(Path, sys.path) if (p / "cmeel.prefix").is_dir()}
    options = [
        f"-DMAAS_SANITIZE={sanitizer}",
        "-DMAAS_TESTS=ON",
        # Eigen's decompositions are one file that compiles as long as twenty others, and no C++ test calls them.
        "-DMAAS_EIGEN=OFF",
        "-DMAAS_CUDA=OFF",
        # A folder's files as one: they are many, and most of what they compile is headers.
        "-DMAAS_UNITY=ON",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DCMAKE_PREFIX_PATH={';'.join(sorted(headers))}",
    ]
    checked(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *options], env=environment())
    return folder


def environment():
    # cmake and ninja of [test] lie beside this Python, which need not be on PATH.
    return os.environ | {"PATH": sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]}


@pytest.fixture(scope="module", params=sorted(OPTIONS))
def build(request):
    folder = configured(request.param)
    targets = [p for p in PROGRAMS if p not in EMULATED and (request.param == "address" or p not in FUZZERS)]
    checked(["cmake", "--build", folder, "--target", *targets], env=environment())
    return request.param


def run(sanitizer, program, seconds, test="*", **env):
    env = os.environ | OPTIONS[sanitizer] | {"MAAS_STRESS_SECONDS": str(seconds)} | env
    command = [configured(sanitizer) / "cpp_tests" / program, "--color_output=no", f"--run_test={test}"]
    output = checked(command, env=env, timeout=300 + 4 * seconds)
    assert "No errors detected" in output


@pytest.mark.sanitizer
@pytest.mark.parametrize("program", PLAIN)
def test_program(build, program):
    run(build, program, seconds=5)


@pytest.mark.sanitizer
def test_eight_threads_on_one_model(build):
    run(build, "engine_test", seconds=60, test="eight_threads_on_one_model")


@pytest.fixture(scope="session")
def model_files(tmp_path_factory):
    """Small models of many ops, saved, for the readers of files to begin with."""
    folder = tmp_path_factory.mktemp("files")
    layers = maas.layers
    models = {
        "recurrent": [
            layers.Input((None, 3)),
            layers.Bidirectional(layers.GRU(4, return_sequences=True)),
            layers.LSTM(3),
        ],
        "loop": [layers.Input((5, 3)), layers.SimpleRNN(4, unroll=False), layers.Dropout(0.5), layers.Dense(2)],
        "image": [
            layers.Input((8, 8, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, strides=2),
            layers.MaxPooling2D(2),
            layers.Conv2DTranspose(2, 2, strides=2),
            layers.Flatten(),
            layers.LayerNormalization(),
            layers.Dense(3, activation="softmax"),
        ],
        "words": [layers.Input((4,), dtype="int32"), layers.Embedding(9, 4), layers.GlobalAveragePooling1D()],
    }
    names = [str(path) for path in sorted((ROOT / "tests/saving/kept").glob("*.maas"))]
    for name, parts in models.items():
        model = maas.Sequential(parts)
        model.compile("adam", "mse")
        x = model.inputs[0]
        shape = [2, *(size or 4 for size in x.shape[1:])]
        inputs = np.zeros(shape, maas.backend.standardize_dtype(x.dtype))
        model.fit(inputs, np.zeros(model(inputs).shape, "float32"), verbose=0)
        names.append(str(folder / f"{name}.maas"))
        model.save(names[-1])
    (folder / "list").write_text("\n".join(names))
    return folder / "list"


@pytest.mark.sanitizer
@pytest.mark.parametrize("program, test", [(p, test) for p, tests in FUZZERS.items() for test in tests])
def test_readers_on_changed_inputs(program, test, model_files):
    checked(["cmake", "--build", configured("address"), "--target", program], env=environment())
    run("address", program, seconds=20, test=test, MAAS_FUZZ_FILES=str(model_files))


@pytest.mark.sanitizer
def test_a_fault_is_found(build):
    """A sanitizer that finds nothing proves little until it is seen to find something."""
    env = os.environ | OPTIONS[build] | {"MAAS_PLANTED": "1"}
    command = [configured(build) / "cpp_tests/planted_test", "--color_output=no"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert result.returncode != 0
    assert {"thread": "data race", "address": "heap-buffer-overflow"}[build] in result.stdout


@pytest.mark.long
def test_engine_for_long(build):
    run(build, "engine_test", seconds=300)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 5))
@pytest.mark.parametrize("program, test", [(p, test) for p, tests in FUZZERS.items() for test in tests])
def test_readers_on_changed_inputs_for_long(program, test, seed, model_files):
    checked(["cmake", "--build", configured("address"), "--target", program], env=environment())
    run("address", program, seconds=300, test=test, MAAS_FUZZ_FILES=str(model_files), MAAS_FUZZ_SEED=str(seed))


@pytest.mark.long
@pytest.mark.parametrize("program", EMULATED)
def test_emulated_gpu(build, program):
    if "MAAS_CUDA_HEADERS-NOTFOUND" in (configured(build) / "CMakeCache.txt").read_text():
        pytest.skip("no GPU to emulate: it needs cuda_runtime_api.h of a CUDA toolkit")
    checked(["cmake", "--build", configured(build), "--target", program], env=environment())
    run(build, program, seconds=10)


def test_every_reader_is_fuzzed():
    """FUZZERS names every test of the fuzz programs."""
    for program, tests in FUZZERS.items():
        text = (ROOT / f"cpp/tests/{program}.cpp").read_text()
        assert tests == re.findall(r"BOOST_AUTO_TEST_CASE\((\w+)\)", text)
