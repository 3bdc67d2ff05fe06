"""Searches a plan within its limits, and judges what was found on tickets that the search has not seen."""

from __future__ import annotations

import math
import time
import warnings
from contextlib import suppress
from typing import Any, Final

import numpy as np
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from tagdesk.compare import Answers, Bootstrap, Pairs, Verdict, judge
from tagdesk.errors import MissingExtra, Refused, TagdeskError
from tagdesk.measure import Evidence
from tagdesk.tune.bench import Bench, latency_ms
from tagdesk.tune.found import Found, Judged, Row
from tagdesk.tune.limits import Limits, Standing, Watch, unwatched
from tagdesk.tune.plan import Plan
from tagdesk.tune.space import RECIPE
from tagdesk.tune.storage import naming_faults
from tagdesk.tune.study import BEAT, LATENCY, REASON, START, OpenStudy

_LATENCY: Final = "latency"  # the constraint's name
_FITS_TO_JUDGE: Final = 1.3  # times what a trial takes: a fit for each fold, one to all tickets, and the outer ones
_MOST_TO_JUDGE: Final = 0.5  # of the time, however long judging takes


class _Pruned(Exception):  # noqa: N818 - what happened to the trial
    """The trial is worse than others, or too slow."""


class _TimeIsUp(Exception):  # noqa: N818 - what happened to the trial
    """The trial cannot be ended within the limit."""


