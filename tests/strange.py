"""Picture files of every kind, whole and damaged, for Hypothesis to draw; with what a person should see, and what OpenCV sees."""

import io
import struct
import zlib
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from helpers.images import load_image

TURNED = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1),
          6: lambda a: np.rot90(a, -1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: lambda a: np.rot90(a)}       # EXIF tag 274


cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)       # of damage it speaks at length


@dataclass(frozen=True)
class Case:
    """A file, what a person sees of it, (h,w,3) to 255, and what may be off by how much; `whole` if it must be loaded."""

    kind: str
    data: bytes
    seen: np.ndarray
    off: int = 0
    whole: bool = True
    source: str = "bytes"
    ending: str = "png"

    def __repr__(self):
        return f"Case({self.kind}, {self.seen.shape}, {self.source}, .{self.ending}, whole={self.whole}, {len(self.data)} bytes)"


# Pixels

SIDES = st.one_of(st.tuples(st.integers(1, 40), st.integers(1, 40)), st.sampled_from([(1, 1), (1, 1024), (1024, 1), (7, 300), (65, 64)]))


@st.composite
def arrays(draw, channels, dtype=np.uint8):
    """Noise, one colour, or a slope, (h,w,channels)."""
    (height, width), look, seed = draw(SIDES), draw(st.sampled_from(["noise", "flat", "slope"])), draw(st.integers(0, 2**32 - 1))
    top, dice = np.iinfo(dtype).max, np.random.default_rng(seed)
    if look == "noise":
        return dice.integers(0, top, (height, width, channels), dtype, endpoint=True)
    ends = dice.integers(0, top, (2, channels), endpoint=True)
    slope = np.linspace(0, look == "slope", height)[:, None, None] + np.linspace(0, look == "slope", width)[:, None]
    return (ends[0] + (ends[1] - ends[0]) * slope / 2).astype(dtype)


def on_white(a):
    """Grey, grey and alpha, RGB or RGBA of 8 or 16 bits (h,w,1 to 4) -> as a person sees it, (h,w,3) to 255."""
    a = a / np.iinfo(a.dtype).max
    colour = np.broadcast_to(a[..., :1] if a.shape[2] < 3 else a[..., :3], (*a.shape[:2], 3))
    alpha = a[..., -1:] if a.shape[2] in (2, 4) else 1
    return np.rint(255 * (colour * alpha + 1 - alpha)).astype(int)


# Files

def in_opencv(a):
    return np.ascontiguousarray(a[..., [2, 1, 0, 3][:a.shape[2]]] if a.shape[2] > 2 else a)


@st.composite
def by_opencv(draw):
    """What OpenCV writes without loss; of 8 bits or 16."""
    ending, channels, deep, *options = draw(st.sampled_from([
        *[("png", c, deep) for c in (1, 3, 4) for deep in (False, True)], ("bmp", 1, False), ("bmp", 3, False), ("ppm", 3, False),
        ("pgm", 1, False), ("pgm", 1, True), ("ppm", 3, True), *[("tiff", c, False, cv2.IMWRITE_TIFF_COMPRESSION, how)
        for c in (1, 3, 4) for how in (1, 5, 8, 32773)], ("tiff", 1, True), ("tiff", 3, True), ("webp", 3, False,
        cv2.IMWRITE_WEBP_QUALITY, 101), ("webp", 4, False, cv2.IMWRITE_WEBP_QUALITY, 101)]))
    a = draw(arrays(channels, np.uint16 if deep else np.uint8))
    data = cv2.imencode(f".{ending}", in_opencv(a), options)[1].tobytes()
    # 16 bits in colour Pillow cuts to 8; and what stands on white is rounded twice.
    return Case(f"{ending} by OpenCV", data, on_white(a), off=deep + (channels == 4), ending=ending)


