"""The one door of the running service: predict, remember, review, promote."""

from __future__ import annotations

import logging
import secrets
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from tagdesk.case import Case, sortable_id
from tagdesk.desk import registry
from tagdesk.desk.candidate import open_checked, open_promoted
from tagdesk.desk.experiments import Experiments, Running
from tagdesk.desk.line import Line, Overloaded, TooLate, weight_of
from tagdesk.desk.logbook import Logbook
from tagdesk.encoders.onnx import return_freed_memory
from tagdesk.errors import ArtefactError, Refused, UsageError
from tagdesk.model import STARTER, Manifest, Model, ReadingCache, find_model, read_manifest
from tagdesk.prediction import Prediction
from tagdesk.redact import redact
from tagdesk.review import Review
from tagdesk.store import Answer as ToldAnswer
from tagdesk.store import Decided, NotFound, Promotion, Receipt, Selection, Store, StoreBusy

__all__ = ["Answer", "Desk", "Live", "Overloaded", "Settings", "TooLate", "Where"]

LONGEST_FLUSH = 2.0  # seconds that a review waits for its case to reach the store
LOG = logging.getLogger("tagdesk.desk")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the desk works.

    Attributes:
        models: the folder of the models that may be promoted.
        longest_wait: seconds that a ticket may expect to wait; beyond that it is refused at once.
        keeps_text: whether cases keep the text, personal data removed; without it nothing can be learned from them.
        cached: readings of texts that are kept in memory, by a digest.
    """

    models: Path = Path("models")
    longest_wait: float = 1.0
    keeps_text: bool = True
    cached: int = 10_000


@dataclass(frozen=True, slots=True)
class Live:
    """The model that answers, and the number of the promotion that says so; 0: it was never promoted."""

    model: Model
    promotion: int


@dataclass(frozen=True, slots=True)
class Where:
    """Where a ticket comes from: whose it is, and its name and customer in the help desk."""

    tenant: str
    ticket: str | None = None
    source: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction, where its ticket comes from, and the fingerprint of the taxonomy whose labels it chose from.

    `variant` names the arm of an experiment that answered.
    """

    prediction: Prediction
    where: Where
    taxonomy: str
    variant: str | None = None


_NOWHERE = Where("")
_Asked: TypeAlias = tuple[str, Where]  # a text and where it comes from


