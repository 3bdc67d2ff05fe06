"""Tickets that a language model writes for planned labels, of which only those that keep to the plan are taken."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from tagdesk.errors import InputError
from tagdesk.generate.compose import Composer, Written
from tagdesk.generate.endpoint import Endpoint, ProviderError
from tagdesk.generate.seen import Seen
from tagdesk.taxonomy import Taxonomy
from tagdesk.text import check_text, stored

AT_ONCE: Final = 10  # tickets in one request
_TOKENS_PER_TICKET: Final = 400  # of an answer, at most
_CHANCES: Final = 3  # times that one plan is given to the model
_FRUITLESS: Final = 3  # requests in a row without a usable ticket, after which the model is given up

_ORDER: Final = (
    "You write messages that customers send to a support desk, for testing a classifier. For each plan write one "
    "message that raises exactly the needs of its labels, in the customer's own words, and no other need; a plan "
    "without labels gets a message without any need, such as thanks, small talk or advertising. Keep to the channel "
    "and the domain. Vary length, tone and mistakes; invent all names and numbers; never name a label. Answer with "
    'JSON alone: {"tickets": [{"number": 1, "text": "...", "labels": ["..."]}]}, with one entry for each plan, its '
    "labels being those that your message truly raises."
)


@dataclass
class Asked:
    """How it went so far; `stopped` says why fewer tickets came than were wanted, if so."""

    accepted: int = 0
    requests: int = 0
    tokens: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None


@dataclass(frozen=True)
class Author:
    """A language model that writes what a composer plans.

    Attributes:
        endpoint: where the model is.
        taxonomy: the labels, whose descriptions the model reads.
        composer: gives the labels, domain and channel of each ticket.
        words: the words of a text, by which nearly repeated tickets are told.
        budget: tokens of questions and answers that may be spent; None sets no limit.
        repeats: whether nearly repeated tickets are taken.
    """

    endpoint: Endpoint
    taxonomy: Taxonomy
    composer: Composer
    words: Callable[[str], frozenset[str]]
    budget: int | None = None
    repeats: bool = False

    def tickets(self, n: int, asked: Asked) -> Iterator[Written]:
        """Up to n tickets; `asked` is kept up to date meanwhile.

        Raises ProviderError where not even one came. When the budget is spent or the provider fails later, the tickets
        end and `asked.stopped` says why.
        """
        plans = map(self.composer.plan, count())
        again: deque[tuple[Written, int]] = deque()
        seen = Seen(self.words)
        dearest = fruitless = 0
        while asked.accepted < n:
            if self.budget is not None and asked.tokens + max(dearest, 1) > self.budget:
                asked.stopped = f"the budget of {self.budget:,} tokens is spent"
                return
            batch = [again.popleft() if again else (next(plans), 1) for _ in range(min(AT_ONCE, n - asked.accepted))]
            before = asked.tokens
            try:
                entries = self._ask([plan for plan, _ in batch], asked)
            except ProviderError as error:
                if not asked.accepted:
                    raise
                asked.stopped = str(error).rstrip(".")
                return
            dearest = max(dearest, asked.tokens - before)
            taken = 0
            for (plan, chance), entry in zip(batch, entries, strict=True):
                verdict = self._verdict(plan, entry, seen)
                if isinstance(verdict, Written):
                    taken += 1
                    asked.accepted += 1
                    yield verdict
                else:
                    asked.rejected[verdict] += 1
                    if chance < _CHANCES:
                        again.append((plan, chance + 1))
            fruitless = 0 if taken else fruitless + 1
            if fruitless == _FRUITLESS:
                self._give_up(asked)
                return

    def _give_up(self, asked: Asked) -> None:
        reasons = ", ".join(f"{times} {code}" for code, times in asked.rejected.most_common())
        asked.stopped = f"{_FRUITLESS} requests in a row gave no usable ticket (rejected so far: {reasons})"
        if not asked.accepted:
            raise ProviderError(f"The model wrote nothing usable: {reasons}. Use another --model.", code="bad_answer")

    def _ask(self, plans: Sequence[Written], asked: Asked) -> list[Any]:
        """An entry of the answer for each plan; None where there is none."""
        asked.requests += 1
        most_tokens = _TOKENS_PER_TICKET * len(plans)
        if self.budget is not None:
            most_tokens = max(1, min(most_tokens, self.budget - asked.tokens))
        reply = self.endpoint.ask(self._messages(plans), most_tokens=most_tokens)
        asked.tokens += reply.tokens
        return _entries(reply.text, len(plans))

    def _messages(self, plans: Sequence[Written]) -> list[dict[str, str]]:
        task = {
            "rules": self.taxonomy.rules,
            "labels": [
                {"name": label.name, "description": label.description, "gives": label.gives, "not_for": label.not_for}
                for label in self.taxonomy.labels
            ],
            "plans": [
                {"number": number, "labels": plan.labels, "domain": plan.domain, "channel": plan.channel}
                for number, plan in enumerate(plans, 1)
            ],
        }
        return [
            {"role": "system", "content": _ORDER},
            {"role": "user", "content": json.dumps(task, ensure_ascii=False)},
        ]

    def _verdict(self, plan: Written, entry: Any, seen: Seen) -> Written | str:
        """The ticket, or in a word why it is not taken."""
        flaw = self._flaw(plan, entry)
        if flaw:
            return flaw
        try:
            check_text(entry["text"])
            text = stored(entry["text"]).strip()
        except InputError as error:
            return error.code
        return replace(plan, text=text) if self.repeats or seen.add(text) else "repeated"

    def _flaw(self, plan: Written, entry: Any) -> str | None:
        if not isinstance(entry, dict) or not isinstance(entry.get("text"), str):
            return "no_ticket"
        labels = entry.get("labels")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            return "no_labels"
        if self.taxonomy.unknown(labels):
            return "unknown_label"
        return None if set(labels) == set(plan.labels) else "other_labels"


def _entries(answer: str, wanted: int) -> list[Any]:
    """The entries of an answer by their number, (wanted,); None for a number that is missing."""
    start, end = answer.find("{"), answer.rfind("}")  # some models put their JSON between marks
    try:
        document = json.loads(answer[start : end + 1])
        entries = document["tickets"]
        by_number = {entry.get("number"): entry for entry in reversed(entries) if isinstance(entry, dict)}
        return [by_number.get(number) for number in range(1, wanted + 1)]
    except (ValueError, RecursionError, LookupError, TypeError):
        return [None] * wanted
