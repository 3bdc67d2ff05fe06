from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest

from tagdesk.errors import InputError, TagdeskError, UsageError
from tagdesk.tune.storage import naming_faults, open_storage, shown


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "tune.log"
    storage, remark = open_storage(str(path))
    study = optuna.create_study(storage=storage, study_name="s")
    study.tell(study.ask(), 1.0)
    assert remark == ""
    return path


def names(path: Path) -> list[str]:
    return optuna.get_all_study_names(open_storage(str(path))[0])


def test_a_journal_is_made_with_its_folder_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tune.log"
    optuna.create_study(storage=open_storage(str(path))[0], study_name="s")
    assert names(path) == ["s"]


def test_half_a_record_at_the_end_is_cut_off_and_said(journal: Path) -> None:
    whole = journal.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for cut in (1, len(last) // 2, len(last) - 1):
        journal.write_bytes(whole[:-cut])
        storage, remark = open_storage(str(journal))
        assert "half a record" in remark
        study = optuna.load_study(study_name="s", storage=storage)
        study.tell(study.ask(), 2.0)
        assert len(optuna.load_study(study_name="s", storage=open_storage(str(journal))[0]).trials) == 2


def test_half_of_the_very_first_record_leaves_an_empty_journal(journal: Path) -> None:
    for size in (1, 5, 30):
        journal.write_bytes(journal.read_bytes()[:size] if size > 10 else b'{"op_code":0,'[:size])
        assert names(journal) == []
        assert journal.read_bytes() == b""
        journal.write_bytes(b'{"op_code":0,"worker_id":"a","study_name":"x","directions":[1]}\n')


@pytest.mark.parametrize(
    "content",
    [
        b"text,labels\nhello,A\n",
        b"one line without an end",
        b"\x00\xff\xfe garbage \n",
        b"SQLite format 3\x00" + bytes(100),
        b"{}\n",
        b'{"op_code": 0}\n',
        b"[1, 2]\n",
        b'{"op_code":99,"worker_id":"a"}\n',
        b'{"op_code":4,"worker_id":"a"}\n',
        b'{"op_code":0,"worker_id":"a","study_name":"s","directions":[7]}\n',
        b"\n",
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_file_of_something_else_is_refused_and_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.log"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no journal"):
        open_storage(str(path))
    assert path.read_bytes() == content


def test_a_journal_that_is_damaged_in_the_middle_is_refused_with_the_line(journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], lines[1][: len(lines[1]) // 2], *lines[2:]]))
    with pytest.raises(InputError, match="line 2"):
        open_storage(str(journal))


def test_places_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path, tmp_path / "file" / "below", tmp_path / ("x" * 300), f"{tmp_path}/\x00"):
        with pytest.raises(UsageError, match="Name another --storage"):
            open_storage(str(place))


def test_a_lock_that_a_killed_process_left_is_no_end(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from optuna.storages import journal as optunas  # noqa: PLC0415 - its class is replaced

    monkeypatch.setattr(
        "tagdesk.tune.storage.JournalFileOpenLock", lambda path: optunas.JournalFileOpenLock(path, grace_period=3)
    )
    monkeypatch.setattr("optuna.storages.journal._file.time.sleep", lambda _seconds: None)
    clock = iter(range(10**9))
    monkeypatch.setattr("optuna.storages.journal._file.time.monotonic", lambda: float(next(clock)))
    Path(f"{journal}.lock").touch()
    assert names(journal) == ["s"]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("tune.log", "tune.log"),
        ("postgresql://ada:hush@db:5432/x?password=hush", "postgresql://db:5432/x"),
        ("postgresql://ada:hu@sh@db/x", "postgresql://db/x"),
        ("postgresql://ada:hush@[broken/x", "postgresql://..."),
        ("mysql+pymysql://hush@/x#hush", "mysql+pymysql:///x"),
    ],
)
def test_a_place_is_named_without_its_secrets(place: str, said: str) -> None:
    assert shown(place) == said


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://ada:hush@127.0.0.1:1/x",
        "postgresql://ada:hush@host:port/x",
        "nonsense://ada:hush@host/x",
        "://hush",
        "sqlite:////nowhere/at/all/hush.db",
    ],
)
def test_a_database_that_does_not_answer_is_named_without_secrets(place: str) -> None:
    with pytest.raises(TagdeskError) as caught:
        open_storage(place)
    assert caught.value.code in {"storage_lost", "bad_storage"}
    assert "ada" not in str(caught.value)
    assert ":hush" not in str(caught.value)


def test_a_database_holds_studies_too(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path}/studies.db"
    optuna.create_study(storage=open_storage(place)[0], study_name="s")
    assert optuna.get_all_study_names(open_storage(place)[0]) == ["s"]


def test_faults_of_a_storage_say_how_to_go_on_and_others_pass(tmp_path: Path) -> None:
    with pytest.raises(TagdeskError, match="call again"), naming_faults("postgresql://ada:hush@db/x"):
        raise optuna.exceptions.StorageInternalError("password=hush")
    with pytest.raises(TagdeskError, match="call again"), naming_faults("tune.log"):
        (tmp_path / "nowhere" / "file").open()
    with pytest.raises(KeyError), naming_faults("tune.log"):
        raise KeyError("a mistake of ours")


def test_records_are_json_and_nothing_else(journal: Path) -> None:
    assert all(isinstance(json.loads(line), dict) for line in journal.read_text().splitlines())
