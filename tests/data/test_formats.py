"""Right pixel values of pictures as people have them, and refusals with a remedy."""

import io
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
from evil import CMYK, END, HALF, JPEG, PROGRESSIVE
from odd_files import (
    ADOBE_RGB,
    LIKE_SRGB,
    PNG_START,
    bmp_with_alpha,
    chunk,
    gray_alpha,
    press_profile,
    saved,
    tiff,
    with_chunk,
    with_wrong_checksum,
)
from pictures import encoded, photograph
from PIL import Image

from alexnet.data import colour, decode, kinds, memory
from alexnet.data import jpeg as jpegs
from alexnet.data import jxl as jxls
from alexnet.data import tiff as tiffs
from alexnet.errors import BadImage

FEW = np.array([[[0, 10, 200], [255, 128, 3]]], np.uint8)  # one row of two colours


def read(data, name="x"):
    return decode.decode(data, name)


def reason(data, name="x"):
    with pytest.raises(BadImage) as error:
        decode.decode(data, name)
    with pytest.raises(BadImage):
        decode.load(data, name, 16)
    assert "\n" not in error.value.reason
    return error.value.reason


# JPEG: what costs no pixel


def at_scan(jpeg):
    return jpeg.index(b"\xff\xda")


def with_jfif(jpeg, version):
    return jpeg[:11] + version + jpeg[13:]


def with_scan_parameters(jpeg):
    start = at_scan(jpeg) + 2
    end = start + struct.unpack(">H", jpeg[start : start + 2])[0]
    return jpeg[: end - 3] + bytes(3) + jpeg[end:]


def between_segments(jpeg):
    return jpeg[: at_scan(jpeg)] + b"\x12\x34" * 20 + jpeg[at_scan(jpeg) :]


