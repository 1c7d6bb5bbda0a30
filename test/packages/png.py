"""A decoder of PNG images, as far as charts need it: 8 bits, RGB or RGBA, not interlaced."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Callable, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: A chart has far fewer bytes of pixels than this.
MAX_BYTES = 256 << 20
#: colour type -> channels
CHANNELS = {2: 3, 6: 4}


class BadPNG(ValueError):
    """Not a PNG, a damaged one, or one of a kind that is not read here."""


@dataclass(frozen=True)
class Image:
    """An image; each row has ``channels`` bytes for each pixel."""

    width: int
    height: int
    channels: int
    rows: list[bytes]

    def pixels(self) -> Iterator[tuple[int, int, int]]:
        """Red, green and blue of every pixel that is not see-through."""
        for row in self.rows:
            for at in range(0, len(row), self.channels):
                if self.channels == 3 or row[at + 3] > 200:
                    yield row[at], row[at + 1], row[at + 2]

    def count(self, wanted: Callable[[int, int, int], bool]) -> int:
        """How many pixels have a colour that is wanted."""
        return sum(1 for pixel in self.pixels() if wanted(*pixel))


def decode(data: bytes) -> Image:
    """Decodes a PNG. Raises BadPNG."""
    if not data.startswith(SIGNATURE):
        raise BadPNG("the signature is missing")
    header, packed, ended = b"", [], False
    for kind, body in _chunks(data):
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            packed.append(body)
        elif kind == b"IEND":
            ended = True
    if len(header) != 13 or not ended:
        raise BadPNG("IHDR or IEND is missing")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise BadPNG(f"depth {depth}, colour type {colour}, interlace {interlaced} are not read here")
    channels = CHANNELS[colour]
    size = height * (1 + width * channels)
    if not 0 < size <= MAX_BYTES:
        raise BadPNG(f"{width} × {height} pixels")
    raw = _inflate(b"".join(packed), size)
    return Image(width, height, channels, _unfilter(raw, width * channels, height, channels))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(data):
        if at + 12 > len(data):
            raise BadPNG("a chunk is cut off")
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        end = at + 12 + length
        if end > len(data):
            raise BadPNG("a chunk is cut off")
        if struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(kind + body):
            raise BadPNG(f"the checksum of {kind!r} is wrong")
        yield kind, body
        at = end


def _inflate(packed: bytes, size: int) -> bytes:
    try:
        raw = zlib.decompressobj().decompress(packed, size + 1)
    except zlib.error as problem:
        raise BadPNG(str(problem)) from None
    if len(raw) != size:
        raise BadPNG(f"{len(raw)} bytes of pixels instead of {size}")
    return raw


def _unfilter(raw: bytes, stride: int, height: int, channels: int) -> list[bytes]:
    rows, above = [], bytes(stride)
    for number in range(height):
        start = number * (stride + 1)
        row = bytearray(raw[start + 1 : start + 1 + stride])
        kind = raw[start]
        if kind > 4:
            raise BadPNG(f"unknown filter {kind}")
        if kind:
            for at in range(stride):
                left = row[at - channels] if at >= channels else 0
                corner = above[at - channels] if at >= channels else 0
                row[at] = (row[at] + _predict(kind, left, above[at], corner)) & 0xFF
        above = bytes(row)
        rows.append(above)
    return rows


def _predict(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    # Paeth: the neighbour that is nearest to left + up - corner, in this order.
    a, b, c = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if a <= b and a <= c:
        return left
    return up if b <= c else corner