@st.composite
def by_pillow(draw):
    """What Pillow writes without loss, in each of its modes."""
    mode, channels = draw(st.sampled_from([("1", 1), ("L", 1), ("P", 3), ("LA", 2), ("RGB", 3), ("RGBA", 4), ("I;16", 1), ("PA", 4)]))
    a = draw(arrays(channels, np.uint16 if mode == "I;16" else np.uint8))
    if mode in ("P", "PA"):     # three colours
        colours, index = np.resize(a.reshape(-1, channels), (3, channels)), a[..., 0] % 3
        a, image, rgba = colours[index], Image.fromarray(index), np.pad(colours, ((0, 0), (0, 4 - channels)), constant_values=255)
        image.putpalette(rgba[:, :3].tobytes())
        options = {"transparency": rgba[:, 3].tobytes()} if mode == "PA" else {}
        how = draw(st.sampled_from([("PNG", options)] if mode == "PA" else [("PNG", {}), ("GIF", {}), ("TIFF", {}), ("BMP", {})]))
    else:
        a = (a > 127).astype(np.uint8) * 255 if mode == "1" else a
        image = Image.fromarray(a[..., 0] if channels == 1 else a)
        image = image.convert("1", dither=Image.Dither.NONE) if mode == "1" else image
        tiffs = [("TIFF", {"compression": c}) for c in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma")]
        more = {"1": [("TIFF", {"compression": "group4"}), ("BMP", {}), ("PPM", {}), ("GIF", {})], "L": [("GIF", {}), ("BMP", {}),
                ("PPM", {}), ("JPEG2000", {"irreversible": False})], "RGB": [("BMP", {}), ("PPM", {}), ("JPEG2000",
                {"irreversible": False}), ("WEBP", {"lossless": True})], "RGBA": [("WEBP", {"lossless": True, "exact": True})]}
        how = draw(st.sampled_from([("PNG", {}), *tiffs, *more.get(mode, [])]))
    kind, options = how
    file = io.BytesIO()
    image.save(file, kind, **options)
    return Case(f"{kind.lower()} of mode {mode}", file.getvalue(), on_white(a), off=1 if channels in (2, 4) else 0, ending=kind.lower())


@st.composite
def lossy(draw):
    """JPEG in its many ways, WebP, AVIF and JPEG 2000: what is seen is what OpenCV decodes; `off` is for the colour of halved planes."""
    a = draw(arrays(draw(st.sampled_from([1, 3]))))
    image, file = Image.fromarray(a[..., 0] if a.shape[2] == 1 else a), io.BytesIO()
    kind, options = draw(st.sampled_from([
        *[("JPEG", {"subsampling": s, "progressive": p}) for s in (0, 1, 2) for p in (False, True)], ("JPEG", {"restart_marker_blocks": 2}),
        ("WEBP", {}), ("JPEG2000", {"irreversible": True, "quality_layers": [20]}), ("AVIF", {"speed": 10})]))
    if kind == "JPEG":
        options = {**options, "quality": draw(st.integers(1, 100))}
    image.save(file, kind, **options)
    return Case(f"{kind.lower()} with loss", file.getvalue(), others(file.getvalue())[0], off=LOSSY_OFF[kind], ending=kind.lower())


LOSSY_OFF = {"JPEG": 4, "WEBP": 2, "JPEG2000": 2, "AVIF": 6}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@st.composite
def interlaced(draw):
    """A PNG in the seven passes of Adam7, which neither library writes."""
    a = draw(arrays(3))
    passes = [a[y::dy, x::dx] for x, y, dx, dy in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))]
    rows = b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part)
    header = struct.pack(">IIBBBBB", a.shape[1], a.shape[0], 8, 2, 0, 0, 1)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return Case("png, interlaced", data, on_white(a))


