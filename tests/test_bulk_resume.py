"""Work that is ended, by whatever, goes on; and the result is the same to the byte."""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiny
from command import process, refusal, tagdesk
from tagdesk.bulk import Engine, classify
from tagdesk.bulk.done import Done
from tagdesk.bulk.job import Job
from tagdesk.bulk.local import Here
from tagdesk.dataset import Columns, File
from tagdesk.errors import InputError, TagdeskError, UsageError
from tagdesk.model import Model
from tagdesk.policy import Policy
from tagdesk.scorers.base import Progress

ROWS, LONG, PART = 600, 3_000, 100  # LONG where a process must be caught at work
UNREAD = Columns(labels="", unit="", time="")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagdesk.bulk.parts.PART_ROWS", PART)


@pytest.fixture
def served(saved: Path, models: dict[str, Model]) -> str:
    return str(saved / models["onnx"].id)


def written(path: Path, rows: int = ROWS, seed: int = 0) -> Path:
    """A file of tickets; where the format knows them with blank lines and rows to reject."""
    tickets = tiny.tickets(rows, seed=seed)
    values = [{"id": t.id, "text": "" if n % 97 == 5 else t.text, "n": n} for n, t in enumerate(tickets)]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(values), path, row_group_size=700)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(value) + "\n" * (1 + (value["n"] == 250)) for value in values))
    else:
        with path.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, ["id", "text", "n"])
            writer.writeheader()
            writer.writerows(values)
    return path


@dataclass(frozen=True)
class EndsAfter:
    """An engine that is ended after some parts."""

    inner: Engine
    parts: int
    error: BaseException

    def run(self, job: Job, source: File, start: int, progress: Progress) -> Generator[Done, None, None]:
        for number, done in enumerate(self.inner.run(job, source, start, progress)):
            if number == self.parts:
                raise self.error
            yield done


def ended(model: Model, source: Path, out: Path, parts: int = 3, error: BaseException | None = None) -> list[str]:
    """What was told of a run that was ended after some parts."""
    told: list[str] = []
    error = error or KeyboardInterrupt()
    engine = EndsAfter(Here(model), parts, error)
    with pytest.raises(type(error)):
        classify(model, File(source, UNREAD), out, force=True, engine=engine, note=told.append)
    return told


def finished(folder: Path) -> int:
    """How many parts there are below a folder."""
    return len(list(folder.glob(".tagdesk-*.work/*.done")))


def content(out: Path) -> tuple[bytes, bytes]:
    return out.read_bytes(), Path(f"{out}.rejects.jsonl").read_bytes()


def children(process_id: int) -> list[int]:
    listed = Path(f"/proc/{process_id}/task/{process_id}/children").read_text()
    return [int(child) for child in listed.split()]


