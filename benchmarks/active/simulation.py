"""Asks round by round, gives the known answers, and learns from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active.head import Head, f1_macro
from active.tasks import Task
from tagdesk.arrays import FloatArray
from tagdesk.rank import Advice, Pool, Round, advice, choose

RANDOM, DEFAULT = "random", "mix"


@dataclass(frozen=True)
class Asking:
    """How tickets are chosen: the strategy, the share of random checks, and whether a batch is diverse."""

    strategy: str = DEFAULT
    audit_share: float = 0.2
    is_diverse: bool = True


WAYS = {
    RANDOM: Asking(audit_share=1.0),
    DEFAULT: Asking(),
    "mix, not diverse": Asking(is_diverse=False),
    "mix, no random checks": Asking(audit_share=0.0),
    "runner_up": Asking("runner_up"),
    "margin": Asking("margin"),
    "mean_entropy": Asking("mean_entropy"),
    "cvirs": Asking("cvirs"),
}


@dataclass(frozen=True)
class Run:
    """One simulation: labels and macro F1 on the test part (rounds,), and the advice after each round."""

    labels: FloatArray
    f1: FloatArray
    advices: list[Advice]


@dataclass(frozen=True)
class Size:
    """How much is simulated: tickets at the start, least batch, growth of a round, share that is asked about."""

    start: int
    batch: int
    growth: float
    upto: float


def simulated(task: Task, asking: Asking, size: Size, seed: int) -> Run:
    """Ask round by round until a share of the pool is labelled."""
    pool, chance = task.pool, np.random.default_rng(seed)
    is_labelled = np.zeros(len(pool.seen), dtype=np.bool_)
    batch = chance.permutation(len(pool.seen))[: size.start]
    head = Head(pool.seen.shape[1], len(task.labels), task.strength)
    labels, figures, history, advices = [], [], [], []
    while True:
        is_labelled[batch] = True
        head.fit(pool.seen[is_labelled], pool.targets[is_labelled])
        policy = head.policy(task.reserve.seen, task.labels)
        labels.append(int(is_labelled.sum()))
        figures.append(f1_macro(task.test.targets, head.decided(task.test.seen, policy)))
        decisions = head.decided(task.reserve.seen, policy)
        history.append(Round(labels[-1], decisions, f1_macro(task.reserve.targets, decisions), pool.targets[batch]))
        advices.append(advice(history))
        if labels[-1] >= size.upto * len(is_labelled):
            return Run(np.array(labels, dtype=np.float64), np.array(figures), advices)
        free = np.flatnonzero(~is_labelled)
        looked_at = Pool(
            head.score(pool.seen[free]),
            policy,
            embeddings=pool.seen[free] if asking.is_diverse else None,
            labelled=pool.targets[is_labelled],
            labelled_embeddings=pool.seen[is_labelled] if asking.is_diverse else None,
        )
        wanted = max(size.batch, int(size.growth * labels[-1]))
        picks = choose(
            looked_at, wanted, asking.strategy, audit_share=asking.audit_share, seed=int(chance.integers(2**31))
        )
        batch = free[[pick.place for pick in picks]]
