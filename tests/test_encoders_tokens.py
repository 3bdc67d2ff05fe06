"""Texts to token ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import tiny
from tagdesk.encoders import tokens
from tagdesk.encoders.tokens import OVERLAP, TextTokenizer
from tagdesk.errors import ArtefactError, InputError

IDS = {"<pad>": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "card": 4, "late": 5, "[": 6, "]": 7, "CLS": 8}


def source() -> str:
    tokenizer = Tokenizer(models.WordLevel(IDS, unk_token="[UNK]"))  # noqa: S106 - a token, not a secret
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_special_tokens(["<pad>", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=50)
    return str(tokenizer.to_str())


def test_texts_become_ids_whatever_the_file_says_of_padding() -> None:
    assert TextTokenizer(source(), 8).split(["card late", "card"]).ids == [[2, 4, 5, 3], [2, 4, 3]]


def test_a_long_text_keeps_its_last_special_token() -> None:
    seen = TextTokenizer(source(), 4).split(["card card late", "card late"])
    assert seen.ids == [[2, 4, 4, 3], [2, 4, 5, 3]]
    assert seen.truncated.tolist() == [True, False]


def test_unknown_words_are_a_share_of_the_text_and_a_text_of_none_is_all_unknown() -> None:
    assert TextTokenizer(source(), 8).split(["card zebra", "zebra", ""]).unknown.tolist() == [0.5, 1.0, 1.0]


def test_special_tokens_that_a_customer_types_are_text() -> None:
    assert TextTokenizer(source(), 16).split(["card [CLS]"]).ids == [[2, 4, 6, 8, 7, 3]]


def test_no_texts_give_empty_lists() -> None:
    seen = TextTokenizer(source(), 8).split([])
    assert (seen.ids, len(seen.truncated), len(seen.unknown)) == ([], 0, 0)


def test_padding_and_reach_are_known() -> None:
    tokenizer = TextTokenizer(source(), 8)
    assert (tokenizer.pad_id, tokenizer.highest_id) == (0, 8)
    assert TextTokenizer(tokenizer.to_json(), 8).split(["card"]).ids == [[2, 4, 3]]


def test_what_is_no_text_is_named() -> None:
    with pytest.raises(InputError, match="cannot be split"):
        TextTokenizer(source(), 8).split([None])  # type: ignore[list-item] # the mistake under test


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", json.dumps({"model": 1}).encode(), b"[" * 10_000])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ArtefactError, match=r"tokenizer\.json"):
        TextTokenizer.open(tmp_path / "tokenizer.json", 8)


def test_a_missing_or_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArtefactError, match="cannot be read"):
        TextTokenizer.open(tmp_path / "tokenizer.json", 8)
    (tmp_path / "tokenizer.json").write_text(source())
    monkeypatch.setattr(tokens, "LARGEST", 100)
    with pytest.raises(ArtefactError, match="more than 100 bytes"):
        TextTokenizer.open(tmp_path / "tokenizer.json", 8)


@pytest.mark.parametrize("part", ["post_processor", "model"])
def test_a_tokenizer_that_breaks_on_a_text_is_refused(part: str) -> None:
    damaged = json.loads(source())
    damaged[part] |= {"special_tokens": {}, "unk_token": "nowhere"}  # the first panics, the second raises
    with pytest.raises(ArtefactError, match="not a tokenizer that works"):
        TextTokenizer(json.dumps(damaged), 8).split(["card zebra"])


def test_passages_cover_the_text_and_overlap(tmp_path: Path) -> None:
    tiny.tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = TextTokenizer.open(tmp_path / "tokenizer.json", 64)
    words = [f"{number % 10}" for number in range(200)]
    text = " ".join(words)
    passages = tokenizer.passages(text)
    sizes = [len(ids) for ids in tokenizer.split(passages).ids]
    assert max(sizes) <= 64
    assert not tokenizer.split(passages).truncated.any()
    step = 64 - 2 - OVERLAP
    assert [text.index(passage, place * step * 2) for place, passage in enumerate(passages)] == [
        place * step * 2 for place in range(len(passages))
    ]
    assert text.endswith(passages[-1])
    assert tokenizer.split([text]).ids[0][:-1] == tokenizer.split(passages).ids[0][:-1]


@pytest.mark.parametrize("text", ["", "a", "a " * 62, "a " * 63])
def test_what_fits_is_one_passage(text: str, tmp_path: Path) -> None:
    tiny.tokenizer().save(str(tmp_path / "tokenizer.json"))
    tokenizer = TextTokenizer.open(tmp_path / "tokenizer.json", 64)
    assert len(tokenizer.passages(text)) == (2 if text == "a " * 63 else 1)
