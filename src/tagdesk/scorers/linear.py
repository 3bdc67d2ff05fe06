"""TF-IDF over words and characters with a logistic regression per label: trains in seconds, needs no encoder."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tagdesk.arrays import IntArray, Probs
from tagdesk.errors import ArtefactError, InputError
from tagdesk.explain.exact import Shares
from tagdesk.scorers.base import Examples, Progress, Scorer, Scores, out_of_fold, sigmoid, silent
from tagdesk.scorers.head import fit_head
from tagdesk.scorers.recipe import Recipe

FILE = "linear.npz"
MAX_ARRAY_BYTES = 2**32  # of one archive, unpacked: 1,000 labels on 400,000 n-grams fit; a bomb does not
LONGEST_NGRAM = 8  # as in recipes; much longer ones take hours


class LinearScorer:
    """Words and character n-grams, weighted by TF-IDF, to probabilities."""

    kind: ClassVar[str] = "linear"

    def __init__(self, vectorizers: Sequence[Any], weights: NDArray[np.float32], bias: NDArray[np.float32]) -> None:
        self._vectorizers = list(vectorizers)
        self._weights = weights
        self._bias = bias

    def score(self, texts: Sequence[str]) -> Scores:
        """Probabilities for cleaned texts, in their order; `unknown` is the share of words never seen in training."""
        if not texts:
            return Scores(np.zeros((0, len(self._bias)), dtype=np.float32), np.zeros(0, np.bool_), np.zeros(0))
        logits = np.asarray(_features(self._vectorizers, texts) @ self._weights, dtype=np.float32) + self._bias
        return Scores(sigmoid(logits), np.zeros(len(texts), np.bool_), self._unknown(texts))

    def passages(self, text: str) -> list[str]:
        """The whole text: nothing is too long for this scorer."""
        return [text]

    def shares(self, text: str, columns: Sequence[int]) -> Shares:
        """The logits of a cleaned text in parts, for some columns: what each n-gram adds, shared out over its places.

        Of its share of a place each word of the n-gram has the same part, and of that each character of the word.
        """
        edges = np.zeros((len(text) + 1, len(columns)))
        first = 0
        for vectorizer in self._vectorizers:
            row = vectorizer.transform([text])
            weights = self._weights[first + row.indices][:, list(columns)] * row.data[:, np.newaxis]
            row_of = {column: place for place, column in enumerate(row.indices.tolist())}
            known = ((row_of.get(vectorizer.vocabulary_.get(term)), spans) for term, spans in _terms(vectorizer, text))
            found = [(place, spans) for place, spans in known if place is not None]
            times = Counter(place for place, _ in found)
            parts = [(place, len(spans), *span) for place, spans in found for span in spans]
            if parts:
                places, words, starts, ends = np.array(parts).T
                shared_by = words * (ends - starts) * np.array([times[place] for place in places.tolist()])
                share = weights[places] / shared_by[:, np.newaxis]
                np.add.at(edges, starts, share)
                np.subtract.at(edges, ends, share)
            first += len(vectorizer.vocabulary_)
        return Shares(self._bias[list(columns)].astype(np.float64), np.cumsum(edges, axis=0)[:-1])

    def _unknown(self, texts: Sequence[str]) -> NDArray[np.float64]:
        words = self._vectorizers[0]
        vocabulary, split = words.vocabulary_, words.build_tokenizer()
        shares = []
        for text in texts:
            found = split(text.lower())
            shares.append(sum(word not in vocabulary for word in found) / len(found) if found else 1.0)
        return np.array(shares, dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write `linear.npz`: plain arrays, the vocabulary as UTF-8 with a line per n-gram."""
        arrays: dict[str, NDArray[Any]] = {"weights": self._weights, "bias": self._bias}
        for index, vectorizer in enumerate(self._vectorizers):
            terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
            arrays[f"terms_{index}"] = np.frombuffer("\n".join(terms).encode(), dtype=np.uint8)
            arrays[f"idf_{index}"] = vectorizer.idf_.astype(np.float64)
            arrays[f"ngrams_{index}"] = np.array(vectorizer.ngram_range, dtype=np.int64)
        with (folder / FILE).open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Build the scorer from its folder; raises ArtefactError where the arrays do not fit each other."""
        path = folder / FILE
        arrays = read_arrays(path)
        try:
            count = sum(name.startswith("terms_") for name in arrays)
            weights, bias = arrays["weights"].astype(np.float32), arrays["bias"].astype(np.float32)
            vectorizers = [_rebuilt(arrays, index) for index in range(count)]
            width = sum(len(vectorizer.vocabulary_) for vectorizer in vectorizers)
        except (KeyError, ValueError, TypeError) as error:
            raise ArtefactError(
                f"{path} is not a linear scorer: {error}. Train it again.", code="bad_arrays"
            ) from error
        if not count or bias.ndim != 1 or weights.shape != (width, len(bias)):
            raise ArtefactError(
                f"{path}: weights {weights.shape} do not fit {width} n-grams and {bias.shape} labels. Train it again.",
                code="bad_arrays",
            )
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ArtefactError(f"{path} holds weights that are not finite. Train it again.", code="model_unhealthy")
        return cls(vectorizers, weights, bias)


OPENS = LinearScorer


def fit(
    examples: Examples,
    recipe: Recipe,
    *,
    validation: Examples | None = None,  # noqa: ARG001 - the convex fit has nothing to stop early
    checkpoint: Path | None = None,  # noqa: ARG001 - over before a kill could matter
    progress: Progress = silent,
) -> Scorer:
    """Learn vocabulary, weights and biases from the examples."""
    progress("features", 0, 2)
    vectorizers = [_vectorizer("word", 1, recipe.word_ngrams, recipe.max_features)]
    if recipe.char_ngrams:
        vectorizers.append(_vectorizer("char_wb", min(2, recipe.char_ngrams), recipe.char_ngrams, recipe.max_features))
    try:
        for vectorizer in vectorizers:
            vectorizer.fit(examples.texts)
    except ValueError as error:  # an empty vocabulary
        raise InputError("The tickets hold no words to learn from.", code="too_few") from error
    progress("heads", 1, 2)
    features = _features(vectorizers, examples.texts)
    weights, bias = fit_head(features, examples.targets, strength=recipe.strength)
    progress("heads", 2, 2)
    return LinearScorer(vectorizers, weights, bias)


def score_out_of_fold(
    examples: Examples, recipe: Recipe, folds: Sequence[IntArray], *, progress: Progress = silent
) -> Probs:
    """Scores of every example by a scorer that never saw its fold, vocabulary included."""
    return out_of_fold(examples, folds, lambda seen: fit(seen, recipe), progress)


def _terms(vectorizer: Any, text: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """The n-grams that a vectorizer sees in a cleaned text, each with where its words, or its characters, stand."""
    low, high = vectorizer.ngram_range
    lowered = text.lower()
    origin = [place for place, letter in enumerate(text) for _ in letter.lower()]  # some letters become two

    def place(start: int, end: int) -> tuple[int, int]:
        return origin[start], origin[end - 1] + 1

    if vectorizer.analyzer == "word":
        tokens = [(token[0], place(*token.span())) for token in re.finditer(vectorizer.token_pattern, lowered)]
        for size in range(low, high + 1):
            for some in zip(*(tokens[begin:] for begin in range(size)), strict=False):
                yield " ".join(word for word, _ in some), [span for _, span in some]
        return
    for word in re.finditer(r"\S+", lowered):
        padded = f" {word[0]} "
        for size in range(low, high + 1):
            for begin in range(max(1, len(padded) - size + 1)):
                # The blanks around a word are no characters of the text.
                start = min(max(begin - 1, 0), len(word[0]) - 1)
                end = max(min(begin + size - 1, len(word[0])), start + 1)
                yield padded[begin : begin + size], [place(word.start() + start, word.start() + end)]
            if len(padded) <= size:
                break  # a short word is counted once


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The plain arrays of an `.npz`, all of numbers; raises ArtefactError for anything else, objects included."""
    try:
        return _numbers(path)
    except Exception as error:  # a damaged archive fails in a dozen ways
        reason = str(error)[:200] or type(error).__name__
        raise ArtefactError(
            f"{path} does not hold plain arrays: {reason}. Train it again.", code="bad_arrays"
        ) from error


