"""Runs every program and the notebook beside it, and checks the number that its last line reports."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

import convert

FOLDER = Path(__file__).parents[2] / "notebooks"

# Program: (what its last line reports, the value it must reach). The last line is such as "test accuracy: 0.97".
BOUNDS = {
    "01_images_from_a_file": ("test accuracy", 0.96),
    "02_convolutional_network": ("test accuracy", 0.92),
    "03_functional_model": ("test accuracy", 0.94),
    "04_recurrent_networks": ("test accuracy", 0.91),
    "05_transformer_encoder": ("test accuracy", 0.94),
    "06_classical_models": ("test accuracy", 0.95),
    "07_model_selection": ("test accuracy", 0.92),
}
TIMEOUT_S = 600


def check_last_line(name, output):
    what, bound = BOUNDS[name]
    lines = output.strip().splitlines()
    last = lines[-1] if lines else ""
    found = re.fullmatch(rf"{re.escape(what)}: ([0-9]+\.[0-9]+)", last)
    assert found, f"{name}: the last line must report '{what}: <number>', received {last!r}"
    assert float(found[1]) >= bound


@pytest.mark.parametrize(
    "output", ["test accuracy: 0.94", "test accuracy: nan", "loss: 1.0", "", "test accuracy: 1.0\nx"]
)
def test_a_missed_bound_or_another_last_line_fails(output, monkeypatch):
    monkeypatch.setitem(BOUNDS, "00_name", ("test accuracy", 0.95))
    check_last_line("00_name", "Epoch 1\ntest accuracy: 0.95\n")
    with pytest.raises(AssertionError):
        check_last_line("00_name", output)


def test_every_program_has_a_bound_and_a_notebook():
    names = [path.stem for path in convert.programs()]
    assert names == sorted(BOUNDS) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", BOUNDS)
def test_notebook_has_the_cells_of_its_program(name):
    program = convert.cells((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    assert [(cell.cell_type, cell.source) for cell in book.cells] == program
    assert not any(cell.get("outputs") for cell in book.cells)


@pytest.mark.parametrize("name", BOUNDS)
def test_program_runs_from_top_to_bottom(name, tmp_path):
    shutil.copy(FOLDER / f"{name}.py", tmp_path)
    # Without the oracle's setting: the program is what a user runs.
    env = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    command = [sys.executable, f"{name}.py"]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode == 0, result.stderr[-4000:]
    check_last_line(name, result.stdout)


@pytest.mark.parametrize("name", BOUNDS)
def test_notebook_runs_from_top_to_bottom(name, tmp_path):
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=TIMEOUT_S, resources={"metadata": {"path": str(tmp_path)}}).execute()
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    check_last_line(name, "".join(out.text for out in code[-1].outputs if out.output_type == "stream"))
