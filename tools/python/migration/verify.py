# SPDX-License-Identifier: MIT
"""From the first byte to the last: what kind of stream it is, and its layers one inside the other."""

import struct

from . import envelope, libxc, libxl, xl
from .report import Report
from .source import GivenUp, Nowhere, Truncated

FORMATS = ("xl", "libxl", "libxc")
LOOK = 40           # bytes looked at to tell the kinds apart
AUDIT = "The audit"
# What `xl migrate` sends behind the stream, once the receiver has all of it.
GO = b"domain is yours, you are cleared to unpause\0"


def _alike(data, wanted):
    return sum(a == b for a, b in zip(data, wanted))


def _legacy(first):
    """Images of before Xen 4.6: no magic, but these begin in few ways."""
    if first.startswith(b"LinuxGuestRecord"):
        return "an image of `xm save`"
    if len(first) < 16:
        return None
    p2m_size, word = struct.unpack_from("<QQ", first)
    if 0 < p2m_size < 1 << 32 and (word == 0xffffffffffffffff or 0 < word & 0xffffffff <= 1024
                                   or -20 <= struct.unpack_from("<i", first, 8)[0] < 0):
        return "a legacy image of libxc, from a 64-bit toolstack"
    p2m_size, word = struct.unpack_from("<II", first)
    if 0 < p2m_size < 1 << 31 and word == 0xffffffff:
        return "a legacy image of libxc, from a 32-bit toolstack"
    return None


def recognise(first):
    """(format or None, why not)."""
    if not first:
        return None, "the input is empty"
    libxl_ident, marker = libxl.IDENT.to_bytes(8, "big"), b"\xff" * 8
    if first[:8] == marker or first[8:12] == b"XENF":
        return "libxc", None
    if first[:8] == libxl_ident:
        return "libxl", None
    if _alike(first, xl.MAGIC) >= min(24, max(4, len(first))):
        return "xl", None
    if _alike(first, libxl_ident) >= 6 and len(first) >= 8:
        return "libxl", None
    if len(first) < 8 and marker.startswith(first):
        return "libxc", None
    legacy = _legacy(first)
    if legacy:
        return None, (f"{legacy} (Xen 4.5 or older): restore it once with a Xen that still can (4.6 to 4.19 convert it), and "
                      "save it anew")
    return None, "not a migration stream: neither `xl save`'s magic, nor \"LibxlFmt\", nor libxc's marker"


class Host:
    """A host that is asked whether the guest would run there: the policies of its capture."""

    def __init__(self, name, cpu, policies, unknown):
        self.name, self.cpu = name, cpu
        self.policies = policies        # index of XEN_SYSCTL_get_cpu_policy: Policy
        self.unknown = unknown          # the same: a mask of what its source does not say
        self.can_run = None
        self.faults = []                # (kind, text)
        self.doubts = []                # the same, of what may be a fault


def unreadable(why):
    """The Verification of an input that is not there."""
    v = Verification(Nowhere())
    v.report.unusable = why
    return v


class Verification:
    """One input, looked at. Nothing it holds grows with the input."""

    def __init__(self, source, format_=None, hosts=(), checksums=False):
        self.source, self.report = source, Report()
        self.format, self.hosts = format_, list(hosts)
        self.checksums = checksums
        self.xl = self.libxl = self.libxc = None
        self.whose = None       # the toolstack whose image it is in

    def run(self):
        report = self.report
        if self.format is None:
            self._recognise()
            if self.format is None:
                return self
        try:
            if self._layers() and report.unusable is None:
                self._behind()
        except Truncated as cut:
            report.problem("truncated", cut.offset, self._section(),
                           f"the stream is cut off here: {cut.missing} bytes are missing of this, and all that should follow")
            if self.libxc:
                self.libxc.finish_policy()
        except GivenUp:
            if self.libxc:
                self.libxc.finish_policy()
        if self.libxc and self.libxc.checksums and not self.libxc.checksum_records and self.checksums:
            report.note("there are no CHECKSUM records")
        if report.unusable:     # then it does not matter what else is wrong with it
            report.problems, report.count = [], 0
        for host in self.hosts:
            if host.can_run is None and report.unusable is None and self.libxc is None:
                self._no_policy(host)
        report.close_place()
        return self

    def _recognise(self):
        """What it is; what another toolstack has put in front of it is passed over."""
        try:
            self.whose = envelope.enter(self.source, self.source.peek(LOOK))
        except envelope.NoStream as why:
            self.report.unusable = str(why)
            return
        if self.whose:
            self.report.note(f"the stream is in an image of {self.whose}, from byte {self.source.offset} on")
        self.format, self.report.unusable = recognise(self.source.peek(LOOK))

    def _behind(self):
        """Nothing may follow, but what xl says to xl; and XAPI's device model, of which nothing is known here."""
        if self.whose == "XAPI":
            return
        if self.format == "xl" and self.source.peek(len(GO)) == GO:
            self.source.skip(len(GO))
            self.report.note("taken from a migration: xl's permission to start stands behind the stream")
        if not self.source.at_end():
            self.report.place("input", None, None)
            self.report.problem("trailing", self.source.offset, "END", "there are bytes behind the end of the stream")

    def _section(self):
        """Of what was being read."""
        layer, in_header = self.report.layer, self.report.record is None
        if layer == "libxc":
            return "Records" if not in_header else "Image header" if self.libxc.version is None else "Domain header"
        return f"{layer} header" if in_header else "libxl records"

    def _layers(self):
        """True when the stream ended as it should, so that nothing may follow."""
        if self.format != "libxc":
            self.source.start_crc()     # of the head: HEAD_CHECKSUM
        if self.format == "xl":
            self.xl = xl.Header(self.source, self.report)
            if not self.xl.read():
                return False
        if self.format == "libxc":
            return self._only_libxc()
        self.libxl = libxl.Stream(self.source, self.report, self._make_libxc)
        return self.libxl.header() and self.libxl.run()

    def _only_libxc(self):
        stream = self._make_libxc()
        if not stream.headers():
            return False
        how = stream.run()
        while how == "checkpoint":
            how = stream.run()
        return how == "end"

    def _make_libxc(self):
        self.libxc = libxc.Stream(self.source, self.report, self.checksums, self._ask_hosts)
        return self.libxc

    # ---- --host ----

    def _ask_hosts(self, stream):
        for host in self.hosts:
            if stream.policy is None or stream.policy_faults:
                self._no_policy(host)
            else:
                self._ask(host, stream)

    def _no_policy(self, host):
        host.can_run = False
        host.faults = [("no-policy", "the stream has no CPU policy that could be compared")]
        self.report.problem("host-no-policy", self.source.offset, AUDIT,
                            f"on {host.name}: {host.faults[0][1]}")

    def _ask(self, host, stream):
        from . import check     # only --host needs it
        most, default = (2, 4) if stream.guest == libxc.PV else (3, 5)
        if most not in host.policies:
            host.faults = [("type", f"no {libxc.GUESTS.get(stream.guest, 'such')} guests can run there")]
            self.report.problem("host-type", self.source.offset, AUDIT, f"on {host.name}: {host.faults[0][1]}")
        else:
            no, maybe = check.check_unsure(stream.policy, host.policies[most], host.policies.get(default),
                                           host.unknown[most], host.unknown.get(default))
            for fault in no:
                text = stream.policy_problem(fault, "host-", AUDIT, host.name)
                host.faults.append((fault.kind, text))
            for fault in maybe:
                host.doubts.append((fault.kind, stream.policy_doubt(fault, AUDIT, host.name)))
        host.can_run = not host.faults and not host.doubts
