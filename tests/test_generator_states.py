"""The kept beginning of a prompt: reused where it is exactly the same, rebuilt whenever anything differs."""

import os
from dataclasses import replace

import pytest

from edge.core.errors import GenerationError
from edge.generator import Generator
from edge.workers.states import KEPT, States
from tests.llm import HOME, LIMITS, prompt


def asked(model, folder, limits=LIMITS, count=6, **changes):
    """Generate; return (replies, was the beginning reused, was it kept)."""
    generator = Generator(model, limits, states=folder)
    texts = generator.generate([prompt(count, **changes)], seed=3).texts
    return texts, generator.timings["reused"], generator.timings["kept"]


def test_the_same_home_reuses_what_was_evaluated_and_writes_the_same(shipped_llm, tmp_path):
    fresh = asked(shipped_llm, None)
    assert fresh[1:] == (False, False)
    first, second = asked(shipped_llm, tmp_path), asked(shipped_llm, tmp_path)
    assert (first[1:], second[1:]) == ((False, True), (True, True))
    assert fresh[0] == first[0] == second[0]
    assert len(list(tmp_path.iterdir())) == 1


def test_another_scene_reuses_another_home_does_not(shipped_llm, tmp_path):
    asked(shipped_llm, tmp_path)
    other = tuple(f"### scene\nfrom summer to WINTER\nSat 0{n} Kettle:state ON\n### reply\n" for n in range(3))
    assert asked(shipped_llm, tmp_path, requests=other)[1]
    fan = HOME.replace("Desk fan", "Big fan")
    plain, found = asked(shipped_llm, None, home=fan), asked(shipped_llm, tmp_path, home=fan)
    assert not found[1]
    assert plain[0] == found[0]


def test_another_quantization_or_context_does_not_reuse(shipped_llm, tmp_path):
    files = sorted(shipped_llm.parent.glob("*.gguf"))
    asked(files[0], tmp_path)
    for other in files[1:]:
        assert not asked(other, tmp_path)[1]
    assert not asked(files[0], tmp_path, replace(LIMITS, context=1024))[1]
    assert asked(files[0], tmp_path)[1]


@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.5, 0.999999])
def test_a_truncated_file_is_rebuilt(shipped_llm, tmp_path, share):
    good = asked(shipped_llm, tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    found = asked(shipped_llm, tmp_path)
    assert found == (good[0], False, True)
    assert file.read_bytes() == whole
    assert asked(shipped_llm, tmp_path)[1]


@pytest.mark.parametrize("place", [0, 20, 60, 2000, -1])
def test_a_flipped_bit_is_noticed(shipped_llm, tmp_path, place):
    good = asked(shipped_llm, tmp_path)
    (file,) = tmp_path.iterdir()
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)
    assert asked(shipped_llm, tmp_path) == (good[0], False, True)


def test_a_good_file_under_a_wrong_name_is_noticed(shipped_llm, tmp_path):
    asked(shipped_llm, tmp_path)
    (ours,) = tmp_path.iterdir()
    fan = HOME.replace("Desk fan", "Big fan")
    good = asked(shipped_llm, tmp_path, home=fan)
    (theirs,) = set(tmp_path.iterdir()) - {ours}
    theirs.write_bytes(ours.read_bytes())
    assert asked(shipped_llm, tmp_path, home=fan) == (good[0], False, True)


def test_a_folder_that_cannot_be_written_costs_time_not_the_replies(shipped_llm, tmp_path):
    (tmp_path / "file").touch()
    assert asked(shipped_llm, tmp_path / "file")[1:] == (False, False)


def test_a_reply_that_fails_leaves_no_torn_file(shipped_llm, tmp_path):
    with pytest.raises(GenerationError):
        Generator(shipped_llm, LIMITS, states=tmp_path).generate([prompt(grammar="root ::= (")], seed=1)
    assert list(tmp_path.iterdir()) == []


class Held:
    """A model whose state is any bytes."""

    def __init__(self, data=b""):
        self.data = data

    def state(self):
        return self.data

    def restore(self, state, count):
        self.data = bytes(state)
        return True


def test_only_the_newest_files_stay(tmp_path, monkeypatch):
    states = States(tmp_path)
    for number in range(KEPT + 3):
        assert states.save(Held(b"x" * 100), ("model",), (number,))
        os.utime(states.path(("model",), (number,)), (number, number))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {states.path(("model",), (number,)).name for number in range(3, KEPT + 3)}
    monkeypatch.setattr("edge.workers.states.BYTES", 400)
    assert states.save(Held(b"y" * 100), ("model",), (99,))
    assert len(list(tmp_path.iterdir())) == 2
    assert not states.save(Held(b"y" * 500), ("model",), (100,))


def test_what_was_abandoned_half_written_is_cleared(tmp_path):
    old, young = tmp_path / "a.123", tmp_path / "b.124"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    States(tmp_path).save(Held(b"x"), (), (1,))
    assert not old.exists()
    assert young.exists()


def test_every_part_of_the_key_counts(tmp_path):
    states = States(tmp_path)
    assert states.save(Held(b"data"), ("model", 2048, "0.3.36"), (1, 2))
    taken = Held()
    assert states.load(taken, ("model", 2048, "0.3.36"), (1, 2))
    assert taken.data == b"data"
    for key, tokens in (
        (("model2", 2048, "0.3.36"), (1, 2)),
        (("model", 1024, "0.3.36"), (1, 2)),
        (("model", 2048, "0.3.37"), (1, 2)),
        (("model", 2048, "0.3.36"), (1, 3)),
        (("model", 2048, "0.3.36"), (1,)),
    ):
        assert not states.load(Held(), key, tokens)
