"""Whoever labels the parts, the result is the same."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiny
from command import nothing_new_in, refusal, tagdesk
from tagdesk.bulk import classify, open_engine
from tagdesk.bulk.cores import available, running_on, share
from tagdesk.bulk.local import Processes
from tagdesk.dataset import Columns, File
from tagdesk.errors import ArtefactError, MissingExtra, TagdeskError, UsageError
from tagdesk.model import Model

ROWS, PART = 640, 50
UNREAD = Columns(labels="", unit="", time="")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagdesk.bulk.parts.PART_ROWS", PART)


@pytest.fixture
def place(saved: Path, models: dict[str, Model]) -> Path:
    return saved / models["probe"].id


@pytest.fixture
def source(tmp_path: Path) -> File:
    path = tmp_path / "in.csv"
    texts = ["" if n % 97 == 5 else ticket.text for n, ticket in enumerate(tiny.tickets(ROWS))]
    path.write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
    return File(path, UNREAD)


@pytest.fixture
def folder(tmp_path: Path) -> File:
    """A folder of Parquet files, the first of which is the last by name."""
    path = tmp_path / "in"
    path.mkdir()
    texts = [ticket.text for ticket in tiny.tickets(ROWS)]
    for name, rows in (("b.parquet", slice(400, None)), ("a.parquet", slice(400))):
        pq.write_table(pa.table({"text": texts[rows], "n": list(range(ROWS))[rows]}), path / name)
    (path / "_SUCCESS").touch()
    (path / ".hidden.parquet").touch()
    return File(path, UNREAD)


def content(out: Path) -> dict[str, bytes]:
    """The bytes of a result, whether file or folder, and of its rejects, by name."""
    rejects = out.with_name(f"{out.name}.rejects.jsonl")
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    found = {file.name.replace(out.stem, "x"): file.read_bytes() for file in files}
    return found | ({"rejects": rejects.read_bytes()} if rejects.exists() else {})


def test_several_workers_give_what_one_gives(
    models: dict[str, Model], place: Path, source: File, tmp_path: Path
) -> None:
    told: list[int] = []
    found = classify(
        models["probe"],
        source,
        tmp_path / "two.csv",
        engine=open_engine("local", models["probe"], place, workers=2),
        progress=lambda _what, done, _total: told.append(done),
    )
    assert (found.read, found.rejected) == (ROWS, 7)
    assert told == [*range(PART, ROWS, PART), ROWS]
    classify(models["probe"], source, tmp_path / "one.csv")
    assert content(tmp_path / "two.csv") == content(tmp_path / "one.csv")
    assert not multiprocessing.active_children()


def test_a_worker_that_is_killed_ends_the_run_in_words_and_the_next_one_goes_on(
    models: dict[str, Model], place: Path, source: File, tmp_path: Path
) -> None:
    def kill(*_: object) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    told: list[str] = []
    out, engine = tmp_path / "out.csv", Processes(place, 2)
    with pytest.raises(TagdeskError) as caught:
        classify(models["probe"], source, out, engine=engine, progress=kill, note=told.append)
    assert (caught.value.code, caught.value.exit_code) == ("worker_died", 1)
    assert "the same command goes on" in told[0]
    assert not multiprocessing.active_children()
    classify(models["probe"], source, out)
    classify(models["probe"], source, tmp_path / "whole.csv")
    assert content(out) == content(tmp_path / "whole.csv")


def test_what_goes_wrong_in_a_worker_is_raised_where_it_was_asked_for(
    models: dict[str, Model], saved: Path, source: File, tmp_path: Path
) -> None:
    other = Processes(saved / models["linear"].id, 1)
    with nothing_new_in(tmp_path), pytest.raises(ArtefactError) as caught:
        classify(models["probe"], source, tmp_path / "out.csv", engine=other)
    assert caught.value.code == "wrong_id"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system tells of no cores")
def test_workers_share_the_cores_and_each_has_one_at_least() -> None:
    cores = available()
    shares = [share(number, len(cores)) for number in range(len(cores))]
    assert sorted(core for each in shares for core in each) == cores
    assert share(0, 1) == set(cores)
    assert {len(share(number, 3 * len(cores))) for number in range(3 * len(cores))} == {1}
    with running_on(set(cores[:1])):
        assert available() == cores[:1]
    assert available() == cores


def test_a_folder_of_parquet_is_read_in_the_order_of_names_and_written_part_by_part(
    models: dict[str, Model], folder: File, tmp_path: Path
) -> None:
    found = classify(models["linear"], folder, f"{tmp_path / 'out'}/")
    assert (found.read, found.out) == (ROWS, str(tmp_path / "out"))
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == [f"part-{number:05}.parquet" for number in range(len(names))]
    assert pq.read_table(tmp_path / "out")["n"].to_pylist() == list(range(ROWS))
    classify(models["linear"], folder, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet") == pq.read_table(tmp_path / "out")
    again = classify(models["linear"], File(tmp_path / "out", UNREAD), tmp_path / "again.parquet")
    assert (again.read, again.left_out) == (ROWS, ())


def test_a_folder_is_overwritten_only_with_force_and_never_where_it_holds_more(
    saved: Path, models: dict[str, Model], source: File, folder: File, tmp_path: Path
) -> None:
    served, out = str(saved / models["linear"].id), tmp_path / "out"
    out.mkdir()
    assert tagdesk("classify", source.path, out, "--model", served).code == 5
    before = content(out)
    with nothing_new_in(tmp_path):
        assert "--force" in refusal(2, "classify", source.path, out, "--model", served)
        assert tagdesk("classify", source.path, f"{out}/", "--model", served, "--force").code == 5
        assert content(out) == before
        assert "is also what is read" in refusal(2, "classify", out, out, "--model", served, "--force")
        inside = folder.path / "c.parquet"
        assert "is also what is read" in refusal(2, "classify", folder.path, inside, "--model", served)
        assert "is a file" in refusal(2, "classify", folder.path, f"{source.path}/", "--model", served)
        assert "holds more than a result" in refusal(
            2, "classify", source.path, folder.path, "--model", served, "--force"
        )
    assert classify(models["linear"], folder, folder.path / "c.csv").read == ROWS


def test_engines_that_are_asked_for_wrongly_are_refused(
    models: dict[str, Model], place: Path, source: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "local, ray" in refusal(2, "classify", source.path, "--model", place, "--engine", "spark")
    assert "--workers" in refusal(2, "classify", source.path, "--model", place, "--workers", "0")
    with pytest.raises(UsageError, match="local, ray"):
        open_engine("spark", models["probe"], place)
    with pytest.raises(UsageError, match="--engine ray"):
        open_engine("local", models["probe"], place, address="127.0.0.1:6379")
    monkeypatch.delitem(sys.modules, "tagdesk.bulk.ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tagdesk\[ray\]'$"):
        open_engine("ray", models["probe"], place)


@pytest.fixture(scope="module")
def ray_runs() -> Iterator[None]:
    """A cluster of our own for all tests of this file, since it takes seconds to start one."""
    pytest.importorskip("ray")
    from tagdesk.bulk.ray import _connected  # noqa: PLC0415 - needs the [ray] extra

    with _connected(None, 2):
        yield


@pytest.mark.usefixtures("ray_runs")
def test_ray_gives_what_this_process_gives_and_goes_on_where_it_ended(
    models: dict[str, Model], place: Path, source: File, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"

    def stop(_what: str, done: int, _total: int) -> None:
        if done >= 3 * PART:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify(models["probe"], source, out, progress=stop)
    told: list[str] = []
    engine = open_engine("ray", models["probe"], place, workers=2)
    classify(models["probe"], source, out, engine=engine, note=told.append)
    assert told == [f"Going on after {2 * PART:,} rows that an earlier run finished."]
    classify(models["probe"], source, tmp_path / "whole.csv")
    assert content(out) == content(tmp_path / "whole.csv")


@pytest.mark.usefixtures("ray_runs")
def test_ray_labels_a_folder_into_a_folder(models: dict[str, Model], place: Path, folder: File, tmp_path: Path) -> None:
    engine = open_engine("ray", models["probe"], place, workers=2)
    found = classify(models["probe"], folder, f"{tmp_path / 'out'}/", engine=engine)
    assert found.read == ROWS
    classify(models["probe"], folder, f"{tmp_path / 'whole'}/")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


@pytest.mark.usefixtures("ray_runs")
def test_ray_tells_what_goes_wrong_in_our_words(
    models: dict[str, Model], saved: Path, source: File, tmp_path: Path
) -> None:
    other = open_engine("ray", models["probe"], saved / models["linear"].id, workers=1)
    with nothing_new_in(tmp_path), pytest.raises(ArtefactError) as caught:
        classify(models["probe"], source, tmp_path / "out.csv", engine=other)
    assert caught.value.code == "wrong_id"
