"""What a model says about itself: the shipped model's manifest and a slot's. Anything malformed is an ArtifactError."""

import json
import math
import re
from hashlib import sha256
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, ValidationError, model_validator

from edge.core.calibration import Limits
from edge.core.errors import ArtifactError
from edge.core.sequences import DAYS, DURATIONS, LENGTH
from edge.core.vocabulary import CONTROL_ROWS, DEVICE_ROWS, FIRST, TIME_ROWS, Vocabulary

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*$")]
SlotName = Annotated[str, Field(pattern=r"^[0-9]{4,12}(-[a-z0-9]+)*$")]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # of a file beside its manifest, never elsewhere
CONTRACT = 1  # what the graphs take and give, and what it means; another number where a hub must be told
_UNSEALED = "0" * 64


class Document(BaseModel):
    """JSON on one side, frozen typed values on the other."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a manifest; raises ArtifactError on anything malformed."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ArtifactError(f"not a manifest: {where}: {first['msg']}") from error

    def to_json(self) -> str:
        """Write it, without a newline at the end: then no shorter text is a whole manifest."""
        return self.model_dump_json(indent=1)


class NetworkSizes(Document):
    """The shape of the compact network, fixed in its graphs."""

    width: PositiveInt
    blocks: PositiveInt
    heads: PositiveInt
    feed_forward: PositiveInt
    length: PositiveInt
    days: PositiveInt
    times: PositiveInt
    devices: PositiveInt
    controls: PositiveInt
    durations: PositiveInt


class ModelManifest(Document):
    """A shipped model: graphs and initial parameters, nothing of any home. `files`: sha256 by file name."""

    name: str
    version: PositiveInt
    network: NetworkSizes
    parameters: PositiveInt
    files: dict[FileName, Hash]
    opset: PositiveInt
    seed: int

    def misfits(self) -> list[str]:
        """Return the sizes that sequences and vocabularies do not have here, in words; none where it fits."""
        here = {
            "length": LENGTH, "days": DAYS + 1, "times": TIME_ROWS, "devices": DEVICE_ROWS, "controls": CONTROL_ROWS,
            "durations": DURATIONS,
        }  # fmt: skip
        return [
            f"{getattr(self.network, name)} {name}, not {size}"
            for name, size in here.items()
            if getattr(self.network, name) != size
        ]


class Described(NamedTuple):
    """What the manifest of any model says, the detector's or a language model's: `files`: sha256 by file name."""

    name: str
    version: int
    files: dict[str, str]

    @classmethod
    def parse(cls, text: bytes) -> "Described":
        """Read name, version and files of a manifest, whatever else it holds; raises ArtifactError."""
        try:
            document: Any = json.loads(text)
            files = {
                name: file if isinstance(file, str) else file["sha256"] for name, file in document["files"].items()
            }
            found = cls(document["name"], document["version"], files)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ArtifactError("a model's manifest.json cannot be read") from error
        if not (isinstance(found.name, str) and isinstance(found.version, int) and found.version > 0):
            raise ArtifactError("a model's manifest.json gives no name or version")
        if not all(_PLAIN_NAME.fullmatch(name) and isinstance(each, str) for name, each in files.items()):
            raise ArtifactError("a model's manifest.json names what is no file beside it")
        return found


class SlotManifest(Document):
    """A model of one home for one scene. `Slots.write` fills in `name`, `sha256` (of parameters.npy) and `seal`.

    `created`: seconds since the epoch; `limits`: what a sequence may surprise by; `seconds`: what training took.
    """

    name: SlotName | Literal[""] = ""
    scene: str
    created: float
    model: str
    model_version: PositiveInt
    sha256: Hash | Literal[""] = ""
    vocabulary: Vocabulary
    limits: Limits
    metrics: dict[str, float] = {}
    origin: Literal["learned", "adapted"]
    steps: Annotated[int, Field(ge=0)]
    seconds: NonNegativeFloat
    seal: Hash | Literal[""] = ""  # sha256 of the whole text with _UNSEALED here; "" in slots of earlier versions

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a manifest; raises ArtifactError on anything malformed, and where it is not what was sealed."""
        found = super().from_json(text)
        raw = text.encode() if isinstance(text, str) else text
        if found.seal and sha256(raw.replace(found.seal.encode(), _UNSEALED.encode())).hexdigest() != found.seal:
            raise ArtifactError("not a manifest: it is not what it was when it was written")
        return found

    def sealed(self) -> str:
        """Write it with its seal: a figure that becomes another one is noticed."""
        text = self.model_copy(update={"seal": _UNSEALED}).to_json()
        return text.replace(_UNSEALED, sha256(text.encode()).hexdigest())

    @model_validator(mode="after")
    def _fits(self) -> Self:
        """Refuse limits that limit nothing, and a vocabulary that the graphs do not have the rows for."""
        limits = self.limits
        if not (all(0 < part < math.inf for part in limits.parts) and 0 < limits.alpha < 1 and limits.n >= 0):
            raise ValueError("limits that are none")
        devices, controls = self.vocabulary.devices, self.vocabulary.controls
        if len(devices) > DEVICE_ROWS - FIRST or len(controls) > CONTROL_ROWS - FIRST:
            raise ValueError("more names than rows")
        if len(set(devices)) < len(devices) or len(set(controls)) < len(controls):
            raise ValueError("a name has two rows")
        if not {device for device, _ in controls} <= set(devices):
            raise ValueError("a control of no device")
        if not 1 <= self.vocabulary.slots <= 24:
            raise ValueError("no such number of times of day")
        return self
