"""Made-up tickets through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import nothing_new_in, refusal, tagdesk
from tagdesk.dataset import File
from tagdesk.generate import Composer, Written, support_phrases


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_reads_back_as_it_was_composed(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"made.{suffix}"
    answer = tagdesk("generate", out, "-n", "120", "--seed", "9", "--json")
    assert answer.code == 0
    assert (answer.json["tickets"], answer.json["without_label"]) == (120, sum(not t.labels for t in composed(120)))
    read = File(out).read()
    assert [(t.id, t.text, t.labels) for t in read.tickets] == [
        (t.id, t.text, frozenset(t.labels)) for t in composed(120)
    ]
    assert [row.raw["channel"] for row in read.accepted] == [t.channel for t in composed(120)]


def composed(n: int) -> list[Written]:
    return list(Composer(support_phrases(), seed=9).tickets(n))


def test_fewer_rows_are_the_beginning_of_more(tmp_path: Path) -> None:
    for n in (50, 100):
        assert tagdesk("generate", tmp_path / f"{n}.jsonl", "-n", str(n)).code == 0
    assert (tmp_path / "100.jsonl").read_bytes().startswith((tmp_path / "50.jsonl").read_bytes())


def test_the_summary_names_every_label(tmp_path: Path) -> None:
    answer = tagdesk("generate", tmp_path / "made.csv", "-n", "100")
    assert answer.code == 0
    for name in support_phrases().labels:
        assert name in answer.out
    assert "without label" in answer.out


def test_a_phrase_book_of_ones_own_is_used(tmp_path: Path) -> None:
    book = tmp_path / "phrases.toml"
    book.write_text(
        'nothing = ["A merry day to all of you."]\n[needs]\nZebra = ["I lost my zebra in town."]\n'
        '[[situation]]\ndomain = "zoo"\n[[channel]]\nname = "chat"\n',
        encoding="utf-8",
    )
    answer = tagdesk("generate", tmp_path / "a.csv", "-n", "200", "--phrases", book, "--allow-repeats", "--json")
    assert answer.json["labels"] == {"Zebra": 176}
    with nothing_new_in(tmp_path):
        assert "--allow-repeats" in refusal(2, "generate", tmp_path / "b.csv", "-n", "200", "--phrases", book)


def test_a_request_that_makes_no_sense_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "zebra.toml").write_text('[[label]]\nname = "Zebra"\n', encoding="utf-8")
    (tmp_path / "latin.toml").write_bytes(b'links = ["\xe9"]')
    out = tmp_path / "made.csv"
    with nothing_new_in(tmp_path):
        assert "--provider" in refusal(2, "generate", out, "--base-url", "http://localhost/v1")
        assert "--base-url" in refusal(2, "generate", out, "--provider", "openai-compatible")
        assert "openai-compatible" in refusal(2, "generate", out, "--provider", "psychic")
        assert "'Zebra'" in refusal(3, "generate", out, "--taxonomy", tmp_path / "zebra.toml")
        assert "UTF-8" in refusal(3, "generate", out, "--phrases", tmp_path / "latin.toml")
        assert "cannot be read" in refusal(3, "generate", out, "--phrases", tmp_path / "none.toml")
        assert "fewer" in refusal(2, "generate", out, "-n", "99999999")
        assert "-n" in refusal(2, "generate", out, "-n", "0")
        assert "made.xyz" in refusal(3, "generate", tmp_path / "made.xyz")
    out.write_text("mine", encoding="utf-8")
    assert "--force" in refusal(2, "generate", out)
    assert out.read_text(encoding="utf-8") == "mine"
