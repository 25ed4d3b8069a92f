"""The C++ tests under ThreadSanitizer, and under AddressSanitizer with UndefinedBehaviorSanitizer; libFuzzer.

`-m sanitizer` is what CI runs: every program, a minute of eight threads on one model, a minute of load on the server,
20 s of changed inputs for each reader and 20 s of libFuzzer for each program of cpp/fuzz. `-m "sanitizer or long"` adds
the emulated GPU and longer runs. They keep their builds, so that the next run compiles what changed.
An hour of one fuzzer by hand: `build/fuzz/fuzzers/json_fuzz -max_total_time=3600 FOLDER`.
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


FUZZED = sorted(p.stem for p in (ROOT / "cpp/fuzz").glob("*_fuzz.cc"))


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


@pytest.mark.sanitizer
def test_server_under_load(build):
    """Clients that go away at random, models that are swapped: no race, no broken memory, nothing left over."""
    run(build, "serving_load_test", seconds=60, test="load_with_cancels_and_reloads")


@cache
def fuzzers():
    """The folder of the libFuzzer programs; clang is the only compiler that has it."""
    folder = ROOT / "build/fuzz"
    headers = {str(p) for p in map(Path, sys.path) if (p / "cmeel.prefix").is_dir()}
    options = [
        "-DCMAKE_CXX_COMPILER=clang++",
        "-DMAAS_FUZZ=ON",
        "-DMAAS_EIGEN=OFF",
        "-DMAAS_CUDA=OFF",
        "-DMAAS_UNITY=ON",
    ]
    options += [f"-DPython_EXECUTABLE={sys.executable}", f"-DCMAKE_PREFIX_PATH={';'.join(sorted(headers))}"]
    checked(["cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, *options], env=environment())
    checked(["cmake", "--build", folder, "--target", "fuzzers"], env=environment())
    return folder / "fuzzers"


def seeds(program, folder):
    """Inputs to begin with: one that the reader takes, so that the fuzzer need not find it."""
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,16],"data":[' + b",".join([b"0.5"] * 16) + b"]}]}"
    head = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,16],"parameters":{"binary_data_size":64}}]}'
    post = b"POST /v2/models/affine/infer HTTP/1.1\r\nHost: a\r\n"
    rows = b'{"instances":[[' + b",".join([b"1"] * 16) + b"]]}"
    files = {
        "json_fuzz": [b"\0" + body, b"\1" + rows, b'\1{"inputs":{"x":[[' + b",".join([b"2e-3"] * 16) + b"]]}}"],
        "binary_fuzz": [len(head).to_bytes(2, "little") + b"\0" + head + bytes(64), b"\0\0\0" + bytes(64)],
        "http_fuzz": [
            b"\x07" + post + b"Content-Length: 5\r\n\r\nhello",
            b"\x03" + post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"\x01GET /v2/health/ready?a=b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer maas_a_b\r\n\r\n",
        ],
        "safetensors_fuzz": [p.read_bytes() for p in sorted((ROOT / "tests/saving/kept").glob("*.maas"))[:3]],
    }[program]
    folder.mkdir()
    for i, content in enumerate(files):
        (folder / str(i)).write_bytes(content)
    return folder


def fuzz(program, seconds, tmp_path, *more):
    command = [fuzzers() / program, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-seed=1", *more]
    env = os.environ | OPTIONS["address"]
    # Where it finds something it leaves the input as a file in its folder.
    output = checked([*command, seeds(program, tmp_path / "corpus")], env=env, cwd=tmp_path, timeout=300 + 2 * seconds)
    runs = int(re.search(r"Done (\d+) runs", output)[1])
    covered = int(re.findall(r"cov: (\d+)", output)[-1])
    return runs, covered


@pytest.mark.sanitizer
@pytest.mark.parametrize("program", FUZZED)
def test_libfuzzer(program, tmp_path):
    runs, covered = fuzz(program, 20, tmp_path)
    assert runs > 1000 and covered > 100


@pytest.mark.long
@pytest.mark.parametrize("program", FUZZED)
def test_libfuzzer_for_long(program, tmp_path):
    fuzz(program, 600, tmp_path)


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
