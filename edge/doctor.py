"""What is missing or wrong on this machine, and for each the command that mends it. Nothing is changed."""

import ctypes
import importlib.util
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge import compose
from edge.catalog import Models
from edge.core.errors import ArtifactError, StoreError
from edge.core.events import CLOCK_SET
from edge.database import MEND
from edge.lock import OWNER
from edge.mqtt import Session
from edge.salvage import told_of
from edge.sections import Broker, Web, local
from edge.settings import Settings
from edge.slots import verify_model
from edge.soundness import damage
from edge.store import FILE, recorded

PAGE = ("starlette", "uvicorn", "jinja2")  # what serves it
FREE = 500 * 1024 * 1024  # bytes; a year of history, four slots and a language model
_UNSYNCHRONIZED = 5  # TIME_ERROR of adjtimex(2)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `mend` is a command or an edit, "" where there is nothing to mend."""

    name: str
    ok: bool
    detail: str
    mend: str = ""


def checks(settings: Settings, wait: float = 5.0) -> list[Check]:
    """Look at everything a home's agent needs; `wait`: seconds the broker has to answer."""
    looks: tuple[Callable[[], Check], ...] = (
        lambda: broker(settings, wait),
        lambda: model(settings),
        language_model_package,
        lambda: language_model(settings),
        clock,
        lambda: disk(settings.data.directory),
        lambda: directory(settings.data.directory),
        lambda: record(settings.data.directory),
        lambda: secrets(settings.broker),
        lambda: home(settings),
        lambda: page(settings.web),
    )
    return [look() for look in looks]


def broker(settings: Settings, wait: float) -> Check:
    """Connect as the agent would, under another name and leaving nothing behind."""
    address = settings.broker.model_copy(update={"client_id": f"{settings.broker.client_id}-doctor"})
    session = Session(address, lasting=False, first_wait=0.2)
    session.open()
    reached = session.wait(wait)
    detail = f"{settings.broker.url}, MQTT {session.version}" if reached else session.problem
    session.close()
    near = local(settings.broker.host)
    mend = "sudo apt-get install mosquitto && sudo systemctl start mosquitto" if near else "edit [broker]"
    if "refuses" in detail:
        mend = "edit [broker] user and password_file"
    return Check("broker", reached, detail, "" if reached else mend)


def model(settings: Settings) -> Check:
    """Read and verify the base model."""
    try:
        found = verify_model(settings.model.directory or Models.beside(settings.data.directory).used("detector"))
    except ArtifactError as error:
        mend = "install its bundle again (`sceneshift install`), or pip install --force-reinstall --no-deps sceneshift"
        return Check("model", False, str(error), mend)
    return Check("model", True, f"{found.name} {found.version}")


def language_model_package() -> Check:
    """Look for llama.cpp's binding without loading it."""
    found = importlib.util.find_spec("llama_cpp") is not None
    detail = "installed" if found else "not installed: the hub scores, but cannot adapt"
    return Check("llama-cpp-python", found, detail, "" if found else "pip install 'sceneshift[llm]'")


def language_model(settings: Settings) -> Check:
    """Look for the language model's file; a GGUF begins with its name."""
    try:
        file = settings.llm.file or compose.language_model(Models.beside(settings.data.directory))
        with file.open("rb") as opened:
            gguf = opened.read(4) == b"GGUF"
    except (ArtifactError, OSError) as error:
        return Check("language model", False, str(error), "edit [llm] file, or remove it to use the shipped one")
    detail = f"{file.name}, {file.stat().st_size / 1e6:.1f} MB"
    return Check(
        "language model", gguf, detail if gguf else f"{file}: not a GGUF file", "" if gguf else "edit [llm] file"
    )


def clock() -> Check:
    """Ask the kernel whether anything keeps its clock."""
    mend = "sudo timedatectl set-ntp true"
    if time.time() < CLOCK_SET:
        return Check("clock", False, f"it is not {time.strftime('%Y-%m-%d')}", mend)
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))  # a struct timex of zeros only reads
    except (OSError, AttributeError):
        state = -1
    if state == _UNSYNCHRONIZED:
        return Check("clock", False, "not synchronized", mend)
    return Check("clock", True, "synchronized" if state >= 0 else "set; nobody can say whether synchronized")


