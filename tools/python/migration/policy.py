# SPDX-License-Identifier: MIT
"""A CPUID policy: from the stream's arrays, and whether it is a CPU that can exist.

The rules are those of xen/arch/x86/cpuid-policy/{leaves,whole,xstate,verify}.c, in the same order and the same words;
tests/migration/verifier/test_policy.py holds the two against each other over many damaged policies.
"""

from . import features
from .features import bits

NONE = 0xffffffff       # in leaf, subleaf, msr, feature: does not apply; the ABI's "no subleaf"

EXTD, HV, HV2 = 0x80000000, 0x40000000, 0x40000100
NR_BASIC, NR_EXTD = 0x25, 0x29
# Leaves with subleaves, in the order of policy_families[]; and how many of them a policy holds.
FAMILIES = {0x4: 8, 0x7: 4, 0xb: 8, 0xd: 64, 0xf: 2, 0x1d: 2, 0x1e: 2, 0x1f: 8, 0x24: 2}
MAX_LEAVES = NR_BASIC + NR_EXTD + sum(FAMILIES.values()) + 2
MAX_MSRS = 2
MSR_PLATFORM_INFO, MSR_ARCH_CAPS = 0xce, 0x10a
CPUID_FAULTING = 1 << 31
PHYSADDR, LINEARADDR = (32, 52), (32, 57)
XSTATE_AREA = 576
NOT_A_COMPONENT = 1 << 63
VENDORS = {b"GenuineIntel", b"AuthenticAMD", b"HygonGenuine", b"CentaurHauls", b"  Shanghai  "}
EMPTY = (0, 0, 0, 0)


class Fault:
    """struct policy_fault."""

    __slots__ = ("kind", "index", "leaf", "subleaf", "msr", "feature", "needs", "guest", "host", "reg", "shift", "width")

    def __init__(self, kind, leaf=NONE, subleaf=NONE, guest=0, host=0, index=NONE, msr=NONE, feature=NONE, needs=NONE,
                 reg=0, shift=0, width=32):
        self.reg, self.shift, self.width = reg, shift, width
        self.kind, self.index, self.leaf, self.subleaf, self.msr = kind, index, leaf, subleaf, msr
        self.feature, self.needs, self.guest, self.host = feature, needs, guest, host


class Policy:
    """Leaves by (leaf, subleaf), subleaf being NONE where there are none; what is not named is zero."""

    def __init__(self):
        self.leaves = {}
        self.platform_info = self.arch_caps = 0
        self.entry = {}         # (leaf, subleaf), or ("msr", number): index in its array

    def reg(self, leaf, subleaf=NONE):
        return self.leaves.get((leaf, subleaf), EMPTY)

    @property
    def max_basic(self):
        return self.reg(0)[0]

    @property
    def max_feat(self):
        return self.reg(7, 0)[0]

    @property
    def max_extd(self):
        return self.reg(EXTD)[0]

    @property
    def xcr0(self):
        a, _, _, d = self.reg(0xd, 0)
        return a | d << 32

    @property
    def xss(self):
        _, _, c, d = self.reg(0xd, 1)
        return c | d << 32

    @property
    def physaddr_bits(self):
        return self.reg(EXTD + 8)[0] & 0xff

    def vendor(self):
        _, b, c, d = self.reg(0)
        return b"".join(r.to_bytes(4, "little") for r in (b, d, c))

    def vendor_text(self):
        return printable(self.vendor())

    def brand(self):
        if self.max_extd < EXTD + 4:
            return ""
        raw = b"".join(r.to_bytes(4, "little") for leaf in range(2, 5) for r in self.reg(EXTD + leaf))
        return " ".join(printable(raw).split())

    def signature(self):
        """Family, model, stepping as displayed."""
        a = self.reg(1)[0]
        family, model = a >> 8 & 0xf, a >> 4 & 0xf
        if family in (6, 15):
            model |= a >> 12 & 0xf0
        if family == 15:
            family += a >> 20 & 0xff
        return family, model, a & 0xf

    def featureset(self):
        found = 0
        for i, word in enumerate(features.table().words):
            if word["msr"] is not None:
                value = self.arch_caps & NONE if word["register"] == "eax" else self.arch_caps >> 32
            else:
                subleaf = NONE if word["subleaf"] is None else word["subleaf"]
                value = self.reg(word["leaf"], subleaf)[("eax", "ebx", "ecx", "edx").index(word["register"])]
            found |= value << 32 * i
        return found

    def xstate_size(self, components):
        """Bytes of an XSAVE area in standard form with these user components."""
        size = XSTATE_AREA if components else 0
        for i in bits(components & ~3 & ~NOT_A_COMPONENT):
            a, b, _, _ = self.reg(0xd, i) if i < FAMILIES[0xd] else EMPTY
            size = max(size, a + b)
        return size


