# SPDX-License-Identifier: MIT
"""CRC-32 of a stream and of its parts in one pass.

CRC-32 is linear: appending n zero bytes multiplies by x^8n modulo the polynomial.  So the CRC of a part is that of the
whole up to its end, xor that of the whole up to its beginning carried over the part's length; no byte is summed twice.
"""

import zlib

POLYNOMIAL = 0xEDB88320     # IEEE 802.3, reflected: bit 31 is x^0
ONE = 1 << 31


def multiply(a, b):
    """a * b modulo the polynomial."""
    product = 0
    while a:
        if a & ONE:
            product ^= b
        a = a << 1 & 0xffffffff
        b = b >> 1 ^ POLYNOMIAL if b & 1 else b >> 1
    return product


def _powers():
    """x^8, x^16, x^32, ...: squares."""
    powers = [1 << 23]
    for _ in range(63):
        powers.append(multiply(powers[-1], powers[-1]))
    return powers


_POWERS = []


def carry(crc, n):
    """The CRC's share in what follows n bytes later."""
    if not _POWERS:
        _POWERS.extend(_powers())
    for power in _POWERS:
        if not n:
            break
        if n & 1:
            crc = multiply(power, crc)
        n >>= 1
    return crc


class Crc:
    """A running CRC-32 and how many bytes it is of."""

    def __init__(self):
        self.value, self.bytes = 0, 0

    def feed(self, data):
        self.value = zlib.crc32(data, self.value)
        self.bytes += len(data)

    def mark(self):
        return self.value, self.bytes


def between(begin, end):
    """The CRC of the bytes between two marks."""
    return end[0] ^ carry(begin[0], end[1] - begin[1])
