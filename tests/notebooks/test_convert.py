import nbformat
import pytest

import convert

PROGRAM = """# %% [markdown]
# # Title
#
# Text.

# %%
import os

print(os.sep)
# %%
print("last line: 1.0")
"""


def test_cells_keep_kind_and_text():
    assert convert.cells(PROGRAM) == [
        ("markdown", "# Title\n\nText."),
        ("code", "import os\n\nprint(os.sep)"),
        ("code", 'print("last line: 1.0")'),
    ]


def test_notebook_is_valid_and_the_same_every_time():
    book = convert.notebook(PROGRAM)
    nbformat.validate(book)
    assert [cell.cell_type for cell in book.cells] == ["markdown", "code", "code"]
    assert nbformat.writes(book) == nbformat.writes(convert.notebook(PROGRAM))


@pytest.mark.parametrize(
    "program, message",
    [
        ("import os\n# %%\n", "line 1: the first line must start a cell, received 'import os'"),
        ("# %% [raw]\n", r"line 1: a cell starts with .* received '# %% \[raw\]'"),
        ("# %% [markdown]\nx = 1\n", "line 2: a markdown line must be a comment, received 'x = 1'"),
    ],
)
def test_a_bad_program_is_an_error_that_names_the_line(program, message):
    with pytest.raises(ValueError, match=message):
        convert.cells(program)