def with_adobe(jpeg, code):
    return jpeg[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + code + jpeg[20:]


QUIRKS = {
    "JFIF 0.00": lambda jpeg: with_jfif(jpeg, b"\0\0"),
    "JFIF 1.00": lambda jpeg: with_jfif(jpeg, b"\1\0"),
    "JFIF 9.99": lambda jpeg: with_jfif(jpeg, b"\x09\x63"),
    "Adobe only": lambda jpeg: with_adobe(jpeg, b"\1"),
    "an unknown colour code of Adobe": lambda jpeg: with_adobe(jpeg, b"\x09"),
    "neither JFIF nor Adobe": lambda jpeg: jpeg[:2] + jpeg[20:],
    "bytes between segments": between_segments,
    "a damaged ICC marker": lambda jpeg: jpeg[:20] + b"\xff\xe2\0\x12ICC_PROFILE\0\x07\x02xy" + jpeg[20:],
    "broken EXIF": lambda jpeg: jpeg[:20] + b"\xff\xe1\0\x0cExif\0\0MM\xff\xff" + jpeg[20:],
}
WHOLE_QUIRKS = QUIRKS | {
    "a scan of no coefficients, as Samsung writes it": with_scan_parameters,
    "zeros before the end": lambda jpeg: jpeg[:-2] + bytes(400) + jpeg[-2:],
    "no end marker": lambda jpeg: jpeg[:-2],
    "all at once": lambda jpeg: between_segments(with_scan_parameters(with_jfif(jpeg, b"\0\0")))[:-2] + bytes(90) + END,
}


@pytest.mark.parametrize("quirk", WHOLE_QUIRKS)
def test_a_jpeg_warning_that_costs_no_pixel_is_no_damage(quirk):
    assert np.array_equal(read(WHOLE_QUIRKS[quirk](JPEG)), read(JPEG))


@pytest.mark.parametrize("quirk", WHOLE_QUIRKS)
@pytest.mark.parametrize("tail", [b"", END], ids=["cut", "cut with an end marker"])
def test_a_harmless_warning_never_hides_missing_pixels(quirk, tail):
    odd = WHOLE_QUIRKS[quirk](JPEG)
    assert reason(odd[: len(odd) - HALF] + tail).startswith("damaged: ")


@pytest.mark.parametrize("quirk", WHOLE_QUIRKS)
def test_a_harmless_warning_never_hides_a_hole(quirk):
    odd = WHOLE_QUIRKS[quirk](JPEG[:HALF] + bytes(60) + JPEG[HALF + 60 :])
    assert reason(odd).startswith("damaged: ")


@pytest.mark.parametrize("quirk", QUIRKS)
@pytest.mark.parametrize("tail", [b"", END], ids=["cut", "cut with an end marker"])
def test_quirks_of_progressive_jpeg_hide_no_damage_either(quirk, tail):
    odd = QUIRKS[quirk](PROGRESSIVE)
    assert np.array_equal(read(odd), read(PROGRESSIVE))
    assert reason(odd[: len(odd) // 2] + tail).startswith("damaged: ")


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused():
    assert "Premature end" in reason(PROGRESSIVE[: PROGRESSIVE.rindex(b"\xff\xda")])


def test_bytes_that_decode_as_nothing_before_the_end_are_damage():
    assert "extraneous bytes" in reason(JPEG[:-2] + b"other" * 30 + JPEG[-2:])


def test_a_half_jpeg_of_a_subsampling_that_only_pillow_knows_is_refused():
    rare = bytearray(encoded(photograph(64, 64), quality=90, subsampling=0))
    frame = rare.index(b"\xff\xc0")
    rare[frame + 11], rare[frame + 14], rare[frame + 17] = 0x12, 0x12, 0x11  # decodes to rubbish, but to the end
    with pytest.raises(ValueError, match="subsampling"):
        jpegs.simplejpeg.decode_jpeg(bytes(rare))
    assert "truncated" in reason(bytes(rare[: len(rare) // 3]) + END)


def test_a_cmyk_jpeg_with_a_quirk_is_judged_like_any_other():
    odd = with_scan_parameters(CMYK)
    assert np.array_equal(read(odd), read(CMYK))
    assert reason(odd[: len(odd) // 2] + END).startswith("damaged: ")


def test_a_mended_jpeg_of_the_right_size_is_compressed_anew_for_the_store():
    odd = with_scan_parameters(encoded(photograph(32, 32)))
    assert not decode.is_jpeg_of(odd, decode.load(odd, "x", 32))


def test_the_first_picture_of_an_mpo_is_read():
    first, second = Image.fromarray(photograph(seed=1)), Image.fromarray(photograph(seed=2))
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert np.abs(read(data).astype(int) - photograph(seed=1)).mean() < 4


# PNG


def test_png_metadata_of_more_than_a_megabyte_are_skipped():
    import zlib

    png = saved(FEW, "PNG")
    text = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 1_200_000))
    profile = chunk(b"iCCP", b"huge\0\0" + zlib.compress(bytes(1_200_000)))
    after = with_chunk(png, chunk(b"tEXt", b"a\0" + b"x" * 1_200_000), b"IEND")
    for odd in (with_chunk(png, text), with_chunk(png, profile), with_chunk(png, 70 * text), after):
        assert np.array_equal(read(odd), FEW)


def test_a_png_bomb_behind_metadata_is_still_refused():
    from evil import png_header

    bomb = with_chunk(png_header(60_000, 60_000), chunk(b"tEXt", b"a\0" + bytes(10)))
    assert "more than 64,000,000 pixels" in reason(bomb)


@pytest.mark.parametrize("kind", [b"tEXt", b"iCCP", b"pHYs", b"gAMA", b"xxXx"])
def test_a_png_is_read_though_the_checksum_of_a_chunk_without_pixels_is_wrong(kind):
    odd = with_chunk(saved(FEW, "PNG"), chunk(kind, b"a\0\0bcdefg", checksum=1))
    assert np.array_equal(read(odd), FEW)


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"])
def test_a_png_whose_pixels_a_wrong_checksum_may_have_changed_is_refused_by_name(kind):
    image = Image.fromarray(FEW).quantize(2)
    odd = with_wrong_checksum(saved(image, "PNG", transparency=0), kind)
    assert reason(odd) == f"damaged: the checksum of chunk {kind.decode()} is wrong"


def test_a_png_that_ends_within_its_pixels_is_refused():
    png = saved(photograph(), "PNG")
    assert "IDAT" in reason(png[: len(png) // 2])


def test_the_orientation_and_transparency_of_a_png_survive_its_text():
    exif = Image.Exif()
    exif[0x0112] = 3
    odd = with_chunk(saved(FEW, "PNG", exif=exif), chunk(b"tEXt", b"a\0b"))
    assert np.array_equal(read(odd), FEW[:, ::-1])


def test_what_follows_the_end_of_a_png_is_harmless():
    assert np.array_equal(read(saved(FEW, "PNG") + saved(photograph(), "PNG")[8:-9]), FEW)


def test_a_forged_length_of_a_chunk_is_damage():
    odd = PNG_START + struct.pack(">I", 0xFFFFFFFF) + b"IHDR" + bytes(40)
    assert "IHDR" in reason(odd)


# Alpha that is no alpha


def test_a_bmp_whose_alpha_is_zero_everywhere_is_opaque():
    assert np.array_equal(read(bmp_with_alpha(FEW, 0)), FEW)
    assert np.array_equal(read(bmp_with_alpha(FEW, 255)), FEW)
    assert read(bmp_with_alpha(FEW, 128))[0, 0].tolist() == [127, 132, 227]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_alpha_that_is_zero_everywhere_over_colours_is_none(kind):
    rgba = np.dstack([FEW, np.zeros(FEW.shape[:2], np.uint8)])
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert np.array_equal(read(saved(rgba, kind, **options)), FEW)


def test_a_transparent_picture_without_colours_stays_white():
    assert (read(saved(np.zeros((2, 2, 4), np.uint8), "PNG")) == 255).all()


def test_gray_with_alpha_is_laid_over_white():
    assert (read(saved(Image.fromarray(gray_alpha(2, 2, 128), "LA"), "PNG")) == 177).all()
    assert (read(saved(Image.fromarray(gray_alpha(2, 2, 0), "LA"), "PNG")) == 100).all()


def test_a_fourth_channel_of_a_tiff_that_is_not_said_to_be_alpha_is_ignored():
    rgbx = np.dstack([FEW, np.full(FEW.shape[:2], 9, np.uint8)])
    assert np.array_equal(read(tiff(rgbx, photometric=2, extra=[0])), FEW)
    assert not np.array_equal(read(tiff(rgbx, photometric=2, extra=[2])), FEW)


# TIFF: depth, bands, numbers, photometric interpretation

DEEP = np.array([[0, 257, 25_700, 65_535]], np.uint16)
AS_BYTES = [0, 1, 100, 255]


def test_16_bit_tiff_is_scaled_and_a_white_zero_is_turned():
    assert read(tiff(DEEP))[0, :, 1].tolist() == AS_BYTES
    assert read(tiff(DEEP, photometric=0))[0, :, 1].tolist() == [255, 254, 155, 0]
    assert read(tiff(np.array([[0, 1, 255]], np.uint8), photometric=0))[0, :, 1].tolist() == [255, 254, 0]


def test_packed_12_bit_tiff_has_a_white_of_4095():
    packed = np.array([[0x00, 0x07, 0xFF, 0xFF, 0xF8, 0x00]], np.uint8)  # 0, 2047, 4095, 2048
    data = bytearray(tiff(packed, bits=12))
    width = data.index(struct.pack("<HHI", 256, 4, 1)) + 8
    data[width : width + 4] = struct.pack("<I", 4)
    assert read(bytes(data))[0, :, 0].tolist() == [0, 127, 255, 128]


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "RGB TIFF", "white is zero"])
def test_few_bits_in_16_are_refused_with_the_remedy_and_never_black(bits, kind):
    few = (np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040) >> (16 - bits)
    data = {
        "TIFF": tiff(few),
        "PNG": saved(few, "PNG"),
        "RGB TIFF": tiff(np.repeat(few[..., None], 3, 2), photometric=2),
        "white is zero": tiff(few, photometric=0),
    }[kind]
    assert "nearly black: scale all pictures to 8 bits alike (12-bit ones: divide by 16)" in reason(data)


def test_16_bits_of_which_a_quarter_is_used_are_read():
    assert read(tiff(np.array([[0, 16_384]], np.uint16)))[0, :, 0].tolist() == [0, 64]
    assert "16,383 or less" in reason(tiff(np.array([[0, 16_383]], np.uint16)))


def test_16_bit_colours_that_use_their_range_are_read():
    assert read(tiff(np.repeat(DEEP[..., None], 3, 2), photometric=2))[0, :, 1].tolist() == AS_BYTES
    dark = np.repeat((DEEP // 5)[..., None], 4, 2)
    dark[..., 3] = 65_535
    assert "nearly black" in reason(tiff(dark, photometric=2, extra=[2]))


def test_floating_point_tiff_of_0_to_1_is_read_and_others_are_named():
    assert read(tiff(np.array([[0, 0.5, 1]], np.float32), numbers=3))[0, :, 2].tolist() == [0, 128, 255]
    for wrong in ([[0, 255]], [[-0.1, 1]], [[np.nan, 0.5]], [[np.inf, 0]]):
        assert "floating-point pixels outside 0 to 1" in reason(tiff(np.array(wrong, np.float32), numbers=3))
    assert "1 of 64 bits: scale" in reason(tiff(np.zeros((2, 2)), numbers=3))
    assert "3 of 32 bits: scale" in reason(tiff(np.zeros((2, 2, 3), np.float32), photometric=2, numbers=3))


def test_signed_and_complex_pixels_are_named():
    for signed in (np.int8, np.int16):
        assert "signed pixels" in reason(tiff(np.ones((2, 2), signed), numbers=2))
    assert "complex pixels" in reason(tiff(np.ones((2, 2), np.complex64), numbers=6))


@pytest.mark.parametrize(("bands", "kind"), [(13, np.uint16), (4, np.uint16), (13, np.uint8), (3, np.uint8)])
def test_a_tiff_of_many_bands_is_refused_with_the_remedy_and_in_silence(bands, kind, capfd):
    data = tiff(np.zeros((4, 4, bands), kind), extra=[0] * (bands - 1))
    assert reason(data) == f"{bands} bands: make a picture of three, RGB"
    assert capfd.readouterr() == ("", "")


def test_what_photoshop_keeps_beside_the_colours_is_ignored():
    five = np.dstack([FEW, np.full((*FEW.shape[:2], 2), 7, np.uint8)])
    assert np.array_equal(read(tiff(five, photometric=2, extra=[0, 0])), FEW)


def test_palettes_of_16_and_of_8_bits_give_the_same_colours():
    indices = np.array([[0, 1, 2]], np.uint8)
    narrow = np.zeros((3, 256), int)
    narrow[:, :3] = [[255, 0, 10], [0, 128, 20], [0, 0, 30]]
    wide = tiff(indices, photometric=3, palette=(257 * narrow).ravel().tolist())
    careless = tiff(indices, photometric=3, palette=narrow.ravel().tolist())
    for data in (wide, careless):
        assert read(data)[0].tolist() == [[255, 0, 0], [0, 128, 0], [10, 20, 30]]
    assert "palette of 16 bits" in reason(tiff(indices.astype(np.uint16), photometric=3, palette=[0] * 768))


def test_lab_and_other_unknown_tiffs_are_named():
    assert "Lab colours" in reason(saved(Image.new("LAB", (2, 2)), "TIFF"))
    assert "TIFF of a kind that is not read" in reason(tiff(np.zeros((2, 2), np.uint64)))


def fax(compression="group4", **options):
    lines = (photograph(200, 300) > 128)[..., 0]
    return saved(Image.fromarray(lines), "TIFF", compression=compression, **options), lines


@pytest.mark.parametrize("options", [{}, {278: 40}, {266: 2}], ids=["one strip", "strips", "bits turned"])
def test_a_damaged_fax_is_no_sound_picture_and_nothing_is_written_to_the_terminal(options, capfd):
    sound, lines = fax(tiffinfo=options)
    assert np.array_equal(read(sound)[..., 0], 255 * lines)
    for fill in (b"\0", b"\xff", b"\x55"):
        for at in range(20, 240, 20):
            assert reason(sound[:at] + 9 * fill + sound[at + 9 :]).startswith("damaged: ")
    assert np.array_equal(read(sound)[..., 0], 255 * lines)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["group3", "tiff_ccitt"])
def test_a_damaged_line_of_an_older_fax_is_found(compression):
    sound, lines = fax(compression, tiffinfo={278: 50})
    assert np.array_equal(read(sound)[..., 0], 255 * lines)
    for at in range(20, 1200, 90):
        assert reason(sound[:at] + 9 * b"\x55" + sound[at + 9 :]).startswith("damaged: ")


def test_pixels_that_are_missing_from_a_jpeg_in_a_tiff_are_damage():
    sound = saved(photograph(120, 160), "TIFF", compression="jpeg")
    assert read(sound).shape == (120, 160, 3)
    assert reason(sound[:2000] + 9 * b"\xff" + sound[2009:]) == "damaged: JPEGLib found bad data"
    assert "premature end" in reason(sound[:2000] + END + sound[2002:])


@pytest.mark.parametrize("mode", ["L", "CMYK", "YCbCr"])
def test_a_whole_jpeg_in_a_tiff_is_read_in_any_colours(mode):
    for options in ({}, {"tiffinfo": {278: 40}}):
        sound = saved(Image.fromarray(photograph(120, 160)).convert(mode), "TIFF", compression="jpeg", **options)
        assert read(sound).shape == (120, 160, 3)


def test_a_fax_whose_zero_is_white_is_read_and_its_damage_is_found():
    black_is_zero, lines = fax()
    place = black_is_zero.index(struct.pack("<HHIH", 262, 3, 1, 1)) + 8
    sound = black_is_zero[:place] + b"\0" + black_is_zero[place + 1 :]
    assert np.array_equal(read(sound)[..., 0], 255 - 255 * lines.astype(int))
    assert reason(sound[:60] + bytes(9) + sound[69:]).startswith("damaged: ")


def test_a_fax_without_an_end_mark_is_sound():
    sound, lines = fax()
    with Image.open(io.BytesIO(sound)) as picture:
        (length,) = picture.tag_v2[279]
    without = sound.replace(struct.pack("<HHII", 279, 4, 1, length), struct.pack("<HHII", 279, 4, 1, length - 3))
    assert without != sound
    assert np.array_equal(read(without)[..., 0], 255 * lines)


def test_damage_in_one_thread_is_none_in_another():
    sound, _ = fax()
    damaged = sound[: len(sound) // 3] + bytes(30) + sound[len(sound) // 3 + 30 :]
    outcomes = {}

    def work(kind, data):
        for _ in range(20):
            try:
                decode.decode(data, "x")
                outcomes.setdefault(kind, set()).add("read")
            except BadImage:
                outcomes.setdefault(kind, set()).add("refused")

    threads = [threading.Thread(target=work, args=each) for each in (("sound", sound), ("damaged", damaged))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"sound": {"read"}, "damaged": {"refused"}}


def test_a_tiff_is_read_where_libtiff_cannot_be_listened_to(monkeypatch):
    monkeypatch.setattr(tiffs._imaging, "__file__", "/nowhere.so")
    assert tiffs._listen.__wrapped__() is None


# HEIC, AVIF, JPEG 2000, and what is not read


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_pictures_of_phones_come_out_upright_once(kind, orientation):
    pytest.importorskip("pillow_heif").register_heif_opener()
    upright = photograph(48, 64)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # EXIF number -> Pillow's transposition that stores it so
    image = Image.fromarray(upright)
    stored = image.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(stored, kind, exif=exif.tobytes(), quality=95)
    assert (b"irot" in data or b"imir" in data) == (orientation > 1)
    assert np.abs(read(data).astype(int) - upright).mean() < 7
    assert reason(data[: len(data) // 2]).startswith("damaged")


def test_heic_without_its_reader_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    kinds._has_heif.cache_clear()
    try:
        heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
        assert reason(heic) == "HEIC, which needs the package pillow-heif: install 'alexnet[heif]'"
    finally:
        kinds._has_heif.cache_clear()


def test_avif_without_its_reader_names_the_remedy(monkeypatch):
    monkeypatch.setattr(kinds.features, "check", lambda feature: False)
    avif = b"\0\0\0\x1cftypmif1\0\0\0\0avifmiaf" + bytes(64)
    assert reason(avif) == "AVIF, which needs Pillow 11.3 or newer: update it"


def jxl(pixels, **options):
    return pytest.importorskip("imagecodecs").jpegxl_encode(pixels, lossless=True, **options)


@pytest.mark.parametrize("shape", [(60, 80), (64, 64), (8, 16), (257, 1), (300, 777), (90, 160), (100, 125), (60, 72)])
def test_jpeg_xl_is_read_and_its_size_stands_in_the_header(shape):
    pixels = photograph(*shape)
    for data in (jxl(pixels), jxl(pixels, usecontainer=True)):
        assert jxls.size(data) == shape[::-1]
        assert np.array_equal(read(data), pixels)


def test_the_numbers_of_jpeg_xl_have_a_stated_white():
    assert read(jxl(DEEP))[0, :, 1].tolist() == AS_BYTES
    assert read(jxl((DEEP[..., None] / 65_535).repeat(3, 2).astype(np.float32)))[0, :, 1].tolist() == AS_BYTES
    assert read(jxl(gray_alpha(9, 9, 128)))[0, 0].tolist() == [177, 177, 177]
    assert "outside 0 to 1" in reason(jxl(np.full((9, 9), 7, np.float32)))


def test_damaged_and_huge_jpeg_xl_is_refused():
    for data in (jxl(photograph()), jxl(photograph(), usecontainer=True)):
        assert reason(data[: len(data) // 2]).startswith("damaged")
        assert reason(data[:20]).startswith("damaged")
    side = (1 << 30) - 1
    bits = side << 3 | 3 << 1  # a height of 30 bits, then the ratio 1:1
    assert "more than 64,000,000 pixels" in reason(b"\xff\x0a" + (bits | 1 << 33).to_bytes(12, "little"))


def test_jpeg_xl_without_its_reader_names_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    jxls.register.cache_clear()
    try:
        assert reason(b"\xff\x0a" + bytes(80)) == "JPEG XL, which needs the package imagecodecs: install 'alexnet[jxl]'"
    finally:
        jxls.register.cache_clear()


@pytest.mark.parametrize("options", [{}, {"no_jp2": True}], ids=["jp2", "j2k"])
def test_jpeg_2000_is_read_and_its_damage_is_not(options):
    data = saved(photograph(), "JPEG2000", **options)
    assert np.array_equal(read(data), photograph())
    assert reason(data[: len(data) // 2]).startswith("damaged")


@pytest.mark.parametrize(
    ("data", "name", "reply"),
    [
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "SVG, a drawing: export it as"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(80), "IMG_0001", "raw data of a camera"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(80), "a.cr3", "raw data of a camera"),
        (saved(FEW, "TIFF"), "a.NEF", "raw data of a camera"),
        (tiff(FEW[..., 0], photometric=32803), "a.tif", "raw data of a camera"),
        (b"%PDF-1.7", "a.jpg", "PDF"),
        (b"8BPS\0\1", "a.jpg", "Photoshop"),
        (b"GIF89a", "a.gif", "damaged header"),
    ],
)
def test_what_is_not_read_is_called_by_its_kind(data, name, reply):
    assert reply in reason(data, name)


# Colour profiles


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_adobe_rgb_becomes_srgb(kind):
    wide = np.full((4, 4, 3), (200, 100, 50), np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (read(saved(wide, kind, icc_profile=ADOBE_RGB, **options)) == (227, 100, 42)).all()


def test_a_jpeg_in_adobe_rgb_becomes_srgb_also_when_it_is_shrunk():
    wide = np.full((256, 256, 3), (200, 100, 50), np.uint8)
    data = saved(wide, "JPEG", quality=100, icc_profile=ADOBE_RGB)
    for pixels in (read(data), decode.load(data, "x", 16), decode.load(data, "x", 256)):
        assert np.abs(pixels.astype(int) - (227, 100, 42)).max() <= 2
    assert not decode.is_jpeg_of(data, decode.load(data, "x", 256))


def test_a_profile_near_srgb_changes_no_number():
    pixels = photograph()
    assert np.array_equal(read(saved(pixels, "PNG", icc_profile=LIKE_SRGB)), pixels)
    plain, tagged = saved(pixels, "JPEG"), saved(pixels, "JPEG", icc_profile=LIKE_SRGB)
    assert np.array_equal(read(tagged), read(plain))


def test_a_press_profile_decides_the_colours_of_cmyk():
    profile = press_profile(lambda c, m, y, k: (100 * (1 - k) * (1 - 0.3 * c - 0.3 * m - 0.1 * y), 0, 0))
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert read(saved(cyan, "TIFF", icc_profile=profile))[0, 0].tolist() == [171, 171, 171]
    assert read(saved(cyan, "JPEG", quality=95, icc_profile=profile))[0, 0].tolist() == [171, 171, 171]
    assert read(saved(cyan, "TIFF"))[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize(
    "profile",
    [b"", b"rubbish", bytes(5000), ADOBE_RGB[:300], ADOBE_RGB[:200] + bytes(300), press_profile(lambda *_: (50, 0, 0))],
    ids=["empty", "rubbish", "zeros", "cut", "hole", "of a press"],
)
def test_a_profile_that_is_damaged_or_for_other_pixels_changes_no_number(profile):
    assert np.array_equal(read(saved(FEW, "PNG", icc_profile=profile)), FEW)


def test_a_huge_profile_is_not_read():
    assert colour.transform(bytes(colour.LARGEST_PROFILE + 1), "RGB") is None


def test_gray_pictures_keep_their_numbers_whatever_their_profile():
    gray = saved(np.full((4, 4), 77, np.uint8), "PNG", icc_profile=ADOBE_RGB)
    assert (read(gray) == 77).all()


# Memory


def test_a_large_picture_with_alpha_takes_little_more_than_itself_and_its_result():
    measure = """
import io, resource, sys
from PIL import Image
from alexnet.data import decode
from pictures import photograph
buffer = io.BytesIO()
Image.new("RGBA", (3000, 3000), (9, 9, 9, 128)).save(buffer, "PNG", compress_level=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode.load(buffer.getvalue(), "x", 16)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 9e6)
"""
    from pathlib import Path

    run = subprocess.run([sys.executable, "-c", measure], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert float(run.stdout) < 9, run.stderr  # bytes a pixel


def test_large_pictures_wait_for_room_and_small_ones_do_not(monkeypatch):
    monkeypatch.setattr(memory, "_free", 3_000_000)
    reached = threading.Event()

    def second():
        with memory.room(2_000_000):
            reached.set()

    with memory.room(2_000_000):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert not reached.wait(0.05)
        with memory.room(1000):
            pass
    assert reached.wait(5)
    waiting.join()
    assert memory._free == 3_000_000


def test_room_is_given_back_after_damage():
    free = memory._free
    with pytest.raises(BadImage):
        read(saved(Image.new("RGB", (1200, 1000)), "BMP")[:5000])
    assert memory._free == free


def test_a_picture_larger_than_all_room_is_decoded_alone(monkeypatch):
    with memory.room(10 * memory.MOST):
        assert memory._free == 0
    assert memory._free == memory.MOST