def printable(raw):
    """Bytes up to a NUL as text; nothing for a terminal to interpret."""
    return "".join(chr(c) if 32 <= c < 127 else "?" for c in raw.split(b"\0")[0])


# ---- from arrays ----

def _slot_fault(leaf, subleaf):
    """Why a policy cannot hold the entry; None when it can."""
    if leaf in FAMILIES:
        if subleaf < FAMILIES[leaf]:
            return None
        return "subleaf-expected" if subleaf == NONE else "leaf-range"
    if leaf < NR_BASIC or EXTD <= leaf < EXTD + NR_EXTD:
        return None if subleaf == NONE else "subleaf-unexpected"
    return "leaf-range"


def _take_leaves(policy, leaves, faults):
    before = None
    for i, (leaf, subleaf, a, b, c, d) in enumerate(leaves):
        key = (leaf, subleaf)
        if before is not None and key == before:
            faults.append(Fault("duplicate", leaf, subleaf, index=i))
            continue
        if before is not None and key < before:
            faults.append(Fault("unsorted", leaf, subleaf, index=i))
        before = key
        if subleaf == NONE and leaf in (HV, HV2):
            continue
        kind = _slot_fault(leaf, subleaf)
        if kind:
            faults.append(Fault(kind, leaf, subleaf, index=i))
            continue
        policy.leaves[key] = (a, b, c, d)
        policy.entry[key] = i


def _take_msrs(policy, msrs, faults):
    before = None
    for i, (number, flags, value) in enumerate(msrs):
        if number == before:
            faults.append(Fault("duplicate", index=i, msr=number, guest=value))
            continue
        if before is not None and number < before:
            faults.append(Fault("unsorted", index=i, msr=number, guest=value))
        before = number
        if flags:
            faults.append(Fault("msr-flags", index=i, msr=number, guest=flags))
        elif number == MSR_PLATFORM_INFO:
            policy.platform_info = value
            policy.entry["msr", number] = i
        elif number == MSR_ARCH_CAPS:
            policy.arch_caps = value
            policy.entry["msr", number] = i
        else:
            faults.append(Fault("msr-range", index=i, msr=number, guest=value))


def from_arrays(leaves, msrs, nr_leaves=None, nr_msrs=None):
    """(policy, faults) of (leaf, subleaf, a, b, c, d) and (msr, flags, value); nr_* when more were there than given."""
    policy, faults = Policy(), []
    nr_leaves = len(leaves) if nr_leaves is None else nr_leaves
    nr_msrs = len(msrs) if nr_msrs is None else nr_msrs
    if nr_leaves > MAX_LEAVES:
        faults.append(Fault("too-many", index=MAX_LEAVES, guest=nr_leaves, host=MAX_LEAVES))
    _take_leaves(policy, leaves[:MAX_LEAVES], faults)
    if nr_msrs > MAX_MSRS:
        faults.append(Fault("too-many", index=MAX_MSRS, msr=0, guest=nr_msrs, host=MAX_MSRS))
    _take_msrs(policy, msrs[:MAX_MSRS], faults)
    return policy, faults


# ---- is it whole? ----

NR_CACHE, NR_TOPO = 6, 2        # subleaves of lists without a stated length that Xen holds (4.14 to 4.22)


