"""A window of traffic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tagdesk.drift import Meaning, Window, read_texts
from tagdesk.errors import InputError
from tagdesk.prediction import Decision, Prediction

NAMES = ("A", "B")


def window(n: int = 4, **more: Any) -> Window:
    probs = np.linspace(0, 1, 2 * n, dtype=np.float32).reshape(n, 2)
    return Window(NAMES, probs, probs >= 0.5, **more)


def said(text: str = "hi", a: float = 0.9, b: float = 0.1, none: float | None = None, **more: Any) -> Prediction:
    decisions = {name: Decision.SUGGEST if score >= 0.5 else Decision.NONE for name, score in (("A", a), ("B", b))}
    given = tuple(name for name in NAMES if decisions[name])
    chosen = {"model": "m", "policy": "p", "flags": (), "out_of_scope": none} | more
    return Prediction(text, given, {"A": a, "B": b}, decisions, **chosen)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 1.5])
def test_scores_that_are_no_probabilities_are_refused(wrong: float) -> None:
    probs = np.array([[0.5, wrong]], np.float32)
    with pytest.raises(ValueError, match="finite"):
        Window(NAMES, probs, probs >= 0.5)
    with pytest.raises(ValueError, match="finite"):
        window(1, none=np.array([wrong], np.float32))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decided", np.zeros((3, 2), np.bool_)),
        ("targets", np.zeros((4, 3), np.bool_)),
        ("none", np.zeros(3, np.float32)),
        ("refused", np.zeros((4, 1), np.bool_)),
        ("known", np.zeros(5, np.bool_)),
        ("texts", read_texts(["a"])),
        ("names", ("A", "A")),
        ("names", ("A",)),
        ("names", ()),
        ("meaning", Meaning(np.array([4]), np.zeros((1, 3), np.float32))),
        ("meaning", Meaning(np.array([-1]), np.zeros((1, 3), np.float32))),
    ],
)
def test_shapes_that_do_not_fit_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|among"):
        replace(window(), **{field: value})


def test_embeddings_are_finite_and_of_rows_that_stand_once() -> None:
    for rows, vectors in (
        ([0, 0], np.zeros((2, 3))),
        ([0, 1], np.zeros((3, 3))),
        ([0], np.full((1, 3), np.nan)),
        ([0], np.zeros(3)),
    ):
        with pytest.raises(ValueError, match="expected"):
            Meaning(np.array(rows), vectors.astype(np.float32))
    with pytest.raises(ValueError, match="expected"):
        Meaning(np.array([0]), np.zeros((1, 3), np.float32), np.zeros(2))


def test_each_text_is_kept_once_and_a_labelled_copy_before_others() -> None:
    texts = read_texts(["late", "new", "Late", "LATE "])
    known = np.array([False, True, False, True])
    full = window(texts=texts, targets=np.ones((4, 2), np.bool_), known=known)
    assert full.distinct().tolist() == [1, 3]
    once = full.once()
    assert once.labelled.tolist() == [0, 1]
    assert once.probs.tolist() == full.probs[[1, 3]].tolist()
    assert once.once().probs.tolist() == once.probs.tolist()
    assert replace(full, targets=None, known=None).distinct().tolist() == [0, 1]


def test_without_texts_equal_scores_are_the_same_text() -> None:
    probs = np.array([[0.2, 0.3], [0.2, 0.3], [0.2, 0.4]], np.float32)
    plain = Window(NAMES, probs, probs > 0.5)
    assert plain.distinct().tolist() == [0, 2]
    told_apart = replace(plain, none=np.array([0.1, 0.2, 0.3], np.float32))
    assert told_apart.distinct().tolist() == [0, 1, 2]


def test_embeddings_move_with_their_tickets() -> None:
    meaning = Meaning(np.array([3, 0, 2]), np.array([[3.0], [0.0], [2.0]], np.float32), np.array([0.3, 0.0, 0.2]))
    taken = window(meaning=meaning).take(np.array([2, 3])).meaning
    assert taken is not None
    assert dict(zip(taken.rows.tolist(), taken.embeddings[:, 0].tolist(), strict=True)) == {1: 3.0, 0: 2.0}
    assert taken.unknown is not None
    assert taken.unknown.tolist() == [0.3, 0.2]


def test_predictions_make_a_window() -> None:
    predictions = [said("hi", 0.9, 0.1, none=0.2), said("ho", 0.1, 0.2, none=0.9, flags=("out_of_scope", "long"))]
    found = Window.of(predictions, NAMES, labels=[None, frozenset({"B"})])
    assert found.decided.tolist() == [[True, False], [False, False]]
    assert found.probs.tolist() == np.array([[0.9, 0.1], [0.1, 0.2]], np.float32).tolist()
    assert found.refused is not None
    assert found.refused.tolist() == [False, True]
    assert found.labelled.tolist() == [1]
    assert found.targets is not None
    assert found.targets[1].tolist() == [False, True]
    assert (found.model, found.policy, found.meaning) == ("m", "p", None)
    assert found.texts is not None


def test_predictions_whose_texts_are_partly_gone_make_a_window_without_texts() -> None:
    assert Window.of([said("hi"), said("")], NAMES).texts is None
    assert Window.of([said("hi"), said("ho")], NAMES).none is None


def test_no_predictions_make_an_empty_window() -> None:
    empty = Window.of([], NAMES)
    assert (len(empty), empty.probs.shape, len(empty.once())) == (0, (0, 2), 0)


@pytest.mark.parametrize("other", [{"model": "n"}, {"policy": "q"}, {"none": 0.5}])
def test_predictions_of_two_models_or_policies_are_refused(other: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="one model") as caught:
        Window.of([said(), said(**other)], NAMES)
    assert caught.value.code == "mixed_models"


def test_predictions_of_other_labels_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        Window.of([said()], ["A", "C"])
    assert caught.value.code == "mixed_models"
    with pytest.raises(InputError) as caught:
        Window.of([said()], NAMES, labels=[frozenset({"C"})])
    assert caught.value.code == "unknown_label"
