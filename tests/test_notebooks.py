from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import matplotlib.font_manager  # noqa: F401 - builds its cache now, or the first notebook tells that it does
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

PROJECT = Path(__file__).resolve().parent.parent
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_notebooks", PROJECT / "scripts" / "run_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = _script()
each = pytest.mark.parametrize("path", script.found(), ids=lambda path: path.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(cell: NotebookNode) -> int:
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


def test_there_are_notebooks():
    assert len(script.found()) >= 4


@each
def test_a_notebook_runs_draws_and_warns_of_nothing(path: Path):
    cells = code_cells(script.executed(script.read(path), path.parent))
    undrawn = [cell.id for cell in cells if cell.source.endswith("figure") and pictures(cell) != 1]
    assert not undrawn
    assert sum(map(pictures, cells)) >= 4
    warned = [output.text for cell in cells for output in cell.outputs if output.get("name") == "stderr"]
    assert not [text for text in warned if "Warning" in text]


@each
def test_a_notebook_in_git_is_short_and_holds_no_output(path: Path):
    notebook = script.read(path)
    assert len(code_cells(notebook)) <= 12
    message = "run scripts/run_notebooks.py --clear"
    assert script.cleared(notebook) == notebook, message


def test_a_cell_that_fails_is_told(tmp_path: Path):
    notebook = new_notebook(cells=[new_code_cell("1 / 0")], metadata=KERNEL)
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        script.executed(notebook, tmp_path)


def test_clearing_takes_out_all_that_running_puts_in():
    ran = new_code_cell("1", outputs=[new_output("stream", text="1")], execution_count=1, metadata={"execution": {}})
    bare = script.cleared(new_notebook(cells=[ran], metadata=KERNEL | {"widgets": {}}))
    assert bare.cells[0] == new_code_cell("1", id=ran.id)
    assert "widgets" not in bare.metadata
