"""Parts of a large set of pictures, for machines that share the work."""

import hashlib
import re
import unicodedata
from typing import NamedTuple

MOST = 1_000_000  # shards, each of which a sum of reports may have to name


class Shard(NamedTuple):
    """One of several parts that together are everything, and have nothing in common.

    What belongs to it follows from the names of the pictures alone, so machines that see the same
    tree agree without talking to each other, however their work begins and ends.

    Attributes:
        number: from 1 to `total`.
        total: how many parts there are.
    """

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read a shard such as `2/8`.

        Raises:
            ValueError: for anything else, a number above the total, or a total above `MOST`.
        """
        match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]) <= MOST:
            raise ValueError(
                "expected a shard such as 2/8, a number from 1 on and how many there are, at most "
                f"{MOST}, got {text!r}"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        """Write it as `parse` reads it."""
        return f"{self.number}/{self.total}"

    def holds(self, name: str) -> bool:
        """Whether the picture `name`, a path below the input with `/` between, is in this part."""
        # the same for all systems, which spell accents in two ways
        text = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(text, digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.total == self.number - 1
