"""Encoders small enough to train in a test: two layers, 32 wide, random weights."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = "my card was charged twice please refund the order is late where parcel login password reset app crashes"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIAL, *sorted(WORDS.split()), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
POSITIONS = 66
SHAPE = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 2}
KINDS = {
    "bert": transformers.BertConfig(**SHAPE, intermediate_size=64),
    "roberta": transformers.RobertaConfig(**SHAPE, intermediate_size=64),
    "mpnet": transformers.MPNetConfig(**SHAPE, intermediate_size=64),
    "distilbert": transformers.DistilBertConfig(**SHAPE, hidden_dim=64),
}


def tiny_encoder(folder: Path, kind: str = "bert", *, pooling: str = "mean") -> Path:
    """Write a Hugging Face folder and give it back."""
    (folder / "1_Pooling").mkdir(parents=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    config = KINDS[kind]
    config.update({"vocab_size": len(VOCABULARY), "max_position_embeddings": POSITIONS, "pad_token_id": 0})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = transformers.AutoModel.from_config(config)
    save_file(encoder.state_dict(), folder / "model.safetensors", {"format": "pt"})
    config.save_pretrained(folder)
    facts = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(facts))
    return folder


def _tokenizer() -> Tokenizer:
    ids = {word: index for index, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token=SPECIAL[1]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer
