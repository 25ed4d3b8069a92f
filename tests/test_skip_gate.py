import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_gpu(): pytest.skip("no GPU")
def test_isa(): pytest.skip("missing ISA: amx")
def test_other(): pytest.skip("no time")

@pytest.mark.skip
def test_no_reason(): pass

@pytest.mark.long
def test_long(): pass
"""


def run_pytest(folder, *options):
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = long: takes minutes\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_only_agreed_reasons_may_skip(tmp_path):
    (tmp_path / "test_skips.py").write_text(TESTS)
    result = run_pytest(tmp_path)
    assert result.returncode == 1
    assert "1 failed, 3 skipped, 1 error" in result.stdout
    assert "received 'Skipped: no time'" in result.stdout


def test_long_tests_run_when_asked(tmp_path):
    (tmp_path / "test_skips.py").write_text(TESTS)
    result = run_pytest(tmp_path, "-m", "long")
    assert result.returncode == 0
    assert "1 passed, 4 deselected" in result.stdout


@pytest.mark.parametrize("line", ["pytest.importorskip('no_such_module')", "pytest.skip('x', allow_module_level=True)"])
def test_a_skipped_module_fails(tmp_path, line):
    (tmp_path / "test_skips.py").write_text(f"import pytest\n{line}\n")
    result = run_pytest(tmp_path)
    assert result.returncode != 0
    assert "1 error" in result.stdout