def _list_length(p, leaf, limit):
    """Subleaves up to the first of type 0, that one included."""
    for n in range(limit):
        a, _, c, _ = p.reg(leaf, n)
        if not (a & 0x1f if leaf == 4 else c >> 8 & 0xff):
            return n + 1
    return limit


def _named_subleaves(p, leaf):
    """How many subleaves, from 0, the policy itself says the leaf has."""
    if leaf == 4:
        return _list_length(p, leaf, NR_CACHE)
    if leaf in (0xb, 0x1f):
        return _list_length(p, leaf, NR_TOPO)
    if leaf == 0xd:
        components = (p.xcr0 | p.xss) & ~NOT_A_COMPONENT
        return max(2, components.bit_length())
    if leaf == 0xf:
        return 2 if p.reg(leaf, 0)[3] & 2 else 1
    return min(p.reg(leaf, 0)[0], FAMILIES[leaf] - 1) + 1


def _not_named_in(p, leaf):
    if leaf not in FAMILIES:
        return [] if (leaf, NONE) in p.entry else [NONE]
    if not any((leaf, subleaf) in p.entry for subleaf in range(FAMILIES[leaf])):
        return [NONE]
    return [subleaf for subleaf in range(_named_subleaves(p, leaf)) if (leaf, subleaf) not in p.entry]


def whole(p):
    """What the policy says there is and its arrays did not name: a domain would keep there what it was born with."""
    last_extd = max(EXTD, min(p.max_extd, EXTD + NR_EXTD - 1))
    leaves = [*range(min(p.max_basic, NR_BASIC - 1) + 1), *range(EXTD, last_extd + 1)]
    faults = [Fault("incomplete", leaf, subleaf) for leaf in leaves for subleaf in _not_named_in(p, leaf)]
    return faults + [Fault("incomplete", msr=msr) for msr in (MSR_PLATFORM_INFO, MSR_ARCH_CAPS) if ("msr", msr) not in p.entry]


# ---- can it exist? ----

def _maxima(p, faults):
    if p.max_basic >= NR_BASIC:
        faults.append(Fault("max-leaf", 0, NONE, p.max_basic, NR_BASIC - 1))
    if p.max_feat >= FAMILIES[7]:
        faults.append(Fault("max-leaf", 7, 0, p.max_feat, FAMILIES[7] - 1))
    if p.max_extd and not EXTD <= p.max_extd < EXTD + NR_EXTD:
        faults.append(Fault("max-leaf", EXTD, NONE, p.max_extd, EXTD + NR_EXTD - 1))


def _beyond(p, faults):
    basic, extd = p.max_basic, p.max_extd
    for leaf in range(1, NR_BASIC):
        if leaf > basic and p.reg(leaf) != EMPTY:
            faults.append(Fault("beyond-max", leaf, NONE, leaf, basic))
    for i in range(1, NR_EXTD):
        if EXTD + i > extd and p.reg(EXTD + i) != EMPTY:
            faults.append(Fault("beyond-max", EXTD + i, NONE, EXTD + i, extd))
    for leaf, count in FAMILIES.items():
        for subleaf in range(count) if leaf > basic else ():
            if p.reg(leaf, subleaf) != EMPTY:
                faults.append(Fault("beyond-max", leaf, subleaf, leaf, basic))
    for subleaf in range(1, FAMILIES[7]) if basic >= 7 else ():
        if subleaf > p.max_feat and p.reg(7, subleaf) != EMPTY:
            faults.append(Fault("beyond-max", 7, subleaf, 7, p.max_feat))


def _lists(p, faults):
    """Components that are not there, caches behind the list's end: nothing is said of them."""
    components = (p.xcr0 | p.xss) & ~NOT_A_COMPONENT
    for s in range(2, FAMILIES[0xd]):
        if not components >> s & 1 and p.reg(0xd, s) != EMPTY:
            faults.append(Fault("beyond-max", 0xd, s, 0xd, s))
    ended = False
    for s in range(FAMILIES[4]):
        ended = ended or p.reg(4, s)[0] & 0x1f not in (1, 2, 3)
        if ended and p.reg(4, s) != EMPTY:
            faults.append(Fault("beyond-max", 4, s, 4, s))


