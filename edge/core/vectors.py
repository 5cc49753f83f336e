"""A vector of parameters as a `.npy` file holds it, read as what it is: nothing of the file is evaluated.

numpy's own reader takes archives, pickles and shapes that no memory has; a slot needs one form of all of these.
Source: the NPY format, version 1.0 (numpy.lib.format).
"""

import re

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import ArtifactError

_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d{1,12}),\), \} *\n", re.DOTALL
)


def vector(content: bytes) -> NDArray[np.float32]:
    """Return the finite numbers (P,) of a file; raises ArtifactError for any other content."""
    head = _HEAD.match(content)
    if head is None or int.from_bytes(head[1], "little") != head.end() - 10:
        raise ArtifactError("no finite vector in numpy's form")
    if len(content) != head.end() + 4 * int(head[2]):
        raise ArtifactError("no finite vector: it was cut off, or goes on behind its end")
    found = np.frombuffer(content, np.dtype("<f4"), offset=head.end()).astype(np.float32)
    if not np.isfinite(found).all():
        raise ArtifactError("no finite vector: some of its numbers are none")
    return found
