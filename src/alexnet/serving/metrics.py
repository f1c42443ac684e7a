"""What Prometheus is told."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts of a service, in a registry of its own."""

    def __init__(self, waiting: Callable[[], float], is_ready: Callable[[], float]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("alexnet_requests", "Requests", ("route", "code"), registry=self._registry)
        self.pictures = Counter("alexnet_pictures", "Pictures named", registry=self._registry)
        self.batch = Histogram(
            "alexnet_batch_pictures", "Pictures of a batch", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self.wait, self.decode, self.compute = (
            Histogram(f"alexnet_{name}_seconds", about, buckets=SECONDS, registry=self._registry)
            for name, about in (
                ("waiting", "From decoding to the batch, a picture"),
                ("decoding", "Decoding and resizing, a picture"),
                ("computing", "The network, a batch"),
            )
        )
        for name, about, function in (
            ("alexnet_waiting_pictures", "Pictures that are read, decoded or wait for a batch", waiting),
            ("alexnet_ready", "Whether the service is ready, 1 or 0", is_ready),
        ):
            Gauge(name, about, registry=self._registry).set_function(function)

    def answered(self, route: str, code: int) -> None:
        """Counts a request."""
        self._requests.labels(route, str(code)).inc()

    def text(self) -> bytes:
        """Returns all counts in Prometheus' text format."""
        return generate_latest(self._registry)