class Search:
    """A study that goes on until its limits.

    Args:
        opened: the study.
        limits: when to end.
        bench: where trials are fitted; None for a new one. What encoders have read stays on it.
        watch: told after each fold.
    """

    def __init__(
        self, opened: OpenStudy, limits: Limits, *, bench: Bench | None = None, watch: Watch = unwatched
    ) -> None:
        self.opened = opened
        self.plan: Plan = opened.plan
        self.limits = limits
        self.bench = bench or Bench(opened.plan)
        self.bench.readings.progress = self._on_reading
        self._watch = watch
        self._began = time.monotonic()

    def run(self) -> Found:
        """Do trials until a limit, then judge the best one.

        Raises:
            Refused: where no trial came to an end.
            TagdeskError: where the storage fails.
        """
        with naming_faults(self.opened.place):
            while self.opened.done() < self.limits.trials and self._left() > 0:
                if not self._trial():
                    break
            return self._judged()

    def _trial(self) -> bool:
        """Do one trial; whether there is time for more."""
        trial, parameters = self.opened.ask()
        study = self.opened.study
        try:
            value = self._value(trial, parameters)
        except _Pruned:
            study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
        except _TimeIsUp:
            self.opened.again(trial.number)
            return False
        except KeyboardInterrupt:
            self.opened.again(trial.number)
            raise
        except MissingExtra:
            self.opened.again(trial.number)
            raise
        except Exception as error:  # noqa: BLE001 - whatever a setting makes a fit do, the others may do well
            self._fail(trial, _reason(error))
        else:
            if math.isfinite(value):
                study.tell(trial, value, skip_if_finished=True)
            else:
                self._fail(trial, "the objective is undefined on the inner tickets")
        self._tell()
        return True

    def _value(self, trial: Trial, parameters: dict[str, Any]) -> float:
        """The goal's figure on all folds; raises where the trial ends before."""
        plan, folds = self.plan, self.plan.folds
        recipe = plan.task.space.recipe(parameters)
        is_start = START in trial.user_attrs
        raw = np.zeros(plan.inner.targets.shape, dtype=np.float32)
        value = math.nan
        for done, fold in enumerate(folds, start=1):
            with warnings.catch_warnings():
                _quiet()
                raw[fold], fitted = self.bench.score(recipe, fold)
            if done == 1 and self._is_too_slow(trial, latency_ms(fitted.scorer)) and not is_start:
                raise _Pruned
            if done > 1:
                value = self.bench.worth(recipe, raw, folds[:done])
                if math.isfinite(value):
                    trial.report(value, done)
            trial.set_user_attr(BEAT, time.time())
            if done < len(folds):
                if self._left() <= 0:
                    raise _TimeIsUp
                if done > 1 and not is_start and math.isfinite(value) and trial.should_prune():
                    raise _Pruned
                self._tell()
        return value

    def _is_too_slow(self, trial: Trial, milliseconds: float) -> bool:
        """Note how long a ticket takes; whether it is longer than allowed."""
        trial.set_user_attr(LATENCY, milliseconds)
        limit = self.plan.task.latency_ms
        if limit is None:
            return False
        trial.set_constraint(_LATENCY, milliseconds - limit)
        return milliseconds > limit

    def _fail(self, trial: Trial, reason: str) -> None:
        with suppress(UpdateFinishedTrialError):  # another machine took this one for dead
            trial.set_user_attr(REASON, reason)
        self.opened.end(trial.number)

    def _left(self) -> float:
        """Seconds until the search must end, so that there is time to judge; below 0 when it is over."""
        spent = time.monotonic() - self._began
        return self.limits.seconds - spent - min(self._to_judge(), _MOST_TO_JUDGE * self.limits.seconds)

    def _to_judge(self) -> float:
        """Seconds that judging the best and the default will take."""
        both = (self.opened.best(), self.opened.best(self.plan.task.default))
        return _FITS_TO_JUDGE * sum(t.duration.total_seconds() for t in both if t is not None and t.duration)

    def _on_reading(self, _what: str, done: int, total: int) -> None:
        if self._left() <= 0 and done < total:
            raise _TimeIsUp
        self._tell(reading=(done, total) if done < total else None)

    def _tell(self, reading: tuple[int, int] | None = None, *, is_judging: bool = False) -> None:
        trials, best = self.opened.trials(), self.opened.best()
        done = sum(trial.state.is_finished() for trial in trials) - len(self.opened.stopped())
        each = self.opened.seconds()
        needed = math.inf if each is None else each * max(0, self.limits.trials - done)
        self._watch(
            Standing(
                done,
                self.limits.trials,
                best.value if best else None,
                str(best.params[RECIPE]) if best else "",
                max(0.0, min(self._left(), needed)),
                reading,
                is_judging,
            )
        )

    def _judged(self) -> Found:
        self.bench.readings.progress = lambda *_: None
        plan, best = self.plan, self.opened.best()
        if best is None:
            raise Refused(self._nothing(), code="no_trial")
        self._tell(is_judging=True)
        default = self.opened.best(plan.task.default)
        ours = self._on_outer(best)
        is_same = default is not None and default.params == best.params
        theirs = None if default is None else ours if is_same else self._on_outer(default)
        verdict = _verdict(plan, theirs[1], ours[1]) if theirs else None
        return Found(
            objective=str(plan.task.goal),
            study=(self.opened.name, self.opened.place),
            tickets=(len(plan.inner), len(plan.outer)),
            counts=plan.counts,
            warnings=(*plan.warnings, *self.opened.remarks),
            rows=tuple(self.opened.rows()),
            best=ours[0],
            default=theirs[0] if theirs else None,
            verdict=verdict,
            seconds=time.monotonic() - self._began,
            latency_ms=plan.task.latency_ms,
        )

    def _on_outer(self, trial: FrozenTrial) -> tuple[Judged, Evidence | None]:
        """A trial's recipe by the tickets that the search has not seen."""
        recipe = self.plan.task.space.recipe(trial.params)
        row = self._row(trial.number)
        try:
            with warnings.catch_warnings():
                _quiet()
                evidence = self.bench.on_outer(recipe)
        except Exception as error:  # noqa: BLE001 - as in a trial
            return Judged(row, recipe, None, None, _reason(error)), None
        value = self.plan.task.goal.of(evidence.targets, evidence.probs, evidence.decided)
        report = evidence.report(self.plan.names, seed=self.plan.task.seed)
        return Judged(row, recipe, report, value if math.isfinite(value) else None), evidence

    def _row(self, number: int) -> Row:
        return next(row for row in self.opened.rows() if row.number == number)

    def _nothing(self) -> str:
        rows = self.opened.rows()
        slow = sum(row.state == "too slow" for row in rows)
        if slow:
            return (
                f"None of the {slow} trials answers within {self.plan.task.latency_ms:g} ms. Allow more, or add a "
                "recipe that is quicker."
            )
        reasons = [row.reason for row in rows if row.state == "failed"]
        if reasons:
            return f"None of the {len(reasons)} trials could be fitted. The last one: {reasons[-1]}"
        return "The time was over before one trial was done. Call again with more --minutes: what was done is kept."


def _verdict(plan: Plan, current: Evidence | None, challenger: Evidence | None) -> Verdict | None:
    """Whether the best is better than the default on the outer tickets."""
    if current is None or challenger is None:
        return None
    pairs = Pairs(
        plan.outer.targets,
        Answers(current.decided, current.probs),
        Answers(challenger.decided, challenger.probs),
        plan.names,
    )
    difference = plan.task.goal.difference(pairs, Bootstrap(seed=plan.task.seed))
    return judge(difference, who="The tuned recipe")


def _reason(error: Exception) -> str:
    """Why something could not be fitted, on one line."""
    said = str(error) if isinstance(error, TagdeskError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:500]


def _quiet() -> None:
    """Leave out what scikit-learn says of fits that stop at its last step: they serve, and trials are many."""
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - slow to import

    warnings.simplefilter("ignore", ConvergenceWarning)
