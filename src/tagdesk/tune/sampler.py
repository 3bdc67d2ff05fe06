"""Lets a search that was stopped propose what it would have proposed without the stop."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

AGAIN = "again_of"  # the user attribute that holds the number of the stopped trial that this one does again


class ResumableSampler(BaseSampler):
    """Optuna's TPE with chance that depends on the seed and on the trial's place alone.

    A sampler with one stream of chance begins it anew in every process: after a stop it proposes again what it has
    proposed before, and two processes on one study propose the same.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sampler = _tpe(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Begin the trial's own stream of chance."""
        trials = study.get_trials(deepcopy=False)
        stopped = {other.user_attrs.get(AGAIN) for other in trials}
        place = sum(other.number not in stopped for other in trials if other.number < trial.number)
        self._sampler = _tpe(int(np.random.SeedSequence([self._seed, place]).generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What is sampled together, as TPE has it."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Values that are sampled together, as TPE has it."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One value alone, as TPE has it."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """What TPE does after a trial."""
        self._sampler.after_trial(study, trial, state, values)


def _tpe(seed: int) -> TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # Grouped: settings of one recipe are sampled together, though trials of another recipe lack them.
        return TPESampler(seed=seed, multivariate=True, group=True)