def _numbers(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_ARRAY_BYTES:
        raise ValueError(f"{size:,} bytes unpacked; at most {MAX_ARRAY_BYTES:,} are read")
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    strangers = [name for name, array in arrays.items() if np.asarray(array).dtype.kind not in "biuf"]
    if strangers:
        raise ValueError(f"{strangers[0][:40]!r} holds no numbers")
    return arrays


def _vectorizer(analyzer: str, low: int, high: int, most: int | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - slow to import

    # One letter is a word too ("I"), so that short texts do not end without features.
    pattern = r"(?u)\b\w+\b" if analyzer == "word" else None
    return TfidfVectorizer(
        analyzer=analyzer, ngram_range=(low, high), sublinear_tf=True, max_features=most, token_pattern=pattern
    )


def _rebuilt(arrays: dict[str, NDArray[Any]], index: int) -> Any:
    terms = arrays[f"terms_{index}"].tobytes().decode().split("\n")
    idf = arrays[f"idf_{index}"]
    low, high = (int(value) for value in arrays[f"ngrams_{index}"])
    if not 1 <= low <= high <= LONGEST_NGRAM:
        raise ValueError(f"n-grams from {low} to {high}; expected 1 to {LONGEST_NGRAM}")
    if idf.shape != (len(terms),) or not np.isfinite(idf).all():
        raise ValueError(f"document frequencies {idf.shape} for {len(terms)} n-grams; expected one each, all finite")
    vectorizer = _vectorizer("word" if index == 0 else "char_wb", low, high)
    vectorizer.vocabulary = {term: column for column, term in enumerate(terms)}
    vectorizer.idf_ = idf.astype(np.float64)
    return vectorizer


def _features(vectorizers: Sequence[Any], texts: Sequence[str]) -> Any:
    from scipy.sparse import hstack  # noqa: PLC0415 - slow to import

    return hstack([vectorizer.transform(texts) for vectorizer in vectorizers], format="csr")
