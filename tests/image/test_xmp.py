"""Fields of XMP by what they describe, read back by another parser of XML."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccsr import image
from ccsr.image import xmp

SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "OpCamera": "http://ns.oplus.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "GImage": "http://ns.google.com/photos/1.0/image/",
    "Device": "http://ns.google.com/photos/dd/1.0/device/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "drone-dji": "http://www.dji.com/drone-dji/1.0/",
}


def packet(attributes: str = "", inside: str = "", **renamed: str) -> bytes:
    """A packet; `renamed` gives namespaces another prefix than the usual one."""
    spaces = "".join(f' xmlns:{renamed.get(p, p)}="{uri}"' for p, uri in SPACES.items())
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta{spaces}><rdf:RDF><rdf:Description rdf:about="" dc:title="A &lt;hill&gt;"'
        f" {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
        '<?xpacket end="w"?>'
    ).encode()


def fields(text: bytes | None) -> dict[str, str]:
    """All attributes and texts, by their usual prefixes."""
    prefixes = {uri: prefix for prefix, uri in SPACES.items()}
    found = {}
    for element in ElementTree.fromstring(text or b"<a/>").iter():
        own = [(element.tag, (element.text or "").strip()), *element.attrib.items()]
        for name, value in own:
            space, _, local = name.removeprefix("{").partition("}")
            if value and local:
                key = f"{prefixes[space]}:{local}"
                found[key] = f"{found[key]} {value}" if key in found else value
    return found


@pytest.mark.parametrize(
    ("attributes", "gone"),
    [
        ('GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1"', "GCamera:MotionPhoto"),
        ('GCamera:MicroVideo="1" GCamera:MicroVideoOffset="99"', "GCamera:MicroVideoOffset"),
        ('OpCamera:VideoLength="99"', "OpCamera:VideoLength"),
        ('hdrgm:Version="1.0" hdrgm:GainMapMax="2.5"', "hdrgm"),
        ('HDRGainMap:HDRGainMapVersion="65536"', "HDRGainMap"),
        ('GDepth:Near="1" GDepth:Data="AAAA"', "GDepth"),
        ('GImage:Mime="image/jpeg"', "GImage"),
        ('Device:Revision="1"', "Device"),
        ('xmpNote:HasExtendedXMP="0123"', "xmpNote:HasExtendedXMP"),
        ('photoshop:LegacyIPTCDigest="0123"', "photoshop:LegacyIPTCDigest"),
    ],
)
def test_what_is_about_other_streams_and_bytes_goes(attributes: str, gone: str) -> None:
    got, said = xmp.true_of_pixels(packet(attributes))
    assert fields(got) == {"dc:title": "A <hill>"}
    assert f"XMP {gone}" in said
    prefix = attributes.partition(":")[0].encode()
    assert prefix + b":" not in (got or b"")  # nor its declaration


def test_a_directory_of_streams_goes_as_a_whole() -> None:
    inside = (
        '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item'
        ' Item:Semantic="GainMap" Item:Length="4711"/></rdf:li></rdf:Seq></Container:Directory>'
    )
    got, said = xmp.true_of_pixels(packet(inside=inside))
    assert fields(got) == {"dc:title": "A <hill>"}
    assert said == ("XMP Container",)


def test_the_namespace_counts_not_the_prefix() -> None:
    """`hdrgm` under another name goes; another's `hdrgm` would be that name's matter."""
    got, said = xmp.true_of_pixels(packet('gm:Version="1.0"', hdrgm="gm"))
    assert fields(got) == {"dc:title": "A <hill>"}
    assert said == ("XMP hdrgm",)
    large = xmp.scaled(packet('pano:FullPanoWidthPixels="400"', GPano="pano"), (3, 4), (6, 12))
    assert fields(large)["GPano:FullPanoWidthPixels"] == "1200"


def test_pixels_are_scaled_and_degrees_are_not() -> None:
    attributes = (
        'GPano:FullPanoWidthPixels="4000" GPano:FullPanoHeightPixels="2000" '
        'GPano:CroppedAreaImageWidthPixels="300" GPano:CroppedAreaImageHeightPixels="200" '
        'GPano:CroppedAreaLeftPixels="10" GPano:CroppedAreaTopPixels="20" '
        'GPano:LargestValidInteriorRectLeft="1" GPano:LargestValidInteriorRectHeight="7" '
        'GPano:PoseHeadingDegrees="12.5" GPano:ProjectionType="equirectangular" '
        'tiff:ImageWidth="300" tiff:ImageLength="200" exif:PixelXDimension="300" '
        'exif:FocalPlaneXResolution="5000/3" exif:FocalPlaneYResolution="1/7" '
        'drone-dji:CalibratedFocalLength="3666.5" drone-dji:CalibratedOpticalCenterY="100"'
    )
    before = fields(packet(attributes))
    after = fields(xmp.scaled(packet(attributes), (200, 300), (600, 600)))
    assert after == before | {
        "GPano:FullPanoWidthPixels": "8000",
        "GPano:FullPanoHeightPixels": "6000",
        "GPano:CroppedAreaImageWidthPixels": "600",
        "GPano:CroppedAreaImageHeightPixels": "600",
        "GPano:CroppedAreaLeftPixels": "20",
        "GPano:CroppedAreaTopPixels": "60",
        "GPano:LargestValidInteriorRectLeft": "2",
        "GPano:LargestValidInteriorRectHeight": "21",
        "tiff:ImageWidth": "600",
        "tiff:ImageLength": "600",
        "exif:PixelXDimension": "600",
        "exif:FocalPlaneXResolution": "10000/3",
        "exif:FocalPlaneYResolution": "3/7",
        "drone-dji:CalibratedFocalLength": "7333",
        "drone-dji:CalibratedOpticalCenterY": "300",
    }
    assert xmp.true_of_pixels(packet(attributes)) == (packet(attributes), ())


def test_boxes_by_their_units() -> None:
    inside = (
        "<mwg-rs:Regions><mwg-rs:AppliedToDimensions"
        ' stDim:w="300" stDim:h="200" stDim:unit="pixel"/>'
        '<mwg-rs:Area stArea:x="0.5" stArea:w="0.25" stArea:unit="normalized"/></mwg-rs:Regions>'
        "<Iptc4xmpExt:RegionBoundary><Iptc4xmpExt:rbUnit>pixel</Iptc4xmpExt:rbUnit>"
        "<Iptc4xmpExt:rbX>10</Iptc4xmpExt:rbX><Iptc4xmpExt:rbH>30</Iptc4xmpExt:rbH>"
        "</Iptc4xmpExt:RegionBoundary>"
    )
    after = fields(xmp.scaled(packet(inside=inside), (200, 300), (400, 900)))
    assert after == fields(packet(inside=inside)) | {
        "stDim:w": "900",
        "stDim:h": "400",
        "Iptc4xmpExt:rbX": "30",
        "Iptc4xmpExt:rbH": "60",
    }


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("10 20", "20 60"), ("10 20 30 40", "20 60 60 120"), ("10 20 100", "20 60 245")],
)
def test_a_place_in_the_picture(subject: str, expected: str) -> None:
    """A circle's diameter (Exif 2.3, 4.6.5) by the mean of both factors, 2 and 3."""
    items = "".join(f"<rdf:li>{number}</rdf:li>" for number in subject.split())
    inside = f"<exif:SubjectArea><rdf:Seq>{items}</rdf:Seq></exif:SubjectArea>"
    assert fields(xmp.scaled(packet(inside=inside), (2, 2), (6, 4)))["rdf:li"] == expected


