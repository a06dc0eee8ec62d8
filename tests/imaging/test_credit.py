"""Creator and copyright survive; nothing else does."""

import io
import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dandyroll.imaging import credit as module
from dandyroll.imaging.decode import decode
from dandyroll.imaging.encode import encode
from dandyroll.imaging.header import read_header
from dandyroll.imaging.picture import Picture
from dandyroll.imaging.vips import pyvips
from dandyroll.keys import original_key, rendition_key
from dandyroll.models import NO_CREDIT, Credit, Job, Limits
from dandyroll.pipeline import STAGES, run
from dandyroll.policy import BUILTIN, DEFAULT
from dandyroll.stages.add_watermark import add_watermark
from dandyroll.stages.update_size import update_size
from tests.imaging.corpus import animation_times, file, photo

NAME, RIGHTS = "Zoë Müller & <Söhne>", "© 2026 Zoë Müller; all rights"
CREDIT = Credit(NAME, RIGHTS)
SECRETS = (b"SecretMaker", b"SERIAL-4711", b"SecretNote", b"SecretPlace", b"SecretThumb",
           b"SecretKeyword", b"SecretHistory")  # fmt: skip
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")


def exif_block(*, credited: bool) -> bytes:
    tags = Image.Exif()
    tags[0x010F] = "SecretMaker"
    tags[0x010E] = "SecretPlace"
    if credited:
        tags[0x013B], tags[0x8298] = NAME.encode(), RIGHTS.encode()
    tags.get_ifd(0x8769).update(
        {0xA431: "SERIAL-4711", 0x927C: b"SecretNote", 0xA435: "SERIAL-4711"}
    )
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.0), 29: "SecretPlace"})
    return tags.tobytes() + b"SecretThumb"


def xmp_block(*, credited: bool) -> bytes:
    block = module._xmp(CREDIT if credited else NO_CREDIT).decode()
    secret = '<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/">SecretKeyword</dc:subject>'
    return block.replace("</rdf:Description>", secret + "SecretHistory</rdf:Description>").encode()


def original(image_format: str, exif: bool, xmp: bool) -> bytes:
    """A file with every secret, and with the credit where it is asked for."""
    options: dict[str, Any] = {"xmp": xmp_block(credited=xmp)}
    if image_format == "TIFF":
        tags = {271: "SecretMaker", 700: xmp_block(credited=xmp), 270: "SecretPlace"}
        if exif:
            tags |= {315: NAME.encode(), 33432: RIGHTS.encode()}
        return file(photo(90, 60), "TIFF", tiffinfo=tags)
    if image_format == "PNG":
        text = xmp_block(credited=xmp)
        body = b"XML:com.adobe.xmp\0\0\0\0\0" + text
        chunk = struct.pack(">I", len(body)) + b"iTXt" + body
        chunk += struct.pack(">I", zlib.crc32(b"iTXt" + body))
        plain = file(photo(90, 60), "PNG", exif=exif_block(credited=exif))
        return plain[:33] + chunk + plain[33:]
    return file(photo(90, 60), image_format, exif=exif_block(credited=exif), **options)


def rendition(data: bytes, policy: Any = DEFAULT) -> bytes:
    picture, _ = decode(data, read_header(data, Limits()), 60, 60)
    policy = replace(policy, max_width_px=60, max_height_px=60)
    return encode(add_watermark(update_size(picture, policy), policy), policy.encoding)


def credit_of(data: bytes) -> Credit:
    return decode(data, read_header(data, Limits()), 60, 60)[0].credit


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize(("exif", "xmp"), [(True, False), (False, True), (True, True)])
def test_credit_is_kept_and_nothing_else(image_format: str, exif: bool, xmp: bool) -> None:
    data = original(image_format, exif, xmp)
    assert sum(secret in data for secret in SECRETS) >= 3
    assert credit_of(data) == CREDIT
    out = rendition(data)
    assert credit_of(out) == CREDIT
    for secret in (*SECRETS, b"GPS", b'xpacket end="w"', b"Adobe XMP", b"MakerNote"):
        assert secret not in out, secret


@pytest.mark.parametrize("image_format", FORMATS)
def test_another_reader_finds_it(image_format: str) -> None:
    with Image.open(io.BytesIO(rendition(original(image_format, True, True)))) as image:
        exif = image.getexif()
        assert set(exif) <= {315, 33432, 274, 282, 283, 296, 531, 34665}
        assert set(exif.get_ifd(0x8769)) <= {36864, 37121, 40960, 40961, 40962, 40963}
        assert not exif.get_ifd(0x8825)
        texts = [exif[tag] for tag in (315, 33432)]
        assert [t.encode("latin-1").decode() if "Ã" in t else t for t in texts] == [NAME, RIGHTS]
        if image.format == "JPEG":
            assert b"2026" in image.info["photoshop"][0x0404]


