"""Makes, starts and stops experiments, and opens what their variants answer with."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tagdesk.case import Case
from tagdesk.desk import registry
from tagdesk.desk.shadow import ShadowRunner
from tagdesk.errors import TagdeskError
from tagdesk.experiment.design import Arm, Design, Kind, State
from tagdesk.model import Model, find_model
from tagdesk.policy import Policy
from tagdesk.store import Conflict, ExperimentVersion, NotFound, Store

LOG = logging.getLogger("tagdesk.desk")


@dataclass(frozen=True, slots=True)
class Voice:
    """What a variant answers with; `policy` is None for the model's own."""

    model: Model
    policy: Policy | None


@dataclass(frozen=True, slots=True)
class Running:
    """An experiment that runs here: its design, its version in the store, and the voices of its variants."""

    design: Design
    version: int
    voices: Mapping[str, Voice]

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from another one, and from itself before a change."""
        return self.design.name, self.version


class Opener(Protocol):
    """Opens the model of a variant."""

    def __call__(self, name: str, *, tried: bool) -> Model:
        """The model of that id, or `starter`; where nobody has tried it, in a process of its own first."""
        ...


class Experiments:
    """The experiments of a store, and the one of them that runs in this process. One runs at a time.

    Args:
        store: where they are written down.
        models: the folder of models.
        opener: opens the model of a variant.
        runs_here: whether this process answers people; else it only writes down what others shall do.
    """

    def __init__(self, store: Store, models: Path, opener: Opener, *, runs_here: bool = True) -> None:
        self._runs_here = runs_here
        self._store = store
        self._models = models
        self._opener = opener
        self._change = threading.Lock()
        self._unfit: tuple[str, int] | None = None  # one that cannot run here
        self.running: Running | None = None
        self.shadow: ShadowRunner | None = None

    def create(self, design: Design, *, who: str, now: datetime) -> ExperimentVersion:
        """Write a new experiment down; raises Conflict where there is one of that name."""
        if self._store.experiments.get(design.name) is not None:
            raise Conflict(f"There is an experiment {design.name!r} already. Choose another name; old ones stay.")
        version = ExperimentVersion(design.name, 1, design.to_dict(), who, now)
        self._store.experiments.add(version)
        return version

    def start(self, name: str, *, who: str, why: str, now: datetime) -> Design:
        """Let an experiment begin, once each of its variants was tried: here at once, elsewhere within seconds.

        Raises:
            NotFound: where there is none of that name.
            Conflict: where another one runs, or its variants do not know the same labels.
            ArtefactError: where a model is not there or not fit.
            UsageError: where it is no draft.
        """
        version, design = find(self._store, name)
        started = design.started(now, why)
        if (other := that_runs(self._store)) is not None:
            raise Conflict(f"Experiment {other[1].name!r} runs. Stop it first; one runs at a time.")
        voices = [self._voice(arm, tried=False) for arm in design.arms.values()]
        if len({voice.model.taxonomy.fingerprint for voice in voices}) > 1:
            raise Conflict("The variants do not know the same labels, so their answers cannot be compared.")
        self._store.experiments.add(ExperimentVersion(name, version.version + 1, started.to_dict(), who, now))
        self.follow()
        return started

    def stop(self, name: str, *, who: str, why: str, now: datetime) -> Design:
        """End an experiment for good; what was promoted last answers again. Raises NotFound or UsageError."""
        version, design = find(self._store, name)
        stopped = design.stopped(why)
        self._store.experiments.add(ExperimentVersion(name, version.version + 1, stopped.to_dict(), who, now))
        self.follow()
        return stopped

    def follow(self) -> None:
        """Turn to the experiment that the store says is running; one that cannot be opened here does not run here."""
        if not self._runs_here:
            return
        with self._change:
            found = that_runs(self._store)
            key = None if found is None else (found[1].name, found[0].version)
            if key == (None if self.running is None else self.running.key) or (key is not None and key == self._unfit):
                return
            self._end()
            if found is not None:
                self._begin(found[0].version, found[1])

    def offer(self, cases: Sequence[Case]) -> None:
        """Let who is asked behind the answers see cases that the store has; this never waits."""
        if (shadow := self.shadow) is not None:
            shadow.offer(cases)

    def close(self) -> None:
        """End what runs here; the store keeps it running elsewhere."""
        with self._change:
            self._end()

    def _begin(self, version: int, design: Design) -> None:
        try:
            running = Running(
                design, version, {name: self._voice(arm, tried=True) for name, arm in design.arms.items()}
            )
            if design.kind is Kind.SHADOW:
                (challenger,) = design.challengers
                arm = design.arms[challenger]
                folder = find_model(registry.named(arm.model), models=self._models)
                self.shadow = ShadowRunner(self._store, folder, arm.policy, design.mark(challenger))
        except (TagdeskError, OSError) as error:
            self._unfit = design.name, version
            code = error.code if isinstance(error, TagdeskError) else "os_error"
            LOG.error("experiment_unfit", extra={"experiment": design.name, "code": code})  # noqa: TRY400 - enough
            return
        self.running = running
        LOG.info("experiment", extra={"experiment": design.name, "version": version})

    def _end(self) -> None:
        self.running = None
        shadow, self.shadow = self.shadow, None
        if shadow is not None:
            shadow.close()

    def _voice(self, arm: Arm, *, tried: bool) -> Voice:
        model = self._opener(arm.model, tried=tried)
        return Voice(model, None if arm.policy is None else Policy.from_dict(arm.policy, model.taxonomy.names))


def designs(store: Store) -> list[tuple[ExperimentVersion, Design]]:
    """The experiments as they stand, by their names; what cannot be read is passed over."""
    found = []
    for version in store.experiments.newest():
        try:
            found.append((version, Design.from_dict(version.definition)))
        except TagdeskError:
            continue
    return found


def find(store: Store, name: str) -> tuple[ExperimentVersion, Design]:
    """An experiment as it stands; raises NotFound."""
    version = store.experiments.get(name)
    if version is None:
        raise NotFound("There is no such experiment. `tagdesk experiment list` names those that there are.")
    return version, Design.from_dict(version.definition)


def that_runs(store: Store) -> tuple[ExperimentVersion, Design] | None:
    """The experiment that runs; None without one."""
    running = [(version, design) for version, design in designs(store) if design.state is State.RUNNING]
    return min(running, key=lambda entry: (entry[0].time, entry[0].name), default=None)
