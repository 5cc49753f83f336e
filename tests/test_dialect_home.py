"""A home of every dialect at once: the real agent on a real broker keeps what was done, nothing that is repeated."""

import json

from edge.sources import EspHomeSource, ShellySource, StatestreamSource, TasmotaSource, Zigbee2MqttSource
from tests.running import Running, settings_for

SOURCES = (
    Zigbee2MqttSource(dialect="zigbee2mqtt"),
    TasmotaSource(dialect="tasmota", full_topic="house/%topic%/%prefix%/"),
    EspHomeSource(dialect="esphome"),
    ShellySource(dialect="shelly"),
    StatestreamSource(dialect="statestream", base_topic="homeassistant"),
)
ADDRESS, PLUS = "0x00158d00018255df", "shellyplus1-a8032abe54dc"
DEVICES = json.dumps([{"ieee_address": ADDRESS, "friendly_name": "hall/lamp"}])
KEPT = [  # what the broker keeps from before
    ("zigbee2mqtt/bridge/devices", DEVICES),
    ("tasmota/discovery/5CCF7F49A3BC/config", '{"t": "kettle", "dn": "Kettle", "fn": [], "rl": [1]}'),
    ("esphome/attic/switch/relay/state", "OFF"),
    ("homeassistant/lock/front/state", "locked"),
    ("homeassistant/lock/front/friendly_name", '"Front door"'),
    ("homeassistant/switch/kettle/config", '{"name": "somebody\'s discovery"}'),
]


def switched(on: bool) -> list[tuple[str, str]]:
    """Return what each device publishes where it is switched."""
    status = {"src": PLUS, "method": "NotifyStatus", "params": {"ts": 0, "switch:0": {"id": 0, "output": on}}}
    word = "ON" if on else "OFF"
    return [
        ("zigbee2mqtt/hall/lamp", json.dumps({"state": word, "linkquality": 90})),
        ("house/kettle/stat/RESULT", json.dumps({"POWER": word})),
        ("house/kettle/stat/POWER", word),
        ("esphome/attic/switch/relay/state", word),
        (f"{PLUS}/events/rpc", json.dumps(status)),
        (f"{PLUS}/status/switch:0", json.dumps(status["params"]["switch:0"])),  # type: ignore[index]
        ("shellies/shelly1-B929CC/relay/0", word.lower()),
        ("homeassistant/lock/front/state", "unlocked" if on else "locked"),
        ("homeassistant/lock/front/friendly_name", '"Front door"'),
    ]


def test_a_home_of_every_dialect(broker, tmp_path):
    settings = settings_for(broker, tmp_path).model_copy(update={"sources": SOURCES})
    with Running(settings) as home:
        store = home.agent.store

        def publish(*messages: tuple[str, str], retain: bool = False) -> None:
            for topic, payload in messages:
                home.client.publish(topic, payload, retain=retain)

        publish(*KEPT, retain=True)
        publish(*switched(on=False))  # the first word of a state is no act
        publish(*switched(on=True), *switched(on=True))
        publish(("zigbee2mqtt/hall/lamp", '{"action": "double"}'))
        home.wait(lambda: store.count() == 7)
        publish(("house/kettle/tele/STATE", '{"POWER": "OFF"}'), ("house/kettle/cmnd/POWER", "OFF"))
        publish(("zigbee2mqtt/bridge/state", '{"state": "online"}'), ("house/kettle/tele/LWT", "Online"))
        publish(
            ("esphome/attic/status", "online"), (f"{PLUS}/online", "true"), ("shellies/shelly1-B929CC/online", "true")
        )
        publish(("homeassistant/lock/front/state", "unavailable"), ("homeassistant/status", "online"))
        publish(("zigbee2mqtt/hall/lamp", '{"action": "single"}'), *switched(on=False))  # all came up just now
        home.wait(lambda: store.states().get(("lock.front", "state")) == "locked")
        assert store.count() == 7
        names = {device.id: (device.name, device.kind) for device in store.devices()}
    assert names["lock.front"] == ("Front door", "door_lock")
    assert names["kettle"] == ("Kettle", "kettle")
    assert {"attic", ADDRESS, PLUS, "shelly1-B929CC"} <= set(names)
