"""`maas info` agrees with what it describes."""

import importlib.metadata
import json
import os
import subprocess
import sys

import maas
from maas import _core
from maas.cli import main


def test_json_holds_what_the_engine_says(capsys):
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["version"] == maas.__version__
    assert info["serving"] is hasattr(_core, "Server")
    assert info["threads"] == maas.get_num_threads()
    assert (info["isa_found"], info["isa_used"]) == (_core.machine_isa(), _core.isa())
    assert info["logical_cpus"] == os.cpu_count() and info["l1d_bytes"] > 0
    assert info["dependencies"]["numpy"] == importlib.metadata.version("numpy")


def test_the_table_has_one_line_for_each_fact(capsys):
    assert main(["info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith("  ")] == ["build", "machine", "packages"]
    names = [line[2:].split("  ")[0] for line in lines if line.startswith("  ")]
    facts = "maas|Python|HTTP server|OpenSSL (TLS)|CUDA kernels|CPU|L1d, L2, L3|ISA found|ISA used|threads|numpy|h5py"
    assert set(facts.split("|")) <= set(names)


def test_settings_show():
    env = {**os.environ, "MAAS_ISA": "ref", "MAAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "maas.cli", "info", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, env=env)
    assert result.returncode == 0, result.stderr
    info = json.loads(result.stdout)
    assert info["isa_used"] == "ref" and info["isa_found"] == _core.machine_isa() and info["threads"] == 1
