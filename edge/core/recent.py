"""What is remembered by names that come from outside: the newest of them, for anybody can make up more."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
MOST = 2000  # several times the names of a large home


class Recent(OrderedDict[K, V]):
    """A dict of the MOST keys that were set last."""

    def __setitem__(self, key: K, value: V) -> None:
        """Set a key; beyond MOST, forget the one that was set the longest ago."""
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > MOST:
            self.popitem(last=False)

    def setdefault(self, key: K, default: V) -> V:
        """Return what is kept under a key, the default from now on where nothing is."""
        if key not in self:
            self[key] = default
        return self[key]