class Desk:
    """Answers with the model that was promoted last, and remembers what was said and found.

    Safe to use from several threads. Several processes with one store follow each other's promotions (`follow`).

    Args:
        store: where it remembers.
        settings: how it works.
        clock: the time, in UTC.

    Raises:
        ArtefactError: where the model that was promoted last cannot be opened.
    """

    def __init__(
        self, store: Store, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.store = store
        self.settings = settings
        self.now = clock
        self._swap = threading.Lock()
        current = store.promotions.current()
        name = current.model if current else STARTER
        opened = Model.load(registry.named(name), models=settings.models)
        self._live = Live(self._ready(opened), current.number if current else 0)
        self._leaving: weakref.ref[Model] | None = None  # what answered before, as long as somebody waits for it
        self.experiments = Experiments(store, settings.models, self._opened)
        self.logbook = Logbook(store, self._without_personal_data, then=self.experiments.offer)
        self.line: Line[_Asked, Answer] = Line(
            self._answer, longest_wait=settings.longest_wait, weigh=lambda asked: weight_of([text for text, _ in asked])
        )
        self.experiments.follow()

    @property
    def live(self) -> Live:
        """What answers now."""
        return self._live

    def ask(
        self, texts: Sequence[str], places: Sequence[Where] | None = None, *, within: float
    ) -> Future[list[Answer]]:
        """Answers for texts that `check_text` accepts, by one model but for those in an experiment; raises Overloaded.

        Texts without places are in none. The future fails with TooLate, or as `Model.predict` does; to cancel it is to
        need no answer any more.
        """
        known = [_NOWHERE] * len(texts) if places is None else places
        return self.line.submit(list(zip(texts, known, strict=True)), within=within)

    def cases(self, answers: Sequence[Answer]) -> list[Case]:
        """Answers as cases, which nobody has logged yet."""
        now = self.now()
        return [
            Case(
                sortable_id(now, secrets.token_bytes(10)),
                where.tenant,
                now,
                answer.prediction,
                ticket=where.ticket,
                source=where.source,
                unit=where.unit,
                variant=answer.variant,
            )
            for answer, where in ((one, one.where) for one in answers)
        ]

    def remember(self, cases: Sequence[Case]) -> None:
        """Log cases; they reach the store soon, their texts without personal data."""
        self.logbook.add(cases)

    def keep(self, cases: Sequence[Case], told: ToldAnswer) -> None:
        """Log cases with what was answered to the request that they come from; on the disk when this returns.

        Raises:
            Conflict: where the request has been answered meanwhile.
            StoreUnavailable: where nothing was kept.
        """
        self.store.cases.add([self._without_personal_data(case) for case in cases], answer=told)
        self.experiments.offer(cases)

    def review(self, reviews: Sequence[Review], *, tenant: str) -> list[Receipt]:
        """Keep what people found; what this returns from is on the disk.

        Raises:
            UsageError: for a label that the taxonomy of the model that answers does not know.
            StoreUnavailable: where nothing was kept.
        """
        known = set(self._live.model.taxonomy.names)
        for review in reviews:
            if not review.labels <= known:
                raise UsageError(
                    f"A review holds labels that the taxonomy does not know; known: {', '.join(sorted(known))}.",
                    code="unknown_label",
                )
        cases = [review.case for review in reviews]
        if self.logbook.holds(cases):  # they were answered a moment ago, or the store is gone
            self.logbook.flush(LONGEST_FLUSH)
            if self.logbook.holds(cases):
                raise StoreBusy("The case is not in the store yet. Send the review again in a moment.")
        kept = [replace(review, note=redact(review.note).text) for review in reviews]
        return self.store.reviews.add(kept, tenant=tenant)

    def models(self) -> list[Manifest]:
        """What can be promoted: the starter, then the models of the folder, newest first."""
        found = registry.here(self.settings.models)
        registry.note(self.store, found, now=self.now())
        return found

    def promote(self, model: str, *, who: str, why: str, expected: int | None = None) -> Promotion:
        """Let a model answer from now on, in this process at once and in others that share the store within seconds.

        Raises:
            ArtefactError: where the model is not there or not fit; what answers goes on.
            Conflict: where somebody else promoted since `expected`.
        """
        with self._swap:
            return self._promote(model, who, why, expected)

    def rollback(self, *, who: str, why: str) -> Promotion:
        """Let the model answer that did before; a second rollback goes one further back.

        Raises:
            NotFound: where nothing came before.
            ArtefactError: where that model is gone or not fit.
        """
        with self._swap:
            current, before = self.store.promotions.current(), self.store.promotions.before_current()
            if current is None or before is None:
                raise NotFound("Nothing was promoted before, so there is nothing to roll back to.")
            opened = self._open(before.model, before)
            decided = Decided(who, self.now(), why)
            promotion = self.store.promotions.rollback(decided, expected=current.number)
            self._turn_to(Live(opened, promotion.number))
            return promotion

    def follow(self) -> bool:
        """Swap to what another process has promoted; whether there was anything to swap. To be called every second.

        A model that cannot be opened here leaves the old one in place, and the next call tries again.
        """
        if self._leaving is not None and self._leaving() is None:
            self._leaving = None
            return_freed_memory()
        self.experiments.follow()
        current = self.store.promotions.current()
        if current is None or current.number == self._live.promotion:
            return False
        with self._swap:
            if current.number <= self._live.promotion:
                return False
            if (current.model, current.policy) == (self._live.model.id, self._live.model.policy.id):
                self._live = Live(self._live.model, current.number)
                return False
            opened = open_promoted(registry.named(current.model), self.settings.models)
            self._turn_to(Live(self._ready(opened, current), current.number))
            return True

    def erase(self, which: Selection, *, who: str) -> int:
        """Delete the cases of a customer, a ticket or an id, with all that derives from them; give how many.

        Raises StoreUnavailable where not all that was answered so far could be looked at.
        """
        if not self.logbook.flush(LONGEST_FLUSH):  # one of those that wait may be whom it is about
            raise StoreBusy("Cases are still on their way to the store. Erase again in a moment.")
        erased = self.store.erase(which, who=who, now=self.now())
        if (cache := self._live.model.cache) is not None:
            cache.clear()
        return erased.cases

    def close(self) -> None:
        """Answer who waits, write what was answered, and end."""
        self.line.close()
        self.logbook.close()
        self.experiments.close()

    def _promote(self, name: str, who: str, why: str, expected: int | None) -> Promotion:
        live = self._live
        opened = live.model if name in {live.model.id, _starter_if(live)} else self._open(name, None)
        before = live.model if live.promotion == 0 else None
        promotion = registry.record(self.store, opened, before, Decided(who, self.now(), why), expected=expected)
        self._turn_to(Live(opened, promotion.number))
        LOG.info("promoted", extra={"model": opened.id, "who": who})
        return promotion

    def _turn_to(self, live: Live) -> None:
        if live.model is not self._live.model:
            self._leaving = weakref.ref(self._live.model)
        self._live = live

    def _open(self, model: str, promotion: Promotion | None) -> Model:
        return self._ready(open_checked(registry.named(model), self.settings.models), promotion)

    def _ready(self, model: Model, promotion: Promotion | None = None) -> Model:
        """The model with its cache; raises Refused where it, or its policy, is not the one that was promoted."""
        if promotion is not None and model.id != promotion.model:
            raise Refused(
                f"The folder of model {promotion.model} holds another model, {model.id}. Put the right one back.",
                code="model_changed",
            )
        if promotion is not None and model.policy.id != promotion.policy:
            raise Refused(
                f"Model {model.id} holds another policy than the one that was promoted. Promote it again.",
                code="policy_changed",
            )
        return replace(model, cache=ReadingCache(self.settings.cached)) if self.settings.cached else model

    def _opened(self, name: str, *, tried: bool) -> Model:
        """The model of a variant, which who started the experiment has tried; the live one is not opened twice."""
        live = self._live
        if name in {live.model.id, _starter_if(live)}:
            return live.model
        return (
            self._ready(open_promoted(registry.named(name), self.settings.models)) if tried else self._open(name, None)
        )

    def _without_personal_data(self, case: Case) -> Case:
        text = redact(case.prediction.text).text if self.settings.keeps_text else ""
        return replace(case, prediction=replace(case.prediction, text=text))

    def _answer(self, asked: Sequence[_Asked]) -> list[Answer]:
        live, running, now = self._live, self.experiments.running, self.now()  # read once: they may change meanwhile
        groups: dict[str | None, list[int]] = {}
        for place, (_, where) in enumerate(asked):
            variant = running.design.variant_of(where.unit, where.ticket, now) if running else None
            groups.setdefault(variant, []).append(place)
        found: dict[int, Answer] = {}
        for variant, places in groups.items():
            some = [asked[place] for place in places]
            found |= zip(places, _said(live, running, variant, some), strict=True)
        return [found[place] for place in range(len(asked))]


def _said(live: Live, running: Running | None, variant: str | None, asked: Sequence[_Asked]) -> list[Answer]:
    """Answers to all by one variant of what runs; where that cannot answer, by what is live."""
    texts = [text for text, _ in asked]
    if running is not None and variant is not None:
        voice = running.voices[variant]
        try:
            predictions = voice.model.predict(texts, policy=voice.policy)
        except ArtefactError as error:
            LOG.error("variant_failed", extra={"variant": variant, "code": error.code})  # noqa: TRY400 - enough
        else:
            mark, taxonomy = running.design.mark(variant), voice.model.taxonomy.fingerprint
            return [Answer(one, where, taxonomy, mark) for one, (_, where) in zip(predictions, asked, strict=True)]
    taxonomy = live.model.taxonomy.fingerprint
    return [Answer(one, where, taxonomy) for one, (_, where) in zip(live.model.predict(texts), asked, strict=True)]


def _starter_if(live: Live) -> str | None:
    """`starter`, where that is what answers."""
    return STARTER if live.model.id == read_manifest(find_model(STARTER)).id else None