def until(happened: Callable[[], bool], running: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        assert running is None or running.poll() is None, running.communicate()
        os.sched_yield()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_run_that_is_killed_twice_ends_as_if_nothing_had_happened(suffix: str, served: str, tmp_path: Path) -> None:
    source, out, whole = (
        written(tmp_path / f"in.{suffix}", LONG),
        tmp_path / f"out.{suffix}",
        tmp_path / f"whole.{suffix}",
    )
    assert tagdesk("classify", source, whole, "--model", served).code == 5
    before = sorted(tmp_path.iterdir())
    chance = random.Random(suffix)  # noqa: S311 - moments to kill at
    for _ in range(2):
        running = process("classify", source, out, "--model", served, part_rows=PART)
        wanted = finished(tmp_path) + chance.randrange(1, 6)
        until(lambda wanted=wanted: finished(tmp_path) >= wanted, running)  # type: ignore[misc] # bound at once
        running.kill()
        running.communicate()
        assert not out.exists()
    kept = finished(tmp_path)
    answer = tagdesk("classify", source, out, "--model", served, "--json")
    assert (answer.code, answer.json["read"]) == (5, LONG + (suffix == "jsonl"))
    assert f"Going on after {kept * PART:,} rows" in answer.err
    assert content(out) == content(whole)
    assert sorted(tmp_path.iterdir()) == sorted([*before, out, Path(f"{out}.rejects.jsonl")])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks at processes as Linux shows them")
def test_workers_do_not_outlive_a_command_that_is_killed(served: str, tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv", LONG), tmp_path / "out.csv"
    running = process("classify", source, out, "--model", served, "--workers", "2", part_rows=PART)
    until(lambda: finished(tmp_path) > 0, running)
    workers = children(running.pid)
    assert len(workers) >= 2
    running.kill()
    running.communicate()
    until(lambda: not any(Path(f"/proc/{worker}/cwd").exists() for worker in workers))


def test_a_second_run_on_the_same_result_is_refused(served: str, tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv", LONG), tmp_path / "out.csv"
    running = process("classify", source, out, "--model", served, part_rows=PART)
    until(lambda: finished(tmp_path) > 0, running)
    running.send_signal(signal.SIGSTOP)
    kept = finished(tmp_path)
    assert "another tagdesk is writing it" in refusal(2, "classify", source, out, "--model", served)
    assert finished(tmp_path) == kept
    running.send_signal(signal.SIGCONT)
    assert running.communicate() is not None
    assert running.returncode == 5
    assert out.exists()


def test_nothing_is_mixed_with_work_of_another_source_model_or_policy(models: dict[str, Model], tmp_path: Path) -> None:
    source, out, whole = written(tmp_path / "in.csv"), tmp_path / "out.csv", tmp_path / "whole.csv"
    model, policy = models["onnx"], Policy.uniform(tiny.LABELS, 0.2)
    told: list[str] = []

    ended(model, source, out)
    written(source, seed=1)
    classify(model, File(source, UNREAD), out, note=told.append)
    assert "another source" in told[0]
    classify(model, File(source, UNREAD), whole)
    assert content(out) == content(whole)

    ended(models["probe"], source, out, parts=1)
    classify(model, File(source, UNREAD), out, force=True, policy=policy, note=told.append)
    assert "another model and another policy" in told[1]
    classify(model, File(source, UNREAD), whole, force=True, policy=policy)
    assert content(out) == content(whole)

    classify(model, File(source, Columns(text="id", labels="")), tmp_path / "other.csv")
    ended(model, source, tmp_path / "other2.csv")
    classify(model, File(source, Columns(text="id", labels="")), tmp_path / "other2.csv", note=told.append)
    assert "another way of reading it" in told[2]
    assert (tmp_path / "other2.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert len(told) == 3


def test_models_that_were_never_saved_are_never_taken_for_the_same(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv"), tmp_path / "out.csv"
    unsaved = tiny.model_of(models["onnx"].scorer)
    ended(unsaved, source, out)
    told: list[str] = []
    classify(unsaved, File(source, UNREAD), out, note=told.append)
    assert "another model" in told[0]


def test_a_run_that_ends_early_and_has_nothing_to_keep_leaves_nothing(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv"), tmp_path / "out.csv"
    assert ended(models["onnx"], source, out, parts=0) == []
    mended = InputError("the source is at fault, and another one once it is mended")
    assert ended(models["onnx"], source, out, parts=2, error=mended) == []
    assert list(tmp_path.iterdir()) == [source]
    assert ended(models["onnx"], source, out, parts=2, error=MemoryError()) != []
    assert finished(tmp_path) == 2


def test_a_source_that_changes_between_two_parts_leaves_nothing(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv"), tmp_path / "out.csv"

    def meanwhile(*_: object) -> None:
        with source.open("a") as handle:
            handle.write("x,one more row,7\n")

    with pytest.raises(InputError) as caught:
        classify(models["onnx"], File(source, UNREAD), out, progress=meanwhile)
    assert caught.value.code == "changed"
    assert list(tmp_path.iterdir()) == [source]


def test_a_result_that_appears_meanwhile_is_kept_and_so_is_the_work(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv"), tmp_path / "out.csv"
    told: list[str] = []
    with pytest.raises(UsageError) as caught:
        classify(
            models["onnx"], File(source, UNREAD), out, progress=lambda *_: out.write_text("mine"), note=told.append
        )
    assert (caught.value.code, out.read_text()) == ("exists", "mine")
    assert finished(tmp_path) == ROWS // PART
    assert told == [f"{ROWS:,} rows are finished and kept: the same command goes on from there."]
    classify(models["onnx"], File(source, UNREAD), out, force=True)
    assert finished(tmp_path) == 0


def test_a_part_that_is_damaged_is_told_and_never_used(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.csv"), tmp_path / "out.csv"
    ended(models["onnx"], source, out)
    [part] = tmp_path.glob(".tagdesk-*.work/000001.done")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(TagdeskError, match="damaged"):
        classify(models["onnx"], File(source, UNREAD), out)
    assert not out.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix")
def test_a_disk_that_is_full_at_the_end_keeps_the_work(models: dict[str, Model], tmp_path: Path) -> None:
    source, out, whole = written(tmp_path / "in.csv"), tmp_path / "out.csv", tmp_path / "whole.csv"
    classify(models["onnx"], File(source, UNREAD), whole)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (whole.stat().st_size - 1, hard))
    try:
        with pytest.raises(TagdeskError, match="Make room, and run the same command again") as caught:
            classify(models["onnx"], File(source, UNREAD), out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.code, finished(tmp_path)) == ("disk_full", ROWS // PART)
    classify(models["onnx"], File(source, UNREAD), out)
    assert content(out) == content(whole)


def test_progress_begins_where_the_earlier_run_ended(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = written(tmp_path / "in.parquet"), tmp_path / "out.parquet"
    ended(models["onnx"], source, out, parts=3)
    told: list[tuple[str, int, int]] = []
    classify(models["onnx"], File(source, UNREAD), out, progress=lambda *step: told.append(step))
    assert told[0] == ("rows", 3 * PART, ROWS)
    assert told[-1] == ("rows", ROWS, ROWS)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_a_column_of_parquet_keeps_the_type_that_its_source_declares(models: dict[str, Model], tmp_path: Path) -> None:
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    numbers = pa.array([None] * (3 * PART) + [7] * PART, pa.int16())
    pq.write_table(pa.table({"text": [f"card {n}" for n in range(4 * PART)], "n": numbers}), source)
    classify(models["onnx"], File(source, UNREAD), out)
    result = pq.ParquetFile(out)
    assert result.schema_arrow.field("n").type == pa.int16()
    assert result.read()["n"].null_count == 3 * PART
    assert [result.metadata.row_group(group).num_rows for group in range(result.num_row_groups)] == [PART] * 4


def test_long_rows_end_a_part_early(models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagdesk.bulk.parts.PART_SIZE", 10_000)
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"text": f"card {n}", "note": "x" * 1_000}) + "\n" for n in range(95)))
    ended(models["onnx"], source, out, parts=4)
    assert finished(tmp_path) == 4
    classify(models["onnx"], File(source, UNREAD), out)
    assert [json.loads(line)["text"] for line in out.read_text().splitlines()] == [f"card {n}" for n in range(95)]
