"""The fast loop for tests: on a real store, with a scorer that finds what it is told surprising."""

import json
from datetime import UTC

import numpy as np

from edge.adapt import Model
from edge.alerts import Alerts
from edge.core.calibration import PARTS, Limits
from edge.core.events import Message
from edge.core.quiet import Quiet
from edge.core.vocabulary import Vocabulary
from edge.dialects import Dialects, dialect
from edge.scorer import Newest
from edge.watch import Watch
from tests import homes

LIKELY = np.log(np.array([0, 0, 0.7, 0.1, 0.15, 0.05] + [0.0] * 506, np.float32) + 1e-12)
LIMITS = Limits(5.0, 5.0, 5.0, 0.05, 100)


class Fixed:
    """A scorer with the real one's interface that finds `odd` (devices, or device=nats) surprising and nothing else."""

    def __init__(self, odd: str) -> None:
        self.odd = {name: float(nats or 9) for name, _, nats in (each.partition("=") for each in odd.split())}
        self.vocabulary = Vocabulary().grown(homes.PAIRS)

    def newest(self, sequence):
        nats = self.odd.get(sequence[-1].device, 1.0)
        return Newest((nats, *[0.0] * (len(PARTS) - 1)), LIKELY, np.zeros(25), np.zeros(19))

    def scores(self, sequences):
        return np.array([max(self.newest(each[: n + 1]).surprise[0] for n in range(len(each))) for each in sequences])

    def surprise(self, sequences):
        return [np.array([self.newest(each[: n + 1]).surprise for n in range(len(each))]) for each in sequences]

    def predict(self, sequence, k=10):
        return [(homes.PAIRS[0], 0.9)]


def watching(store, published, *, acknowledged=None, source=None, odd="heat1", **settings):
    """Return the fast loop with a model that finds `odd` odd; `settings` of what is kept quiet."""
    source = source or Dialects([dialect("generic", {"topic": "home/{device}"})])

    def publish(topic, body):
        published.append((topic, json.loads(json.dumps(body))))

    alerts = Alerts(store, publish, UTC, Quiet(**settings))
    watch = Watch(store, ([] if acknowledged is None else acknowledged).extend, publish, source, UTC, alerts=alerts)
    watch.model = Model("0001", "winter", Fixed(odd), LIMITS)
    return watch


def bodies(published, topic="alert"):
    return [body for each, body in published if each == topic]


def message(time, device="lamp1", control="state ON", **more):
    body = f'{{"t": {time}, "control": "{control}"}}'.encode()
    return Message(f"home/{device}", body, time, **{"mid": int(time) % 60000, **more})
