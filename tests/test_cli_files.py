"""Files that must not hurt, through the command line."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import resource
import signal
import socket
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tiny
from command import nothing_new_in, process, refusal, tagdesk
from tagdesk.model import Model

PACKED = gzip.compress(b"text\n" + b"hello there\n" * 100)
posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes, signals and limits of Unix")


@pytest.fixture(scope="session")
def tiny_model(saved: Path, models: dict[str, Model]) -> str:
    return str(saved / models["onnx"].id)


def archive(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as built:
        built.writestr(name, "text\nx\n")
    return buffer.getvalue()


ALIEN = [
    pytest.param("t.csv", b"", "empty", id="F1 no bytes"),
    pytest.param("t.csv", b"a,b\n1,2\n", "It has: 'a', 'b'", id="F2 no text column"),
    pytest.param("t.csv", b"text,text\na,b\n", "twice", id="F2 two of one name"),
    pytest.param("t.csv", b"TEXT,Text \na,b\n", "could all be", id="F2 two that differ by case"),
    pytest.param("t.csv", b",text\na,b\n", "no name", id="F2 a blank name"),
    pytest.param("t.csv", b'text,labels\nok,A\n"bad,B\n' + b"x,A\n" * 1000, "line 3", id="F3 an open quote"),
    pytest.param("t.csv", b"text\nok\ncaf\xe9\n", "byte 11", id="F7 not UTF-8"),
    pytest.param("t.csv", b"text;labels\nhello;A\n", "--delimiter ';'", id="F8 semicolons"),
    pytest.param("t.csv", b"a," * 1_000_000, "10,000", id="F9 a million columns"),
    pytest.param("t.jsonl", b'[{"text": "a"}]', "one JSON array", id="F10 an array"),
    pytest.param("t.csv.gz", PACKED[:-9], "cut off", id="F12 gzip cut off"),
    pytest.param("t.csv.gz", PACKED[:-6] + b"\0\0" + PACKED[-4:], "damaged", id="F12 wrong checksum"),
    pytest.param("t.csv.xz", lzma.compress(b"text\nhello\n" * 99)[:-9], "cut off", id="F12 xz cut off"),
    pytest.param("t.csv", archive("bomb.csv"), "zip archive", id="F13 zip"),
    pytest.param("t.csv", archive("../../evil.csv"), "zip archive", id="F14 zip that slips"),
    pytest.param("t.xlsx", archive("xl/workbook.xml"), "Excel workbook", id="F15 workbook"),
    pytest.param("t.parquet", b"PAR1" + b"x" * 50 + b"PAR1", "Parquet", id="F16 broken footer"),
    pytest.param("t.csv", b"\x80\x04\x95\x10\0\0\0", "pickle", id="F17 pickle"),
    pytest.param("t.csv", b"<!DOCTYPE html><html></html>", "web page", id="F17 HTML"),
    pytest.param("t.csv", b"\x89PNG\r\n\x1a\n", "PNG", id="F17 PNG"),
    pytest.param("t.csv", b"\x7fELF\x02\x01", "program", id="F17 ELF"),
]


@pytest.mark.parametrize(("name", "content", "says"), ALIEN)
def test_a_file_that_is_no_table_is_refused_by_every_command(
    name: str, content: bytes, says: str, tiny_model: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    out = tmp_path / "made"
    with nothing_new_in(tmp_path):
        for arguments in (
            ("classify", path, tmp_path / "out.csv", "--model", tiny_model),
            ("classify", path, "--model", tiny_model, "--json"),
            ("evaluate", tiny_model, path, "--out", out),
            ("train", path, "--out", out, "--recipe", "linear"),
            ("split", path, "--out", out, "--format", "csv" if name.endswith("xlsx") else name.split(".")[1]),
            ("check", path, "--json"),
        ):
            assert says in refusal(3, *arguments)


def test_f1_a_header_without_rows_is_a_result_without_rows(tiny_model: str, tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("id,text\n")
    answer = tagdesk("classify", path, out, "--model", tiny_model, "--json")
    assert answer.code == 0
    assert [answer.json[key] for key in ("read", "accepted", "rejected", "skipped")] == [0, 0, 0, 0]
    assert out.read_text().startswith("id,text,predicted_labels,decision,")
    assert len(out.read_text().splitlines()) == 1
    assert tagdesk("classify", path, "--model", tiny_model).code == 0
    evaluated = tagdesk("evaluate", tiny_model, path, "--json")
    assert (evaluated.code, evaluated.json["n"], evaluated.json["exact_match"]) == (0, 0, None)
    assert tagdesk("check", path).code == 0
    refusal(3, "train", path, "--out", tmp_path / "m")
    refusal(3, "split", path, "--out", tmp_path / "parts")


def classified(
    content: str | bytes, model: str, folder: Path, *options: str, name: str = "in.csv"
) -> tuple[int, list[str], list[str]]:
    """The exit code, the texts that came out, the codes of the rejects; every row is accounted for."""
    path, out = folder / name, folder / "out.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    answer = tagdesk("classify", path, out, "--model", model, "--json", "--force", *options)
    summary = answer.json
    rows = [json.loads(line)["text"] for line in out.read_text(encoding="utf-8").split("\n")[:-1]]
    rejects = Path(f"{out}.rejects.jsonl")
    left = [json.loads(line)["code"] for line in rejects.read_text().splitlines()] if rejects.exists() else []
    assert summary["read"] == len(rows) + len(left) + summary["skipped"]
    assert "hello" not in (rejects.read_text() if rejects.exists() else "")
    return answer.code, rows, left


def test_f2_a_column_is_found_whatever_its_case_or_by_the_name_given(tiny_model: str, tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text(" Text ,Message\nhello,other words\n")
    for options in ((), ("--text-column", "message")):
        assert tagdesk("classify", path, out, "--model", tiny_model, "--force", *options).code == 0
    refusal(3, "classify", path, out, "--model", tiny_model, "--force", "--text-column", "nope")


def test_f4_a_cell_of_megabytes_is_a_row_or_a_rejected_row(tiny_model: str, tmp_path: Path) -> None:
    code, rows, left = classified(f"text\n{'long ' * 100_000}\n{'x' * 1_000_001}\nhello\n", tiny_model, tmp_path)
    assert (code, len(rows), left) == (5, 2, ["too_long"])


def test_f5_nul_is_removed_and_flagged(tiny_model: str, tmp_path: Path) -> None:
    assert classified("text\nhel\0lo\n", tiny_model, tmp_path) == (0, ["hello"], [])
    assert "control_characters" in (tmp_path / "out.jsonl").read_text()


def test_f6_ragged_rows_are_rejected_and_all_ends_of_line_read(tiny_model: str, tmp_path: Path) -> None:
    content = 'text,labels\na one,A\nhello,A,extra\n"two\nlines",B\r\nshort\n\nlast,A'
    assert classified(content, tiny_model, tmp_path) == (5, ["a one", "two\nlines", "last"], ["ragged", "ragged"])
    assert classified("text\rone 1\rtwo 2\r", tiny_model, tmp_path) == (0, ["one 1", "two 2"], [])


def test_f7_other_encodings_are_read_when_named_or_marked(tiny_model: str, tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16-le", "latin-1"):
        content = "text\nschön\n".encode(encoding)
        assert classified(content, tiny_model, tmp_path, "--encoding", encoding) == (0, ["schön"], [])
    assert classified("text\nschön\n".encode("utf-16"), tiny_model, tmp_path) == (0, ["schön"], [])
    refusal(2, "classify", tmp_path / "in.csv", "--encoding", "klingon", "--model", tiny_model)


def test_f8_the_delimiter_can_be_given(tiny_model: str, tmp_path: Path) -> None:
    for delimiter in (";", "|", "\t"):
        content = f"id{delimiter}text\n1{delimiter}hello, you\n"
        assert classified(content, tiny_model, tmp_path, "--delimiter", delimiter) == (0, ["hello, you"], [])
    refusal(2, "classify", tmp_path / "in.csv", "--delimiter", "ab", "--model", tiny_model)


def test_f10_and_f11_bad_lines_of_json_are_rejected_and_counted(tiny_model: str, tmp_path: Path) -> None:
    lines = [
        '{"text": "good 1"}',
        "",
        '{"text": 7}',
        '{"text": NaN}',
        '{"text": "x", "n": 1e999}',
        "[" * 5000,
        '["hello"]',
        '{"text": "good 2"}',
        '{"text": "hel',
    ]
    code, rows, left = classified("\n".join(lines), tiny_model, tmp_path, name="in.jsonl")
    assert code == 5
    assert rows == ["good 1", "good 2"]
    assert len(left) == 6


@posix
def test_f18_what_is_no_file_is_refused_without_waiting(tiny_model: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    names = ("pipe.csv", "socket.csv", "loop.csv", "missing.csv", "x" * 300 + ".csv", ".")
    started = time.monotonic()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.csv"))
        for name in names:
            path = tmp_path / name
            refusal(3, "classify", path, tmp_path / "out.csv", "--model", tiny_model)
            refusal(3, "check", path)
            refusal(3, "train", path, "--out", tmp_path / "m")
        refusal(3, "check", "/dev/zero", "--format", "csv")
    assert time.monotonic() - started < len(names) * 3


def test_f19_a_file_that_changes_while_it_is_read_leaves_no_result(
    tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\n" + "hello there\n" * 2_000)
    original = Model.predict

    def meanwhile(model: Model, texts: list[str], **options: object) -> object:
        path.write_text("text\nother\n")
        return original(model, texts, **options)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(Model, "predict", meanwhile)
    with nothing_new_in(tmp_path):
        assert "changed" in refusal(3, "classify", path, tmp_path / "out.csv", "--model", tiny_model)


def test_f20_a_result_never_replaces_its_source_or_what_is_there(tiny_model: str, tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("text\nhello\n")
    (tmp_path / "link.csv").symlink_to(path)
    out.write_text("precious")
    Path(f"{tmp_path / 'b.csv'}.rejects.jsonl").write_text("precious")
    with nothing_new_in(tmp_path):
        for target in (path, tmp_path / "link.csv"):
            assert "is also what is read" in refusal(2, "classify", path, target, "--force", "--model", tiny_model)
        assert "--force" in refusal(2, "classify", path, out, "--model", tiny_model)
        assert "--force" in refusal(2, "classify", path, tmp_path / "b.csv", "--model", tiny_model)
        assert "is a folder" in refusal(2, "classify", path, tmp_path, "--force", "--model", tiny_model)
        refusal(2, "classify", path, tmp_path / "none" / "out.csv", "--model", tiny_model)
        refusal(2, "classify", path, tmp_path / "out.csv.gz", "--model", tiny_model)
        assert ".jsonl or .parquet." in refusal(3, "classify", path, tmp_path / "out.xlsx", "--model", tiny_model)
        refusal(2, "classify", path, "/proc/out.csv", "--model", tiny_model)
    assert path.read_text() == "text\nhello\n"
    assert out.read_text() == "precious"
    assert tagdesk("classify", path, out, "--force", "--model", tiny_model).code == 0
    assert out.read_text().startswith("text,predicted_labels")


def test_f20_a_place_that_cannot_be_written_is_refused_before_the_work(tiny_model: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file, and no folder")
    path = tmp_path / "missing.csv"  # that it is missing would be told first if it were read first
    for arguments in (
        ("train", path, "--out", taken),
        ("train", path, "--out", taken / "below"),
        ("evaluate", tiny_model, path, "--out", taken),
        ("split", path, "--out", taken),
        ("train", path, "--out", "x" * 300),
    ):
        assert "written" in refusal(2, *arguments)


@posix
def test_f21_a_full_disk_leaves_no_result_wherever_it_is_full(tiny_model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\n" + "hello there\n" * 1500 + "\u200b\n" * 40)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with nothing_new_in(tmp_path):
            for suffix in (".csv", ".jsonl", ".parquet"):
                for limit in (0, 1, 100, 1000, 10_000, 80_000):
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
                    answer = tagdesk("classify", path, tmp_path / f"out{suffix}", "--model", tiny_model)
                    resource.setrlimit(resource.RLIMIT_FSIZE, before)
                    if suffix == ".parquet" and answer.code == 5:  # it fitted
                        for made in tmp_path.glob("out.parquet*"):
                            made.unlink()
                        continue
                    assert answer.code == 1
                    assert "no room left" in answer.err
                    assert len(answer.err.splitlines()) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@posix
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda end: f"F22 {end.name}")
def test_a_run_that_is_ended_leaves_nothing_half_written(
    end: signal.Signals, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagdesk.bulk.parts.PART_ROWS", 100)
    path, out, whole = tmp_path / "in.csv", tmp_path / "out.csv", tmp_path / "whole.csv"
    path.write_text("id,text\n" + "".join(f"{n},my card was charged {n} times\n" for n in range(4_000)))
    running = process("classify", path, out, "--model", tiny_model, part_rows=100)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".tagdesk-*.work/*.done")) and time.monotonic() < deadline:
        os.sched_yield()
    running.send_signal(end)
    said = running.communicate()[1].decode()
    assert not out.exists()
    if end != signal.SIGKILL:
        rows = 100 * len(list(tmp_path.glob(".tagdesk-*.work/*.done")))
        assert running.returncode == 130
        assert said.splitlines() == [
            f"{rows:,} rows are finished and kept: the same command goes on from there.",
            "error: Interrupted; no file was written half.",
        ]
    [work] = set(tmp_path.iterdir()) - {path}
    assert work.is_dir()
    for target in (out, whole):
        assert tagdesk("classify", path, target, "--model", tiny_model).code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert len(out.read_bytes().splitlines()) == 4_001
    assert sorted(tmp_path.iterdir()) == [path, out, whole]


def test_f23_ids_are_kept_as_they_stand(tiny_model: str, tmp_path: Path) -> None:
    ids = ["007", "1e5", "../../x", "9" * 10_000, "007", "-1", "=1", "NaN"]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": each, "text": "hello"}) + "\n" for each in ids))
    for suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
        out, back = tmp_path / f"out{suffix}", tmp_path / "back.jsonl"
        assert tagdesk("classify", path, out, "--model", tiny_model).code == 0
        assert tagdesk("classify", out, back, "--model", tiny_model, "--force").code == 0
        assert [json.loads(line)["id"] for line in back.read_text().splitlines()] == ids


def test_f24_words_that_programs_take_for_values_stay_text(tiny_model: str, tmp_path: Path) -> None:
    words = ["NA", "null", "None", "nan", "TRUE", "007"]
    assert classified("text\n" + "\n".join(words) + "\n", tiny_model, tmp_path) == (0, words, [])


@pytest.mark.parametrize(
    "cell",
    ["['a','b'", "[" * 5000 + "]" * 5000, "__import__('os').system('x')", "[__import__('os')]", "{'a': 1}[0]|__x__"],
    ids=["F25 not closed", "F25 nested", "F25 code", "F25 code in a list", "F25 name of an inner part"],
)
def test_labels_are_read_and_never_evaluated(cell: str, tiny_model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    good = [{"text": ticket.text, "labels": sorted(ticket.labels or ())} for ticket in tiny.tickets(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*good, {"text": "hello", "labels": cell}]))
    answer = tagdesk("check", path, "--json")
    assert (answer.code, answer.json["rejects"]) == (5, {"bad_labels": 1})
    assert tagdesk("evaluate", tiny_model, path, "--json").code == 5


def test_f25_a_list_written_as_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text,categories\nhello,\"['a','b']\"\nhi there,[]\n")
    assert tagdesk("check", path, "--json").json["label_counts"] == {"a": 1, "b": 1}


def labelled(folder: Path, relabel: Callable[[int, list[str]], list[str]]) -> Path:
    path = folder / "in.jsonl"
    rows = [
        {"text": ticket.text, "labels": relabel(n, sorted(ticket.labels or ()))}
        for n, ticket in enumerate(tiny.tickets(60))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_f26_labels_outside_the_models_taxonomy_are_named(tiny_model: str, tmp_path: Path) -> None:
    path = labelled(tmp_path, lambda n, labels: [*labels, "Praise/=é😀"] if n == 3 else labels)
    assert "'Praise/=é😀'" in refusal(3, "evaluate", tiny_model, path)


@pytest.mark.parametrize(
    ("label", "code"),
    [("x" * 201, 3), ("two\nlines", 3), ("a|b", 3), ("a/b=c 😀", 0)],
    ids=["F26 too long", "F26 line end", "F26 separator", "F26 odd but fine"],
)
def test_odd_label_names_are_refused_in_words_or_learned(label: str, code: int, tmp_path: Path) -> None:
    path = labelled(tmp_path, lambda n, labels: [*labels, label] if n % 3 else labels)
    if code:
        assert "name" in refusal(code, "train", path, "--out", tmp_path / "m", "--recipe", "linear")
        return
    answer = tagdesk("train", path, "--out", tmp_path / "m", "--recipe", "linear", "--json")
    assert answer.code == 0
    assert label in answer.json["per_label"]


def test_f26_one_label_and_rare_labels_are_learned_and_a_label_on_all_rows_is_told(tmp_path: Path) -> None:
    one = labelled(tmp_path, lambda _, labels: [label for label in labels if label == "Billing Issue"])
    answer = tagdesk("train", one, "--out", tmp_path / "m", "--recipe", "linear", "--json")
    assert (answer.code, answer.json["names"]) == (0, ["Billing Issue"])
    rare = labelled(tmp_path, lambda n, labels: [*labels, "Rare"] if n == 5 else labels)
    answer = tagdesk("train", rare, "--out", tmp_path / "m", "--recipe", "linear", "--json")
    assert (answer.code, answer.json["per_label"]["Rare"]["support"]) == (0, 1)
    assert "Rare" in tagdesk("check", rare).out
    everywhere = labelled(tmp_path, lambda _, labels: [*labels, "All"])
    codes = {problem["code"] for problem in tagdesk("check", everywhere, "--json").json["problems"]}
    assert "label_everywhere" in codes
    assert tagdesk("train", everywhere, "--out", tmp_path / "m", "--recipe", "linear").code == 0


def test_f27_leaks_between_files_are_counted(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("text,labels\nMy parcel never arrived today,A\nwhere is the refund you promised,B\n")
    test.write_text("text,labels\nmy parcel never arrived today!,A\nhello there,B\n")
    answer = tagdesk("check", train, test, "--json")
    assert answer.code == 0
    [leak] = answer.json["leaks"]
    assert leak["exact"] + leak["near"] == 1
    assert "also stands in" in tagdesk("check", train, test).out


@pytest.mark.parametrize(
    "rows",
    [
        [("hello there", "A")],
        [(f"question {n} here", "A") for n in range(60)],
        [("the same words", "AB"[n % 2]) for n in range(60)],
        [("\u200b", "A")] * 20,
        [(f"question {n} here", "") for n in range(60)],
    ],
    ids=["F28 one row", "F28 one class", "F28 all alike", "F28 all empty", "F28 no label at all"],
)
def test_training_on_too_little_is_refused_in_words(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "m"
    path.write_text("text,labels\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    answer = tagdesk("train", path, "--out", out, "--recipe", "linear")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.splitlines()[-1].startswith("error: ")
    assert not out.exists()


def test_f29_the_names_of_results_are_plain(tmp_path: Path) -> None:
    path = labelled(tmp_path, lambda _, labels: labels)
    with nothing_new_in(tmp_path):
        for name in ("../x", "a/b", "a\0b", "\u202ecod", "", "."):
            refusal(2, "split", path, "--out", tmp_path / "parts", "--part", f"{name}=0.5", "--part", "rest=0.5")
        refusal(2, "split", path, "--out", tmp_path / "parts", "--part", "x" * 300 + "=0.5", "--part", "rest=0.5")


def test_f16_parquet_of_any_columns_keeps_them(tiny_model: str, tmp_path: Path) -> None:
    path, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    table = pa.table(
        {
            "text": ["hello", "card charged"],
            "n": [1, None],
            "tags": [["a"], []],
            "price": [1.5, None],
            "when": pa.array([0, 1], type=pa.timestamp("ns")),
        }
    )
    pq.write_table(table, path)
    assert tagdesk("classify", path, out, "--model", tiny_model).code == 0
    back = pq.read_table(out).to_pydict()
    assert back["n"] == [1, None]
    assert back["tags"] == [["a"], []]
    assert back["price"] == [1.5, None]
    assert len(back["score: Billing Issue"]) == 2
