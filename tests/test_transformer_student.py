from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tagdesk.encoders.tokens import TextTokenizer
from tagdesk.scorers.transformer.student import Shape, Student, fit_student

SHAPE = Shape(rank=8, width=16, layers=2, heads=2, epochs=25, batch_size=16, learning_rate=2e-2)
WORDS = 40


class Split:
    """What `fit_student` asks of a tokenizer."""

    max_tokens, pad_id, unknown_id = 12, 0, 1


def student() -> Student:
    torch.manual_seed(0)
    return Student(torch.randn(WORDS, 24), 3, Split.max_tokens, SHAPE).eval()


def texts(count: int) -> tuple[list[list[int]], np.ndarray]:
    """Texts of random words, and whether each holds one of the words of a column, (texts, columns)."""
    chance = np.random.default_rng(0)
    ids = [chance.integers(2, WORDS, size=chance.integers(1, 9)).tolist() for _ in range(count)]
    return ids, np.array([[any(word % 6 == column for word in row) for column in range(3)] for row in ids])


def taught(shape: Shape) -> tuple[Student, list[list[int]], np.ndarray]:
    ids, targets = texts(128)
    words = np.random.default_rng(1).normal(size=(WORDS, 24)).astype(np.float32)
    tokenizer: TextTokenizer = Split()  # type: ignore[assignment] # all that is asked of it
    return fit_student(words, ids, targets.astype(np.float32), shape, tokenizer=tokenizer, seed=3), ids, targets


def test_a_student_learns_what_it_is_taught() -> None:
    student, ids, targets = taught(SHAPE)
    assert ((student.read(ids, Split.pad_id) > 0) == targets).mean() > 0.97


def test_the_same_seed_teaches_the_same() -> None:
    first, again = (taught(replace(SHAPE, epochs=1)) for _ in range(2))
    assert np.array_equal(first[0].read(first[1], Split.pad_id), again[0].read(again[1], Split.pad_id))


def test_padding_changes_nothing() -> None:
    short, long = [5, 6, 7], [8, 9, 10, 11, 12, 13, 14]
    together = student().read([short, long], Split.pad_id)
    assert np.allclose(together[0], student().read([short], Split.pad_id)[0], atol=1e-5)


def test_words_that_taught_nothing_are_read_by_their_vectors() -> None:
    one = student()
    one.vectors[20] = one.vectors[21]
    assert np.allclose(one.read([[20, 5]], 0), one.read([[21, 5]], 0))


def test_logits_are_brought_to_another_scale() -> None:
    one = student()
    before = one.read([[4, 5]], 0)
    one.rescale(np.array([1.0, 2.0, 0.5]), np.array([0.0, 1.0, -1.0]))
    assert one.read([[4, 5]], 0) == pytest.approx(before * [1.0, 2.0, 0.5] + [0.0, 1.0, -1.0], abs=1e-5)