def disk(folder: Path) -> Check:
    """Look at the free space where the data is."""
    free = shutil.disk_usage(_existing(folder)).free
    mend = "" if free >= FREE else f"make room, or put [data] directory elsewhere than {folder}"
    return Check("disk", free >= FREE, f"{free / 1e9:.1f} GB free", mend)


def directory(folder: Path) -> Check:
    """Tell whether the data can be written by who asks."""
    place = _existing(folder)
    writable = os.access(place, os.W_OK | os.X_OK) and place.is_dir()
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        mend = f"sudo mount -o remount,rw {_mount(place)}; a card that fails is mounted so: copy what is on it first"
        return Check("data directory", False, f"{place}: its disk can only be read", mend)
    if not writable:
        return Check("data directory", False, f"{place}: not writable", f"sudo install -d -o {os.geteuid()} {folder}")
    if (file := folder / FILE).exists() and _mode(file) & stat.S_IRWXO and _mode(place) & stat.S_IXOTH:
        return Check("data directory", False, f"{file}: others can read when you are at home", f"chmod o= {folder}")
    return Check("data directory", True, str(folder))


def secrets(broker: Broker) -> Check:
    """Tell whether others can read what proves to the broker who we are."""
    files = [file for file in (broker.password_file, broker.tls_key) if file is not None]
    wrong = next(filter(None, (_exposed(file, "edit [broker] password_file and tls_key") for file in files)), None)
    if wrong is not None:
        return Check("secrets", False, *wrong)
    return Check("secrets", True, ", ".join(map(str, files)) or "no file of any is used")


def home(settings: Settings) -> Check:
    """Tell whether the place of the home is known: its hours, its seasons."""
    if settings.home.latitude is None:
        detail = f"{settings.home.time_zone}; without a latitude no season is noticed"
        return Check("home", False, detail, "edit [home] latitude, longitude, time_zone")
    return Check("home", True, f"{settings.home.time_zone}, latitude {settings.home.latitude:g}")


def page(web: Web) -> Check:
    """Look for what serves the page, without loading it, and whether others can read its token."""
    if not web.enabled:
        return Check("page", True, "off: web.enabled is false")
    missing = [name for name in PAGE if importlib.util.find_spec(name) is None]
    if missing:
        return Check("page", False, f"not installed: {', '.join(missing)}", "pip install 'sceneshift[web]'")
    for file in filter(None, (web.token_file, web.tls_key)):
        if wrong := _exposed(file, "edit [web] token_file and tls_key"):
            return Check("page", False, *wrong)
    return Check("page", True, web.url(web.address))


def _exposed(file: Path, edit: str) -> tuple[str, str] | None:
    """Return what is wrong with a secret's file and its mend, None where only its owner and group can read it."""
    try:
        mode = _mode(file)
    except OSError as error:
        return f"{file}: {error.strerror}", edit
    return (f"{file}: others can read it", f"chmod o= {file}") if mode & stat.S_IRWXO else None


def _mode(path: Path) -> int:
    return path.stat().st_mode


def record(folder: Path) -> Check:
    """Read the whole record, as far as it is damaged; and remember a damage that is over."""
    try:
        wrong = damage(recorded(folder)) if (folder / FILE).exists() else ""
    except (StoreError, OSError) as error:
        return Check("record", False, str(error), OWNER)
    if wrong:
        return Check("record", False, f"damaged: {wrong}", MEND)
    if (salvaged := told_of(folder)) is not None:
        return Check("record", False, salvaged.told, f"sceneshift restore, or rm -r {salvaged.aside}")
    return Check("record", True, "sound" if (folder / FILE).exists() else "nothing has been recorded yet")


def _mount(place: Path) -> Path:
    """Return where the disk of a folder is mounted."""
    return next(each for each in (place, *place.absolute().parents) if each.is_mount())


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that there is."""
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
