"""The file that says which rows were left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tagdesk.dataset import Rejected, RejectsWriter
from tagdesk.errors import UsageError

ROW = Rejected(3, 4, "empty_text", "The text is empty.")


def test_each_rejected_row_is_one_line(tmp_path: Path) -> None:
    with RejectsWriter(tmp_path / "out.csv") as rejects:
        rejects.write(ROW)
        rejects.write(Rejected(9, None, "ragged", "Too many cells."))
    lines = (tmp_path / "out.csv.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"row": 3, "line": 4, "code": "empty_text", "detail": "The text is empty."},
        {"row": 9, "line": None, "code": "ragged", "detail": "Too many cells."},
    ]
    assert rejects.count == 2


def test_without_rejects_there_is_no_file_not_even_an_old_one(tmp_path: Path) -> None:
    with RejectsWriter(tmp_path / "new.csv"):
        pass
    (tmp_path / "out.csv.rejects.jsonl").touch()
    with RejectsWriter(tmp_path / "out.csv", force=True):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_is_kept_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "out.csv.rejects.jsonl").touch()
    with pytest.raises(UsageError), RejectsWriter(tmp_path / "out.csv"):
        pytest.fail("the work began")


def test_broken_off_work_leaves_no_rejects(tmp_path: Path) -> None:
    def work() -> None:
        with RejectsWriter(tmp_path / "out.csv") as rejects:
            rejects.write(ROW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert list(tmp_path.iterdir()) == []
