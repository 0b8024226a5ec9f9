"""A file of every kind in every format, and what is to be read of it."""

from collections.abc import Callable

import numpy as np

from picture_formats import (
    ALPHA,
    CLEAR_FLOATS,
    COLOUR,
    FEW,
    FLAT_ALPHA,
    FLOATS,
    GREY,
    HALF_CLEAR_FLOATS,
    HEIGHT,
    HIDDEN,
    PALETTE,
    PLTE,
    Array,
    Made,
    apng,
    bmp,
    cmyk,
    colormap,
    deep,
    exr,
    frames_of,
    gif,
    heic,
    heic_of_two,
    joined,
    joined_down,
    jpeg2000_16,
    jpeg2000_grey_16,
    jpeg_cmyk,
    jpeg_of_two,
    pfm,
    pillow,
    planes_of,
    png,
    png_colour_hidden,
    png_grey_few,
    png_grey_hidden,
    png_palette_hidden,
    ppm,
    psd,
    psd_with_layers,
    tga,
    tif,
    vips,
)

BLACK_WHITE = FEW[..., None] % 2
BGRA_PALETTE = joined(PALETTE[:, None, ::-1], np.arange(0, 256, 32, np.uint8)[:, None, None])
SEVERAL = [COLOUR, 255 - COLOUR, COLOUR // 2]
PARTLY = [joined(COLOUR, np.full_like(ALPHA, 255)), joined(255 - COLOUR, FLAT_ALPHA)]
GREY_PALETTE = np.arange(256, dtype=np.uint8).repeat(3).reshape(-1, 3)
COLOURED = PALETTE[FEW]
NO_HOLE, HOLE = (FEW % 3, None, 2), (FEW, HIDDEN, 2)


def with_hole(values: Array, seen: Array) -> Array:
    return joined(values, np.where(seen, 255, 0).astype(np.uint8)[..., None])


MAKERS: dict[tuple[str, str], Callable[[], Made]] = {
    ("black and white, 1 bit", "PNG"): lambda: (png(BLACK_WHITE, 0, 1), BLACK_WHITE * 255),
    ("black and white, 1 bit", "TIFF"): lambda: (
        vips(BLACK_WHITE * 255, ".tif", bitdepth=1), BLACK_WHITE * 255),
    ("black and white, 1 bit", "GIF"): lambda: (
        gif([(FEW % 2, None, 0)], np.array([[0] * 3, [255] * 3])), BLACK_WHITE * 255),
    ("black and white, 1 bit", "BMP"): lambda: (
        bmp(FEW % 2, 1, np.array([[0] * 3, [255] * 3], np.uint8)), BLACK_WHITE * 255),
    ("black and white, 1 bit", "PPM"): lambda: (ppm("P4", BLACK_WHITE), BLACK_WHITE * 255),
    ("black and white, 1 bit", "PSD"): lambda: (psd(0, BLACK_WHITE, 1), BLACK_WHITE * 255),
    ("grey, 2 or 4 bits", "PNG"): png_grey_few,
    ("grey, 2 or 4 bits", "TIFF"): lambda: (
        vips(FEW[..., None] * 17, ".tif", bitdepth=4), FEW[..., None] * 17),
    ("grey, 2 or 4 bits", "GIF"): lambda: (
        gif([(FEW, None, 0)], GREY_PALETTE[::17]), FEW[..., None] * 17),
    ("grey, 2 or 4 bits", "PPM"): lambda: (ppm("P5", FEW[..., None], 15), FEW[..., None] * 17),
    ("grey", "PNG"): lambda: (png(GREY, 0), GREY),
    ("grey", "JPEG"): lambda: (pillow(GREY, "JPEG", quality=100), GREY),
    ("grey", "TIFF"): lambda: (tif(GREY), GREY),
    ("grey", "GIF"): lambda: (gif([(GREY[..., 0], None, 0)], GREY_PALETTE), GREY),
    ("grey", "BMP"): lambda: (bmp(GREY[..., 0], 8, GREY_PALETTE), GREY),
    ("grey", "AVIF"): lambda: (pillow(GREY, "AVIF", quality=100), GREY),
    ("grey", "HEIC"): lambda: (heic(GREY), GREY),
    ("grey", "JPEG 2000"): lambda: (pillow(GREY, "JPEG2000"), GREY),
    ("grey", "PPM"): lambda: (ppm("P5", GREY), GREY),
    ("grey", "TGA"): lambda: (tga(3, GREY, 8), GREY),
    ("grey", "PSD"): lambda: (psd(1, GREY), GREY),
    ("grey, 16 bits", "PNG"): lambda: (png(deep(GREY), 0, 16), deep(GREY)),
    ("grey, 16 bits", "TIFF"): lambda: (tif(deep(GREY)), deep(GREY)),
    ("grey, 16 bits", "JPEG 2000"): lambda: jpeg2000_grey_16(),
    ("grey, 16 bits", "PPM"): lambda: (ppm("P5", deep(GREY), 65535), deep(GREY)),
    ("grey, 16 bits", "PSD"): lambda: (psd(1, deep(GREY), 16), None),
    ("grey, one level hidden", "PNG"): png_grey_hidden,
    ("grey, one level hidden", "GIF"): lambda: (
        gif([(FEW, HIDDEN, 0)], GREY_PALETTE[::17]), with_hole(FEW[..., None] * 17, FEW != HIDDEN)),
    ("grey, alpha", "PNG"): lambda: (png(joined(GREY, ALPHA), 4), joined(GREY, ALPHA)),
    ("grey, alpha", "TIFF"): lambda: (
        tif(joined(GREY, ALPHA), extrasamples=["unassalpha"]), joined(GREY, ALPHA)),
    ("grey, alpha", "JPEG 2000"): lambda: (
        pillow(joined(GREY, ALPHA), "JPEG2000"), joined(GREY, ALPHA)),
    ("grey, alpha", "TGA"): lambda: (tga(3, joined(GREY, ALPHA), 16), joined(GREY, ALPHA)),
    ("grey, alpha, 16 bits", "PNG"): lambda: (
        png(deep(joined(GREY, ALPHA)), 4, 16), deep(joined(GREY, ALPHA))),
    ("grey, alpha, 16 bits", "TIFF"): lambda: (
        tif(deep(joined(GREY, ALPHA)), extrasamples=["unassalpha"]), deep(joined(GREY, ALPHA))),
    ("palette", "PNG"): lambda: (png(FEW, 3, 4, PLTE), COLOURED),
    ("palette", "TIFF"): lambda: (
        tif(FEW, "palette", colormap=colormap()), COLOURED),
    ("palette", "GIF"): lambda: (gif([(FEW, None, 0)]), COLOURED),
    ("palette", "BMP"): lambda: (bmp(FEW, 4, PALETTE), COLOURED),
    ("palette", "TGA"): lambda: (
        tga(1, FEW[..., None], 8, PALETTE[:, ::-1].tobytes(), 24), COLOURED),
    ("palette", "PSD"): lambda: (
        psd(2, FEW[..., None], 8, np.pad(PALETTE, ((0, 248), (0, 0))).T.tobytes()), COLOURED),
    ("palette, transparency", "PNG"): png_palette_hidden,
    ("palette, transparency", "GIF"): lambda: (
        gif([(FEW, HIDDEN, 0)]), with_hole(COLOURED, FEW != HIDDEN)),
    ("palette, transparency", "TGA"): lambda: (
        tga(1, FEW[..., None], 8, BGRA_PALETTE.tobytes(), 32),
        joined(COLOURED, (FEW * 32)[..., None])),
    ("colour", "PNG"): lambda: (png(COLOUR, 2), COLOUR),
    ("colour", "JPEG"): lambda: (pillow(COLOUR, "JPEG", quality=100, subsampling=0), COLOUR),
    ("colour", "WebP"): lambda: (vips(COLOUR, ".webp", lossless=True), COLOUR),
    ("colour", "TIFF"): lambda: (tif(COLOUR, "rgb"), COLOUR),
    ("colour", "BMP"): lambda: (bmp(COLOUR, 24), COLOUR),
    ("colour", "AVIF"): lambda: (vips(COLOUR, ".avif", Q=100, subsample_mode="off"), COLOUR),
    ("colour", "HEIC"): lambda: (heic(COLOUR), COLOUR),
    ("colour", "JPEG 2000"): lambda: (pillow(COLOUR, "JPEG2000"), COLOUR),
    ("colour", "PPM"): lambda: (ppm("P6", COLOUR), COLOUR),
    ("colour", "TGA"): lambda: (tga(2, COLOUR, 24), COLOUR),
    ("colour", "PSD"): lambda: (psd(3, COLOUR), COLOUR),
    ("colour, 10 to 16 bits", "PNG"): lambda: (png(deep(COLOUR), 2, 16), deep(COLOUR)),
    ("colour, 10 to 16 bits", "TIFF"): lambda: (tif(deep(COLOUR), "rgb"), deep(COLOUR)),
    ("colour, 10 to 16 bits", "AVIF"): lambda: (
        vips(deep(COLOUR), ".avif", Q=100, bitdepth=10, subsample_mode="off"), COLOUR),
    ("colour, 10 to 16 bits", "HEIC"): lambda: (heic(deep(COLOUR)), COLOUR),
    ("colour, 10 to 16 bits", "JPEG 2000"): lambda: jpeg2000_16(),
    ("colour, 10 to 16 bits", "PPM"): lambda: (ppm("P6", deep(COLOUR), 65535), deep(COLOUR)),
    ("colour, 10 to 16 bits", "PSD"): lambda: (psd(3, deep(COLOUR), 16), None),
    ("colour, one hidden", "PNG"): png_colour_hidden,
    ("colour, alpha", "PNG"): lambda: (png(joined(COLOUR, ALPHA), 6), joined(COLOUR, ALPHA)),
    ("colour, alpha", "WebP"): lambda: (
        vips(joined(COLOUR, ALPHA), ".webp", lossless=True, exact=True), joined(COLOUR, ALPHA)),
    ("colour, alpha", "TIFF"): lambda: (
        tif(joined(COLOUR, ALPHA), "rgb", extrasamples=["unassalpha"]), joined(COLOUR, ALPHA)),
    ("colour, alpha", "BMP"): lambda: (bmp(joined(COLOUR, ALPHA), 32), joined(COLOUR, ALPHA)),
    ("colour, alpha", "AVIF"): lambda: (
        vips(joined(COLOUR, ALPHA), ".avif", Q=100, subsample_mode="off"), joined(COLOUR, ALPHA)),
    ("colour, alpha", "HEIC"): lambda: (heic(joined(COLOUR, ALPHA)), joined(COLOUR, ALPHA)),
    ("colour, alpha", "JPEG 2000"): lambda: (
        pillow(joined(COLOUR, ALPHA), "JPEG2000"), joined(COLOUR, ALPHA)),
    ("colour, alpha", "TGA"): lambda: (tga(2, joined(COLOUR, ALPHA), 32), joined(COLOUR, ALPHA)),
    ("colour, alpha", "PSD"): lambda: (psd(3, joined(COLOUR, ALPHA)), joined(COLOUR, ALPHA)),
    ("colour, alpha, 16 bits", "PNG"): lambda: (
        png(deep(joined(COLOUR, ALPHA)), 6, 16), deep(joined(COLOUR, ALPHA))),
    ("colour, alpha, 16 bits", "TIFF"): lambda: (
        tif(deep(joined(COLOUR, ALPHA)), "rgb", extrasamples=["unassalpha"]),
        deep(joined(COLOUR, ALPHA))),
    ("colour, alpha, 16 bits", "PSD"): lambda: (psd(3, deep(joined(COLOUR, ALPHA)), 16), None),
    ("CMYK", "JPEG"): jpeg_cmyk,
    ("CMYK", "TIFF"): lambda: (tif(cmyk()[0], "separated"), cmyk()[1]),
    ("CMYK, 16 bits", "TIFF"): lambda: (
        tif(cmyk()[0].astype(np.uint16) * 257, "separated"), cmyk()[1]),
    ("CMYK", "PSD"): lambda: (psd(4, 255 - cmyk()[0]), cmyk()[1]),
    ("floats from 0 to 1", "TIFF"): lambda: (tif(GREY / np.float32(255)), GREY / np.float32(255)),
    ("floats from 0 to 1", "PPM"): lambda: (pfm(GREY / 255), GREY / np.float32(255)),
    ("floats beyond", "TIFF"): lambda: (tif(GREY - np.float32(9)), GREY - np.float32(9)),
    ("floats beyond", "PPM"): lambda: (pfm(GREY * 2.0), GREY * np.float32(2)),
    ("floats, colour", "TIFF"): lambda: (tif(FLOATS, photometric="rgb"), FLOATS),
    ("floats, colour", "PPM"): lambda: (pfm(FLOATS), FLOATS),
    ("floats from 0 to 1", "OpenEXR"): lambda: (
        exr(planes_of(GREY / 255, "Y")), GREY / np.float32(255)),
    ("floats beyond", "OpenEXR"): lambda: (
        exr(planes_of(GREY * 2.0, "Y", "<f2")), GREY * np.float32(2)),
    ("floats, colour", "OpenEXR"): lambda: (exr(planes_of(FLOATS, "RGB")), FLOATS),
    ("floats, alpha", "OpenEXR"): lambda: (
        exr(planes_of(HALF_CLEAR_FLOATS, "RGBA")), HALF_CLEAR_FLOATS),
    ("pages, pictures, layers", "OpenEXR"): lambda: (
        exr(planes_of(GREY * 1.0, "Z"), planes_of(FLOATS, "RGB")), FLOATS),
    ("floats, alpha", "TIFF"): lambda: (
        tif(CLEAR_FLOATS, photometric="rgb", extrasamples=["unassalpha"]),
        CLEAR_FLOATS,
    ),
    ("animation", "PNG"): lambda: (apng(SEVERAL, 2), SEVERAL),
    ("animation", "WebP"): lambda: (frames_of("WEBP", SEVERAL, lossless=True), SEVERAL),
    ("animation", "GIF"): lambda: (
        gif([NO_HOLE, (FEW, None, 1)]), [PALETTE[FEW % 3], COLOURED]),
    ("animation", "AVIF"): lambda: (
        frames_of("AVIF", SEVERAL, quality=100, subsampling="4:4:4"), SEVERAL),
    ("animation, transparency", "PNG"): lambda: (apng(PARTLY, 6), PARTLY),
    ("animation, transparency", "WebP"): lambda: (
        frames_of("WEBP", PARTLY, lossless=True), PARTLY),
    ("animation, transparency", "GIF"): lambda: (
        gif([NO_HOLE, HOLE]),
        [with_hole(PALETTE[FEW % 3], FEW >= 0), with_hole(COLOURED, FEW != HIDDEN)]),
    ("animation, transparency", "AVIF"): lambda: (
        frames_of("AVIF", PARTLY, quality=100, subsampling="4:4:4"), PARTLY),
    ("animation, 16 bits", "PNG"): lambda: (
        apng([deep(f) for f in SEVERAL], 2, 16), [deep(f) for f in SEVERAL]),
    ("pages, pictures, layers", "JPEG"): jpeg_of_two,
    ("pages, pictures, layers", "TIFF"): lambda: (
        vips(joined_down(COLOUR, 255 - COLOUR), ".tif", page_height=HEIGHT),
        [COLOUR, 255 - COLOUR]),
    ("pages, pictures, layers", "HEIC"): heic_of_two,
    ("pages, pictures, layers", "PSD"): psd_with_layers,
}  # fmt: skip
