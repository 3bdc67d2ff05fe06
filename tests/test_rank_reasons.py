from __future__ import annotations

import math

import numpy as np

from tagdesk.policy import Policy
from tagdesk.rank import Pool
from tagdesk.rank.reasons import NOTHING_LIKE_IT, reasons

NAMES = ("Billing Issue", "Refund Request", "Account Access")


def reason(scores: list[float], cuts: list[float] | None = None, none: float | None = None, cut: float = 0.5) -> str:
    suggest = np.array(cuts or [0.5] * len(scores))
    policy = Policy(NAMES[: len(scores)], suggest, np.full(len(scores), math.inf), out_of_scope=cut)
    nones = None if none is None else np.array([none], dtype=np.float32)
    (said,) = reasons(Pool(np.array([scores], dtype=np.float32), policy, none=nones), np.array([0]))
    return said


def test_two_labels_near_their_cuts_are_named_with_their_scores() -> None:
    assert reason([0.48, 0.52, 0.01]) == "close call between Refund Request and Billing Issue (.52 / .48)"


def test_one_label_near_its_cut_is_named_with_the_cut() -> None:
    assert reason([0.28, 0.01, 0.01], [0.3, 0.5, 0.5]) == "close call: Billing Issue (.28, given from .30)"


def test_a_close_call_beside_a_clear_label_is_named() -> None:
    assert reason([0.99, 0.45, 0.01]) == "close call: Refund Request (.45, given from .50)"


def test_a_ticket_that_fits_nothing_says_so() -> None:
    assert reason([0.1, 0.05, 0.02]) == "no category fits: the likeliest is Billing Issue (.10)"


def test_a_ticket_near_the_out_of_scope_cut_says_so() -> None:
    assert reason([0.1, 0.05, 0.02], none=0.5) == "may belong to no category (.50)"
    assert reason([0.1, 0.05, 0.02], none=0.5, cut=0.98).startswith("no category fits")


def test_a_clear_set_is_to_be_confirmed_and_a_clear_label_named() -> None:
    assert reason([0.95, 0.96, 0.01]) == "a set of categories to confirm: Billing Issue, Refund Request"
    assert reason([0.97, 0.01, 0.01]) == "among the most doubtful: Billing Issue (.97)"


def test_one_label_alone_and_a_label_that_is_never_given_are_no_special_case() -> None:
    assert reason([0.5]) == "close call: Billing Issue (.50, given from .50)"
    assert reason([0.5, 0.0], [math.inf, 0.5]) == "close call: Billing Issue (.50, never given)"


def test_a_ticket_far_from_all_labelled_ones_is_called_new_and_one_among_them_is_not() -> None:
    rng = np.random.default_rng(0)
    known = np.array([1, 0, 0, 0]) + 0.1 * rng.standard_normal((60, 4))
    known = (known / np.linalg.norm(known, axis=1, keepdims=True)).astype(np.float32)
    rows = np.array([[0, 0, 0, 1], [1, 0, 0, 0]], dtype=np.float32)
    scores = np.full((2, 2), 0.5, dtype=np.float32)
    pool = Pool(scores, Policy.uniform(["A", "B"], 0.5), embeddings=rows, labelled_embeddings=known)
    first, second = reasons(pool, np.array([0, 1]))
    assert first == NOTHING_LIKE_IT
    assert second.startswith("close call")


def test_a_handful_of_labelled_tickets_makes_nothing_new() -> None:
    rows = np.eye(3, dtype=np.float32)
    pool = Pool(
        np.full((3, 2), 0.5, dtype=np.float32),
        Policy.uniform(["A", "B"], 0.5),
        embeddings=rows,
        labelled_embeddings=rows[:1],
    )
    assert NOTHING_LIKE_IT not in reasons(pool, np.arange(3))


def test_names_stand_as_they_are() -> None:
    hostile = "{0} %s \N{RIGHT-TO-LEFT OVERRIDE}</b>"
    pool = Pool(np.array([[0.1]], dtype=np.float32), Policy.uniform([hostile], 0.9))
    assert hostile in reasons(pool, np.array([0]))[0]
    assert reasons(pool, np.array([], dtype=np.int64)) == []
