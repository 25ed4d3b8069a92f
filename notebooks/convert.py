"""Makes each notebook from the program beside it: NN_name.py becomes NN_name.ipynb (`python notebooks/convert.py`).

Cells start at `# %%` (code) or `# %% [markdown]` (text, every line a comment). Edit the program, never the notebook.
"""

import re
import sys
from pathlib import Path

import nbformat

FOLDER = Path(__file__).parent
MARKER = re.compile(r"^# %%(?: (\[markdown\]))?$")


def cells(program):
    """Splits the text of a program into cells.

    Args:
        program: str, in percent format; the first line is a marker.

    Returns:
        List of `(kind, text)`, kind "code" or "markdown".

    Raises:
        ValueError: if text stands before the first marker, or a markdown line is not a comment.
    """
    found = []
    for number, line in enumerate(program.splitlines(), 1):
        if line.startswith("# %%"):
            marker = MARKER.match(line)
            if not marker:
                raise ValueError(f"line {number}: a cell starts with '# %%' or '# %% [markdown]', received {line!r}")
            found.append(("markdown" if marker[1] else "code", []))
        elif not found:
            raise ValueError(f"line {number}: the first line must start a cell, received {line!r}")
        elif found[-1][0] == "code":
            found[-1][1].append(line)
        elif line.strip() and not re.match(r"#( |$)", line):
            raise ValueError(f"line {number}: a markdown line must be a comment, received {line!r}")
        else:
            found[-1][1].append(line[2:])
    return [(kind, "\n".join(lines).strip("\n")) for kind, lines in found]


def notebook(program):
    """The notebook of a program, without outputs; equal programs give equal notebooks."""
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    book = nbformat.v4.new_notebook(cells=[make[kind](text) for kind, text in cells(program)])
    book.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for index, cell in enumerate(book.cells):
        cell.id = f"cell-{index}"
    return book


def programs(folder=FOLDER):
    """The programs of a folder, in the order of their numbers."""
    return sorted(folder.glob("[0-9][0-9]_*.py"))


def main():
    for path in programs():
        nbformat.write(notebook(path.read_text(encoding="utf-8")), path.with_suffix(".ipynb"))
        print(path.with_suffix(".ipynb").name)


if __name__ == "__main__":
    sys.exit(main())
