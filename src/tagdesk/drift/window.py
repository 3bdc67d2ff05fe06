"""A window of traffic: what one model and policy said of its tickets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tagdesk.arrays import BoolArray, Embeddings, FloatArray, IntArray, Probs, Targets
from tagdesk.drift.texts import Texts, read_texts
from tagdesk.errors import InputError
from tagdesk.prediction import Decision, Prediction
from tagdesk.taxonomy import Taxonomy

OUT_OF_SCOPE = "out_of_scope"  # the flag


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an encoder made of some of a window's tickets.

    Attributes:
        rows: (embedded,), which tickets of the window, each once.
        embeddings: (embedded, width), finite.
        unknown: (embedded,), share of the text's tokens that the encoder does not know; None where nobody counted.
    """

    rows: IntArray
    embeddings: Embeddings
    unknown: FloatArray | None = None

    def __post_init__(self) -> None:
        rows = len(self.rows)
        fits = self.embeddings.ndim == 2 and len(self.embeddings) == rows
        if not fits or (self.unknown is not None and self.unknown.shape != (rows,)):
            raise ValueError(
                f"embeddings {self.embeddings.shape} and unknown for {rows} rows: expected as many of each."
            )
        if len(np.unique(self.rows)) < rows or not np.isfinite(self.embeddings).all():
            raise ValueError("rows: expected each once; embeddings: expected finite numbers.")

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Window:
    """The tickets of some days and what was said of them; `compare` takes two of the same model and policy.

    Attributes:
        names: the labels in the order of the columns.
        probs: (tickets, labels), calibrated, in 0..1.
        decided: (tickets, labels), True where the label is given.
        none: (tickets,), the probability of "none of these"; None where the model has not learned it.
        refused: (tickets,), True where the ticket was called out of scope; None as with `none`.
        texts: facts about the texts; None where they are gone.
        meaning: embeddings of some of the tickets; None where there are none.
        targets: (tickets, labels), what people said; rows that are not known are not read. None: nobody said anything.
        known: (tickets,), True where somebody labelled the ticket; None: all of `targets`.
        model, policy: whose word it is.

    Raises:
        ValueError: for shapes that do not fit each other and scores that are no probabilities.
    """

    names: tuple[str, ...]
    probs: Probs
    decided: BoolArray
    none: Probs | None = None
    refused: BoolArray | None = None
    texts: Texts | None = None
    meaning: Meaning | None = None
    targets: Targets | None = None
    known: BoolArray | None = None
    model: str = ""
    policy: str = ""

    def __post_init__(self) -> None:
        expected = (len(self.probs), len(self.names))
        tables = {"probs": self.probs, "decided": self.decided, "targets": self.targets}
        keys = None if self.texts is None else self.texts.keys
        columns = {"none": self.none, "refused": self.refused, "known": self.known, "texts": keys}
        wrong = [name for name, table in tables.items() if table is not None and table.shape != expected]
        wrong += [name for name, column in columns.items() if column is not None and column.shape != expected[:1]]
        if wrong or not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(
                f"{', '.join(wrong) or 'names'}: expected {expected}, the tickets and labels of `probs` and `names`, "
                "each name once."
            )
        for scores in (self.probs, *([] if self.none is None else [self.none])):
            if not ((scores >= 0) & (scores <= 1)).all():  # NaN is neither
                raise ValueError("probs, none: expected finite numbers in 0..1.")
        if self.meaning is not None and not np.isin(self.meaning.rows, np.arange(len(self))).all():
            raise ValueError(f"meaning: its rows are not all among the {len(self)} tickets.")

    def __len__(self) -> int:
        return len(self.probs)

    @property
    def labelled(self) -> IntArray:
        """The rows that somebody labelled."""
        if self.targets is None:
            return np.empty(0, dtype=np.int64)
        return np.arange(len(self)) if self.known is None else np.flatnonzero(self.known)

    @classmethod
    def of(
        cls,
        predictions: Sequence[Prediction],
        names: Sequence[str],
        *,
        labels: Sequence[frozenset[str] | None] | None = None,
    ) -> Self:
        """The window of logged predictions, such as those of cases; `labels` are what people said, None for nothing.

        Facts about the texts are left out unless every prediction still has its text, and there are no embeddings.
        Raises InputError where the predictions are of several models or policies (`mixed_models`), or a label is not
        among the names (`unknown_label`).

        >>> said = Prediction("hi", ("A",), {"A": 0.9, "B": 0.1}, {"A": Decision.SUGGEST, "B": Decision.NONE}, "m", "p")
        >>> Window.of([said, said], ["A", "B"]).decided.tolist()
        [[True, False], [True, False]]
        """
        speakers = {(said.model, said.policy, said.out_of_scope is None, *sorted(said.scores)) for said in predictions}
        if len(speakers) > 1 or any(set(said[3:]) != set(names) for said in speakers):
            raise InputError(
                f"{len(predictions)} predictions are not of one model and policy with the labels that were named. "
                "Compare what one model said, or score the tickets again with it.",
                code="mixed_models",
            )
        shape = (len(predictions), len(names))
        knows_scope = bool(predictions) and predictions[0].out_of_scope is not None
        has_texts = all(said.text for said in predictions)
        return cls(
            names=tuple(names),
            probs=np.array([[said.scores[name] for name in names] for said in predictions], np.float32).reshape(shape),
            decided=np.array(
                [[said.decisions[name] >= Decision.SUGGEST for name in names] for said in predictions], np.bool_
            ).reshape(shape),
            none=np.array([said.out_of_scope for said in predictions], np.float32) if knows_scope else None,
            refused=np.array([OUT_OF_SCOPE in said.flags for said in predictions], np.bool_) if knows_scope else None,
            texts=read_texts([said.text for said in predictions]) if has_texts else None,
            targets=None if labels is None else Taxonomy.of(names).encode([each or () for each in labels]),
            known=None if labels is None else np.array([each is not None for each in labels], np.bool_),
            model=predictions[0].model if predictions else "",
            policy=predictions[0].policy if predictions else "",
        )

    def keys(self) -> IntArray:
        """What tells tickets apart, (tickets,): the texts; where these are gone the scores, which equal texts share."""
        if self.texts is not None:
            return self.texts.keys
        scores = self.probs if self.none is None else np.column_stack([self.probs, self.none])
        _, keys = np.unique(scores, axis=0, return_inverse=True)
        return keys.astype(np.int64).reshape(len(self))

    def distinct(self) -> IntArray:
        """The rows of which `once` keeps the tickets, in their order."""
        labelled_first = np.argsort(~np.isin(np.arange(len(self)), self.labelled), kind="stable")
        _, first = np.unique(self.keys()[labelled_first], return_index=True)
        return np.sort(labelled_first[first])

    def once(self) -> Self:
        """The window with one ticket of each text, one that somebody labelled if there is one."""
        return self.take(self.distinct())

    def take(self, rows: IntArray) -> Self:
        """The tickets at the given rows, each once, in that order."""
        return replace(
            self,
            probs=self.probs[rows],
            decided=self.decided[rows],
            none=None if self.none is None else self.none[rows],
            refused=None if self.refused is None else self.refused[rows],
            texts=None if self.texts is None else self.texts.take(rows),
            meaning=None if self.meaning is None else _placed(self.meaning, rows, len(self)),
            targets=None if self.targets is None else self.targets[rows],
            known=None if self.known is None else self.known[rows],
        )


def _placed(meaning: Meaning, rows: IntArray, tickets: int) -> Meaning:
    """The same embeddings where the window holds other rows of its `tickets`."""
    place = np.full(tickets, -1)
    place[rows] = np.arange(len(rows))
    kept = np.flatnonzero(place[meaning.rows] >= 0)
    unknown = None if meaning.unknown is None else meaning.unknown[kept]
    return Meaning(place[meaning.rows[kept]], meaning.embeddings[kept], unknown)
