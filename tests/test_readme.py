"""The README's commands and its example are real."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def code(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_two_commands_do_all_set_up():
    commands = [block.strip() for block in code("sh") if block.startswith("python3 -m venv .venv && .venv/bin/pip")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/maas demo",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest",
    ]


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links if "://" not in link)


def test_example_is_ten_lines_and_runs(tmp_path):
    (example,) = code("python")
    assert sum(map(bool, example.splitlines())) == 10
    result = subprocess.run(
        [sys.executable, "-c", example], cwd=tmp_path, env=os.environ, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert (tmp_path / "digits.keras").stat().st_size > 0
