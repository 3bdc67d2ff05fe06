from __future__ import annotations

import numpy as np
import pytest

from tagdesk.policy import Policy
from tagdesk.rank import Pool

EVEN = Policy.uniform(["A", "B"], 0.5)
PROBS = np.array([[0.1, 0.9], [0.5, 0.5], [0.2, 0.3]], dtype=np.float32)


def test_taking_tickets_takes_everything_that_is_theirs_and_leaves_what_is_labelled() -> None:
    pool = Pool(
        PROBS,
        EVEN,
        none=np.array([0.1, 0.2, 0.3], dtype=np.float32),
        embeddings=np.eye(3, dtype=np.float32),
        groups=np.array([7, 8, 9]),
        labelled=np.ones((4, 2), dtype=np.bool_),
        labelled_embeddings=np.ones((4, 3), dtype=np.float32),
    )
    some = pool.take(np.array([2, 0]))
    assert some.probs.tolist() == PROBS[[2, 0]].tolist()
    assert some.none is not None
    assert some.none.round(1).tolist() == pytest.approx([0.3, 0.1])
    assert some.groups is not None
    assert some.groups.tolist() == [9, 7]
    assert some.embeddings is not None
    assert some.embeddings.argmax(axis=1).tolist() == [2, 0]
    assert some.labelled is pool.labelled
    assert some.labelled_embeddings is pool.labelled_embeddings


@pytest.mark.parametrize(
    "change",
    [
        {"probs": PROBS[:, :1]},
        {"probs": PROBS[0]},
        {"probs": PROBS * np.nan},
        {"probs": PROBS * 2},
        {"none": np.zeros(2, dtype=np.float32)},
        {"none": np.array([0.1, np.nan, 0.2], dtype=np.float32)},
        {"groups": np.zeros(4, dtype=np.int64)},
        {"embeddings": np.zeros((2, 3), dtype=np.float32)},
        {"embeddings": np.full((3, 3), np.inf, dtype=np.float32)},
        {"labelled": np.zeros((2, 3), dtype=np.bool_)},
        {"labelled_embeddings": np.zeros((2, 3), dtype=np.float32)},  # beside tickets that have none
        {
            "embeddings": np.zeros((3, 3), dtype=np.float32),
            "labelled_embeddings": np.zeros((2, 4), dtype=np.float32),
        },
    ],
)
def test_arrays_that_do_not_fit_are_a_programmers_mistake(change: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"xpected|Probabilities"):
        Pool(**({"probs": PROBS, "policy": EVEN} | change))
