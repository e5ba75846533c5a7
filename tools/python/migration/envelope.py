# SPDX-License-Identifier: MIT
"""What other toolstacks put around a stream in their save images: XAPI and libvirt's Xen driver.

The facts are in tools/libxc/xc_sr_envelope.h.
"""

import struct

from .source import Truncated

LIBVIRT = b"libvirt-xml\n \0 \r"
LIBVIRT_VERSIONS, LIBVIRT_UNUSED = (1, 2), 40
XAPI, XAPI_LEGACY = b"XenSavedDomv2-\n", b"XenSavedDomain\n"
XAPI_STREAMS, XAPI_LIBXC_LEGACY, XAPI_END = (0xF0, 0xF1), 0xF2, 0xFFFF
XAPI_MAX_RECORDS = 64
MAX_LENGTH = 64 << 20   # bytes of XML, or of one of XAPI's records


class NoStream(Exception):
    """Why there is none in it."""


def _libvirt(source):
    source.skip(len(LIBVIRT))
    version, length = struct.unpack("<II", source.read(8))
    if version not in LIBVIRT_VERSIONS:
        raise NoStream(f"byte 16: version {version} of libvirt's header; {LIBVIRT_VERSIONS[-1]} is the newest known")
    if length > MAX_LENGTH:
        raise NoStream(f"byte 20: XML of {length} bytes; at most {MAX_LENGTH} are taken")
    source.skip(LIBVIRT_UNUSED + length)


def _xapi(source):
    source.skip(len(XAPI))
    for _ in range(XAPI_MAX_RECORDS):
        at = source.offset
        kind, length = struct.unpack("<QQ", source.read(16))
        if kind in XAPI_STREAMS:
            return
        if kind == XAPI_LIBXC_LEGACY:
            raise NoStream(f"byte {at}: XAPI's image has a legacy stream, of Xen 4.5 or older: it holds no CPU policy")
        if kind == XAPI_END:
            raise NoStream(f"byte {at}: XAPI's image has no stream of libxc")
        if length > MAX_LENGTH:
            raise NoStream(f"byte {at}: XAPI's record {kind:#x} of {length} bytes; at most {MAX_LENGTH} are taken")
        source.skip(length)
    raise NoStream(f"XAPI's image has {XAPI_MAX_RECORDS} records before libxc's stream")


def enter(source, first):
    """Pass over what stands before the stream; whose it is, or None where there is nothing. Raises NoStream."""
    try:
        if first.startswith(LIBVIRT):
            _libvirt(source)
            return "libvirt"
        if first.startswith(XAPI):
            _xapi(source)
            return "XAPI"
    except Truncated as cut:
        raise NoStream(f"the image ends at byte {cut.offset}, before its stream begins") from cut
    if first.startswith(XAPI_LEGACY):
        raise NoStream("a legacy image of XAPI, of Xen 4.5 or older: it holds no CPU policy")
    return None
