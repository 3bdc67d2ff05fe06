"""Texts that must not hurt, through the command line."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from command import Answer, refusal, tagdesk
from naughty_strings import NAUGHTY_STRINGS
from tagdesk.errors import InputError
from tagdesk.model import Model
from tagdesk.text import check_text

CANARY = ("jane.canary@example.com", "4111 1111 1111 1111", "078-05-1120", "tok_canary_9f8e7d6c")
ESC = "\x1b"


@pytest.fixture(scope="session")
def tiny_model(saved: Path, models: dict[str, Model]) -> str:
    return str(saved / models["probe"].id)


def predict(text: str, model: str) -> dict[str, object]:
    """The prediction for one text, typed in, which must succeed within a second."""
    started = time.process_time()
    answer = tagdesk("predict", "--json", "--model", model, "--", text)
    assert time.process_time() - started < 1
    assert (answer.code, answer.err) == (0, "")
    [prediction] = answer.json
    assert prediction["text"] == text
    assert all(0 <= score <= 1 for score in prediction["scores"].values())
    return dict(prediction)


def classified(
    texts: list[str], model: str, folder: Path
) -> tuple[Answer, list[dict[str, object]], list[dict[str, object]]]:
    """What `classify` makes of a JSONL file with these texts: its answer, the rows that came out, the rejects."""
    source, out = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    answer = tagdesk("classify", source, out, "--model", model, "--json")
    rows = [json.loads(line) for line in out.read_text().split("\n")[:-1]]
    rejects = Path(f"{out}.rejects.jsonl")
    left = [json.loads(line) for line in rejects.read_text().splitlines()] if rejects.exists() else []
    summary = answer.json
    assert summary["read"] == summary["accepted"] + summary["rejected"] + summary["skipped"]
    assert (summary["accepted"], summary["rejected"]) == (len(rows), len(left))
    return answer, rows, left


def is_ticket(text: str) -> bool:
    try:
        check_text(text)
    except InputError:
        return False
    return True


REFUSED = [
    pytest.param("", "empty_text", id="T1 nothing"),
    pytest.param(" \u00a0\u3000\t", "empty_text", id="T2 blanks"),
    pytest.param("\u200b\u200c\u200d\u2060\ufeff", "empty_text", id="T3 invisible"),
    pytest.param("some prose. " * 900_000, "too_long", id="T6 ten megabytes"),
    pytest.param("half \ud800 a character", "bad_encoding", id="T11 lone surrogate"),
]


@pytest.mark.parametrize(("text", "code"), REFUSED)
def test_what_is_no_ticket_is_refused_when_typed(text: str, code: str, tiny_model: str) -> None:
    says = {"empty_text": "empty", "too_long": "characters", "bad_encoding": "surrogate"}[code]
    assert says in refusal(3, "predict", "--model", tiny_model, "--", text)


@pytest.mark.parametrize(("text", "code"), REFUSED)
def test_what_is_no_ticket_is_a_rejected_row_and_the_others_are_labelled(
    text: str, code: str, tiny_model: str, tmp_path: Path
) -> None:
    answer, rows, left = classified(["parcel late", text, "card charged"], tiny_model, tmp_path)
    assert answer.code == 5
    assert [row["text"] for row in rows] == ["parcel late", "card charged"]
    assert [(row["row"], row["code"]) for row in left] == [(2, code)]


FLAGGED = [
    pytest.param("?", "very_short", id="T4 one character"),
    pytest.param("a" * 1_000_000, "truncated", id="T5 a word of a megabyte"),
    pytest.param("x" * 101, "unk_ratio", id="T7 a long word"),
    pytest.param("\uf8d0\uf8d1\uf8d2 \uf8d3\uf8d4\uf8d5", "unk_ratio", id="T8 Klingon"),
    pytest.param("abc\0def", "control_characters", id="T9 NUL"),
    pytest.param(f"red {ESC}[31malert {ESC}[2J\x01\x07", "control_characters", id="T10 escape sequences"),
    pytest.param("please \u202eyenom ym dnufer\u2066 now", "bidi_controls", id="T14 turned around"),
    pytest.param("re\u200bfund my card please", "invisible_characters", id="T15 zero width"),
    pytest.param("r\u0435fund my card please", "mixed_script", id="T16 homoglyph"),
    pytest.param("\ufdfa" * 10_000, "truncated", id="T20 grows when normalised"),
    pytest.param("see file " + "QUJDRGVmZ2hp" * 42_000, "attachment_removed", id="T31 attachment"),
    pytest.param("バッテリーがすぐに切れます。返金してください。", "unk_ratio", id="T35 a language nobody taught it"),
]
ORDINARY = [
    pytest.param("a" + "\u0301\u0316" * 100_000, id="T18 alternating marks"),
    pytest.param("".join(letter + "\u0335" * 30 for letter in "refund me " * 600), id="T19 Zalgo"),
    pytest.param("my parcel \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea", id="T21 emoji"),
    pytest.param("my parcel \U00020000 \ufffe \U0001ffff", id="T22 non-characters"),
    pytest.param("<script>alert(1)</script> <img src=x onerror=alert(1)>", id="T24 markup"),
    pytest.param("[x](javascript:alert(1)) ![](http://example.invalid/x.png)", id="T25 links"),
    pytest.param("'; DROP TABLE feedback;-- %s {0.__class__} ${jndi:x} {{7*7}}", id="T27 templates"),
    pytest.param("a@" * 50_000, id="T28 addresses"),
    pytest.param("(" * 50_000, id="T28 brackets"),
    pytest.param("1-" * 50_000, id="T28 digits"),
    pytest.param("<" * 50_000 + " refund", id="T28 tags"),
    pytest.param(">" * 10_000 + " refund" + "<div>" * 10_000, id="T29 deep quotes"),
    pytest.param("refund " + "&amp;" * 100_000 + "&#x110000;", id="T30 entities"),
    pytest.param("charged " * 2_000, id="T33 repetition"),
]


@pytest.mark.parametrize(("text", "flag"), FLAGGED)
def test_an_odd_text_is_labelled_and_flagged(text: str, flag: str, tiny_model: str) -> None:
    assert flag in predict(text, tiny_model)["flags"]  # type: ignore[operator] # a list


@pytest.mark.parametrize("text", ORDINARY)
def test_a_hostile_text_is_labelled_within_a_second(text: str, tiny_model: str) -> None:
    predict(text, tiny_model)


def test_odd_texts_of_a_file_are_labelled_and_flagged_as_those_typed_in(tiny_model: str, tmp_path: Path) -> None:
    texts = [str(case.values[0]) for case in FLAGGED + ORDINARY]
    answer, rows, left = classified(texts, tiny_model, tmp_path)
    assert (answer.code, left) == (0, [])
    for case, row in zip(FLAGGED, rows, strict=False):
        assert case.values[1] in row["flags"], case.id  # type: ignore[operator] # a list
    assert [row["text"] for row in rows] == [text.replace("\0", "") for text in texts]


@pytest.mark.parametrize(
    "line", [b"caf\xe9 \xff\xfe", "text \u00e9".encode("utf-16")], ids=["T12 Latin-1", "T13 UTF-16"]
)
def test_bytes_that_are_not_utf_8_are_refused_in_words(line: bytes, tiny_model: str, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"text\nok\n" + line + b"\n")
    assert "encoding" in refusal(3, "classify", path, tmp_path / "out.csv", "--model", tiny_model)
    assert list(tmp_path.iterdir()) == [path]


def test_t12_the_encoding_can_be_given(tiny_model: str, tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_bytes(b"text\ncaf\xe9 charged\n")
    assert tagdesk("classify", path, out, "--model", tiny_model, "--encoding", "cp1252").code == 0
    assert json.loads(out.read_text(encoding="utf-8"))["text"] == "café charged"


def test_t13_files_with_a_byte_order_mark_are_read(tiny_model: str, tmp_path: Path) -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
        path.write_text("text\ncard charged é\n", encoding=encoding)
        assert tagdesk("classify", path, out, "--model", tiny_model, "--force").code == 0
        row = json.loads(out.read_text(encoding="utf-8"))
        assert (row["text"], row["flags"]) == ("card charged é", [])


def test_t10_escape_sequences_never_reach_the_terminal(tiny_model: str) -> None:
    answer = tagdesk("predict", "--model", tiny_model, f"bold {ESC}[1m {ESC}]0;title\x07 \x9b2J \u202e parcel")
    assert answer.code == 0
    assert "parcel" in answer.out
    assert not set(answer.out + answer.err) & {ESC, "\x07", "\x9b", "\u202e"}


def test_t10_escape_sequences_in_names_never_reach_the_terminal(tmp_path: Path) -> None:
    for arguments in (
        ("classify", f"{ESC}[2J.csv"),
        ("predict", "--model", f"{ESC}[2J", "hi"),
        ("train", tmp_path / "x.csv", "--out", tmp_path, "--recipe", f"{ESC}[2J"),
        (f"{ESC}[2J",),
        ("predict", f"--{ESC}[2J"),
    ):
        answer = tagdesk(*arguments)
        assert answer.code in {2, 3, 4}
        assert ESC not in answer.err


def test_t23_ends_of_line_inside_a_text_make_one_row(tiny_model: str, tmp_path: Path) -> None:
    text = "a\rb\nc\r\nd\u2028e\u2029f\x85g\x0bh\x0ci"
    answer, rows, _ = classified([text, "x y z"], tiny_model, tmp_path)
    assert answer.code == 0
    assert [row["text"] for row in rows] == [text, "x y z"]
    typed = tagdesk("predict", "--model", tiny_model, text)
    assert "a b c d e f g h i" in typed.out


def test_t15_and_t17_the_same_words_typed_otherwise_get_the_same_scores() -> None:
    clean = "refund my card, I was charged twice"
    wide = str.maketrans({letter: chr(ord(letter) + 0xFEE0) for letter in "acdefghnrtuw"})
    bold = str.maketrans({letter: chr(ord(letter) - ord("a") + 0x1D41A) for letter in "acdefghnrtuw"})
    variants = [
        "re\u200bfund my card, I was char\u2060ged twice",
        clean.translate(wide),
        clean.translate(bold),
    ]
    first, *others = tagdesk("predict", "--json", clean, *variants).json
    assert first["labels"]
    for other in others:
        assert other["labels"] == first["labels"]
        assert other["scores"] == pytest.approx(first["scores"], abs=1e-4)


def test_t32_special_tokens_are_text_like_any_other() -> None:
    text = "my parcel has not arrived"
    for typed in ("[CLS] [SEP]", "[MASK] [PAD] [UNK]"):
        # The encoder reads small letters: what is text is the same in both.
        special, plain = tagdesk("predict", "--json", f"{text} {typed}", f"{text} {typed.lower()}").json
        assert special["labels"] == plain["labels"]
        assert special["scores"] == pytest.approx(plain["scores"], abs=0.01)


def test_t34_a_customers_data_stand_in_the_result_and_nowhere_else(tiny_model: str, tmp_path: Path) -> None:
    secret = " ".join(CANARY)
    path, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    lines = [
        {"text": secret},
        {"text": "\u200b", "note": secret},
        {"text": [secret]},
        {"text": f"{secret} \ud800"},
        {"text": secret * 30_000},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"text": "' + secret + "\n")
    answer = tagdesk("classify", path, out, "--model", tiny_model)
    rejects = Path(f"{out}.rejects.jsonl").read_text()
    assert answer.code == 5
    assert len(rejects.splitlines()) == 5
    said = answer.out + answer.err + rejects
    for arguments in (
        ("predict", "--model", tiny_model, f"{secret} \udc80"),
        ("predict", "--model", tiny_model, "--debug", f"{secret} \udc80"),
        ("check", path),
        ("check", path, "--json"),
        ("train", path, "--out", tmp_path / "m"),
        ("evaluate", tiny_model, path, "--json"),
        ("split", path, "--out", tmp_path / "parts"),
    ):
        answer = tagdesk(*arguments)
        said += answer.out + answer.err
    assert [word for word in CANARY if word in said] == []
    assert all(word in out.read_text() for word in CANARY)


def test_t36_every_naughty_string_is_labelled_or_refused(tiny_model: str) -> None:
    for text in NAUGHTY_STRINGS:
        if is_ticket(text):
            predict(text, tiny_model)
        else:
            refusal(3, "predict", "--json", "--model", tiny_model, "--", text)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_t26_and_t36_a_result_is_read_back_as_it_was_written(suffix: str, tiny_model: str, tmp_path: Path) -> None:
    formulas = [
        "=HYPERLINK(A1)",
        "+1 refund",
        "-1 star",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\uff1d1",
        "'=quoted",
        "007",
        "NA",
    ]
    texts = formulas + [text.replace("\0", "") for text in NAUGHTY_STRINGS if is_ticket(text)]
    source, first, second = tmp_path / "in.jsonl", tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    source.write_text("".join(json.dumps({"id": text[:20], "text": text}) + "\n" for text in texts))
    assert tagdesk("classify", source, first, "--model", tiny_model).code == 0
    assert tagdesk("classify", first, second, "--model", tiny_model).code == 0
    assert first.read_bytes() == second.read_bytes()
    again = tmp_path / "again.jsonl"
    assert tagdesk("classify", second, again, "--model", tiny_model).code == 0
    rows = [json.loads(line) for line in again.read_text(encoding="utf-8").split("\n")[:-1]]
    assert [(row["id"], row["text"]) for row in rows] == [(text[:20], text) for text in texts]
    if suffix == ".csv":
        assert "\n=HYPERLINK" not in first.read_text(encoding="utf-8")
