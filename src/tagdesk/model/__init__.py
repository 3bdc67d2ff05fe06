"""A model: text in, predictions out; a folder on disk."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from tagdesk.arrays import Probs
from tagdesk.calibrate import Calibration
from tagdesk.encoders import starter_model
from tagdesk.errors import ArtefactError, InputError
from tagdesk.model.folder import MANIFEST, Manifest, read_folder, read_manifest
from tagdesk.model.once import ReadingCache, read_once
from tagdesk.model.reading import Reading, read_whole
from tagdesk.model.writer import write_folder
from tagdesk.policy import Policy
from tagdesk.prediction import Decision, Prediction
from tagdesk.scorers import Scorer, at_tier, open_scorer
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import TRUNCATED, CleanText, check_text

__all__ = ["STARTER", "Judged", "Manifest", "Model", "ReadingCache", "find_model", "list_models", "read_manifest"]

STARTER = "starter"
UNSAVED = "unsaved"
GOLDEN = ("ok", "I was charged twice and the parcel never came, please send my money back")
OTHERWISE = 0.02  # change of a probability from which this machine computes otherwise than the one that saved the model
LONG = "long"  # the flag of a text that was read in passages
MANY_UNKNOWN = 0.5  # share of unknown tokens from which a prediction is flagged `unk_ratio`


@dataclass(frozen=True, slots=True)
class Judged:
    """Probabilities (tickets, labels), before calibration and after, and the flags of each text.

    `none` is (tickets,), the probability that a ticket belongs to no label; None where the model has not learned it.
    """

    raw: Probs
    probs: Probs
    flags: tuple[tuple[str, ...], ...]
    none: Probs | None = None


@dataclass(frozen=True)
class Model:
    """A taxonomy, a scorer, its calibration and a default policy.

    Equal texts of one call are read once; with a `cache` those of earlier calls too: `replace(model,
    cache=ReadingCache())`. A cache belongs to one model.

    >>> model = Model.load("starter")
    >>> model.predict(["I was charged twice, please refund one"])[0].labels
    ('Refund Request', 'Billing Issue')
    """

    taxonomy: Taxonomy
    scorer: Scorer
    calibration: Calibration
    policy: Policy
    manifest: Manifest | None = None
    cache: ReadingCache | None = None

    @property
    def id(self) -> str:
        """12 hex digits over taxonomy, weights, tokenizer and calibration; `unsaved` before the first save."""
        return self.manifest.id if self.manifest else UNSAVED

    @property
    def knows_scope(self) -> bool:
        """Whether it has learned when a ticket belongs to no label."""
        return len(self.calibration.slopes) > len(self.taxonomy)

    @property
    def tier(self) -> str:
        """`fast`, `balanced` or `exact`: how much is left out for speed."""
        return getattr(self.scorer, "tier", "exact")

    def judge(self, texts: Sequence[str]) -> Judged:
        """Calibrated probabilities and flags of each text.

        Raises InputError that names the place of a text that is empty, too long or half a character, ArtefactError
        where the weights are damaged so that they give no probabilities.
        """
        if isinstance(texts, str):
            raise TypeError("One text was given where a list of texts is expected: write [text].")
        cleaned = []
        for place, text in enumerate(texts, start=1):
            try:
                cleaned.append(check_text(text))
            except InputError as error:
                where = f"Text {place} of {len(texts)}: " if len(texts) > 1 else ""
                raise InputError(f"{where}{error}", code=error.code) from error
        reading = read_once([text.text for text in cleaned], self._read, self.cache)
        return Judged(reading.raw, reading.probs, _flags(cleaned, reading), reading.none)

    def predict(self, texts: Sequence[str], *, policy: Policy | None = None) -> list[Prediction]:
        """A prediction for each text, in their order; `policy` replaces the default one."""
        chosen = policy or self.policy
        judged = self.judge(texts)
        decisions = chosen.decide(judged.probs, judged.none)
        policy_id, names = chosen.id, self.taxonomy.names
        scopes = [None] * len(texts) if judged.none is None else judged.none.tolist()
        refused = [False] * len(texts) if judged.none is None else chosen.refuses(judged.none).tolist()
        predictions = []
        for place, (text, probs, decided) in enumerate(zip(texts, judged.probs, decisions, strict=True)):
            order = np.argsort(-probs, kind="stable")
            predictions.append(
                Prediction(
                    text=text,
                    labels=tuple(names[label] for label in order if decided[label] >= Decision.SUGGEST),
                    scores=dict(zip(names, probs.tolist(), strict=True)),
                    decisions={name: Decision(int(value)) for name, value in zip(names, decided, strict=True)},
                    model=self.id,
                    policy=policy_id,
                    flags=judged.flags[place] + (("out_of_scope",) if refused[place] else ()),
                    out_of_scope=scopes[place],
                )
            )
        return predictions

    def save(self, root: Path) -> Self:
        """Write the model to `root/<id>` and give it back with its identity.

        The folder appears whole or not at all. A model that is there already stays as it is.
        """
        manifest = write_folder(
            root,
            kind=self.scorer.kind,
            taxonomy=self.taxonomy,
            calibration=self.calibration,
            policy=self.policy,
            write_scorer=self.scorer.save,
            origin=self.manifest.origin if self.manifest else {},
            golden=self._golden(),
        )
        return replace(self, manifest=manifest)

    def at_tier(self, tier: str) -> Self:
        """The same model in the tier `fast`, `balanced` or `exact`; raises UsageError where it does not have it."""
        cache = None if self.cache is None else ReadingCache(self.cache.most)
        return replace(self, scorer=at_tier(self.scorer, tier), cache=cache)

    @classmethod
    def load(cls, name: str | Path = STARTER, *, models: Path | None = None, tier: str | None = None) -> Model:
        """Open a model by folder, by id below `models` (default: ./models), or `starter`; in a tier, or its own one.

        Checks the manifest, then every checksum, then builds; nothing in the folder is run. Raises ArtefactError that
        names the file, what was expected and the remedy; warns where it computes otherwise than where it was saved.
        """
        folder = find_model(name, models=models)
        parts = read_folder(folder)
        scorer = open_scorer(parts.manifest.kind, folder)
        model = cls(parts.taxonomy, scorer, parts.calibration, parts.policy, parts.manifest)
        model.judge(["ok"])  # a trial run: what cannot score one word must not be served
        model._warn_if_otherwise(parts.manifest.golden)
        return model if tier is None else model.at_tier(tier)

    def _read(self, texts: Sequence[str]) -> Reading:
        scores = self.scorer.score(texts)
        self._refuse_unhealthy(scores.probs)
        return read_whole(texts, scores, self.scorer, self.calibration, len(self.taxonomy))

    def _golden(self) -> dict[str, list[float]]:
        """The probabilities of the golden texts; none where the model cannot score them."""
        try:
            probs = self.judge(GOLDEN).probs.astype(np.float64)
        except (ArtefactError, InputError):
            return {}
        return {text: np.round(row, 6).tolist() for text, row in zip(GOLDEN, probs, strict=True)}

    def _warn_if_otherwise(self, golden: Mapping[str, Sequence[float]]) -> None:
        found = self._golden() if golden else {}
        change = max(
            (
                float(np.abs(np.subtract(found[text], golden[text])).max())
                for text in found.keys() & golden.keys()
                if len(found[text]) == len(golden[text]) > 0
            ),
            default=0.0,
        )
        if change > OTHERWISE:
            warnings.warn(
                f"Model {self.id} gives other probabilities here than where it was saved: they differ by up to "
                f"{change:.2f}. Use the versions of libraries that its manifest names, or measure it here again with "
                "`tagdesk evaluate`.",
                RuntimeWarning,
                stacklevel=3,
            )

    def _refuse_unhealthy(self, probs: Probs) -> None:
        columns = len(self.calibration.slopes)
        if probs.shape[1] != columns or columns - len(self.taxonomy) not in {0, 1}:
            raise ArtefactError(
                f"Model {self.id}: the weights give {probs.shape[1]} scores and the calibration takes {columns}; the "
                f"taxonomy names {len(self.taxonomy)} labels. Train the model again.",
                code="label_mismatch",
            )
        if not np.isfinite(probs).all():
            raise ArtefactError(
                f"Model {self.id} gives scores that are not finite. Its weights are damaged: train the model again.",
                code="model_unhealthy",
            )


def find_model(name: str | Path, *, models: Path | None = None) -> Path:
    """The folder of a model given by path, id or `starter`; raises ArtefactError where there is none."""
    root = models if models is not None else Path("models")
    if str(name) == STARTER:
        return starter_model()
    candidates = [Path(name), root / str(name)] if not Path(name).is_absolute() else [Path(name)]
    for folder in candidates:
        if _holds_model(folder):
            return folder
    raise ArtefactError(
        f"There is no model {str(name)[:200]!r}: looked for manifest.json there and below {str(root)!r}. "
        "Name a model folder, an id that `tagdesk models` lists, or 'starter'.",
        code="no_model",
    )


def list_models(root: Path) -> list[Manifest]:
    """The manifests of the models below a folder, newest first; what is no model is passed over."""
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if _holds_model(folder) and not folder.name.startswith("."):
            with suppress(ArtefactError, OSError):
                found.append((folder.stat().st_mtime, read_manifest(folder)))
    return [manifest for _, manifest in sorted(found, key=lambda entry: -entry[0])]


def _holds_model(folder: Path) -> bool:
    try:
        return (folder / MANIFEST).is_file()
    except (OSError, ValueError):  # a name that no folder can have, such as one of 10,000 characters
        return False


def _flags(texts: Sequence[CleanText], reading: Reading) -> tuple[tuple[str, ...], ...]:
    """What was unusual about each text, and about how it was read."""
    found = []
    for place, text in enumerate(texts):
        by_scorer = {
            LONG: reading.long[place],
            TRUNCATED: reading.truncated[place],
            "unk_ratio": reading.unknown[place] >= MANY_UNKNOWN,
        }
        found.append(tuple(dict.fromkeys((*text.flags, *(flag for flag, holds in by_scorer.items() if holds)))))
    return tuple(found)
