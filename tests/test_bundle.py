"""Bundles: what was packed is installed; what was touched, is foreign, too old or does not run touches nothing."""

import fcntl
import hashlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge import install as module
from edge.archive import Archive, opened
from edge.catalog import Models
from edge.core import bundle as layout
from edge.core.errors import ArtifactError, SettingsError
from edge.install import install
from edge.slots import shipped
from edge.trust import trusted
from trainer.bundle import new_keys, pack, signing_key
from trainer.cli import app

NOW = 1.8e9
DETECTOR = shipped("detector")


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return new_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def trust(keys):
    return trusted(None, keys[1])


@dataclass
class Hub:
    """A hub's data directory, and whom it trusts."""

    data: Path
    trust: dict

    @property
    def models(self):
        return Models.beside(self.data)

    def install(self, path, now=NOW, **more):
        return install(path, self.models, self.trust, now, **more)

    def refuses(self, path, match, **more):
        """Install what must be refused, and see that nothing was touched."""
        before = tree(self.data)
        with pytest.raises(ArtifactError, match=match):
            self.install(path, **more)
        assert tree(self.data) == before


@pytest.fixture
def hub(tmp_path, trust):
    return Hub(tmp_path / "data", trust)


def changed(folder, name="detector", version=3, files=None, **manifest):
    """Copy what ships as another version, with files of other content and other words in its manifest."""
    shutil.copytree(shipped(name), folder, ignore=shutil.ignore_patterns("*q8_0*", "*.png", "*.md"))
    said = json.loads((folder / "manifest.json").read_bytes())
    said["files"].pop("behavior-lm-q8_0.gguf", None)
    for file, content in (files or {}).items():
        (folder / file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        said["files"][file] = digest if name == "detector" else {"sha256": digest, "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps({**said, "version": version, **manifest}))
    return folder


@pytest.fixture(scope="session")
def newer(tmp_path_factory, keys):
    """A bundle of both models, each one version newer than what ships."""
    folder = tmp_path_factory.mktemp("newer")
    folders = [changed(folder / name, name) for name in ("detector", "behavior-lm")]
    pack(folders, signing_key(keys[0]), folder / "both.bundle", created=NOW)
    return folder / "both.bundle"


@pytest.fixture(scope="session")
def alone(tmp_path_factory, keys):
    """A bundle of the detector alone."""
    folder = tmp_path_factory.mktemp("alone")
    pack([changed(folder / "detector")], signing_key(keys[0]), folder / "one.bundle", created=NOW)
    return folder / "one.bundle"


def bundle_of(folder, keys, created=NOW, expires=None):
    out = folder.with_suffix(".bundle")
    pack([folder], signing_key(keys[0]), out, created=created, expires=expires)
    return out


def tree(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_what_was_packed_is_installed_and_used(newer, hub):
    told = hub.install(newer)
    assert [(each.name, each.version, each.fresh, each.before) for each in told] == [
        ("detector", 3, True, 2),
        ("behavior-lm", 3, True, 2),
    ]
    for name in ("detector", "behavior-lm"):
        assert hub.models.used(name) == hub.models.installed / name / "3"
        assert tree(hub.models.used(name)) == tree(newer.parent / name)
    assert not [path for path in hub.models.installed.iterdir() if path.name.startswith(".")]
    again = hub.install(newer)
    assert [each.fresh for each in again] == [False, False]


def test_the_same_gives_the_same_bytes_and_any_tar_lists_them(tmp_path, keys, alone):
    folder = changed(tmp_path / "detector")
    assert bundle_of(folder, keys).read_bytes() == alone.read_bytes()
    assert bundle_of(folder, keys, created=NOW + 1).read_bytes() != alone.read_bytes()
    with tarfile.open(alone) as archive:
        names = archive.getnames()
        assert names[:3] == ["manifest.json", "manifest.sig", "detector/3/manifest.json"]
        assert set(names[2:]) == {f"detector/3/{path.name}" for path in DETECTOR.iterdir()}
        for name in names[2:]:
            assert archive.extractfile(name).read() == (folder / Path(name).name).read_bytes()


def test_what_is_not_its_manifests_is_not_packed(tmp_path, keys):
    folder = changed(tmp_path / "detector")
    (folder / "score.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="not the file its manifest describes"):
        bundle_of(folder, keys)
    (folder / "score.onnx").unlink()
    with pytest.raises(ArtifactError, match="no whole model"):
        bundle_of(folder, keys)
    twice = [changed(tmp_path / "a"), changed(tmp_path / "b", version=4)]
    with pytest.raises(ArtifactError, match="a model twice"):
        pack(twice, signing_key(keys[0]), tmp_path / "twice", created=NOW)
    with pytest.raises(ArtifactError, match="make no bundle"):
        pack([], signing_key(keys[0]), tmp_path / "none", created=NOW)
    assert not (tmp_path / "twice").exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_bit_and_any_cut_is_noticed_and_touches_nothing(alone, hub, tmp_path, data):
    content = bytearray(alone.read_bytes())
    where = data.draw(st.integers(0, min(4096, len(content) - 1)) | st.integers(0, len(content) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "append"]))
    if how == "flip":
        content[where] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "cut":
        del content[where:]
    elif how == "insert":
        content[where:where] = b"\0" * 512
    else:
        content += b"\0"
    broken = tmp_path / "broken.bundle"
    broken.write_bytes(content)
    hub.refuses(broken, r"\w")
    assert not hub.data.exists()


@given(content=st.binary(max_size=2000))
def test_any_bytes_are_a_bundle_or_told_to_be_none(content, trust):
    with pytest.raises(ArtifactError):
        Archive(io.BytesIO(content), trust)


@given(signature=st.binary(min_size=64, max_size=64), key=st.from_regex(r"[0-9a-f]{16}", fullmatch=True))
def test_a_signature_is_read_as_it_was_written_and_no_prefix_of_it_is_one(signature, key):
    written = layout.Signature(key, signature).to_bytes()
    assert layout.Signature.parse(written) == (key, signature)
    for end in range(len(written)):
        with pytest.raises(ArtifactError):
            layout.Signature.parse(written[:end])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(data=st.data())
def test_a_manifest_with_anything_in_a_place_is_whole_or_refused(data, alone):
    manifest = manifest_of(alone)
    place = data.draw(st.sampled_from([manifest, manifest["models"][0], manifest["models"][0]["files"]["score.onnx"]]))
    key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(JSON)
    try:
        found = layout.BundleManifest.from_json(json.dumps(manifest))
    except ArtifactError:
        return
    assert layout.BundleManifest.from_json(found.to_json()) == found
    for model, name, _ in found.entries():
        assert len(Path(layout.place(model, name)).parts) == 3
        assert ".." not in Path(layout.place(model, name)).parts


def test_only_who_is_trusted_is_believed(tmp_path, alone, hub):
    folder = tmp_path / "trusted"
    stranger = new_keys(tmp_path / "stranger")[1]
    with pytest.raises(SettingsError, match="no key is trusted"):
        trusted(folder)
    folder.mkdir()
    shutil.copy(stranger, folder / "them.pub")
    hub.trust = trusted(folder)
    hub.refuses(alone, "which is not trusted here")
    (folder / "them.pub").chmod(0o646)
    with pytest.raises(SettingsError, match="everybody may change it"):
        trusted(folder)
    (folder / "them.pub").write_text("-----BEGIN PUBLIC KEY-----\nnothing\n")
    (folder / "them.pub").chmod(0o644)
    with pytest.raises(SettingsError, match="no public key"):
        trusted(folder)


def test_another_keys_signature_under_a_trusted_name_is_refused(tmp_path, alone, keys, hub):
    stranger = new_keys(tmp_path / "stranger")
    forged = tmp_path / "forged.bundle"
    pack([alone.parent / "detector"], signing_key(stranger[0]), forged, created=NOW)
    content = forged.read_bytes().replace(
        next(iter(trusted(None, stranger[1]))).encode(), next(iter(hub.trust)).encode()
    )
    forged.write_bytes(content)
    hub.refuses(forged, "not what .* signed")


def test_keys_are_never_written_over_and_a_key_others_can_read_signs_nothing(tmp_path):
    secret, public = new_keys(tmp_path)
    assert secret.stat().st_mode & 0o777 == 0o600
    before = secret.read_bytes()
    with pytest.raises(SettingsError, match="there already"):
        new_keys(tmp_path)
    assert secret.read_bytes() == before
    public.chmod(0o600)
    with pytest.raises(SettingsError, match="no key to sign with"):
        signing_key(public)
    secret.chmod(0o640)
    with pytest.raises(SettingsError, match="others can read it"):
        signing_key(secret)


def signed(path, keys, manifest, entries):
    """Write an archive of any manifest and any entries, signed by a trusted key."""
    content = json.dumps(manifest, indent=1).encode()
    key = signing_key(keys[0])
    name = hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]
    signature = layout.Signature(name, key.sign(content)).to_bytes()
    with path.open("wb") as file:
        for place, entry in (("manifest.json", content), ("manifest.sig", signature), *entries):
            file.write(layout.header(place, len(entry)) + entry + layout.padding(len(entry)))
        file.write(layout.END)
    return path


def manifest_of(path):
    with tarfile.open(path) as archive:
        return json.loads(archive.extractfile("manifest.json").read())


@pytest.mark.parametrize("name", ["../../../evil", "/etc/evil", "a/b", "..", ".hidden", "", "a\0b", "-", "x" * 99])
def test_a_file_that_would_lie_elsewhere_is_refused_though_it_is_signed(name, tmp_path, keys, alone, hub):
    manifest = manifest_of(alone)
    manifest["models"][0]["files"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
    hub.refuses(signed(tmp_path / "evil", keys, manifest, []), "not a manifest")


@pytest.mark.parametrize("value", ["../../evil", 0, -1, "3/../../x", None])
def test_a_model_that_would_lie_elsewhere_is_refused_though_it_is_signed(value, tmp_path, keys, alone, hub):
    for key in ("name", "version"):
        manifest = manifest_of(alone)
        manifest["models"][0][key] = value
        hub.refuses(signed(tmp_path / "evil", keys, manifest, []), "not a manifest")


@pytest.mark.parametrize("name", ["SCORE.ONNX", "Manifest.json"])
def test_two_names_for_one_file_are_refused_though_they_are_signed(name, tmp_path, keys, alone, hub):
    manifest = manifest_of(alone)
    manifest["models"][0]["files"][name] = {"sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
    hub.refuses(signed(tmp_path / "evil", keys, manifest, []), "case alone")


def test_a_manifest_of_any_size_is_read_as_far_as_one_may_be(tmp_path, keys, alone, hub):
    """What nobody has vouched for yet is bounded."""
    manifest = manifest_of(alone)
    for content in (b" " * layout.MOST_MANIFEST + json.dumps(manifest).encode(), b"[" * 2**20):
        out = tmp_path / "huge"
        out.write_bytes(layout.header("manifest.json", len(content)) + content + layout.padding(len(content)))
        hub.refuses(out, "no bundle")
    manifest["sceneshift"] = "[" * 9000
    hub.refuses(signed(tmp_path / "deep", keys, manifest, []), "not a manifest")


def test_links_holes_and_compressed_archives_are_no_bundles(tmp_path, alone, hub):
    with tarfile.open(alone) as archive:
        entries = [(member, archive.extractfile(member).read()) for member in archive.getmembers()]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.GNUTYPE_SPARSE, tarfile.DIRTYPE):
        out = tmp_path / "links.bundle"
        with tarfile.open(out, "w", format=tarfile.USTAR_FORMAT) as archive:
            for member, content in entries:
                if member.name.endswith("score.onnx"):
                    member.type, member.linkname = kind, "/etc/passwd"
                archive.addfile(member, io.BytesIO(content))
                member.type = tarfile.REGTYPE
        hub.refuses(out, "not laid out|ends too early")
    for mode in ("w:gz", "w:xz"):
        with tarfile.open(tmp_path / "packed", mode) as archive:
            for member, content in entries:
                archive.addfile(member, io.BytesIO(content))
        hub.refuses(tmp_path / "packed", "no bundle")
    with tarfile.open(tmp_path / "pax", "w", format=tarfile.PAX_FORMAT, pax_headers={"path": "../../x"}) as archive:
        archive.addfile(entries[0][0], io.BytesIO(entries[0][1]))
    hub.refuses(tmp_path / "pax", "no bundle")
    hub.refuses(tmp_path / "missing", "No such file")


def test_what_this_hub_cannot_run_is_refused(tmp_path, keys, hub):
    network = json.loads((DETECTOR / "manifest.json").read_bytes())["network"]
    lm = (shipped("behavior-lm") / "behavior-lm-q4_k_m.gguf").read_bytes()
    pickled = io.BytesIO()
    np.save(pickled, np.array([print], object), allow_pickle=True)
    wrong = {
        "65 devices, not 64": {"network": {**network, "devices": 65}},
        "does not load": {"files": {"score.onnx": b"no graph"}},
        "does not train here": {"files": {"train_step.onnx": b"no graph"}},
        "beginning cannot be read": {"files": {"initial.npy": pickled.getvalue()}},
        "finite numbers": {"parameters": 5},
        "no GGUF": {"name": "behavior-lm", "files": {"behavior-lm-q4_k_m.gguf": b"nothing"}},
        "does not know its architecture": {
            "name": "behavior-lm",
            "files": {"behavior-lm-q4_k_m.gguf": lm.replace(b"llama", b"lluma")},
        },
    }
    hub.models.installed.mkdir(parents=True)
    for place, (match, change) in enumerate(wrong.items()):
        hub.refuses(bundle_of(changed(tmp_path / str(place), **change), keys), match)


def test_a_model_that_calls_itself_otherwise_is_refused(tmp_path, keys, alone, hub):
    manifest = manifest_of(alone)
    manifest["models"][0]["version"] = 4
    files = manifest["models"][0]["files"]
    entries = [(f"detector/4/{name}", (alone.parent / "detector" / name).read_bytes()) for name in files]
    hub.models.installed.mkdir(parents=True)
    hub.refuses(signed(tmp_path / "other", keys, manifest, entries), "detector 4 calls itself detector 3")


def test_another_contract_another_format_and_another_time_are_refused(tmp_path, keys, alone, hub):
    manifest = manifest_of(alone)
    hub.refuses(signed(tmp_path / "a", keys, {**manifest, "contract": 2}, []), "install the newer")
    hub.refuses(signed(tmp_path / "b", keys, {**manifest, "format": 2, "more": 1}, []), "another format")
    hub.refuses(signed(tmp_path / "c", keys, [], []), "not a manifest")
    expiring = bundle_of(changed(tmp_path / "detector"), keys, expires=NOW + 10)
    hub.refuses(expiring, "has expired", now=NOW + 11)
    hub.refuses(expiring, "clock is not set", now=1000.0)
    assert hub.install(expiring)[0].fresh


def test_an_older_model_is_used_only_where_that_is_wanted(tmp_path, keys, hub, alone):
    hub.install(alone)
    older = bundle_of(changed(tmp_path / "older", version=1), keys)
    hub.refuses(older, "older than 3, which is used: --allow-older")
    hub.install(older, allow_older=True)
    assert hub.models.in_use("detector") == 1
    hub.install(alone)
    assert hub.models.in_use("detector") == 3
    assert hub.models.version("detector", 1).is_dir()


def test_a_choice_holds_until_something_newer_ships(hub):
    hub.models.installed.mkdir(parents=True)
    (hub.models.installed / "detector/1").mkdir(parents=True)
    pointer = hub.models.installed / "current.json"
    for over, used in ((2, 1), (1, 2)):
        pointer.write_text(json.dumps({"detector": {"version": 1, "over": over}}))
        assert hub.models.in_use("detector") == used
    pointer.write_text("{")
    with pytest.raises(ArtifactError, match=r"current\.json cannot be read"):
        hub.models.used("detector")


def test_a_version_is_one_model_for_ever(tmp_path, keys, hub, alone):
    hub.install(alone)
    other = changed(tmp_path / "other", seed=5)
    hub.refuses(bundle_of(other, keys), "must be packed as a new version")
    as_shipped = changed(tmp_path / "shipped", version=2, seed=5)
    hub.refuses(bundle_of(as_shipped, keys), "must be packed as a new version", allow_older=True)


def test_what_broke_on_the_disk_is_mended_by_installing_again(hub, alone):
    hub.install(alone)
    whole = tree(hub.models.installed)
    (hub.models.used("detector") / "predict.onnx").write_bytes(b"rotten")
    (hub.models.installed / "current.json").write_bytes(b"\0")
    assert hub.install(alone)[0].fresh
    assert tree(hub.models.installed) == whole


def test_there_must_be_room_before_anything_is_written(tmp_path, keys, alone, hub):
    manifest = manifest_of(alone)
    large = {"sha256": "0" * 64, "size": layout.MOST_FILE}
    manifest["models"][0]["files"] |= {f"part{n}": large for n in range(26)}
    if shutil.disk_usage(tmp_path).free > 26 * layout.MOST_FILE:
        pytest.skip("this disk has room for what no bundle holds")
    hub.refuses(signed(tmp_path / "large", keys, manifest, []), "make room first")


def test_a_disk_that_refuses_a_write_leaves_what_was(tmp_path, keys, newer, alone):
    """The process may write no file beyond half a megabyte: the kernel refuses in the middle of one."""
    config = tmp_path / "s.toml"
    config.write_text(f'[data]\ndirectory = "{tmp_path / "data"}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "edge", "install", alone, "--settings", config, "--trust", keys[1]],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert tree(tmp_path / "data/models") == {}


def test_one_installation_at_a_time(hub, alone):
    hub.models.installed.mkdir(parents=True)
    handle = os.open(hub.models.installed, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    hub.refuses(alone, "another installation is under way")
    os.close(handle)
    (hub.models.installed / ".unfinished-of-a-power-cut").mkdir()
    (hub.models.installed / ".unfinished-current.json").write_text("{")
    hub.install(alone)
    assert not list(hub.models.installed.glob(".*"))


class CrashError(BaseException):
    """The process ends here."""


def crash_at(line, action):
    """Run the action and end it at the n-th line executed where places are taken; tell whether it got that far."""
    left = line

    def trace(frame, event, _):
        nonlocal left
        if frame.f_code.co_filename != module.__file__ or frame.f_code.co_name not in {"_settle", "_choose"}:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                sys.settrace(None)
                raise CrashError
        return trace

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: trace(frame, event, arg) if event == "call" else None)
    try:
        action()
    except CrashError:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a crash closes no file
def test_a_crash_between_any_two_steps_leaves_the_model_before_or_the_new_one(tmp_path, trust, alone):
    written = tmp_path / "written"
    with opened(alone, trust) as archive, module._written(archive, archive.manifest.models, written) as found:
        model, folder = found[0]
        seen = set()
        for line in range(100):
            hub = Hub(tmp_path / str(line), trust)
            mine = shutil.copytree(written, hub.models.installed) / folder.relative_to(written)

            def put(hub=hub, mine=mine):
                module._settle(mine, hub.models.installed / "detector/3")
                module._choose(hub.models, {"detector": 3})

            crashed = crash_at(line, put)
            used = hub.models.in_use("detector")
            assert tree(hub.models.used("detector")) == tree(DETECTOR if used == 2 else alone.parent / "detector")
            seen.add(used)
            if not crashed:
                break
    assert model.version == 3
    assert line > 8
    assert seen == {2, 3}
    for early in ("0", "6", str(line - 2)):  # and work can go on
        again = Hub(tmp_path / early, trust)
        again.install(alone)
        assert again.models.in_use("detector") == 3
        assert not list(again.models.installed.glob(".*"))


def test_the_command_says_what_it_did_and_what_stands_against_it(tmp_path, keys, newer):
    trusted_keys = tmp_path / "trusted"
    config = tmp_path / "s.toml"
    text = f'[data]\ndirectory = "{tmp_path / "data"}"\n[model]\ntrusted_keys = "trusted"\n'
    config.write_text(text)
    command = [sys.executable, "-m", "edge", "install", newer, "--settings", config]
    refusal = subprocess.run(command, capture_output=True, text=True)
    assert refusal.returncode == 2
    assert "no key is trusted" in refusal.stderr
    trusted_keys.mkdir()
    shutil.copy(keys[1], trusted_keys)
    config.write_text(text + f'directory = "{DETECTOR}"\n')
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "detector 3 installed, 2 before it" in done.stdout
    assert "behavior-lm 3 installed" in done.stdout
    assert "model.directory is set, so detector is not used" in done.stdout


def test_the_hosts_commands_make_keys_and_a_bundle_a_hub_takes(tmp_path, hub):
    def told(*given):
        done = CliRunner().invoke(app, [str(each) for each in given])
        return done.exit_code, done.output

    assert told("keys", "new", tmp_path / "keys")[0] == 0
    assert told("keys", "new", tmp_path / "keys")[0] == 1
    key, out = tmp_path / "keys/sceneshift.key", tmp_path / "out.bundle"
    folder = changed(tmp_path / "detector")
    given = ("bundle", "--detector", folder, "--key", key, "--out", out, "--created", NOW, "--expires", "2030-01-01")
    code, said = told(*given)
    assert code == 0, said
    assert f"{out}: detector 3; {out.stat().st_size} bytes" in said
    assert manifest_of(out)["expires"] == 1_893_456_000
    hub.trust = trusted(None, tmp_path / "keys/sceneshift.pub")
    assert hub.install(out)[0].version == 3
    (folder / "score.onnx").unlink()
    code, said = told(*given)
    assert code == 1
    assert "not packed" in said
