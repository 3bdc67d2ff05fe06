"""A study of Optuna over the recipes of a plan: begun, gone on with, ended; nothing of it is lost by a kill."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import optuna
from optuna.pruners import MedianPruner
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from tagdesk.errors import UsageError
from tagdesk.tune.found import Row
from tagdesk.tune.plan import Plan
from tagdesk.tune.sampler import AGAIN, ResumableSampler
from tagdesk.tune.space import RECIPE, Choice, Domain
from tagdesk.tune.storage import close_storage, naming_faults, open_storage, shown

ABOUT: Final = "tagdesk"  # the user attribute of a study that holds the plan's fingerprint
START: Final = "start"  # that of a trial that is a recipe as it comes, with the recipe's name
WORKER: Final = "worker"  # that of a trial with the process that does it
KILLED: Final = "killed"  # that of a trial that was done before, in a process that was killed
BEAT: Final = "beat"  # that of a trial with the time at which its process was last seen, in seconds since 1970
REASON: Final = "reason"  # why a trial failed
LATENCY: Final = "latency_ms"
LONGEST_NAME: Final = 200
STALE: Final = 1800.0  # seconds without a sign of life, after which a process of another machine counts as dead
NEWBORN: Final = 60.0  # seconds in which a trial may be without a process's name
_UNPRUNED: Final = 5  # trials that are done to the end before any is pruned


@dataclass(frozen=True)
class OpenStudy:
    """A study that belongs to a plan; a `with` block closes it.

    Attributes:
        study: Optuna's own.
        plan: the tickets and what is searched for.
        place: where it is kept, as messages name it.
        storage: where it is kept.
        remarks: what a person should know of how it was opened.
    """

    study: Study
    plan: Plan
    place: str
    storage: BaseStorage
    remarks: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        close_storage(self.storage)

    @property
    def name(self) -> str:
        """The study's name."""
        return self.study.study_name

    def trials(self) -> list[FrozenTrial]:
        """All trials, in order."""
        return self.study.get_trials(deepcopy=False)

    def done(self) -> int:
        """How many trials count: those that ended by themselves, and those that another process is at."""
        stopped = self.stopped()
        return sum(
            trial.state == TrialState.RUNNING or (trial.state.is_finished() and trial.number not in stopped)
            for trial in self.trials()
        )

    def stopped(self) -> set[int]:
        """The numbers of trials that were stopped and are done again."""
        return {trial.user_attrs[AGAIN] for trial in self.trials() if AGAIN in trial.user_attrs}

    def best(self, name: str | None = None) -> FrozenTrial | None:
        """The trial with the highest value of all that are allowed, or of those that are a recipe as it comes."""
        allowed = [
            trial
            for trial in self.trials()
            if trial.state == TrialState.COMPLETE
            and (trial.user_attrs.get(START) == name if name else _is_feasible(trial))
        ]
        return max(allowed, key=lambda trial: (trial.values[0], -trial.number), default=None)

    def seconds(self) -> float | None:
        """The mean time of a trial that was done to the end; None where none was."""
        times = [t.duration.total_seconds() for t in self.trials() if t.state == TrialState.COMPLETE and t.duration]
        return sum(times) / len(times) if times else None

    def ask(self) -> tuple[Trial, dict[str, Any]]:
        """The next trial, with its parameters."""
        trial = self.study.ask()
        trial.set_user_attr(WORKER, _this_process())
        trial.set_user_attr(BEAT, time.time())
        space = self.plan.task.space
        parameters = {RECIPE: trial.suggest_categorical(RECIPE, list(space.bases))}
        for setting, domain in space.free(parameters[RECIPE]).items():
            parameters[setting] = _suggested(trial, setting, domain)
        return trial, parameters

    def end(self, number: int) -> bool:
        """End a trial without a value; False where another process was quicker."""
        try:
            self.study.tell(number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return False
        return True

    def again(self, number: int, **marks: bool) -> None:
        """Stop a trial, and let it be done again as soon as there is time."""
        trial = self.trials()[number]
        if self.end(number):
            kept = {key: trial.user_attrs[key] for key in (START, KILLED) if key in trial.user_attrs}
            parameters = trial.params or trial.system_attrs.get("fixed_params", {})
            self.study.enqueue_trial(parameters, user_attrs={AGAIN: number} | kept | marks)

    def rows(self) -> list[Row]:
        """The trials as plain values, those that wait left out."""
        again = {trial.user_attrs[AGAIN]: trial.number for trial in self.trials() if AGAIN in trial.user_attrs}
        return [_row(trial, again) for trial in self.trials() if trial.state != TrialState.WAITING]


def open_study(plan: Plan, place: str, name: str) -> OpenStudy:
    """The study of that name, begun where there is none, with the trials of dead processes put back.

    Raises:
        UsageError: for a study of other tickets or settings, or one that is no search of tagdesk.
        InputError: for a file that is no journal, or a damaged one.
        TagdeskError: where a database does not answer.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"Study {name[:40]!r}: expected a name of 1 to {LONGEST_NAME} visible characters.", code="bad_study"
        )
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # the caller tells what there is to tell
    storage, remark = open_storage(place)
    try:
        with naming_faults(place):
            return _opened(plan, place, name, storage, remark)
    except BaseException:
        close_storage(storage)
        raise


def _opened(plan: Plan, place: str, name: str, storage: BaseStorage, remark: str) -> OpenStudy:
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        sampler=ResumableSampler(plan.task.seed),
        # Values of the same folds are compared trial by trial, so that few of them tell. Hyperband needs more steps
        # than there are folds; Wilcoxon's test of five folds can show nothing before the last but one.
        pruner=MedianPruner(n_startup_trials=_UNPRUNED),
    )
    _refuse_strangers(study, plan, shown(place))
    opened = OpenStudy(study, plan, shown(place), storage, (remark,) if remark else ())
    dead = _put_back(opened)
    _enqueue_starts(opened)
    more = (f"{dead} of its trials had not ended when their process did; they are done again.",) if dead else ()
    return replace(opened, remarks=opened.remarks + more)


def _refuse_strangers(study: Study, plan: Plan, place: str) -> None:
    about, ours = study.user_attrs.get(ABOUT), dict(plan.fingerprint)
    if about is None and not study.get_trials(deepcopy=False):
        study.set_user_attr(ABOUT, ours)
        return
    if not isinstance(about, dict):
        raise UsageError(
            f"The study {study.study_name!r} in {place} is no search of tagdesk. Give another --study.",
            code="bad_study",
        )
    other = [part for part in {**ours, **about} if ours.get(part) != about.get(part)]
    if other:
        raise UsageError(
            f"The study {study.study_name!r} in {place} was begun with other {', '.join(other)}. Call with the same "
            "ones to go on with it, or give another --study.",
            code="other_study",
        )


def _enqueue_starts(opened: OpenStudy) -> None:
    """Let each recipe as it comes be tried first, so that no search ends worse than it began."""
    space, there = opened.plan.task.space, {trial.user_attrs.get(START) for trial in opened.trials()}
    new = [name for name in space.bases if name not in there]
    for name in new:
        opened.study.enqueue_trial(space.start(name), user_attrs={START: name})
    for parameters in (other for name in new for other in space.on_other_encoders(name)):
        opened.study.enqueue_trial(parameters)


def _put_back(opened: OpenStudy) -> int:
    """End the trials whose process is dead, and let each be done again; how many there were.

    One that died twice is left: it may be what kills the process.
    """
    dead = [trial for trial in opened.trials() if trial.state == TrialState.RUNNING and not _is_alive(trial)]
    for trial in dead:
        if KILLED in trial.user_attrs:
            opened.end(trial.number)
        else:
            opened.again(trial.number, **{KILLED: True})
    return len(dead)


def _is_alive(trial: FrozenTrial) -> bool:
    """Whether the process that has begun a trial is still at it."""
    worker = trial.user_attrs.get(WORKER)
    if worker is None:
        return trial.datetime_start is not None and time.time() - trial.datetime_start.timestamp() < NEWBORN
    host, process, began = worker
    if host != socket.gethostname():
        return bool(time.time() - trial.user_attrs.get(BEAT, 0.0) < STALE)
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's process
        return True
    return began in {"", _began(process)}


def _this_process() -> list[Any]:
    return [socket.gethostname(), os.getpid(), _began(os.getpid())]


def _began(process: int) -> str:
    """When a process began, by the system's own clock; empty where the system does not say."""
    try:
        # The name in brackets may hold blanks and brackets; the 20th field behind it is the time.
        return (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
        )
    except (OSError, IndexError):
        return ""


def _suggested(trial: Trial, name: str, domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return trial.suggest_categorical(name, list(domain.values))
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.is_log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.is_log)


def _is_feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def _row(trial: FrozenTrial, again: dict[int, int]) -> Row:
    reason = str(trial.user_attrs.get(REASON, ""))
    if trial.number in again:
        state, reason = "stopped", f"done again as trial {again[trial.number]}"
    elif not _is_feasible(trial):
        state = "too slow"
    elif trial.state == TrialState.FAIL:
        state, reason = "failed", reason or "its process was killed, twice"
    else:
        state = trial.state.name.lower()
    duration = trial.duration
    return Row(
        number=trial.number,
        state=state,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        parameters=dict(trial.params),
        start=trial.user_attrs.get(START),
        seconds=duration.total_seconds() if duration else None,
        latency_ms=trial.user_attrs.get(LATENCY),
        steps=tuple(value for _, value in sorted(trial.intermediate_values.items())),
        reason=reason,
    )