@pytest.mark.parametrize("turn", [3, 6])
def test_places_in_a_turned_picture_go(turn: int) -> None:
    inside = '<mwg-rs:Area stArea:x="0.5" stArea:unit="normalized"/>'
    attributes = (
        'tiff:Orientation="6" GPano:CroppedAreaLeftPixels="3" '
        'tiff:XResolution="72/1" tiff:YResolution="96/1"'
    )
    got, said = xmp.true_of_pixels(packet(attributes, inside), turn)
    resolution = {"tiff:XResolution": "72/1", "tiff:YResolution": "96/1"}
    if turn == 6:
        resolution = {"tiff:XResolution": "96/1", "tiff:YResolution": "72/1"}
    assert fields(got) == {"dc:title": "A <hill>"} | resolution
    assert said == ("XMP GPano:CroppedAreaLeftPixels", "XMP mwg-rs:Area")


@pytest.mark.parametrize(
    "damaged",
    [
        b"<a",
        b"no XML",
        b"\xff\xfe\xff",
        b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]><a>&d;</a>',
    ],
)
def test_damaged_xmp_goes_and_is_said(tmp_path: Path, damaged: bytes) -> None:
    Image.new("RGB", (16, 12)).save(tmp_path / "a.webp", xmp=damaged)
    picture = image.read(tmp_path / "a.webp")
    assert picture.metadata.xmp is None
    assert picture.dropped == ("damaged XMP",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_from_file_to_file(tmp_path: Path, suffix: str) -> None:
    text = packet('GPano:FullPanoWidthPixels="160" GCamera:MotionPhoto="1"')
    Image.new("RGB", (16, 12)).save(tmp_path / "a.jpg", xmp=text)
    picture = image.read(tmp_path / "a.jpg")
    assert picture.dropped == ("XMP GCamera:MotionPhoto",)
    image.write(picture.map(lambda v: np.repeat(v, 3, 1)), tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as opened:
        stored = opened.info["xmp"]
    got = fields(stored if isinstance(stored, bytes) else stored.encode())
    assert got == {"dc:title": "A <hill>", "GPano:FullPanoWidthPixels": "480"}


def test_fields_of_one_name_in_several_spaces() -> None:
    """As photos with a depth map have them: GDepth:Data beside GImage:Data."""
    text = packet(
        'GDepth:Data="AA" GImage:Data="BB" GDepth:Mime="a" GImage:Mime="b" '
        'dc:Data="CC" photoshop:Data="DD"'
    )
    kept, gone = xmp.true_of_pixels(text)
    assert set(gone) == {"XMP GDepth", "XMP GImage"}
    found = fields(kept)
    assert {name for name in found if name.endswith((":Data", ":Mime"))} == {
        "dc:Data", "photoshop:Data"
    }  # fmt: skip
    assert (found["dc:Data"], found["photoshop:Data"]) == ("CC", "DD")
    assert xmp.true_of_pixels(kept or b"")[0] == kept


def test_how_a_file_is_stored_goes_without_a_word() -> None:
    """The file that is written is another: a PNG of a JPEG, 8 bits of 16."""
    text = packet('dc:format="image/jpeg" tiff:BitsPerSample="16" dc:rights="mine"')
    kept, gone = xmp.true_of_pixels(text)
    assert gone == ()
    found = fields(kept)
    assert found["dc:rights"] == "mine"
    assert not {"dc:format", "tiff:BitsPerSample"} & set(found)


def test_boxes_of_pixels_are_scaled_once(tmp_path: Path) -> None:
    """However many units say it; thousands would take minutes pair by pair."""
    inside = "<stDim:unit>pixel</stDim:unit>" * 2000 + "<stDim:w>10</stDim:w><stDim:h>8</stDim:h>"
    text = xmp.scaled(packet(inside=inside), (4, 5), (8, 15))
    assert b"<stDim:w>30</stDim:w><stDim:h>16</stDim:h>" in text


def test_what_is_nested_without_end_is_damaged() -> None:
    for depth, gone in ((50, ()), (5000, ("damaged XMP",))):
        assert xmp.true_of_pixels(packet(inside="<a>" * depth + "</a>" * depth))[1] == gone


@pytest.mark.parametrize(
    "attributes",
    [
        'xmlns:g="http://www.w3.org/2003/01/geo/wgs84_pos#" g:lat="48.137" g:long="11.575"',
        'dc:coverage="48.137, 11.575"',
        'xmlns:georss="http://www.georss.org/georss" georss:point="48.137 11.575"',
        'xmlns:own="http://somebody/" own:lat="48.137" own:lng="11.575"',
        'xmlns:own="http://somebody/" own:spot="geo:48.137,11.575"',
    ],
)
def test_no_place_stays_by_whatever_name(attributes: str) -> None:
    assert b"48.137" not in (xmp.without_place(packet(attributes)) or b"")
    assert b"A &lt;hill" in (xmp.without_place(packet('dc:coverage="a"')) or b"")
