from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from tagdesk.scorers.lexicon import Lexicon

ENDS = (101, 102)
Ids = list[list[int]]


def framed(*rows: list[int]) -> Ids:
    return [[ENDS[0], *row, ENDS[1]] for row in rows]


def reference(fit_on: Ids, ids: Ids) -> dict[tuple[int, str], float]:
    """What scikit-learn makes of the tokens as words: (row, term) to weight."""
    as_text = [[" ".join(map(str, row[1:-1])) for row in rows] for rows in (fit_on, ids)]
    vectorizer = TfidfVectorizer(analyzer="word", token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)  # noqa: S106
    matrix = vectorizer.fit(as_text[0]).transform(as_text[1]).tocoo()
    terms = vectorizer.get_feature_names_out()
    return {
        (int(row), terms[column]): value for row, column, value in zip(matrix.row, matrix.col, matrix.data, strict=True)
    }


def ours(fit_on: Ids, ids: Ids) -> dict[tuple[int, str], float]:
    lexicon = Lexicon.fit(fit_on, most=10_000)
    return {
        (row, " ".join(str(token) for token in lexicon.terms[column] if token >= 0)): float(value)
        for row, (columns, values) in enumerate(lexicon.weigh(ids))
        for column, value in zip(columns, values, strict=True)
    }


ROWS = st.lists(st.lists(st.integers(0, 6), max_size=8), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(ROWS, ROWS)
def test_weights_are_those_of_scikit_learn(fit_on: Ids, ids: Ids) -> None:
    fit_on = [*fit_on, [1]]  # scikit-learn refuses an empty vocabulary
    expected, found = reference(framed(*fit_on), framed(*ids)), ours(framed(*fit_on), framed(*ids))
    assert found.keys() == expected.keys()
    assert np.allclose([found[key] for key in expected], list(expected.values()), atol=1e-6)


def test_the_terms_kept_stand_in_most_texts_and_ties_go_by_token() -> None:
    ids = framed([5, 6], [5, 7], [5, 6, 6, 6])
    assert Lexicon.fit(ids, most=1).terms.tolist() == [[5, -1]]
    assert Lexicon.fit(ids, most=2).terms.tolist() == [[5, -1], [5, 6]]  # 5 6 and 6 stand in two texts each
    assert Lexicon.fit(ids, most=3).terms.tolist() == [[5, -1], [5, 6], [6, -1]]
    assert Lexicon.fit(ids, most=3).terms.tolist() == Lexicon.fit(ids[::-1], most=3).terms.tolist()


def test_the_ends_of_a_text_are_no_terms() -> None:
    assert Lexicon.fit([[101, 102], [101], []], most=10).terms.shape == (0, 2)


def test_a_text_of_unknown_terms_weighs_nothing() -> None:
    lexicon = Lexicon.fit(framed([5, 6]), most=10)
    [(columns, values)] = lexicon.weigh(framed([8, 9]))
    assert (len(columns), len(values)) == (0, 0)
    assert lexicon.matrix(framed([8, 9])).nnz == 0


def test_known_terms_have_length_one_together() -> None:
    for _, values in Lexicon.fit(framed([5, 6, 7], [5]), most=10).weigh(framed([5, 5, 6], [7])):
        assert np.isclose(np.linalg.norm(values), 1, atol=1e-6)


def test_the_matrix_holds_the_same_weights() -> None:
    ids = framed([5, 6, 5], [], [7, 9])
    lexicon = Lexicon.fit(ids, most=10)
    dense = lexicon.matrix(ids).toarray()
    assert dense.shape == (3, len(lexicon.terms))
    for row, (columns, values) in enumerate(lexicon.weigh(ids)):
        assert np.allclose(dense[row, columns], values)
        assert np.count_nonzero(dense[row]) == len(columns)
    assert lexicon.matrix([]).shape == (0, len(lexicon.terms))
