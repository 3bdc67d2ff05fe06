"""Texts to token ids."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from tagdesk.encoders import tokens
from tagdesk.encoders.tokens import TextTokenizer
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
