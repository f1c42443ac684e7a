"""Pictures made to take long: what a reader does grows with their bytes, not with the square of them."""

import signal
import struct
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from evil import END, JPEG
from odd_files import PNG_START, chunk, fax_of_strips, jpeg_of_scans, saved, with_chunk
from pictures import encoded, photograph

from alexnet.data import decode, jpeg, png
from alexnet.errors import BadImage

SCAN = JPEG.index(b"\xff\xda")
PIXELS = photograph(24, 32)
PNG, PLAIN = saved(PIXELS, "PNG"), b"P3\n32 24\n255\n"
NUMBERS = b" ".join(b"%d" % level for level in PIXELS.ravel())


@contextmanager
def soon():
    """Fails what takes longer than 20 s, a hundred times what is right and a hundredth of what was wrong."""

    def give_up(*_):
        raise AssertionError("not within 20 s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 20)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reason(data):
    with soon(), pytest.raises(BadImage) as error:
        decode.load(data, "x", 16)
    return error.value.reason


@pytest.mark.parametrize("run", [b"\x55", b"\0", b"\xff", b"\xff\xd0"], ids=["bytes", "zeros", "FF", "restarts"])
def test_a_long_run_within_a_scan_takes_no_time(run):
    with soon():
        jpeg.mend(JPEG[:-2] + (5_000_000 // len(run)) * run + b"\1" + END)


@pytest.mark.parametrize("run", [b"\xff", b"\x55", b"\xff\0"], ids=["FF", "bytes", "FF00"])
def test_a_long_run_before_the_scan_takes_no_time(run):
    mended = []
    with soon():
        mended.append(jpeg.mend(JPEG[:SCAN] + (5_000_000 // len(run)) * run + b"\0" + JPEG[SCAN:]))
    assert mended == [jpeg.mend(JPEG)]


@pytest.mark.parametrize(
    ("scan", "right"),
    [
        (b"", b""),
        (b"\1\2", b"\1\2"),
        (b"\1\0", b"\1"),
        (b"\1" + bytes(100), b"\1"),
        (b"\xff\0", b"\xff\0"),
        (b"\xff" + bytes(100), b"\xff\0"),
        (b"\1" + 7 * b"\x55", b"\1" + 7 * b"\x55"),
        (b"\1" + 8 * b"\x55", b"\1"),
        (bytes(9), b""),
    ],
)
def test_padding_behind_a_scan_goes_and_the_zero_that_belongs_to_its_last_byte_stays(scan, right):
    head = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
    assert jpeg.mend(jpeg.START + head + scan + END) == jpeg.START + head + right + END


def test_zeros_behind_a_scan_that_ends_in_a_stuffed_byte_are_no_damage():
    stuffed = encoded(np.random.default_rng(988).integers(0, 255, (24, 24, 3), np.uint8), quality=80)
    assert stuffed.endswith(b"\xff\0" + END)
    padded = stuffed[:-2] + bytes(100) + END
    assert np.array_equal(decode.decode(padded, "x"), decode.decode(stuffed, "x"))


@pytest.mark.parametrize("segment", [b"\xff\xfe\0\2", b"\xff\xd0"], ids=["comments", "restarts"])
def test_a_jpeg_of_more_segments_than_programs_write_is_refused_before_they_are_read(segment, monkeypatch):
    many = JPEG[:SCAN] + 1_000_000 * segment + JPEG[SCAN:]
    with monkeypatch.context() as patch:
        patch.setattr(decode.Image, "open", None)
        assert reason(many) == "a JPEG of more than 10,000 segments, as no program writes it: save it anew"
    few = JPEG[:SCAN] + 9_000 * segment + JPEG[SCAN:]
    assert np.array_equal(decode.decode(few, "x"), decode.decode(JPEG, "x"))


def test_a_jpeg_of_many_segments_behind_a_damaged_scan_is_refused():
    assert "10,000 segments" in reason(JPEG[:-60] + 1_000_000 * b"\xff\xfe\0\2" + END)


def test_a_jpeg_of_more_scans_than_programs_write_is_refused_before_it_is_decoded():
    assert reason(jpeg_of_scans(101)) == "a JPEG of more than 100 scans, as no program writes it: save it anew"
    assert (decode.decode(jpeg_of_scans(100), "x") == 128).all()


def test_scans_of_single_channels_are_counted_too():
    one_channel = b"\xff\xda\0\x08\1\1\0\0\x3f\0" + b"\1"
    assert "more than 100 scans" in reason(JPEG[:SCAN] + 101 * one_channel + END)


def test_a_png_of_more_chunks_than_programs_write_is_refused_before_they_are_read(monkeypatch):
    empty = chunk(b"prIv", b"")
    with monkeypatch.context() as patch:
        patch.setattr(decode.Image, "open", None)
        assert reason(with_chunk(PNG, 400_000 * empty)) == "a PNG of more chunks than any program writes: save it anew"
    assert np.array_equal(decode.decode(with_chunk(PNG, 9_000 * empty), "x"), PIXELS)


def test_a_large_png_may_have_chunks_of_eight_kilobytes():
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 6000, 6000, 8, 2, 0, 0, 0))
    coded = zlib.compress(bytes(6000 * 18_001), 0)
    chunks = [chunk(b"IDAT", coded[at : at + 8192]) for at in range(0, len(coded), 8192)]
    assert len(chunks) > 13_000
    data = PNG_START + head + b"".join(chunks) + chunk(b"IEND", b"")
    assert decode.header(data, "x") == decode.Header("PNG", (6000, 6000))


def test_of_many_colour_profiles_in_a_png_only_the_last_is_unpacked(monkeypatch):
    unpacked, is_small = [], png._is_small
    monkeypatch.setattr(png, "_is_small", lambda profile: unpacked.append(profile) or is_small(profile))
    profiles = [chunk(b"iCCP", name + b"\0\0" + zlib.compress(bytes(100))) for name in (b"a", b"b", b"c")]
    assert np.array_equal(decode.decode(with_chunk(PNG, b"".join(profiles)), "x"), PIXELS)
    assert [profile[:1] for profile in unpacked] == [b"c"]


def test_many_comments_in_a_plain_ppm_take_no_time():
    with soon():
        read = decode.decode(PLAIN + 1_000_000 * b"#\n" + b"#a 9 9\r" + NUMBERS, "x")
    assert np.array_equal(read, PIXELS)


@pytest.mark.parametrize(("strips", "size"), [(200_000, 1_700_000), (4_000, 400_000)], ids=["many", "the same bytes"])
def test_a_tiff_of_more_strips_than_programs_write_is_refused_before_they_are_checked(strips, size):
    assert reason(fax_of_strips(strips, size)) == "a TIFF of more strips than any program writes: save it anew"


def test_a_tiff_of_many_strips_is_read():
    assert (decode.decode(fax_of_strips(900, 9_000), "x") == 0).all()
