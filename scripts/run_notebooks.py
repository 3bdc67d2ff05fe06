"""Runs the notebooks from beginning to end; run it with `make notebooks`."""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOKS = PROJECT / "notebooks"
BUILD = PROJECT / "build" / "notebooks"
PATIENCE = 600  # seconds for one cell


def main() -> None:
    """Run the notebooks and keep them with their output, or take the output out of those in git."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all that the project has")
    parser.add_argument("--out", type=Path, default=BUILD, help="the folder that gets them with their output")
    parser.add_argument("--clear", action="store_true", help="run nothing: take the output out, as git wants them")
    arguments = parser.parse_args()
    for path in arguments.notebooks or found():
        if arguments.clear:
            write(cleared(read(path)), path)
            continue
        start = time.perf_counter()
        write(executed(read(path), path.parent), arguments.out / path.name)
        print(f"{arguments.out / path.name}: {time.perf_counter() - start:.0f} s")


def found() -> list[Path]:
    """The project's notebooks in the order in which they are read."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def executed(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with its output, run in a folder on one core; raises CellExecutionError where a cell fails."""
    with tempfile.TemporaryDirectory() as scratch:
        # Talks over files, not over the network; the user's start-up files have no say.
        manager = AsyncKernelManager(
            kernel_name="python3", transport="ipc", connection_file=str(Path(scratch) / "kernel.json")
        )
        client = NotebookClient(notebook, manager, timeout=PATIENCE, resources={"metadata": {"path": str(folder)}})
        environment = os.environ | {"IPYTHONDIR": scratch, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        return client.execute(env=environment, cleanup_kc=True)


def cleared(notebook: NotebookNode) -> NotebookNode:
    """A copy of the notebook without output, counts and what an editor noted."""
    bare = copy.deepcopy(notebook)
    for cell in bare.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    bare.metadata = NotebookNode({"kernelspec": notebook.metadata.kernelspec, "language_info": {"name": "python"}})
    return bare


def read(path: Path) -> NotebookNode:
    """A notebook from its file."""
    return nbformat.read(path, as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Put a notebook into a file; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
