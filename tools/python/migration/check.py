# SPDX-License-Identifier: MIT
"""Would a guest with this policy run on that host?  The rules of xen/arch/x86/cpuid-policy/check.c."""

from . import features
from .features import bits
from .policy import COMPONENT_FEATURE, EXTD, Fault, MSR_PLATFORM_INFO, NONE, NOT_A_COMPONENT, none


def _feature_fault(kind, number, guest, host):
    word = features.table().words[number // 32]
    return Fault(kind, none(word["leaf"]), none(word["subleaf"]), guest, host, msr=none(word["msr"]), feature=number)


def _missing(guest_fs, max_fs, faults):
    t = features.table()
    ignored = t.merge.get("hazard", 0) | t.merge.get("dynamic", 0) | t.merge.get("mirror", 0) | t.numbers
    for number in bits(guest_fs & ~max_fs & ~ignored):
        faults.append(_feature_fault("feature-missing", number, 1, 0))


def _word_visible(guest, fs, index):
    """Can the guest see the word at all?"""
    word = features.table().words[index]
    if word["msr"] is not None:
        return True
    if word["name"] == "Ab":
        aa = next(i for i, w in enumerate(features.table().words) if w["name"] == "Aa")
        return bool(fs >> 32 * aa & 0xff)
    if word["leaf"] >= EXTD:
        return word["leaf"] <= guest.max_extd
    if word["leaf"] == 7:
        return guest.max_basic >= 7 and word["subleaf"] <= guest.max_feat
    return word["leaf"] <= guest.max_basic


def _return_stack(fs, host):
    """RSBA and RRSBA, one hazard in two strengths: what of it the guest should have been told, and was not."""
    t = features.table()
    rsba, rrsba, eibrs = (1 << t.number(name) for name in ("rsba", "rrsba", "eibrs"))
    if not host & (rsba | rrsba) or fs & rsba:
        return 0
    if (host & rsba and not host & eibrs) or not fs & eibrs:
        return rsba
    return 0 if fs & rrsba else rrsba


def _hazards(guest, fs, default, faults):
    t = features.table()
    host, rtm, abort = default.featureset(), 1 << t.number("rtm"), 1 << t.number("rtm-always-abort")
    visible = 0
    for i in range(len(t.words)):
        if _word_visible(guest, fs, i):
            visible |= NONE << 32 * i
    either = 1 << t.number("rsba") | 1 << t.number("rrsba")
    untold = host & t.merge.get("hazard", 0) & ~fs & visible & ~either | _return_stack(fs, host)
    if fs & rtm:        # it accumulates, and is a hazard to those who have RTM
        untold |= host & abort & ~fs
    for number in bits(untold):
        if not t.guest_needs(number) & ~fs:
            faults.append(_feature_fault("hazard-untold", number, 0, 1))


def _fields(guest_fs, max_fs, faults):
    t = features.table()
    for i, field in enumerate(t.fields):
        shift, mask = field["word"] * 32 + field["shift"], (1 << field["width"]) - 1
        g, h = guest_fs >> shift & mask, max_fs >> shift & mask
        if g > h:
            word = t.words[field["word"]]
            faults.append(Fault("field", none(word["leaf"]), none(word["subleaf"]), g, h, feature=i))


def _maxima(guest, most, faults):
    for leaf, subleaf, g, h in ((0, NONE, guest.max_basic, most.max_basic), (7, 0, guest.max_feat, most.max_feat),
                                (EXTD, NONE, guest.max_extd, most.max_extd)):
        if g > h:
            faults.append(Fault("max-leaf", leaf, subleaf, g, h))


def _widths(guest, most, fs, faults):
    g, h = guest.reg(EXTD + 8)[0], most.reg(EXTD + 8)[0]
    for kind, shift in (("maxphysaddr", 0), ("linearaddr", 8)):
        if g >> shift & 0xff > h >> shift & 0xff:
            faults.append(Fault(kind, EXTD + 8, NONE, g >> shift & 0xff, h >> shift & 0xff))
    line, host_line = (p.reg(1)[1] >> 8 & 0xff for p in (guest, most))
    if fs >> features.table().number("clflush") & 1 and line != host_line:
        faults.append(Fault("clflush", 1, NONE, line * 8, host_line * 8))


def _closed(guest, fs, faults):
    """What Xen takes from every guest, and a CPU may have."""
    t = features.table()
    for number, needs in t.xen_needs:
        if fs >> number & 1 and not fs >> needs & 1:
            word = t.words[number // 32]
            faults.append(Fault("prerequisite", none(word["leaf"]), none(word["subleaf"]), 1, 0, msr=none(word["msr"]),
                                feature=number, needs=needs))
    for component, name in sorted(COMPONENT_FEATURE.items()):
        number = t.number(name)
        if guest.xcr0 >> component & 1 and not fs >> number & 1:
            faults.append(Fault("xstate-feature", 0xd, component, 1, 0, feature=number))


def _components(guest, most, guest_set, host_set, faults):
    for i in bits(guest_set & ~NOT_A_COMPONENT):
        if not host_set >> i & 1:
            faults.append(Fault("xstate-missing", 0xd, i, 1, 0))
            continue
        if i < 2:       # x87 and SSE have no subleaves of their own
            continue
        for kind, g, h in zip(("xstate-size", "xstate-offset", "xstate-flags"), guest.reg(0xd, i), most.reg(0xd, i)):
            if g != h:
                faults.append(Fault(kind, 0xd, i, g, h))


def check(guest, most, default=None):
    """Every difference that matters; `default` is what the host's own guests are born with (its hazards)."""
    faults = []
    if guest.vendor() != most.vendor():
        return [Fault("vendor", 0, NONE, guest.reg(0)[1], most.reg(0)[1])]
    fs, max_fs = guest.featureset(), most.featureset()
    _missing(fs, max_fs, faults)
    if default is not None:
        _hazards(guest, fs, default, faults)
    _fields(fs, max_fs, faults)
    _maxima(guest, most, faults)
    _widths(guest, most, fs, faults)
    _closed(guest, fs, faults)
    _components(guest, most, guest.xcr0, most.xcr0, faults)
    _components(guest, most, guest.xss, most.xss, faults)
    if guest.platform_info & ~most.platform_info:
        faults.append(Fault("msr", msr=MSR_PLATFORM_INFO, guest=guest.platform_info, host=most.platform_info))
    return faults
