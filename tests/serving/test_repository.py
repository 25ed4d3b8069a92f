"""A folder of models: what is found, served, loaded again and taken away, and that nothing outside is opened."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import maas
from maas import _core
from maas.cli import main
from maas.serving import Server
from maas.serving.repository import Folder

from .conftest import call, infer, metric, rows_of, wait_for
from .error_templates import check_error
from .key_ring import bearer

X = np.random.default_rng(1).standard_normal((3, 16)).astype(np.float32)


def body(x=X):
    return {"inputs": [{"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}]}


def network(seed, units=4):
    maas.utils.set_random_seed(seed)
    return maas.Sequential([maas.Input((16,), name="x"), maas.layers.Dense(units, name="y")])


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """(path of .keras, path of .maas, answers) of two networks."""
    folder, made = tmp_path_factory.mktemp("files"), []
    for seed in range(2):
        model = network(seed)
        paths = [folder / f"{seed}{suffix}" for suffix in (".keras", ".maas", ".h5")]
        for path in paths:
            model.save(path)
        made.append((*paths, model.predict(X, verbose=0)))
    return made


@pytest.fixture
def folder(tmp_path, files):
    """a.keras; b/1, b/2, b/10 as .maas with a config.json; broken.keras; things that are no models."""
    root = tmp_path / "models"
    root.mkdir()
    shutil.copy(files[0][0], root / "a.keras")
    for version in ("1", "2", "10"):
        (root / "b" / version).mkdir(parents=True)
        shutil.copy(files[version == "10"][1], root / "b" / version / "model.maas")
    (root / "b" / "config.json").write_text('{"max_batch_size": 7}')
    (root / "broken.keras").write_bytes(b"no model")
    (root / ".hidden.keras").write_bytes(b"")
    (root / "notes.txt").write_text("hello")
    (root / "empty").mkdir()
    (root / "b" / "old").mkdir()
    (root / "b" / "-1").mkdir()
    (root / "m.weights.h5").write_bytes(b"")
    return root


@pytest.fixture
def served(folder):
    with Server(folder, port=0, management_port=0, repository_api=True) as s:
        s.key = bearer(s.management_key)
        yield s
        assert call(s.url, "/v2/health/live")[0] == 200


def index(server, **more):
    rows = json.loads(call(server.url, "/v2/repository/index", more or b"", "POST")[2])
    return {(r["name"], r["version"]): (r["state"], r["reason"]) for r in rows}


def act(server, name, what, parameters=None, port=None):
    """Status and error text of a load or unload, on either port."""
    url = server.url if port is None else f"http://127.0.0.1:{port}"
    data = {} if parameters is None else {"parameters": parameters}
    status, _, text = call(url, f"/v2/repository/models/{name}/{what}", data, headers=server.key)
    return status, check_error(text) if status >= 400 else text


def answers(server, name):
    status, answer = infer(server.url, body(), name)
    assert status == 200, answer
    return answer["model_version"], rows_of(answer).tobytes()


def test_what_is_found_and_served(served, files, capfd):
    assert served.names == ["a", "b"] == served.models
    assert answers(served, "a") == ("1", files[0][3].tobytes())
    assert answers(served, "b") == ("10", files[1][3].tobytes())
    config = json.loads(call(served.url, "/v2/models/b/config")[2])
    assert config["max_batch_size"] == 7
    assert json.loads(call(served.url, "/v2/models/a/config")[2])["max_batch_size"] == 32
    assert index(served) == {
        ("a", "1"): ("READY", ""),
        ("b", "1"): ("UNAVAILABLE", "a newer version is served"),
        ("b", "2"): ("UNAVAILABLE", "a newer version is served"),
        ("b", "10"): ("READY", ""),
        ("broken", "1"): ("UNAVAILABLE", "its file could not be loaded"),
    }
    assert set(index(served, ready=True)) == {("a", "1"), ("b", "10")}


@pytest.mark.parametrize("suffix", [".keras", ".maas", ".h5"])
def test_every_format_loads_from_its_bytes(suffix, tmp_path, files):
    source = {".keras": 0, ".maas": 1, ".h5": 2}[suffix]
    (tmp_path / "m" / "3").mkdir(parents=True)
    shutil.copy(files[1][source], tmp_path / "m" / "3" / f"model{suffix}")
    with Server(tmp_path, port=0) as s:
        assert answers(s, "m") == ("3", files[1][3].tobytes())


def test_onnx_loads_and_tensors_outside_of_it_do_not(tmp_path, files):
    onnx = pytest.importorskip("onnx")
    network(1).export(tmp_path / "m.onnx")
    with Server(tmp_path, port=0) as s:
        assert np.allclose(np.frombuffer(answers(s, "m")[1], np.float32), files[1][3].ravel(), atol=1e-5)
    other = tmp_path / "other"
    other.mkdir()
    model = onnx.load(tmp_path / "m.onnx")
    onnx.save(model, other / "m.onnx", save_as_external_data=True, size_threshold=0, location="data")
    with Server(other, port=0) as s:
        assert s.models == [] and index(s)["m", "1"] == ("UNAVAILABLE", "its file could not be loaded")


@pytest.mark.parametrize("door", ["data", "management"])
def test_load_unload_and_reload_by_name(served, folder, files, door):
    port = served.management_port if door == "management" else None
    assert act(served, "b", "unload", port=port)[0] == 200 and served.models == ["a"]
    assert infer(served.url, body(), "b")[0] == 404
    assert index(served)["b", "10"] == ("UNAVAILABLE", "unloaded") == index(served)["b", "2"]
    assert act(served, "b", "unload", port=port) == (400, "model 'b' is not loaded")
    shutil.rmtree(folder / "b" / "10")
    assert act(served, "b", "load", port=port)[0] == 200
    assert answers(served, "b") == ("2", files[0][3].tobytes())
    # The file changes, and a load brings the change.
    shutil.copy(files[1][0], folder / "a.keras")
    assert answers(served, "a") == ("1", files[0][3].tobytes())
    assert act(served, "a", "load", port=port)[0] == 200
    assert answers(served, "a") == ("1", files[1][3].tobytes())
    # A model that comes later is found.
    shutil.copy(files[0][1], folder / "late.maas")
    assert index(served)["late", "1"] == ("UNAVAILABLE", "unloaded")
    assert act(served, "late", "load", port=port)[0] == 200 and answers(served, "late")[0] == "1"
    os.remove(folder / "late.maas")
    assert index(served)["late", "1"] == ("READY", "") and answers(served, "late")[0] == "1"
    assert act(served, "late", "load", port=port) == (400, "model 'late' could not be loaded: there is no such model")
    assert act(served, "late", "unload", port=port)[0] == 200 and ("late", "1") not in index(served)


def test_a_reload_that_fails_leaves_the_old_one(served, folder, files):
    before = answers(served, "a")
    (folder / "a.keras").write_bytes(b"PK\3\4 broken")
    assert act(served, "a", "load") == (400, "model 'a' could not be loaded: its file could not be loaded")
    assert answers(served, "a") == before and index(served)["a", "1"] == ("READY", "")
    shutil.copy(files[1][0], folder / "a.keras")
    assert act(served, "a", "load")[0] == 200 and answers(served, "a") == ("1", files[1][3].tobytes())


def test_counters_go_on_over_a_reload(served):
    for _ in range(3):
        answers(served, "a")
    assert act(served, "a", "load")[0] == 200
    answers(served, "a")
    assert metric(served.url, "maas_inference_requests_total", model="a", outcome="success") == 4
    assert metric(served.url, "maas_batch_size_count", model="a") == 4
    stats = json.loads(call(served.url, "/v2/models/a/stats")[2])["model_stats"][0]
    assert stats["inference_stats"]["success"]["count"] == 4 and stats["execution_count"] == 4
    assert metric(served.url, "maas_queue_depth") == 0 == metric(served.url, "maas_inference_in_flight")


def test_config_of_a_load_wins(served, folder):
    assert act(served, "b", "load", {"config": '{"max_batch_size": 3, "max_queue_delay_us": 10}'})[0] == 200
    config = json.loads(call(served.url, "/v2/models/b/config")[2])
    assert config["max_batch_size"] == 3
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 10
    assert act(served, "b", "load")[0] == 200
    assert json.loads(call(served.url, "/v2/models/b/config")[2])["max_batch_size"] == 7


BAD_CONFIGS = ['{"max_batch_size": 0}', '{"max_batch_size": "9"}', '{"path": "/etc/passwd"}', "[1]", "{", "", "null"]
BAD_CONFIGS += ['{"a":' * 10 + "1" + "}" * 10, '{"max_batch_size": 1, "max_batch_size": 2}', '{"instances": 1e99}']


@pytest.mark.parametrize("text", BAD_CONFIGS)
def test_bad_configs_are_refused_from_the_request_and_from_the_folder(served, folder, text):
    before = answers(served, "b")
    assert act(served, "b", "load", {"config": text})[0] == 400
    (folder / "b" / "config.json").write_text(text)
    assert act(served, "b", "load")[0] == 400 and answers(served, "b") == before


def test_a_config_of_a_gigabyte_is_not_read(served, folder):
    with open(folder / "b" / "config.json", "wb") as f:
        f.truncate(1 << 30)
    assert act(served, "b", "load")[0] == 400


def test_a_config_that_is_a_folder_keeps_no_descriptor(folder):
    (folder / "b" / "config.json").unlink()
    (folder / "b" / "config.json").mkdir()
    models = Folder(maas, folder)  # its server is not asked
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(IsADirectoryError):
            models.open("b")
    assert len(os.listdir("/proc/self/fd")) == before


# ---- S-02: nothing is fetched, S-30: nothing outside is opened


@pytest.fixture
def sink():
    """A listening port that counts who comes."""
    came = []
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()

        def accept():
            try:
                while True:
                    came.append(s.accept())
            except OSError:
                pass

        t = threading.Thread(target=accept)
        t.start()
        yield s.getsockname()[1], came
        s.shutdown(socket.SHUT_RDWR)
        t.join(5)


def test_s02_urls_are_no_models(served, sink):
    port, came = sink
    at = f"127.0.0.1:{port}"
    urls = [f"http://{at}/m.keras", f"https://{at}/m", f"ftp://{at}/m", "file:///etc/passwd", f"s3://{at}/m"]
    urls += [rf"\\127.0.0.1@{port}\share\m", f"//{at}/m", f"gs://{at}/m", f"hf://{at}/m", "/etc/passwd", "../models/a"]
    before = served.models
    for url in urls:
        for door in (None, served.management_port):
            for parameters in (
                {"config": url},
                {"config": json.dumps({"path": url})},
                {"config": json.dumps({"max_batch_size": url})},
                {"model_path": url},
                {"file:1/model.keras": url},
                {"uri": url, "config": "{}"},
            ):
                assert act(served, "a", "load", parameters, door)[0] == 400, (url, parameters)
        quoted = "".join(f"%{b:02x}" for b in url.encode())
        assert act(served, quoted, "load")[0] == 404
        assert act(served, quoted, "load", port=served.management_port)[0] == 404
    assert not came and served.models == before


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/m.keras", "file:///etc/hosts.keras", "s3://bucket/m.maas"])
def test_s02_the_command_fetches_nothing(url, capsys):
    assert main(["serve", url, "--port", "0"]) == 1
    assert "there is no model file" in capsys.readouterr().err


NAMES = [
    "..",
    ".",
    "",
    "%2e%2e",
    "..%2f..",
    "%252e%252e",
    "a%5cb",
    "a;b",
    "-rf",
    "%ef%bc%8e%ef%bc%8e",
    "CON",
    "aux.keras",
]
NAMES += ["a%00b", "a%0ab", "x" * 129, "a/../a", "COM1", "%2fetc", "a%20b", "~", "$HOME", "a:b"]


@pytest.mark.parametrize("name", NAMES)
def test_s30_names(served, name):
    for door in (served.url, f"http://127.0.0.1:{served.management_port}"):
        for what in ("load", "unload"):
            path = f"/v2/repository/models/{name}/{what}"
            status, _, text = call(door, path, {}, headers=served.key)
            assert status == 404 and check_error(text), (door, status, text)


def test_s30_one_function_checks_names():
    good = ["a", "A-b_c.9", "x" * 128, "con1", "com0", "console", "a-"]
    bad = ["", ".", "..", ".a", "-a", "a/b", "a b", "a\0", "ａ", "x" * 129, "con", "NUL.txt", "lPt9", "com1.x.y"]
    assert all(map(_core.valid_name, good)) and not any(map(_core.valid_name, bad))
    with pytest.raises(ValueError, match="received '-a'"):
        Server(network(0), name="-a", port=0)


@pytest.mark.parametrize("plain_walk", [False, True], ids=["openat2", "walk"])
def test_s30_links_out_of_the_folder_are_not_opened(folder, tmp_path, files, plain_walk):
    outside = tmp_path / "outside"
    (outside / "1").mkdir(parents=True)
    shutil.copy(files[1][1], outside / "1" / "model.maas")
    (folder / "link").symlink_to(outside)
    (folder / "up").symlink_to("../outside")
    (folder / "file.maas").symlink_to(outside / "1" / "model.maas")
    (folder / "inside.maas").symlink_to("b/1/model.maas")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe.maas")
    fd = os.open(folder, os.O_RDONLY)
    try:
        for path in (
            "link/1/model.maas",
            "up/1/model.maas",
            "file.maas",
            "loop",
            "../outside/1/model.maas",
            "/etc/passwd",
        ):
            with pytest.raises(OSError):
                os.close(_core.open_beneath(fd, path, plain_walk))
        for path in ("b/1/model.maas", "b", "a.keras"):
            os.close(_core.open_beneath(fd, path, plain_walk))
        for path in ("b\0", "b/../../outside"):
            with pytest.raises(OSError):
                os.close(_core.open_beneath(fd, path, plain_walk))
    finally:
        os.close(fd)
    if plain_walk:
        return
    with Server(folder, port=0, repository_api=True) as s:
        s.key = bearer(s.management_key)
        assert s.models == ["a", "b", "inside"]
        for name in ("link", "up"):
            assert act(s, name, "load") == (400, f"model '{name}' could not be loaded: there is no such model")
        assert act(s, "file", "load") == (400, "model 'file' could not be loaded: its files could not be read")
        assert act(s, "pipe", "load")[0] == 400
        # A link that begins to lead out while the server runs is not followed either.
        os.remove(folder / "inside.maas")
        (folder / "inside.maas").symlink_to(outside / "1" / "model.maas")
        assert act(s, "inside", "load") == (400, "model 'inside' could not be loaded: its files could not be read")
        assert answers(s, "inside") == ("1", files[0][3].tobytes())


def test_two_files_of_one_model_are_no_model(folder, files, capfd):
    shutil.copy(files[0][1], folder / "a.maas")
    with Server(folder, port=0) as s:
        assert s.models == ["b"] and index(s)["a", "1"] == ("UNAVAILABLE", "it has more than one model file")


def test_an_empty_folder_serves_nothing_yet(tmp_path, files):
    with Server(tmp_path, port=0, repository_api=True) as s:
        s.key = bearer(s.management_key)
        assert s.models == [] and index(s) == {} and call(s.url, "/v2/health/ready")[0] == 200
        shutil.copy(files[0][1], tmp_path / "m.maas")
        assert act(s, "m", "load")[0] == 200 and answers(s, "m")[0] == "1"
    with pytest.raises(ValueError, match="received name='x'"):
        Server(tmp_path, name="x", port=0)


def test_a_list_does_not_wait_for_a_load(served, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    original = Folder.open

    def slow(self, name):
        begun.set()
        assert go.wait(20)
        return original(self, name)

    monkeypatch.setattr(Folder, "open", slow)
    t = threading.Thread(target=act, args=(served, "a", "load"))
    t.start()
    assert begun.wait(10)
    assert index(served)["a", "1"] == ("READY", "") and answers(served, "a")[0] == "1"
    go.set()
    t.join(20)


def test_descriptors_and_folders_are_given_back(folder, files):
    def count():
        return len(os.listdir("/proc/self/fd"))

    with Server(folder, port=0, repository_api=True) as s:
        s.key = bearer(s.management_key)
        act(s, "a", "load")
        before = count()
        for _ in range(20):
            assert act(s, "a", "load")[0] == 200 and act(s, "broken", "load")[0] == 400
            assert act(s, "nothing", "load")[0] == 400
        wait_for(lambda: count() <= before + 1)


# ---- the command


@pytest.fixture
def serve(folder):
    started = []

    def start(*flags, path=folder, **more):
        command = [sys.executable, "-m", "maas.cli", "serve", str(path), "--port", "0", *flags]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        p = subprocess.Popen(command, **{**pipes, **more})
        started.append(p)
        return p

    yield start
    for p in started:
        if p.poll() is None:
            p.kill()
        p.communicate()


def url_of(p):
    return p.stdout.readline().split(" at ")[1].split()[0]


def test_the_command_serves_a_folder(serve, files):
    p = serve("--repository-api", "--management-port", "none")
    line = p.stdout.readline()
    assert "serving 2 models of " in line
    url = line.split(" at ")[1].split()[0]
    key = bearer(next(line for line in p.stderr if "shown once" in line).split()[-1])
    assert call(url, "/v2/repository/models/b/unload", {}, headers=key)[0] == 200
    assert infer(url, body(), "b")[0] == 404 and infer(url, body(), "a")[0] == 200
    p.send_signal(signal.SIGTERM)
    assert p.wait(20) == 0


@pytest.mark.parametrize("moment", ["loading", "reloading", "serving"])
def test_kill_9_and_start_again(serve, folder, files, moment, tmp_path):
    """The server writes nothing while it loads, so there is nothing that it could leave half done."""
    before = sorted((str(f), f.stat().st_mtime_ns) for f in folder.rglob("*"))
    p = serve("--repository-api", "--management-port", "none")
    if moment == "loading":
        time.sleep(0.3)
    else:
        url = url_of(p)
        key = bearer(next(line for line in p.stderr if "shown once" in line).split()[-1])
        stop = threading.Event()

        def reload():
            while not stop.is_set():
                try:
                    call(url, "/v2/repository/models/b/load", {}, headers=key)
                except OSError:
                    return

        threads = [threading.Thread(target=reload) for _ in range(2 if moment == "reloading" else 0)]
        for t in threads:
            t.start()
        for _ in range(20):
            assert infer(url, body(), "b")[0] == 200
    p.kill()
    p.wait(20)
    if moment != "loading":
        stop.set()
        for t in threads:
            t.join(20)
    assert sorted((str(f), f.stat().st_mtime_ns) for f in folder.rglob("*")) == before
    url = url_of(serve("--management-port", "none"))
    status, answer = infer(url, body(), "b")
    assert status == 200 and rows_of(answer).tobytes() == files[1][3].tobytes()
