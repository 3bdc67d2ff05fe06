"""The desk's doors for help desks: what they send comes in proven and once, and becomes cases and reviews."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from tagdesk.case import Case
from tagdesk.connectors import Delivery, Headers, HelpDeskError, Incoming, Own, Tags
from tagdesk.connectors.sites import Site
from tagdesk.desk import Answer, Desk, Where
from tagdesk.desk.borne import Writings
from tagdesk.desk.write_back import WriteBack
from tagdesk.errors import UsageError
from tagdesk.review import Review, Source
from tagdesk.store import Answer as ToldAnswer
from tagdesk.store import Conflict, Request
from tagdesk.text import check_text

LOG = logging.getLogger("tagdesk.desk")

ASKING = 3.0  # seconds within which a help desk must tell a ticket's tags
AT_ONCE = 2  # tickets of one help desk that are asked about at once; a desk that hangs holds up no others

REVIEWED = "reviewed"
UNCHANGED = "unchanged"
UNKNOWN_TICKET = "unknown_ticket"
REFUSED = "refused"


class Hook:
    """The door for one help desk.

    A delivery is claimed in the store under its digest and its id before anything comes of it, so that of several
    processes one takes it, and once more after a crash only where nothing had come of the first.

    Args:
        desk: that predicts and remembers.
        site: the help desk.
        told: is told what became of each write-back.
    """

    def __init__(self, desk: Desk, site: Site, told: Callable[[str, str], None]) -> None:
        site.check(desk.live.model.taxonomy.names)
        self.site = site
        self.write_back = WriteBack(desk, site, lambda outcome: told(site.name, outcome))
        self._desk = desk
        self._writings = Writings(desk.store, site, desk.now)
        patience = replace(site.help_desk.patience, timeout=ASKING, tries=1)
        self._asked = replace(site.help_desk, patience=patience)
        self._askers = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=f"tagdesk-hook-{site.name}")

    def verify(self, headers: Headers, body: bytes) -> Delivery:
        """The delivery, if it is the help desk's, signed a moment ago; raises Forged."""
        return self.site.help_desk.connector.verify(headers, body, self.site.secret, now=self._desk.now())

    def read(self, delivery: Delivery) -> Incoming:
        """What a delivery says; raises BadPayload or another InputError."""
        tags = self._tags()
        known = frozenset(tags.by_label)
        own = Own(tags, self.site.users, lambda ticket: self._writings.borne(ticket, known).most)
        event = self.site.help_desk.connector.read(delivery, own)
        if event.kind == "message":
            check_text(event.text)  # here, for in the line it would fail those who are read together with it
        return event

    def where(self, event: Incoming) -> Where:
        """Where the ticket of a message comes from."""
        return Where(self.site.tenant, ticket=event.ticket, source=self.site.name, unit=event.unit)

    def claim(self, event: Incoming) -> bool:
        """Take a delivery on; False for one that was taken before. Raises Conflict while another is at it."""
        claimed: list[Request] = []
        for request in self._names(event):
            try:
                told = self._desk.store.answers.claim(request, now=self._desk.now())
            except Conflict:
                self._release(claimed)
                raise
            if told is not None:
                for other in claimed:  # a name that it did not have the first time
                    self._keep(other)
                return False
            claimed.append(request)
        return True

    def release(self, event: Incoming) -> None:
        """Let the next one take a delivery that came to nothing."""
        self._release(self._names(event))

    def log(self, event: Incoming, answer: Answer) -> Case:
        """Log what was said of a message and let it be written back; the case is on the disk when this returns.

        Raises Conflict where another has answered the delivery meanwhile.
        """
        (case,) = self._desk.cases([answer])
        digest, named = self._names(event)
        self._desk.keep([case], ToldAnswer(named, {}, self._desk.now()))  # in one transaction
        self._keep(digest)
        self.write_back.add(case)
        return case

    def correct(self, event: Incoming) -> Future[str]:
        """Take an agent's tags over as a review of the ticket's newest case; gives what became of it.

        The help desk is asked for the tags as they are now: those of the delivery may be older than a write-back. The
        future fails with HelpDeskError where it does not tell, and as `Desk.review`.
        """
        return self._askers.submit(self._correct, event)

    def close(self) -> None:
        """End what goes on behind the answers."""
        self._askers.shutdown(wait=False, cancel_futures=True)
        self.write_back.close()

    def _correct(self, event: Incoming) -> str:
        outcome = self._reviewed(event)
        for request in self._names(event):
            self._keep(request)
        return outcome

    def _reviewed(self, event: Incoming) -> str:
        tags, ticket = self._tags(), event.ticket
        known = frozenset(tags.by_label)
        cases = self._writings.cases(ticket)
        before = self._writings.borne(ticket, known)
        if not cases or not known:
            return UNKNOWN_TICKET
        if event.labels is not None and before.may_be(event.labels):
            return UNCHANGED
        try:
            labels = tags.labels_of(self._asked.tags(ticket))
        except HelpDeskError as error:
            if error.code == "help_desk_away":
                raise
            LOG.warning("tags_refused", extra={"help_desk": self.site.name, "code": error.code, "status": error.status})
            return REFUSED
        if before.may_be(labels) or self._writings.borne(ticket, known).may_be(labels):
            return UNCHANGED
        case, _ = cases[0]
        review = Review(
            case.id,
            labels,
            event.who or f"{self.site.name} agent",
            event.when or self._desk.now(),
            source=Source.HELP_DESK,
            key=self._names(event)[-1].key,
        )
        self._desk.review([review], tenant=self.site.tenant)
        return REVIEWED

    def _tags(self) -> Tags:
        """The tags of the model that answers; none where it has labels that the help desk cannot have as tags."""
        try:
            return self.site.tags(self._desk.live.model.taxonomy.names)
        except UsageError as error:
            LOG.error("unfit_tags", extra={"help_desk": self.site.name, "code": error.code})  # noqa: TRY400 - enough
            return Tags({})

    def _names(self, event: Incoming) -> list[Request]:
        """The names that the store knows a delivery by: its digest, which was signed, and its id."""
        names = event.digest, hashlib.sha256(f"{self.site.name}\n{event.event_id}".encode()).hexdigest()
        return [Request(f"webhook {self.site.name}", name, "webhook") for name in names]

    def _keep(self, request: Request) -> None:
        self._desk.store.answers.keep(ToldAnswer(request, {}, self._desk.now()))

    def _release(self, requests: Sequence[Request]) -> None:
        for request in requests:
            self._desk.store.answers.release(request)


class Hooks:
    """The doors of all help desks, by their names.

    Args:
        desk: that predicts and remembers.
        sites: the help desks; raises UsageError where two have one name, or one has no tag for a label.
        told: is told of each write-back at which help desk it was, and what became of it.
    """

    def __init__(self, desk: Desk, sites: Sequence[Site], told: Callable[[str, str], None]) -> None:
        self.by_name = {site.name: Hook(desk, site, told) for site in sites}

    def start(self) -> None:
        """Begin to write back."""
        for hook in self.by_name.values():
            hook.write_back.start()

    def close(self) -> None:
        """End; what is not written yet is found by the next process that starts."""
        for hook in self.by_name.values():
            hook.close()
