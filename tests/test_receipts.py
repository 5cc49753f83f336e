"""Alerts and their receipts: nobody is told twice, and whoever is killed tells late what was kept."""

import json

from hypothesis import given
from hypothesis import strategies as st

from edge.core.events import Message
from edge.core.verdicts import FINE, SENT, Alert
from edge.receipts import ALERT, LATE, MARK, RECEIPTS, Receipts
from edge.store import Store
from tests.running import Running, settings_for

NOW = 1_750_000_000.0


STEPS = ["alert", "kept", "hear one", "hear all", "connect"]


class Broker:
    """What the agent's session at a broker holds: all that is published under our prefix comes back, in its order."""

    def __init__(self):
        self.told = []  # numbers of alerts, as everybody hears them
        self.waiting = []

    def publish(self, topic, body):
        if topic == ALERT:
            self.told.append(body["alert"])
        self.waiting.append(Message(f"us/{topic}", json.dumps(body).encode(), NOW))


class Life:
    """One process between two kills."""

    def __init__(self, store, broker, number):
        self.store, self.broker = store, broker
        self.receipts = Receipts(store, "us", broker.publish, f"life {number}", NOW)
        self.newest = 0
        self.receipts.ask(self.newest)

    def hear(self, count):
        for message in self.broker.waiting[:count]:
            assert self.receipts.concerns(message)
            self.receipts.hear(message)
            self.broker.waiting.remove(message)  # acknowledged once it was heard

    def alert(self, *, told=True):
        number = self.store.add_alert(Alert(NOW, None, 2.0, 1.0, "Odd."))
        if told:
            self.newest = number
            self.broker.publish(ALERT, {"alert": number})


@given(st.lists(st.lists(st.sampled_from(STEPS), max_size=6), min_size=1, max_size=6))
def test_every_alert_is_told_once_however_often_we_are_killed(tmp_path_factory, lives):
    store, broker = Store.open(tmp_path_factory.mktemp("record")), Broker()
    for number, steps in enumerate(lives):
        life = Life(store, broker, number)
        for step in steps:
            if step.startswith("hear"):
                life.hear(1 if step == "hear one" else None)
            elif step == "connect":
                life.receipts.ask(life.newest)
            else:
                life.alert(told=step == "alert")
                if step == "kept":
                    break  # killed before it was told
    for number in range(2):
        Life(store, broker, f"last {number}").hear(None)
    assert sorted(broker.told) == [alert.id for alert in store.alerts()]
    assert store.fact(RECEIPTS)["but"] in ([], broker.told[-1:])  # what was told last has come back, or will
    store.close()


def test_a_receipt_that_was_lost_with_the_broker_is_waited_for_until_the_next_connection(tmp_path):
    store, broker = Store.open(tmp_path), Broker()
    first = Life(store, broker, 0)
    first.alert(told=False)
    second = Life(store, broker, 1)
    second.hear(None)
    second.alert()
    assert broker.told == [1, 2]
    broker.waiting.clear()  # it was killed, and what it had for us is gone
    second.receipts.ask(second.newest)
    second.hear(None)
    Life(store, broker, 2).hear(None)
    assert broker.told == [1, 2]
    store.close()


def test_what_is_old_or_judged_or_from_before_receipts_is_not_told(tmp_path):
    store, broker = Store.open(tmp_path), Broker()
    store.add_alert(Alert(NOW, None, 2.0, 1.0, "Odd."))
    Life(store, broker, 0).hear(None)  # a record that knows no receipts yet
    for alert in (Alert(NOW - LATE, None, 2.0, 1.0, "Odd."), Alert(NOW, None, 2.0, 1.0, "Odd.", FINE)):
        store.add_alert(alert)
    Life(store, broker, 1).hear(None)
    assert broker.told == []
    store.add_alert(Alert(NOW, None, 2.0, 1.0, "Odd.", SENT))
    Life(store, broker, 2).hear(None)
    assert broker.told == [4]
    store.close()


def test_nonsense_from_others_is_no_receipt(tmp_path):
    store, broker = Store.open(tmp_path), Broker()
    life = Life(store, broker, 0)
    life.alert(told=False)
    for topic in (ALERT, MARK):
        for payload in (b"\xff", b"[]", b'{"alert": null}', b'{"alert": 2}', b'{"alert": 1e400}', b"[" * 100_000):
            life.receipts.hear(Message(f"us/{topic}", payload, NOW))
    life.receipts.hear(Message(f"us/{MARK}", b'{"mark": "another"}', NOW))
    Life(store, broker, 1).hear(None)
    assert broker.told == [1]
    store.close()


def test_the_agent_tells_late_what_was_kept_before_it_was_killed(broker, tmp_path):
    settings = settings_for(broker, tmp_path)
    with Running(settings) as running:
        now = running.agent.jobs.now()
    store = Store.open(settings.data.directory)
    store.add_alert(Alert(now, None, 2.0, 1.0, "Odd."))
    store.close()
    for _ in range(2):  # the second time it is known that the first has told
        with Running(settings) as running:
            running.client.publish("nothing", "")
            if _ == 0:
                running.wait(lambda r=running: r.said("alert"))
                assert json.loads(running.said("alert")[0].payload)["sentence"] == "Odd."
                running.wait(lambda r=running: not r.agent.store.fact(RECEIPTS)["but"])
            else:
                assert not running.agent._receipts._due
