"""A colour behind transparency, for formats without it: it looks the same in all profiles."""

from dataclasses import replace

import numpy as np

from ccsr.image.floats import Floats
from ccsr.image.linear import levels_of
from ccsr.image.modes import Levels, from_srgb, highest, in_srgb
from ccsr.image.picture import Picture


def over(picture: Picture, colour: tuple[int, int, int] | None) -> tuple[Picture, tuple[str, ...]]:
    """A single picture without alpha, and the names of what is lost.

    Args:
        picture: of any kind.
        colour: 8-bit levels of sRGB; None for a picture through which nothing shows.
    """
    (values,) = picture.frames
    if values.shape[2] not in (2, 4):
        return picture, ()
    lost: tuple[str, ...] = ()
    profile = picture.metadata.profile
    if colour is None:
        return replace(picture, frames=(values[..., :-1],)), ()
    hued = len(set(colour)) > 1
    if profile and hued and values.shape[2] == 2:  # which no profile of grey tells
        values, profile = in_srgb(values, profile), None
        lost = ("colour profile (converted to sRGB)",)
        described = replace(picture.metadata, profile=None, code=None)
        picture = replace(picture, metadata=described)
    behind = colour if hued or values.shape[2] == 4 else colour[:1]
    mixed = _mixed(values, _told_by(behind, profile))
    return replace(picture, frames=(mixed,)), lost


def _told_by(colour: tuple[int, ...], profile: bytes | None) -> Floats:
    """A colour of sRGB in the levels of a profile, from 0 to 1."""
    plain = np.array(colour, np.float32) / np.float32(255)
    if not profile:
        return plain
    levels = levels_of(plain, profile)
    if levels is None and (by_tables := from_srgb(colour, profile)):
        levels = np.array(by_tables, np.float32) / np.float32(255)
    return plain if levels is None else levels


def _mixed(values: Levels, behind: Floats) -> Levels:
    """Levels with alpha over a colour."""
    most = highest(values)
    share = values[..., -1:].astype(np.float32) / most
    mixed = values[..., :-1] * share + behind * most * (1 - share)
    if values.dtype == np.float32:
        return mixed.astype(np.float32)
    return (mixed + 0.5).clip(0, most).astype(values.dtype)