@st.composite
def cmyk(draw):
    """Four inks in a JPEG, with Adobe's marker and without: it tells how they are stored. One colour, since ink has no fixed one."""
    ink = draw(st.sampled_from([(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]))
    file = io.BytesIO()
    Image.new("CMYK", (24, 16), ink).save(file, "JPEG", quality=100)
    seen = np.full((16, 24, 3), [255 - max(v, ink[3]) for v in ink[:3]])
    return Case("jpeg, cmyk", file.getvalue(), seen, off=3, ending="jpg")


@st.composite
def animated(draw):
    """Two to five frames, of which the first is seen."""
    a = draw(arrays(3))
    kind, options = draw(st.sampled_from([("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]))
    a = a // 128 * 255 if kind == "GIF" else a      # eight colours, for it has a palette
    file, more = io.BytesIO(), [Image.new("RGB", (a.shape[1], a.shape[0]), (9 * i, 0, 0)) for i in range(1, draw(st.integers(2, 5)))]
    Image.fromarray(a).save(file, kind, save_all=True, append_images=more, **options)
    return Case(f"{kind.lower()}, animated", file.getvalue(), on_white(a), ending=kind.lower())


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@st.composite
def with_metadata(draw):
    """A turned picture with EXIF, GPS, DPI, comments, XMP and a profile: all whole, or EXIF and profile damaged."""
    a = draw(arrays(3))
    kind, options = draw(st.sampled_from([
        ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("JPEG", {"quality": 95, "subsampling": 0})]))
    exif, turn = Image.Exif(), draw(st.integers(0, 9))
    exif[274], exif[270], exif.get_ifd(34853)[2] = turn, draw(st.text(max_size=40)), (48.0, 8.0, 30.0)
    exif, profile, damaged = exif.tobytes(), srgb(), draw(st.booleans())
    if damaged:
        exif, turn = b"Exif\0\0" + draw(st.binary(max_size=60)), None
        profile = profile[:draw(st.integers(0, 130))]
    options = {**options, "icc_profile": profile, "dpi": (draw(st.integers(1, 9999)),) * 2}
    if kind != "TIFF" or not damaged:       # Pillow would not write that
        options["exif"] = exif
    if kind == "PNG":
        options["pnginfo"] = text = PngImagePlugin.PngInfo()
        text.add_text("Comment", "c" * draw(st.integers(0, 5000)), zip=draw(st.booleans()))
        text.add_itxt("XML:com.adobe.xmp", "<x/>", zip=draw(st.booleans()))
    elif kind != "TIFF":
        options["xmp"] = draw(st.binary(max_size=60))
    file = io.BytesIO()
    Image.fromarray(a).save(file, kind, **options)
    seen = on_white(a) if kind != "JPEG" else others(file.getvalue(), turned=False)[0]
    return Case(f"{kind.lower()} with metadata{', damaged' * damaged}", file.getvalue(), TURNED.get(turn, TURNED[1])(seen),
                off=5 if kind == "JPEG" else 1, whole=not damaged, ending=kind.lower())


# Damage

@st.composite
def text_bombs(draw):
    """A small PNG whose text or profile is a few KB and unpacks to 100 MB."""
    a = draw(arrays(3))
    data = cv2.imencode(".png", in_opencv(a))[1].tobytes()
    bomb = draw(st.sampled_from([b"zTXtk\0\0", b"iTXtk\0\1\0\0\0", b"iCCPk\0\0"]))
    more = chunk(bomb[:4], bomb[4:] + BOMB) * draw(st.integers(1, 3))
    return Case(f"png, {bomb[:4].decode()} bomb", data[:33] + more + data[33:], on_white(a), whole=False)


BOMB = zlib.compress(bytes(10**8), 9)


@st.composite
def claims(draw):
    """A small body below a header that claims up to 65,000 x 65,000 pixels."""
    case = draw(st.one_of(by_opencv(), by_pillow(), lossy(), animated()).filter(opencv_agrees))
    height, width = draw(st.sampled_from([(20000, 20000), (65000, 65000), (1, 60000), (60000, 1), (8000, 7000), (3000, 3000)]))
    data, (h, w) = bytearray(case.data), case.seen.shape[:2]
    if data[1:4] == b"PNG":
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif data[:2] == b"P6" or data[:2] == b"P5":
        data = bytearray(data.replace(f"{w} {h}".encode(), f"{width} {height}".encode(), 1))
    else:       # the first place where the two sides stand one after the other, in any of the usual ways to write them
        for code in (">HH", "<HH", ">II", "<II"):
            for sides in ((w, h, width, height), (h, w, height, width)):
                data = bytearray(bytes(data).replace(struct.pack(code, *sides[:2]), struct.pack(code, *sides[2:]), 1))
        for tag, side in ((256, width), (257, height)):         # TIFF has a field for each
            for old in (struct.pack("<HHI", tag, kind, 1) for kind in (3, 4)):
                at = data.find(old)
                if at >= 0 and data[:2] == b"II":
                    data[at:at + 12] = struct.pack("<HHII", tag, 4, 1, side)
    return replace(case, kind=f"{case.ending}, claims many pixels", data=bytes(data), whole=False)


@st.composite
def damaged(draw):
    """Cut, one to three bytes flipped, or bytes put behind the end; the last leaves it whole."""
    case = draw(st.one_of(by_opencv(), by_pillow(), lossy(), animated(), interlaced()).filter(opencv_agrees))
    how, data = draw(st.sampled_from(["cut", "flipped", "with an appendix"])), bytearray(case.data)
    if how == "cut":
        data = data[:draw(st.integers(0, len(data) - 1))]
    elif how == "flipped":
        for _ in range(draw(st.integers(1, 3))):
            data[draw(st.integers(0, min(len(data), draw(st.sampled_from([100, 10**9]))) - 1))] ^= draw(st.integers(1, 255))
    else:
        data += draw(st.binary(min_size=1, max_size=100))
    return replace(case, kind=f"{case.ending}, {how}", data=bytes(data), whole=how == "with an appendix")


def on_average(a, b):
    """How much two pictures differ that were scaled down in two ways."""
    return abs(a - b).mean() if a.shape == b.shape else 255


def opencv_agrees(case):
    """Whether OpenCV reads a whole file, so that it can judge what comes of it once it is damaged."""
    return any(alike(seen, case.seen, case.off) for seen in others(case.data))


NONSENSE = st.builds(lambda start, data: Case("no picture", start + data, np.zeros((1, 1, 3)), whole=False), st.sampled_from(
    [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM", b"RIFF\0\1\0\0WEBP", b"P3 2 2 9 ", b"P6 3 "]),
    st.binary(max_size=300))


# Large

@st.composite
def large(draw):
    """Whole files of one colour and up to 20,000 x 20,000 pixels: loaded, or refused for their pixels."""
    mode, kind, options = draw(st.sampled_from([
        ("1", "PNG", {}), ("1", "GIF", {}), ("1", "TIFF", {"compression": "group4"}), ("L", "TIFF", {}),
        ("RGB", "PNG", {"compress_level": 1}), ("RGBA", "PNG", {"compress_level": 1}), ("L", "JPEG", {}), ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}), ("RGB", "BMP", {}), ("RGB", "WEBP", {"lossless": True, "method": 0}),
        ("L", "JPEG2000", {}), ("L", "AVIF", {"speed": 10})]))
    sizes = [(2000, 1500), (4000, 3000), (8000, 4200)]
    if kind not in ("AVIF", "WEBP"):
        sizes += [(1, 20000), (20000, 1)]
    if mode in ("1", "L"):
        sizes += [(8000, 7500)]
    if mode == "1" or kind == "JPEG" and mode == "L":
        sizes += [(20000, 20000)]
    width, height = draw(st.sampled_from(sizes))
    shade, file = draw(st.sampled_from([0, 1])), io.BytesIO()
    Image.new(mode, (width, height), ["black", "white"][shade]).save(file, kind, **options)
    scale = min(1, 1024 / max(width, height))
    seen = np.full((max(1, round(height * scale)), max(1, round(width * scale)), 3), 255 * shade)
    return Case(f"{kind.lower()}, large", file.getvalue(), seen, off=2 * (kind == "AVIF"), whole=width * height <= 4e6, ending=kind.lower())


def at_the_limits():
    """What looks like a photograph with grain, which is hard to unpack, as large as `decode` reads of each kind."""
    grain = np.random.default_rng(0).integers(0, 8, (1000, 1000, 4), np.uint8)
    for kind, mode, millions, options in (
            ("JPEG", "RGB", 110, {"quality": 90}), ("JPEG", "RGB", 40, {"quality": 90, "progressive": True}),
            ("PNG", "RGB", 34, {"compress_level": 1}), ("PNG", "RGBA", 34, {"compress_level": 1}), ("GIF", "L", 60, {}),
            ("BMP", "RGB", 60, {}), ("TIFF", "RGB", 60, {"compression": "tiff_lzw"}), ("TIFF", "RGBA", 60, {}), ("TIFF", "CMYK", 60, {}),
            ("PPM", "RGB", 60, {}), ("WEBP", "RGB", 20, {"lossless": True, "method": 0}), ("WEBP", "RGB", 20, {"quality": 50, "method": 0}),
            ("AVIF", "RGB", 12.5, {"quality": 90, "speed": 10}), ("JPEG2000", "RGB", 4, {})):
        side, file = int((millions * 1e6)**0.5), io.BytesIO()
        slope = np.linspace(0, 200, side, dtype=np.uint8)[:, None, None]
        a = (slope + np.resize(grain, (1000, side, 4))[np.arange(side) % 1000])[..., :Image.getmodebands(mode)]
        Image.fromarray(np.ascontiguousarray(a if mode != "L" else a[..., 0]), mode).save(file, kind, **options)
        seen = within_1024(a)
        seen = on_white(seen.reshape(1024, 1024, -1)) if mode != "CMYK" else (255.0 - seen[..., :3]) * (255 - seen[..., 3:]) / 255
        yield Case(f"{kind.lower()} {mode}{', progressive' * ('progressive' in options)}, at the limit", file.getvalue(), seen, off=12)


# How it is handed over, and what must come of it

SMALL = st.one_of(by_opencv(), by_pillow(), lossy(), interlaced(), cmyk(), animated(), with_metadata(), damaged(), damaged(), NONSENSE,
                  claims())


def handed_over(files):
    """As a path with any ending, bytes, bytearray, memoryview, an open file, or a PIL image, which has to be opened already."""
    sources = st.sampled_from(["path", "bytes", "bytearray", "memoryview", "file", "PIL image"])
    return st.builds(lambda case, source, ending: replace(case, source=source, ending=ending or case.ending), files, sources,
                     st.sampled_from(["", "jpg", "txt", "PNG", "tar.gz"]))


def load(case, folder):
    """What load_image makes of it: a tensor, or the ValueError that it raised."""
    path, file = folder / f"picture.{case.ending}", io.BytesIO(case.data)
    try:
        if case.source == "bytearray":
            return load_image(bytearray(case.data))
        if case.source == "memoryview":
            return load_image(memoryview(case.data))
        if case.source == "path":
            path.write_bytes(case.data)
            return load_image(path)
        if case.source == "file":
            return load_image(file)
        if case.source == "PIL image":
            try:
                file = Image.open(file)
            except Exception:       # Pillow's own error, before the picture is ours
                pass
            return load_image(file)
        return load_image(case.data)
    except ValueError as error:
        return error


def judged(case, came):
    """"loaded" rightly or "refused"; an AssertionError where a whole picture is refused, or something else is seen than by OpenCV.

    "not judged" is what was loaded from a damaged file, neither cut nor as it was, that OpenCV refuses to read.
    """
    if isinstance(came, ValueError):
        says = str(came)
        assert "cannot be read as a picture: " in says and " Try " in says and "\n" not in says and len(says) < 500, says
        assert not case.whole, says
        return "refused"
    assert came.dtype == torch.float32 and came.shape[:2] == (1, 3) and 0 <= came.min() and came.max() <= 1
    ours = (came[0].permute(1, 2, 0).numpy() * 255).round().astype(int)
    assert max(ours.shape) <= 1024
    if not alike(ours, case.seen, case.off):
        assert not case.whole, f"differs by {furthest(ours, case.seen)} of 255"
        theirs = others(case.data)
        if not theirs and not case.kind.endswith("cut"):
            return "not judged"
        fits = [alike(ours, seen, 6) or 1024 in seen.shape and on_average(ours, seen) < 6 for seen in theirs]
        assert any(fits), f"differs by {[furthest(ours, seen) for seen in theirs]} from OpenCV"
    return "loaded"


def furthest(a, b):
    return abs(a - b).max() if a.shape == b.shape else f"a shape of {a.shape}, not {b.shape}"


def within_1024(a):
    """Scaled down by OpenCV as load_image does it, roughly."""
    scale = 1024 / max(a.shape)
    return a if scale >= 1 else cv2.resize(a, [max(1, round(side * scale)) for side in a.shape[1::-1]], interpolation=cv2.INTER_AREA)


def alike(a, b, off):
    return a.shape == b.shape and abs(a - b).max() <= off


def others(data, turned=True):
    """What OpenCV sees in a file, with its transparency and without: a list of (h,w,3) to 255, empty if it is refused.

    (torchvision's decode_image would be a third reader, but some damaged files end its process.)
    """
    seen, codes = [], [cv2.IMREAD_COLOR if turned else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION, cv2.IMREAD_UNCHANGED]
    for code in codes:
        try:
            a = cv2.imdecode(np.frombuffer(data, np.uint8), code)
            if a is not None and a.dtype in (np.uint8, np.uint16):
                a = within_1024(a)
                seen.append(on_white(in_opencv(a.reshape(*a.shape[:2], -1))))
        except cv2.error:
            pass
    return seen
