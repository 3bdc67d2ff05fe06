"""What the service counts about itself, for Prometheus; no label holds what a client sent."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tagdesk.desk import Desk
from tagdesk.prediction import Prediction

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The counters of one application; each has a registry of its own, so that tests do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "tagdesk_requests", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "tagdesk_request_seconds", "How long answers took.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self.predictions = Counter(
            "tagdesk_predictions", "Tickets that were answered.", ["model", "policy"], registry=self.registry
        )
        self.labels = Counter(
            "tagdesk_labels",
            "Labels that were given, by what may be done with them.",
            ["label", "decision"],
            registry=self.registry,
        )
        self.without = Counter("tagdesk_without_label", "Tickets that got no label.", registry=self.registry)
        self.out_of_scope = Counter(
            "tagdesk_out_of_scope", "Tickets that belong to no category.", registry=self.registry
        )
        self.gone = Counter("tagdesk_clients_gone", "Clients that left before the answer.", registry=self.registry)
        self.webhooks = Counter(
            "tagdesk_webhooks",
            "Webhooks of help desks, by what became of them.",
            ["help_desk", "outcome"],
            registry=self.registry,
        )
        self.write_backs = Counter(
            "tagdesk_write_backs",
            "Write-backs to help desks, by what became of them.",
            ["help_desk", "outcome"],
            registry=self.registry,
        )
        self._waiting = Gauge("tagdesk_queued_requests", "Requests that wait for the model.", registry=self.registry)
        self._queued = Gauge("tagdesk_queued_tokens", "Estimated tokens that wait.", registry=self.registry)
        self._behind = Gauge("tagdesk_cases_waiting", "Cases on their way to the store.", registry=self.registry)
        self._dropped = Gauge("tagdesk_cases_dropped", "Cases that never reached the store.", registry=self.registry)
        self._live = Gauge("tagdesk_live", "1 for what answers.", ["model", "policy"], registry=self.registry)
        self._promotion = Gauge("tagdesk_promotion", "Number of the promotion that answers.", registry=self.registry)

    def count(self, predictions: Sequence[Prediction]) -> None:
        """Count what was answered."""
        for prediction in predictions:
            self.predictions.labels(prediction.model, prediction.policy).inc()
            for label in prediction.labels:
                self.labels.labels(label, prediction.decisions[label].word).inc()
            self.without.inc(not prediction.labels)
            self.out_of_scope.inc("out_of_scope" in prediction.flags)

    def count_write_back(self, help_desk: str, outcome: str) -> None:
        """Count what became of a write-back."""
        self.write_backs.labels(help_desk, outcome).inc()

    def render(self, desk: Desk) -> bytes:
        """The page that Prometheus reads."""
        self._waiting.set(len(desk.line))
        self._queued.set(desk.line.queued_tokens)
        self._behind.set(len(desk.logbook))
        self._dropped.set(desk.logbook.dropped)
        self._live.clear()
        live = desk.live
        self._live.labels(live.model.id, live.model.policy.id).set(1)
        self._promotion.set(live.promotion)
        return generate_latest(self.registry)
