from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import tiny
from tagdesk.bulk import AT_ONCE, classify
from tagdesk.dataset import Columns, File
from tagdesk.errors import InputError, UsageError
from tagdesk.model import Model
from tagdesk.policy import Policy

UNREAD = Columns(labels="", unit="", time="")


def source(folder: Path, rows: list[dict[str, object]]) -> File:
    path = folder / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return File(path, UNREAD)


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_each_row_gets_what_the_model_says_of_it_in_order(models: dict[str, Model], tmp_path: Path) -> None:
    model, out = models["linear"], tmp_path / "out.jsonl"
    tickets = tiny.tickets(AT_ONCE + 5, seed=2)
    found = classify(model, source(tmp_path, [{"id": t.id, "text": t.text} for t in tickets]), out)
    rows, predictions = read(out), model.predict([ticket.text for ticket in tickets])
    assert (found.read, found.accepted, found.rejected, found.skipped) == (len(tickets), len(tickets), 0, 0)
    assert found.without_label == sum(not prediction.labels for prediction in predictions)
    for row, ticket, prediction in zip(rows, tickets, predictions, strict=True):
        assert (row["id"], row["text"], row["model"]) == (ticket.id, ticket.text, model.id)
        assert row["predicted_labels"] == list(prediction.labels)
        assert row["decision"] == max(prediction.decisions.values()).word
        assert [row[f"score: {name}"] for name in tiny.LABELS] == pytest.approx(
            list(prediction.scores.values()), abs=1e-5
        )


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_scores_can_be_left_out_and_a_column_of_the_source_that_is_named_like_one_stays(
    models: dict[str, Model], tmp_path: Path, name: str
) -> None:
    column = f"score: {tiny.LABELS[0]}"
    found = source(tmp_path, [{"text": "card charged", column: "mine"}])
    classify(models["linear"], found, tmp_path / name, scores=False)
    with File(tmp_path / name).open() as rows:
        [row] = rows
    assert list(row.raw) == ["text", column, "predicted_labels", "decision", "flags", "model"]
    assert row.raw[column] == "mine"


def test_columns_are_kept_in_their_order_before_the_new_ones(models: dict[str, Model], tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text("country,text,labels,n\nDE,card charged,Mine,007\n", encoding="utf-8")
    classify(models["linear"], File(path, UNREAD), out)
    header, row = csv.reader(out.read_text(encoding="utf-8").splitlines())
    assert header[:8] == ["country", "text", "labels", "n", "predicted_labels", "decision", "flags", "model"]
    assert header[8:] == [f"score: {name}" for name in tiny.LABELS]
    assert row[:4] == ["DE", "card charged", "Mine", "007"]


def test_an_earlier_result_is_replaced_even_one_of_other_labels(models: dict[str, Model], tmp_path: Path) -> None:
    earlier = {"text": "card charged", "predicted_labels": ["X"], "decision": "automate", "flags": [], "model": "old"}
    found = source(tmp_path, [earlier | {"score: X": 0.9, "out_of_scope": 0.9}])
    classify(models["linear"], found, tmp_path / "out.jsonl")
    [row] = read(tmp_path / "out.jsonl")
    assert {"score: X", "out_of_scope"}.isdisjoint(row)
    assert row["model"] == models["linear"].id


def test_a_column_that_has_a_name_of_ours_is_never_overwritten(models: dict[str, Model], tmp_path: Path) -> None:
    found = source(tmp_path, [{"text": "card charged", "model": "Galaxy 9"}])
    with pytest.raises(UsageError, match="'model'") as caught:
        classify(models["linear"], found, tmp_path / "out.jsonl")
    assert caught.value.code == "duplicate_column"
    assert not (tmp_path / "out.jsonl").exists()


def test_a_column_that_comes_too_late_is_told(models: dict[str, Model], tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"card {n}"} for n in range(1000)]
    found = classify(models["linear"], source(tmp_path, [*rows, {"text": "x y z", "late": 1}]), tmp_path / "out.jsonl")
    assert (found.accepted, found.left_out) == (1001, ("late",))


def test_rejected_rows_are_explained_beside_the_result_without_their_text(
    models: dict[str, Model], tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    found = classify(models["linear"], source(tmp_path, [{"text": "ok then"}, {"text": ""}, {"text": ["secret"]}]), out)
    assert (found.read, found.accepted, found.rejected) == (3, 1, 2)
    assert found.rejects == f"{out}.rejects.jsonl"
    assert [row["code"] for row in read(Path(found.rejects))] == ["empty_text", "not_text"]
    assert "secret" not in Path(found.rejects).read_text(encoding="utf-8")
    mended = source(tmp_path, [{"text": "ok then"}])
    assert classify(models["linear"], mended, out, force=True).rejects is None
    assert not Path(f"{out}.rejects.jsonl").exists()


def test_another_policy_changes_the_labels(models: dict[str, Model], tmp_path: Path) -> None:
    never = Policy.uniform(tiny.LABELS, 1)
    found = classify(models["linear"], source(tmp_path, [{"text": "card charged"}]), tmp_path / "o.jsonl", policy=never)
    assert found.without_label == 1
    assert read(tmp_path / "o.jsonl")[0]["decision"] == "none"


def test_progress_goes_from_little_to_all(models: dict[str, Model], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    rows: list[dict[str, object]] = [{"text": f"card {n}", "note": "x" * 2000} for n in range(2000)]
    classify(models["linear"], source(tmp_path, rows), tmp_path / "o.csv", progress=lambda *step: told.append(step))
    shares = [done / total for _, done, total in told]
    assert shares == sorted(shares)
    assert shares[0] < 1
    assert shares[-1] == 1


def test_f19_a_model_that_fails_half_way_leaves_nothing(
    models: dict[str, Model], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([0, 1])
    original = Model.predict

    def fails(model: Model, texts: list[str], **options: object) -> object:
        if next(calls):
            raise InputError("no", code="bad")
        return original(model, texts, **options)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(Model, "predict", fails)
    rows: list[dict[str, object]] = [{"text": f"card {n}"} for n in range(AT_ONCE + 1)] + [{"text": ""}]
    found = source(tmp_path, rows)
    with pytest.raises(InputError):
        classify(models["linear"], found, tmp_path / "o.parquet")
    assert list(tmp_path.iterdir()) == [found.path]


def test_parquet_holds_lists_and_numbers(models: dict[str, Model], tmp_path: Path) -> None:
    classify(models["linear"], source(tmp_path, [{"text": "hm"}, {"text": "card charged"}]), tmp_path / "o.parquet")
    table = pq.read_table(tmp_path / "o.parquet")
    assert str(table.schema.field("predicted_labels").type).startswith("list<")
    assert str(table.schema.field("score: Billing Issue").type) == "double"
