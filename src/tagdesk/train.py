"""From labelled tickets to a model that knows what it is worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from tagdesk import calibrate, policy
from tagdesk.arrays import IntArray, Probs, Targets
from tagdesk.calibrate import Calibration, split_none
from tagdesk.dataset import stratified_folds
from tagdesk.errors import InputError
from tagdesk.evaluate import Report, brier, ece
from tagdesk.measure import Evidence, examples_from, judge_tickets
from tagdesk.model import Manifest, Model
from tagdesk.policy import Policy, parse_objective
from tagdesk.prediction import Decision
from tagdesk.scorers import Examples, Recipe, Scorer, fit_scorer, score_out_of_fold
from tagdesk.scorers.base import Progress, silent
from tagdesk.taxonomy import Label, Taxonomy
from tagdesk.ticket import Ticket

FEWEST = 10  # tickets from which anything can be learned and checked; as many without a label teach "none of these"


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, what it is worth, and the evidence; `ece_raw` and `brier_raw` are those before calibration."""

    model: Model
    report: Report
    evidence: Evidence
    ece_raw: float
    brier_raw: float


@dataclass(frozen=True, slots=True)
class _Fitted:
    scorer: Scorer
    calibration: Calibration
    policy: Policy
    held_out: Evidence


def support_taxonomy() -> Taxonomy:
    """The seven categories of customer support that tagdesk comes with.

    >>> support_taxonomy().names[0]
    'Billing Issue'
    """
    path = resources.files("tagdesk") / "taxonomies" / "support.toml"
    return Taxonomy.from_toml(path.read_text(encoding="utf-8"))


def taxonomy_of(tickets: Sequence[Ticket]) -> Taxonomy:
    """The labels that the tickets carry; those of `support_taxonomy` first, with their descriptions.

    >>> taxonomy_of([Ticket("1", "hi", frozenset({"Zebra", "Account Access"}))]).names
    ('Account Access', 'Zebra')
    """
    found = {label for ticket in tickets for label in ticket.labels or ()}
    if not found:
        raise InputError(
            "No ticket carries a label, so there is nothing to learn. Say which column holds the labels: "
            "--labels-column; `tagdesk check` lists the columns.",
            code="too_few",
        )
    known = [label for label in support_taxonomy().labels if label.name in found]
    rest = sorted(found - {label.name for label in known})
    return Taxonomy((*known, *(Label(name) for name in rest)))


