from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

import tiny
from tagdesk.errors import ArtefactError, InputError
from tagdesk.scorers import Examples, Recipe
from tagdesk.scorers.linear import LinearScorer, fit, read_arrays

RECIPE = Recipe(kind="linear", max_features=300, strength=5.0)


def test_scores_are_those_of_scikit_learn() -> None:
    examples, unseen = tiny.examples(), tiny.examples(20, seed=3).texts
    vectorizers = [
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=300, token_pattern=r"(?u)\b\w+\b"),  # noqa: S106
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=300),
    ]
    features = hstack([vectorizer.fit_transform(examples.texts) for vectorizer in vectorizers]).tocsr()
    model = OneVsRestClassifier(LogisticRegression(C=5.0, max_iter=1000)).fit(features, examples.targets)
    expected = model.predict_proba(hstack([vectorizer.transform(unseen) for vectorizer in vectorizers]).tocsr())
    assert np.allclose(fit(examples, RECIPE).score(unseen).probs, expected, atol=1e-5)


def test_characters_can_be_left_out() -> None:
    scorer = fit(tiny.examples(), RECIPE.changed({"char_ngrams": 0}))
    assert len(scorer._vectorizers) == 1
    unseen = scorer.score(["zzz qqq", "vvv"]).probs
    assert np.array_equal(unseen[0], unseen[1])  # nothing but the bias


def test_single_letters_are_words() -> None:
    examples = Examples(["i a", "i b"] * 5, np.array([[True], [False]] * 5))
    probs = fit(examples, RECIPE.changed({"char_ngrams": 0})).score(["a", "b"]).probs
    assert probs[0, 0] > 0.5 > probs[1, 0]


def test_unknown_is_the_share_of_words_never_seen() -> None:
    scorer = fit(tiny.examples(), RECIPE)
    texts = ["charged twice", "Charged zebra", "zebra", "?!", "charged zebra zebra zebra"]
    assert scorer.score(texts).unknown.tolist() == [0, 0.5, 1, 1, 0.75]


def test_nothing_is_cut() -> None:
    assert not fit(tiny.examples(), RECIPE).score(["a " * 10_000]).truncated.any()


def test_tickets_without_words_cannot_be_learned() -> None:
    with pytest.raises(InputError, match="no words"):
        fit(Examples(["?!", "..."] * 5, np.array([[True], [False]] * 5)), RECIPE)


def test_saved_files_hold_no_time_so_that_the_same_scorer_has_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        fit(tiny.examples(), RECIPE).save(tmp_path / name)
        contents.append((tmp_path / name / "linear.npz").read_bytes())
    assert contents[0] == contents[1]
    with zipfile.ZipFile(tmp_path / "a" / "linear.npz") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def test_terms_of_any_script_survive_the_file(tmp_path: Path) -> None:
    examples = Examples(
        ["straße \u4e2d\u6587 \u0928\u092e\u0938\u094d\u0924\u0947", "other words"] * 5, np.array([[True], [False]] * 5)
    )
    scorer = fit(examples, RECIPE)
    scorer.save(tmp_path)
    opened = LinearScorer.open(tmp_path)
    assert opened._vectorizers[0].vocabulary_ == scorer._vectorizers[0].vocabulary_
    assert np.array_equal(opened.score(examples.texts).probs, scorer.score(examples.texts).probs)


def test_plain_arrays_are_read_and_nothing_else(tmp_path: Path) -> None:
    np.savez(tmp_path / "good.npz", a=np.arange(3), b=np.array(2.5))
    arrays = read_arrays(tmp_path / "good.npz")
    assert (arrays["a"].tolist(), float(arrays["b"])) == ([0, 1, 2], 2.5)
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    np.savez(tmp_path / "text.npz", a=np.array(["x"]))
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    for name in ("objects.npz", "text.npz", "other.npz", "missing.npz", "."):
        with pytest.raises(ArtefactError, match="does not hold plain arrays") as refused:
            read_arrays(tmp_path / name)
        assert refused.value.code == "bad_arrays"
