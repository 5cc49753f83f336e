"""Vectors of parameters: what numpy wrote is read as it was, and nothing else is."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ArtifactError
from edge.core.vectors import vector
from edge.slots import shipped


def saved(array, save=np.save):
    buffer = BytesIO()
    save(buffer, array)
    return buffer.getvalue()


WHOLE = saved(np.arange(5, dtype=np.float32))


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40))
def test_what_numpy_wrote_is_read_as_it_was(numbers):
    array = np.array(numbers, np.float32)
    found = vector(saved(array))
    assert found.dtype == np.float32
    assert np.array_equal(found, array)
    found += 1  # it is its reader's own


def test_the_shipped_vector_is_read():
    content = (shipped("detector") / "initial.npy").read_bytes()
    assert np.array_equal(vector(content), np.load(BytesIO(content)))


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_every_truncation_is_refused(end):
    with pytest.raises(ArtifactError, match="no finite vector"):
        vector(WHOLE[:end])


@pytest.mark.parametrize(
    "content",
    [
        saved(np.ones(3)), saved(np.ones((2, 2), np.float32)), saved(np.float32(1)), saved(np.array([None, "x"])),
        saved(np.array([np.inf], np.float32)), saved(np.ones(3, np.float32), np.savez), WHOLE + b"x",
        WHOLE.replace(b"(5,), }", b"(999999999999,), }"), WHOLE.replace(b"(5,), }", b"(5,), ["),
        WHOLE.replace(b"5,", b"5*"), b"PK\x03\x04", b"\x80\x04.", b"",
    ],
)  # fmt: skip
def test_what_is_no_vector_is_refused(content):
    with pytest.raises(ArtifactError, match="no finite vector"):
        vector(content)
