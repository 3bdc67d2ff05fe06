"""Compares two models on the same labelled tickets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tagdesk.arrays import BoolArray, IntArray
from tagdesk.compare.pairs import Pairs
from tagdesk.compare.resampled import OF_PROBS, Bootstrap, draws, figures_of
from tagdesk.compare.verdict import Difference, Figure, Verdict, judge
from tagdesk.errors import UsageError
from tagdesk.evaluate.ratios import defined

FIGURES = {
    figure.name: figure
    for figure in (
        Figure("exact_match", "exact match"),
        Figure("f1_micro", "micro F1"),
        Figure("f1_macro", "macro F1"),
        Figure("hamming_loss", "hamming loss", lower_is_better=True),
        Figure("average_precision_macro", "mean average precision"),
        Figure("ece", "calibration error", lower_is_better=True),
    )
}
FEWEST_TO_CALIBRATE = 1000  # tickets; the interval of 100 holds the true difference in six of ten cases only


@dataclass(frozen=True, slots=True)
class McNemar:
    """Tickets that only one of the two models got exactly right, and what chance says of such numbers.

    Attributes:
        only_current: tickets that only the current model got right.
        only_challenger: tickets that only the challenger got right.
        p: two-sided, exact; 1 where there is no such ticket.
    """

    only_current: int
    only_challenger: int
    p: float


def compare(
    pairs: Pairs, figure: str = "exact_match", margin: float | None = None, how: Bootstrap | None = None
) -> Verdict:
    """Whether the challenger is better in one figure, or at least not worse within a margin; see `differences`.

    >>> from tagdesk.compare.pairs import Answers
    >>> true = np.array([[True, False]] * 400)
    >>> right, wrong = Answers(true), Answers(np.where(np.arange(400)[:, None] < 40, ~true, true))
    >>> compare(Pairs(true, wrong, right, ("A", "B"))).sentence
    'Challenger is better: exact match +10.0 points (7.0 to 13.0).'
    >>> compare(Pairs(true, right, right, ("A", "B")), margin=0.01).sentence
    'Challenger is not worse by 1.0 points or more: exact match +0.0 points (0.0 to 0.0).'
    """
    return judge(differences(pairs, [figure], how)[0], margin)


def differences(
    pairs: Pairs, figures: Sequence[str] = ("exact_match",), how: Bootstrap | None = None
) -> list[Difference]:
    """How far the two models are apart in each figure, as `Report` defines it, with a bootstrap interval.

    Both models meet the same resampled tickets, or the same resampled customers where the pairs name units, so that
    what makes a ticket hard for both falls out of the difference. The interval is the percentile one, as in
    `evaluate`: it needs no further pass over the tickets for each of them, and is exactly 0 to 0 for equal answers.
    That of the calibration error is turned about the estimate, because an error of few tickets is always too large,
    and that of resampled ones twice so (benchmarks/experiments.py measures what the intervals hold).

    Args:
        pairs: the answers of both.
        figures: some of `FIGURES`.
        how: the bootstrap's settings; None for the usual ones.

    Raises:
        UsageError: for a figure that is not known, and one of probabilities where the pairs hold none.
    """
    how = how or Bootstrap()
    _check(pairs, figures)
    uses_probs = any(name in OF_PROBS for name in figures)
    first, rows = _outcomes(pairs, uses_probs=uses_probs)
    targets = pairs.targets[first]
    units = pairs.unit_codes

    def both(weights: np.ndarray) -> list[dict[str, np.ndarray]]:
        return [
            figures_of(
                figures, targets, said.decided[first], said.probs[first] if said.probs is not None else None, weights
            )
            for said in (pairs.current, pairs.challenger)
        ]

    as_it_is = np.bincount(rows, minlength=len(first)).astype(np.float64)[np.newaxis]
    current, challenger = both(as_it_is)
    parts = [both(weights) for weights in draws(units, rows, how)]
    found = []
    for name in figures:
        spread = np.concatenate([theirs[name] - ours[name] for ours, theirs in parts]) if parts else np.empty(0)
        n_units = int(units.max(initial=-1)) + 1
        plain = Difference(
            FIGURES[name],
            defined(current[name][0]),
            defined(challenger[name][0]),
            how.interval(spread),
            n_units,
            how.confidence,
            error=defined(float(np.nanstd(spread))) if not np.isnan(spread).all() else None,
            doubt=_doubt(pairs, name, n_units, how),
            blind_to=blind_to(n_units, how.confidence),
        )
        found.append(_turned(plain) if name == "ece" else plain)
    return found


def mcnemar(pairs: Pairs) -> McNemar:
    """McNemar's exact test of whether the two get equally many tickets exactly right; every ticket is on its own.

    Source: McNemar (1947), "Note on the sampling error of the difference between correlated proportions".

    >>> from tagdesk.compare.pairs import Answers
    >>> true = np.array([[True]] * 8)
    >>> found = mcnemar(Pairs(true, Answers(~true), Answers(true), ("A",)))
    >>> found.only_challenger, found.p
    (8, 0.0078125)
    """
    current, challenger = pairs.exact
    return mcnemar_counts(int((current & ~challenger).sum()), int((challenger & ~current).sum()))


def mcnemar_counts(only_current: int, only_challenger: int) -> McNemar:
    """The same from the two numbers of tickets."""
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    different = only_current + only_challenger
    p = float(binomtest(only_challenger, different).pvalue) if different else 1.0
    return McNemar(only_current, only_challenger, p)


def blind_to(units: int, confidence: float) -> float:
    """The share of units on which the two may differ although none of so many did; 1 without units.

    >>> round(blind_to(300, 0.95), 4)
    0.0122
    """
    return 1.0 - ((1 - confidence) / 2) ** (1 / units) if units else 1.0


def least_differing(confidence: float) -> int:
    """On how many units two models must differ before chance would seldom let all of them speak for one side.

    >>> least_differing(0.95)
    6
    """
    return math.ceil(1 + math.log2(1 / (1 - confidence)))


def _turned(plain: Difference) -> Difference:
    """The difference with its interval turned about the estimate; of few tickets it shows nothing at all."""
    if plain.interval is None or plain.value is None:
        return plain
    low, high = (2 * plain.value - end for end in reversed(plain.interval))
    if plain.units >= FEWEST_TO_CALIBRATE:
        return replace(plain, interval=(low, high))
    doubt = f"fewer than {FEWEST_TO_CALIBRATE} tickets tell little of calibration"
    return replace(plain, interval=(low, high), doubt=plain.doubt or doubt, blind_to=math.inf)


def _doubt(pairs: Pairs, figure: str, n_units: int, how: Bootstrap) -> str:
    """Why the bootstrap says too much: it knows nothing of tickets that it has not seen."""
    if not n_units:
        return "there is no ticket to compare them on"
    if figure in OF_PROBS:
        differs = pairs.differs
    elif figure == "exact_match":
        differs = np.logical_xor(*pairs.exact)
    else:
        differs = (pairs.current.decided != pairs.challenger.decided).any(axis=1)
    differing = len(np.unique(pairs.unit_codes[differs]))
    if differing >= least_differing(how.confidence):
        return ""
    what = "tickets" if pairs.units is None else "customers"
    return f"the two differ on {differing} of {n_units} {what}, which is too few to tell"


def _outcomes(pairs: Pairs, *, uses_probs: bool) -> tuple[IntArray, IntArray]:
    """The first ticket of each distinct outcome, (rows,), and the row of each ticket, (tickets,)."""
    if uses_probs or not len(pairs.targets):  # probabilities hardly ever repeat
        each = np.arange(len(pairs.targets))
        return each, each
    cells: list[BoolArray] = [pairs.targets, pairs.current.decided, pairs.challenger.decided]
    packed = np.packbits(np.column_stack(cells), axis=1)
    _, first, rows = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    return first, rows.ravel()


def _check(pairs: Pairs, figures: Sequence[str]) -> None:
    for name in figures:
        if name not in FIGURES:
            raise UsageError(f"Figure {name!r}: expected one of {', '.join(FIGURES)}.", code="unknown_figure")
        if name in OF_PROBS and (pairs.current.probs is None or pairs.challenger.probs is None):
            raise UsageError(
                f"Figure {name!r}: expected probabilities of both models. Give the answers with `probs`.",
                code="no_probabilities",
            )