@pytest.mark.parametrize("image_format", FORMATS)
def test_without_a_credit_there_is_no_metadata(image_format: str) -> None:
    data = original(image_format, False, False)
    assert credit_of(data) == NO_CREDIT
    out = rendition(data)
    for word in (b"Exif", b"eXIf", b"EXIF", b"adobe", b"XMP ", b"Photoshop"):
        assert word not in out, word


@pytest.mark.parametrize("image_format", FORMATS)
def test_a_policy_may_drop_it(image_format: str) -> None:
    objects = Objects({original_key("a"): original(image_format, True, True)})
    earlier = replace(DEFAULT, keep_copyright=False)
    assert earlier.id == "policy-ae3cdff619c74bab" in BUILTIN  # pinned by jobs of version 0.1
    assert earlier.id != DEFAULT.id
    run(Job("a", earlier.id, original_key("a"), "any"), objects, Limits())
    assert credit_of(objects.kept[rendition_key("a")]) == NO_CREDIT


@pytest.mark.parametrize("image_format", [*FORMATS, "GIF", "animated WEBP"])
def test_stages_apart_write_it_too(image_format: str) -> None:
    data = (
        animated(image_format)
        if image_format not in FORMATS
        else original(image_format, True, True)
    )
    objects = Objects({original_key("a"): data})
    job = Job("a", DEFAULT.id, original_key("a"), "any")
    run(job, objects, Limits())
    fused = objects.kept[rendition_key("a")]
    for stage in STAGES:
        job = Job.from_json(json.loads(json.dumps(job.to_json())))
        job = run(job, objects, Limits(), (stage,))
    assert objects.kept[rendition_key("a")] == fused
    assert credit_of(fused) == CREDIT
    assert job.credit == CREDIT


def animated(image_format: str) -> bytes:
    frames = [photo(60, 40, seed) for seed in range(5)]
    times = list(animation_times())
    if image_format == "GIF":
        data = file(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=times)
        return module.credited_gif(data, CREDIT)
    return file(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=times,
                xmp=xmp_block(credited=True))  # fmt: skip


def test_iptc_is_read_where_there_is_nothing_else() -> None:
    block = module._iptc(Credit("Ada", "© Ada"))
    data = file(photo(60, 40), "JPEG")
    data = data[:20] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + data[20:]
    assert credit_of(data) == Credit("Ada", "© Ada")


def test_text_is_cleaned_and_bounded() -> None:
    tags = Image.Exif()
    tags[0x013B], tags[0x8298] = "a\x1b[31mb\r\nc" + "x" * 5000, b"M\xfcller\0Editor"
    credit = credit_of(file(photo(60, 40), "JPEG", exif=tags.tobytes()))
    assert credit.creator.startswith("a [31mb cxxx")
    assert len(credit.creator) == module.MAX_CHARACTERS
    assert credit.copyright == "Müller; Editor"


def test_entities_are_not_expanded() -> None:
    doctype = b'<!DOCTYPE x [<!ENTITY e "boom">]>'
    packet = module._xmp(CREDIT).replace("Zoë".encode(), b"&e;")
    body = packet.replace(b"<x:xmpmeta", doctype + b"<x:xmpmeta", 1)
    assert credit_of(file(photo(60, 40), "JPEG", xmp=body)) == NO_CREDIT


@given(st.binary(max_size=400), st.sampled_from(["exif-data", "xmp-data", "iptc-data"]), st.data())
def test_any_blocks_are_read_without_a_fault(noise: bytes, name: str, data: st.DataObject) -> None:
    whole = {"exif-data": module._exif, "xmp-data": module._xmp, "iptc-data": module._iptc}[name](
        CREDIT
    )
    at = data.draw(st.integers(0, len(whole)))
    for block in (noise, whole[:at] + noise, whole[:at] + noise + whole[at:]):
        pixels = pyvips.Image.black(1, 1).copy()
        pixels.set_type(pyvips.GValue.blob_type, name, block)
        found = module.read_credit(b"", pixels)
        assert max(len(found.creator), len(found.copyright)) <= module.MAX_CHARACTERS


def test_a_picture_without_a_credit_costs_no_block() -> None:
    pixels = pyvips.Image.black(8, 8, bands=3).copy(interpretation="srgb")
    picture = Picture(pixels, "JPEG")
    assert b"Exif" not in encode(picture, DEFAULT.encoding)
    assert b"Exif" in encode(replace(picture, credit=CREDIT), DEFAULT.encoding)


class Objects:
    """An object store in memory, for runs of the pipeline."""

    def __init__(self, kept: dict[str, bytes]) -> None:
        self.kept = kept

    def get(self, key: str) -> bytes:
        return self.kept[key]

    def put(self, key: str, data: bytes, content_type: str, *, if_absent: bool = False) -> None:
        self.kept[key] = data

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)

    def list(self, prefix: str) -> Any:
        return iter(sorted(key for key in self.kept if key.startswith(prefix)))