def train(  # noqa: PLR0913 - three sets of tickets, what to make of them, and whom to tell
    tickets: Sequence[Ticket],
    recipe: Recipe,
    *,
    taxonomy: Taxonomy | None = None,
    validation: Sequence[Ticket] = (),
    test: Sequence[Ticket] = (),
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Fit a scorer, its calibration and its thresholds, and measure them on tickets that none of them saw.

    Calibration and thresholds are fitted on the validation tickets where there are some; else on out-of-fold scores
    where the recipe has folds; else on a part that is split off. The report stands on the test tickets, else on
    out-of-fold predictions or on that part (`evidence.source` says which).

    Raises:
        InputError: for tickets without labels, labels outside the taxonomy, or too little to learn from.
    """
    labelled = [ticket for ticket in tickets if ticket.is_labelled]
    chosen = taxonomy or taxonomy_of(labelled)
    examples = examples_from(labelled, chosen)
    _refuse_too_little(examples)
    units = [ticket.unit for ticket in labelled] if recipe.fold_by == "unit" else None
    held_out = examples_from(_labelled(validation, "validation"), chosen)
    tests = _labelled(test, "test")
    examples_from(tests, chosen)  # what is wrong with them is told before the training, not after it
    fitted = _fit(examples, held_out, chosen.names, recipe, units, checkpoint, progress)
    trained = _trained(fitted, examples, chosen, recipe)
    if not tests:
        return trained
    evidence = judge_tickets(trained.model, tests, progress=progress)
    return _measured(trained.model, evidence, recipe)


def model_around(
    scorer: Scorer, tickets: Sequence[Ticket], validation: Sequence[Ticket], recipe: Recipe, taxonomy: Taxonomy
) -> Trained:
    """A model around a scorer that was fitted to `tickets`: calibrated, decided and measured on others.

    The scorer has a column for each label of the taxonomy, and one more where it has learned "none of these".

    Raises:
        InputError: for tickets without labels, or labels outside the taxonomy.
    """
    examples = examples_from(_labelled(tickets, "training"), taxonomy)
    held_out = examples_from(_labelled(validation, "validation"), taxonomy)
    return _trained(_judged(scorer, held_out, taxonomy.names, recipe), examples, taxonomy, recipe)


def _trained(fitted: _Fitted, examples: Examples, taxonomy: Taxonomy, recipe: Recipe) -> Trained:
    origin = {
        "recipe": recipe.to_dict(),
        "tickets": len(examples),
        "data": data_fingerprint(examples, taxonomy),
    }
    manifest = Manifest(id="unsaved", kind=fitted.scorer.kind, taxonomy=taxonomy.fingerprint, files={}, origin=origin)
    model = Model(taxonomy, fitted.scorer, fitted.calibration, fitted.policy, manifest)
    return _measured(model, fitted.held_out, recipe)


def _measured(model: Model, evidence: Evidence, recipe: Recipe) -> Trained:
    return Trained(
        model,
        evidence.report(model.taxonomy.names, seed=recipe.seed),
        evidence,
        ece_raw=float(np.mean(ece(evidence.targets, evidence.raw))),
        brier_raw=float(np.mean(brier(evidence.targets, evidence.raw))),
    )


def data_fingerprint(examples: Examples, taxonomy: Taxonomy) -> str:
    """12 hex digits over texts and labels, whatever their order."""
    rows = sorted(
        json.dumps([text, sorted(labels)], ensure_ascii=False)
        for text, labels in zip(examples.texts, taxonomy.decode(examples.targets), strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12]


def _labelled(tickets: Sequence[Ticket], what: str) -> list[Ticket]:
    """Those that somebody labelled; raises InputError where tickets were given and none is."""
    found = [ticket for ticket in tickets if ticket.is_labelled]
    if tickets and not found:
        raise InputError(
            f"None of the {len(tickets):,} {what} tickets carries labels. Label them, or do without the file.",
            code="no_labels",
        )
    return found


def _refuse_too_little(examples: Examples) -> None:
    texts = len(set(examples.texts))
    if texts < FEWEST:
        raise InputError(
            f"{texts} different tickets are too few to learn from; expected at least {FEWEST}, and some 50 for each "
            "label make a useful model.",
            code="too_few",
        )
    if (examples.targets == examples.targets[0]).all():
        raise InputError(
            "All tickets carry the same labels, so there is nothing to tell apart. Add tickets of other categories, or "
            "tickets without a label.",
            code="too_few",
        )


def _fit(  # noqa: PLR0913, PLR0917 - what to learn from, how, and whom to tell
    examples: Examples,
    validation: Examples,
    names: Sequence[str],
    recipe: Recipe,
    units: Sequence[str | None] | None,
    checkpoint: Path | None,
    progress: Progress,
) -> _Fitted:
    if not len(validation) and recipe.folds >= 2:
        folds = stratified_folds(examples.texts, examples.targets, recipe.folds, recipe.seed, units=units)
        taught = _taught(examples, like=examples)
        raw = score_out_of_fold(taught, recipe, folds, progress=progress)
        scorer = fit_scorer(taught, recipe, checkpoint=checkpoint, progress=progress)
        calibration, thresholds = _judgement(examples.targets, raw, names, recipe)
        return _Fitted(scorer, calibration, thresholds, cross_fitted(examples.targets, raw, folds, names, recipe))
    if not len(validation):
        share = max(2, round(1 / recipe.validation_share))
        part = stratified_folds(examples.texts, examples.targets, share, recipe.seed, units=units)[0]
        validation = examples.take(part)
        examples = examples.take(np.setdiff1d(np.arange(len(examples)), part))
    scorer = fit_scorer(
        _taught(examples, like=examples),
        recipe,
        validation=_taught(validation, like=examples),
        checkpoint=checkpoint,
        progress=progress,
    )
    return _judged(scorer, validation, names, recipe)


def _judged(scorer: Scorer, validation: Examples, names: Sequence[str], recipe: Recipe) -> _Fitted:
    """The scorer with calibration and policy by tickets that it has not seen."""
    raw = scorer.score(validation.texts).probs
    calibration, thresholds = _judgement(validation.targets, raw, names, recipe)
    halves = stratified_folds(validation.texts, validation.targets, 2, recipe.seed)
    evidence = cross_fitted(validation.targets, raw, halves, names, recipe)
    return _Fitted(scorer, calibration, thresholds, evidence)


def _taught(examples: Examples, *, like: Examples) -> Examples:
    """The examples as scorers learn them: "none of these" is one more label where enough texts of `like` carry none."""
    silent_texts = {text for text, row in zip(like.texts, like.targets, strict=True) if not row.any()}
    if len(silent_texts) < FEWEST:
        return examples
    return Examples(examples.texts, calibrate.with_none(examples.targets))


def _judgement(targets: Targets, raw: Probs, names: Sequence[str], recipe: Recipe) -> tuple[Calibration, Policy]:
    calibration = calibrate.fit(targets, raw, method=recipe.calibration, with_sets=recipe.label_sets)
    probs, none = split_none(calibration.apply(raw), len(names))
    return calibration, policy.fit(targets, probs, names, parse_objective(recipe.objective), none=none)


def out_of_fold(
    examples: Examples,
    names: Sequence[str],
    recipe: Recipe,
    folds: Sequence[IntArray],
    progress: Progress = silent,
) -> Evidence:
    """What models say of tickets that they did not see, each calibrated and decided without them too."""
    raw = score_out_of_fold(_taught(examples, like=examples), recipe, folds, progress=progress)
    return cross_fitted(examples.targets, raw, folds, names, recipe)


def cross_fitted(
    targets: Targets, raw: Probs, folds: Sequence[IntArray], names: Sequence[str], recipe: Recipe
) -> Evidence:
    """Each fold calibrated and decided by what the others teach, so that the report flatters nobody."""
    scores = np.zeros_like(raw)
    probs, none = split_none(scores, len(names))
    decided = np.zeros(targets.shape, dtype=np.bool_)
    refused = None if none is None else np.zeros(len(targets), dtype=np.bool_)
    for held_out in folds:
        seen = np.setdiff1d(np.arange(len(targets)), held_out)
        calibration, thresholds = _judgement(targets[seen], raw[seen], names, recipe)
        scores[held_out] = calibration.apply(raw[held_out])
        inside = None if none is None else none[held_out]
        decided[held_out] = thresholds.decide(probs[held_out], inside) >= Decision.SUGGEST
        if refused is not None and inside is not None:
            refused[held_out] = thresholds.refuses(inside)
    everything = np.ones(len(targets), dtype=np.bool_)
    return Evidence("out of fold", targets, raw[:, : len(names)], probs, decided, everything, none, refused)
