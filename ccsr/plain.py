"""Numbers as people and other libraries give them, and whether they are what is wanted.

Those of numpy and torch, fractions and decimals count as Python's own; true and false are none.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any


def is_whole(value: Any, least: float, most: float = math.inf) -> bool:
    """Whether something is a whole number, of any library, from one to another."""
    if type(value) is bool or not isinstance(value, Integral):
        return False
    return least <= int(value) <= most


def is_number(value: Any, least: float, most: float) -> bool:
    """Whether something is a number, of any library, from one to another."""
    number = plain(value)
    return is_real(number) and bool(least <= number <= most)


def is_real(value: Any) -> bool:
    """Whether something plain is a real number; true and false are none."""
    return type(value) is not bool and isinstance(value, Real)


def plain(value: Any) -> Any:
    """Numbers out of arrays, tensors and decimals as Python's own, anything else as it is."""
    if isinstance(value, list | tuple):
        return tuple(map(plain, value))
    if isinstance(value, Decimal):
        return float(value)
    return value.tolist() if hasattr(value, "tolist") else value


def is_pair(value: Any) -> bool:
    """Whether something has two parts in order, such as a tuple or a list of two numbers."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) == 2
