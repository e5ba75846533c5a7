# SPDX-License-Identifier: MIT
"""Would a guest with this policy run on that host?  The rules of xen/arch/x86/cpuid-policy/check.c."""

import copy

from . import features
from .features import bits
from .policy import (EXTD, FAMILIES, Fault, HV, HV2, MSR_PLATFORM_INFO, NONE, NR_BASIC, NR_EXTD,
                     none)


def _feature_fault(kind, number, guest, host):
    word = features.table().words[number // 32]
    return Fault(kind, none(word["leaf"]), none(word["subleaf"]), guest, host, msr=none(word["msr"]), feature=number)


def _tolerated_hazards(max_fs):
    """Those that a guest may know though the maximum has not got them; Xen takes away all others."""
    t = features.table()
    words = {word["name"]: i * 32 for i, word in enumerate(t.words)}
    counters = t.merge.get("hazard", 0) & NONE << words["Ab"] if max_fs >> words["Aa"] & NONE else 0
    return 1 << t.number("fdp-excp-only") | 1 << t.number("no-fpu-sel") | counters


def _missing(guest_fs, max_fs, faults):
    t = features.table()
    ignored = _tolerated_hazards(max_fs) | t.merge.get("dynamic", 0) | t.merge.get("mirror", 0) | t.numbers
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
        # RRSBA is RSBA by another name, weighed already.
        if not t.guest_needs(t.number("rsba") if number == t.number("rrsba") else number) & ~fs:
            faults.append(_feature_fault("hazard-untold", number, 0, 1))


def _fields(guest_fs, max_fs, faults):
    t = features.table()
    for i, field in enumerate(t.fields):
        shift, mask = field["word"] * 32 + field["shift"], (1 << field["width"]) - 1
        g, h = guest_fs >> shift & mask, max_fs >> shift & mask
        if g > h:
            word = t.words[field["word"]]
            faults.append(Fault("field", none(word["leaf"]), none(word["subleaf"]), g, h, feature=i))


AMD_LIKE = {b"AuthenticAMD", b"HygonGenuine"}


def _fits(rule, g, h, silent, host_silent, conditional):
    """May a guest with `g` come where the host has `h`, which is not the same?"""
    return {"equal": silent and not conditional, "at-most": g <= h, "subset": not g & ~h,
            "told": silent or not h & ~g and not host_silent, "offered": not g}.get(rule, True)


def _field_fault(row, leaf, subleaf, reg, g, h):
    mask = (1 << row["width"]) - 1 << row["shift"]
    kind, times = "leaf", 1
    if reg == 0 and leaf in (0, 7, EXTD):
        kind = "max-leaf"
    elif (leaf, reg, mask) == (1, 1, 0xff00):
        kind, times = "clflush", 8
    elif (leaf, reg) == (EXTD + 8, 0) and mask in (0xff, 0xff00):
        kind = "maxphysaddr" if mask == 0xff else "linearaddr"
    return Fault(kind, leaf, subleaf, (g >> row["shift"]) * times, (h >> row["shift"]) * times, reg=reg,
                 shift=row["shift"], width=row["width"])


def _leaf(leaf, subleaf, guest, host, vendor, fs, faults):
    t = features.table()
    for row in t.leaves.get(leaf, ()):
        if not row["low"] <= (0 if subleaf == NONE else subleaf) <= row["high"] or row["vendors"] not in ("all", vendor):
            continue
        mask = (1 << row["width"]) - 1 << row["shift"]
        told = row["feature"] is None or fs >> t.number(row["feature"]) & 1
        for reg, letter in enumerate("abcd"):
            g, h = guest[reg] & mask, host[reg] & mask
            if letter not in row["registers"] or g == h or row["rule"] not in COMPARED and told:
                continue
            fits = _fits(row["rule"], g, h, not any(guest), not any(host), row["feature"]) if told else not g
            if not fits:
                fault = _field_fault(row, leaf, subleaf, reg, g, h if told else 0)
                if not told:
                    fault.needs = t.number(row["feature"])
                faults.append(fault)


COMPARED = {"equal", "at-most", "subset", "told", "offered"}


def _leaves(guest, most, fs, faults):
    """What is no feature, by the table's rows for leaves."""
    vendor = "amd" if guest.vendor() in AMD_LIKE else "intel"
    basic = min(guest.max_basic, NR_BASIC - 1)
    extd = min(max(guest.max_extd, EXTD), EXTD + NR_EXTD - 1)
    places = [(leaf, NONE) for leaf in range(basic + 1) if leaf not in FAMILIES]
    places += [(leaf, s) for leaf in FAMILIES if leaf <= basic and leaf != 0xd for s in range(FAMILIES[leaf])]
    places += [(leaf, NONE) for leaf in range(EXTD, extd + 1)]
    for place in places:
        if guest.reg(*place) != most.reg(*place):
            _leaf(*place, guest.reg(*place), most.reg(*place), vendor, fs, faults)
    # AMD repeats family and 1.EDX; nobody else does.
    t = features.table()
    base = next(i for i, word in enumerate(t.words) if word["name"] == "e1d") * 32
    mirror = t.merge.get("mirror", 0) >> base & NONE
    ext, one = guest.reg(EXTD + 1), guest.reg(1)
    copied = one[3] & mirror if vendor == "amd" else 0
    if ext[3] & mirror and ext[3] & mirror != copied:
        faults.append(Fault("leaf", EXTD + 1, NONE, ext[3] & mirror, copied, reg=3))
    if vendor == "amd" and guest.max_extd > EXTD and ext[0] != one[0]:
        faults.append(Fault("leaf", EXTD + 1, NONE, ext[0], one[0]))


def _closed(guest, most, fs, faults):
    """What Xen takes from every guest, and a CPU may have."""
    t = features.table()
    for number, needs in t.xen_needs:
        if fs >> number & 1 and not fs >> needs & 1:
            word = t.words[number // 32]
            faults.append(Fault("prerequisite", none(word["leaf"]), none(word["subleaf"]), 1, 0, msr=none(word["msr"]),
                                feature=number, needs=needs))
    for component, name in sorted(t.component_feature.items()):
        number = t.number(name)
        if guest.xcr0 >> component & 1 and not fs >> number & 1:
            faults.append(Fault("xstate-feature", 0xd, component, 1, 0, feature=number))
    _widths(guest, most, fs, faults)
    for leaf in (HV, HV2):      # Xen keeps a byte of each
        if guest.reg(leaf)[0] > 0xff:
            faults.append(Fault("max-leaf", leaf, NONE, guest.reg(leaf)[0], 0xff))


def _linear_bits(fs):
    t = features.table()
    if not fs >> t.number("lm") & 1:
        return 32
    return 57 if fs >> t.number("la57") & 1 else 48


def _restricted(most):
    """The limit without linear addresses wider than any domain's."""
    a, *rest = most.reg(EXTD + 8)
    linear = min(a >> 8 & 0xff, _linear_bits(most.featureset()))
    limit = copy.copy(most)
    limit.leaves = {**most.leaves, (EXTD + 8, NONE): (a & ~0xff00 | linear << 8, *rest)}
    return limit


def _widths(guest, most, fs, faults):
    """Of addresses: Xen makes the linear one itself, and the physical one no smaller than this.

    Or they are the limit's; what is above that is a fault by the leaf's row.
    """
    t = features.table()
    physical, linear = guest.reg(EXTD + 8)[0] & 0xff, guest.reg(EXTD + 8)[0] >> 8 & 0xff
    wide, least = _linear_bits(fs), 36 if fs >> t.number("pae") & 1 or fs >> t.number("pse36") & 1 else 32
    if guest.max_extd < EXTD + 8:
        return
    limit = most.reg(EXTD + 8)[0]
    if linear != wide and linear < limit >> 8 & 0xff:
        faults.append(Fault("linearaddr", EXTD + 8, NONE, linear, wide))
    if physical < least and physical < limit & 0xff:
        faults.append(Fault("maxphysaddr", EXTD + 8, NONE, physical, least))


def _components(guest, most, guest_set, host_set, faults):
    for i in bits(guest_set):
        if not host_set >> i & 1:
            faults.append(Fault("xstate-missing", 0xd, i, 1, 0))
            continue
        if i < 2 or i == 63:    # x87, SSE and the last have no subleaves of their own
            continue
        g_regs, h_regs = ((a, b, c | d << 32) for a, b, c, d in (guest.reg(0xd, i), most.reg(0xd, i)))
        for kind, g, h in zip(("xstate-size", "xstate-offset", "xstate-flags"), g_regs, h_regs):
            if g != h:
                faults.append(Fault(kind, 0xd, i, g, h))


# ---- hosts of which not all is known ----

REGISTERS = ("eax", "ebx", "ecx", "edx")


def _with(p, mask, source):
    """The policy with the bits of the mask as `source` has them; None: zero."""
    filled = copy.deepcopy(p)
    for key, unknown in mask.leaves.items():
        other = source.reg(*key) if source else (0, 0, 0, 0)
        filled.leaves[key] = tuple(r & ~u | o & u for r, u, o in zip(p.reg(*key), unknown, other))
    for msr in ("platform_info", "arch_caps"):
        unknown = getattr(mask, msr)
        setattr(filled, msr, getattr(p, msr) & ~unknown | (getattr(source, msr) if source else 0) & unknown)
    return filled


def _set_features(p, features_):
    """Set features of a policy by their numbers' bits."""
    t = features.table()
    for number in bits(features_):
        word, bit = t.words[number // 32], 1 << number % 32
        if word["msr"] is not None:
            p.arch_caps |= bit << (32 if word["register"] == "edx" else 0)
            continue
        key = word["leaf"], none(word["subleaf"])
        registers = list(p.reg(*key))
        registers[REGISTERS.index(word["register"])] |= bit
        p.leaves[key] = tuple(registers)


def _is_doubtful(fault, mask):
    """A number of a leaf that is not known: it need not fit where its neighbours were taken from the guest."""
    return (fault.kind not in ("feature-missing", "hazard-untold", "vendor") and fault.leaf != NONE and
            any(leaf == fault.leaf and any(registers) for (leaf, _), registers in mask.leaves.items()))


def _same(a, b):
    keys = ("kind", "leaf", "subleaf", "msr", "feature", "needs", "reg", "shift")
    return all(getattr(a, key) == getattr(b, key) for key in keys)


def check_unsure(guest, most, default, most_unknown, default_unknown):
    """(faults, what may be faults): the host as it fits best, and as it fits worst; masks have a 1 for each bit that is not known.
    The rules of tools/xenlevel/unsure.c, for a guest of which all is known."""
    masks = [mask for mask in (most_unknown, default_unknown) if mask is not None]
    if not any(mask.platform_info or mask.arch_caps or mask.leaves for mask in masks):
        return check(guest, most, default), []
    t = features.table()
    best = check(guest, _with(most, most_unknown, guest), default and _with(default, default_unknown, guest))
    no = [f for f in best if not _is_doubtful(f, most_unknown)]
    maybe = [f for f in best if _is_doubtful(f, most_unknown)]
    if default:
        default = _with(default, default_unknown, None)
        hazards = t.merge.get("hazard", 0) | 1 << t.number("rtm-always-abort")
        _set_features(default, default_unknown.featureset() & hazards)
    for fault in check(guest, _with(most, most_unknown, None), default):
        if not any(_same(fault, f) for f in no + maybe):
            maybe.append(fault)
    return no, maybe


def check(guest, most, default=None):
    """Every difference that matters; `default` is what the host's own guests are born with (its hazards)."""
    faults = []
    if guest.vendor() != most.vendor():
        return [Fault("vendor", 0, NONE, guest.reg(0)[1], most.reg(0)[1])]
    most = _restricted(most)
    fs, max_fs = guest.featureset(), most.featureset()
    _missing(fs, max_fs, faults)
    if default is not None:
        _hazards(guest, fs, default, faults)
    _fields(fs, max_fs, faults)
    _leaves(guest, most, fs, faults)
    _closed(guest, most, fs, faults)
    _components(guest, most, guest.xcr0, most.xcr0, faults)
    _components(guest, most, guest.xss, most.xss, faults)
    if guest.platform_info & ~most.platform_info:
        faults.append(Fault("msr", msr=MSR_PLATFORM_INFO, guest=guest.platform_info, host=most.platform_info))
    return faults
