"""Numbers for Prometheus: what waits, how long each step takes, what is answered, which model answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest

from model.classification import Classification
from serving.errors import problem_of

_SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03, 0.06, 0.12, 0.25, 0.5, 1, 2, 5, 10, 30)


class Metrics:
    """The service's own registry, so that several services can live in one process (as in tests)."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "kesu_requests", "Requests by route and status", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "kesu_request_seconds", "Whole time of a request", ["route"], buckets=_SECONDS, registry=registry
        )
        steps = Histogram(
            "kesu_step_seconds", "Time of a step of a text", ["step"], buckets=_SECONDS, registry=registry
        )
        self._steps = {step: steps.labels(step) for step in ("queue", "tokenise", "infer", "plan")}
        self._failed = Counter("kesu_texts_failed", "Texts without an answer, by error", ["code"], registry=registry)
        self._tokens = Counter("kesu_tokens", "Tokens read by the model", registry=registry)
        self._labels = Counter("kesu_labels", "Labels given", ["dimension", "label"], registry=registry)
        self._decisions = Counter("kesu_decisions", "Answers by decision", ["decision"], registry=registry)
        self._reloads = Counter("kesu_reloads", "Reloads by result", ["result"], registry=registry)
        self._model = Info("kesu_model", "What answers", registry=registry)

    def watch(self, name: str, help_text: str, value: Callable[[], float]) -> None:
        """A gauge that is read when the metrics are asked for."""
        Gauge(name, help_text, registry=self.registry).set_function(value)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def answer(self, answer: Classification, tokens: int, steps: Mapping[str, float]) -> None:
        """A text was answered; ``steps`` in seconds."""
        for step, seconds in steps.items():
            self._steps[step].observe(seconds)
        self._tokens.inc(tokens)
        self._decisions.labels(answer.decision).inc()
        for cause in answer.causes:
            self._labels.labels("cause", cause.label).inc()
        for motive in answer.motives:
            self._labels.labels("motive", motive.label).inc()
        self._labels.labels("severity", str(answer.severity.level)).inc()
        self._labels.labels("style", answer.style.label).inc()

    def failure(self, error: BaseException) -> None:
        """A text got no answer."""
        self._failed.labels(problem_of(error).code).inc()

    def reload(self, result: str) -> None:
        """A reload was tried: "done" or "refused"."""
        self._reloads.labels(result).inc()

    def model(self, facts: Mapping[str, str]) -> None:
        """What answers from now on."""
        self._model.info(dict(facts))

    def page(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