def _prerequisites(fs, faults):
    """Each feature that lacks something, with the first thing it lacks; in the order of what is lacking."""
    t = features.table()
    fallen = []
    for number in bits(fs):
        missing = t.needs(number) & ~fs
        if missing:
            fallen.append(((missing & -missing).bit_length() - 1, number))
    for needs, number in sorted(fallen):
        word = t.words[number // 32]
        faults.append(Fault("prerequisite", none(word["leaf"]), none(word["subleaf"]), 1, 0, msr=none(word["msr"]),
                            feature=number, needs=needs))


def none(value):
    return NONE if value is None else value


def _addresses(p, faults):
    if p.max_extd < EXTD + 8:
        return
    a = p.reg(EXTD + 8)[0]
    for kind, width, (low, high) in (("maxphysaddr", a & 0xff, PHYSADDR), ("linearaddr", a >> 8 & 0xff, LINEARADDR)):
        if kind == "linearaddr" and not width:      # CPUs without long mode
            continue
        if not low <= width <= high:
            faults.append(Fault(kind, EXTD + 8, NONE, width, low if width < low else high))


def _xstate_features(xcr0, fs, faults):
    t = features.table()
    for component, name in features.table().component_feature.items():
        number = t.number(name)
        if fs >> number & 1 and not xcr0 >> component & 1:
            faults.append(Fault("xstate-feature", 0xd, component, 1, 0, feature=number))


def _xstate_layout(p, faults):
    xcr0, xss = p.xcr0, p.xss
    numbered = ~3 & ~NOT_A_COMPONENT
    for i in bits((xcr0 | xss) & numbered):
        a, b, c, _ = p.reg(0xd, i)
        user, supervisor = xcr0 >> i & 1, xss >> i & 1
        if (not a or user == supervisor or c & 1 != supervisor or (b < XSTATE_AREA if user else b) or a + b > NONE):
            faults.append(Fault("xstate-layout", 0xd, i, a, b))
        elif user:
            for other in bits(xcr0 & numbered & ~((2 << i) - 1)):
                oa, ob, _, _ = p.reg(0xd, other)
                if b < ob + oa and ob < b + a:
                    faults.append(Fault("xstate-layout", 0xd, other, oa, ob))
    total = p.xstate_size(xcr0)
    if p.reg(0xd, 0)[2] != total:
        faults.append(Fault("xstate-total", 0xd, 0, p.reg(0xd, 0)[2], total))


def verify(p):
    """Every reason why no CPU can be like this."""
    faults = []
    if p.vendor() not in VENDORS:
        faults.append(Fault("vendor-unknown", 0, NONE, p.reg(0)[1], 0))
    _maxima(p, faults)
    _beyond(p, faults)
    _lists(p, faults)
    fs = p.featureset()
    _prerequisites(fs, faults)
    _addresses(p, faults)
    _xstate_features(p.xcr0, fs, faults)
    _xstate_layout(p, faults)
    if p.platform_info & ~CPUID_FAULTING:
        faults.append(Fault("msr-reserved", msr=MSR_PLATFORM_INFO, guest=p.platform_info, host=CPUID_FAULTING))
    return faults


# ---- in words ----

def _place(f):
    if f.msr != NONE:
        where = f"MSR {f.msr:#x}" if f.msr else "MSR 0"
    elif f.leaf != NONE:
        where = f"leaf {f.leaf:x}" + (f" subleaf {f.subleaf:x}" if f.subleaf != NONE else "")
    else:
        where = "the policy"
    return f"entry {f.index} ({where})" if f.index != NONE else where


def hexadecimal(value):
    """As C's %#x: a zero is "0"."""
    return f"{value:#x}" if value else "0"


def _prerequisite_text(f, t):
    needs = t.features.get(f.needs)
    return (f"{t.text(f.feature)}; needs {needs.name if needs else '(no name)'}  {t.location(f.needs)}, which is not "
            "there")


TEXTS = {
    "unsorted": "{place} stands before the entry in front of it",
    "duplicate": "{place} is there twice",
    "leaf-range": "{place}: no policy has this leaf",
    "subleaf-expected": "{place}: the leaf has subleaves, the entry names none",
    "subleaf-unexpected": "{place}: the leaf has no subleaves, the entry names one",
    "msr-range": "{place}: no policy has this MSR",
    "msr-flags": "{place}: reserved flags are set",
    "too-many": "{f.guest} entries, a policy has {f.host} at most",
    "vendor-unknown": "the vendor in leaf 0 is not one that makes these CPUs",
    "beyond-max": "{place} is above the highest leaf, and not zero",
    "xstate-feature": "{place}: state component {f.subleaf} and its feature disagree",
    "xstate-layout": "{place}: the place of state component {f.subleaf} in the XSAVE area is impossible",
    "xstate-total": "{place}: the XSAVE area is said to have {f.guest} bytes, its components make {f.host}",
    "msr-reserved": "{place} has bits {guest} that no policy may have",
    "max-leaf": "{place}: the highest leaf it names, {guest}, is above {host}",
    "vendor": "another vendor's CPU: nothing else was compared",
    "clflush": "CLFLUSH line: {f.guest} bytes in the guest, {f.host} in the host",
    "xstate-missing": "XSAVE state component {f.subleaf} is missing",
    "xstate-size": "XSAVE state component {f.subleaf}: {f.guest} bytes in the guest, {f.host} in the host",
    "xstate-offset": "XSAVE state component {f.subleaf}: at byte {f.guest} in the guest, at {f.host} in the host",
    "xstate-flags": "XSAVE state component {f.subleaf}: alignment or supervisor flags differ",
}
MSR_NAMES = {MSR_PLATFORM_INFO: "platform info", MSR_ARCH_CAPS: "arch capabilities"}


def _not_named_text(f):
    if f.msr != NONE:
        return f"incomplete: MSR {f.msr:X} is not named"
    return f"incomplete: leaf {f.leaf:X}" + (f", subleaf {f.subleaf:X}" if f.subleaf != NONE else "") + " is not named"


def _leaf_text(f, t):
    subleaf = f", subleaf {f.subleaf:X}" if f.subleaf != NONE else ""
    place = f"[{f.shift}]" if f.width == 1 else f"[{f.shift + f.width - 1}:{f.shift}]" if f.width < 32 else ""
    more = f", which says nothing without {t.features[f.needs].name}" if f.needs != NONE else ""
    return (f"leaf {f.leaf:X}{subleaf}, {('EAX', 'EBX', 'ECX', 'EDX')[f.reg]}{place}: the guest has {hexadecimal(f.guest)}, "
            f"the host {hexadecimal(f.host)}{more}")


def fault_text(f):
    """The sentence that xc_fault_text() makes of it."""
    t = features.table()
    if f.kind == "incomplete":
        return _not_named_text(f)
    if f.kind == "leaf":
        return _leaf_text(f, t)
    if f.kind == "prerequisite":
        return _prerequisite_text(f, t)
    if f.kind in ("feature-missing", "hazard-untold"):
        return t.text(f.feature)
    if f.kind == "field":
        field = t.fields[f.feature]
        return f"{field['name']}  {field['description']}: the guest has {f.guest}, the host {f.host}"
    if f.kind == "maxphysaddr":
        if f.host:
            return f"physical addresses: the guest has {f.guest} bits, the host {f.host}"
        return f"physical addresses of {f.guest} bits are out of range"
    if f.kind == "linearaddr":
        return f"virtual addresses of {f.guest} bits" + (", more than the host has" if f.host else " are out of range")
    if f.kind == "msr":
        return (f"{_place(f)} ({MSR_NAMES.get(f.msr, '')}): the guest has bits {hexadecimal(f.guest & ~f.host)} that the host "
                "cannot give")
    return TEXTS[f.kind].format(place=_place(f), f=f, guest=hexadecimal(f.guest), host=hexadecimal(f.host))
