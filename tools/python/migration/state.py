# SPDX-License-Identifier: MIT
"""A vCPU's registers against its policy: the rules of xen/arch/x86/cpuid-policy/state.c, from the same rows of features.def
(REGISTER and BITS), and in the same words; tests/migration/verifier/test_state.py holds the two against each other."""

from . import features
from .features import bits
from .policy import CPUID_FAULTING

ALL = (1 << 64) - 1
LMA, LME, LMSLE = 1 << 10, 1 << 8, 1 << 13
X2APIC, APIC_ENABLE = 1 << 10, 1 << 11
# Under PV these are the hypervisor's, and the guest sees them: PAE, MCE, OSFXSR, OSXMMEXCPT.
CR4_OF_HYPERVISOR = 1 << 5 | 1 << 6 | 1 << 9 | 1 << 10
CR0_PE, CR0_PG, CR0_NW, CR0_CD = 1 << 0, 1 << 31, 1 << 29, 1 << 30
CR0_KNOWN = 0xe005003f

FEATURE, COMPONENT, RESERVED, VALUE = "feature", "component", "reserved", "value"


def _mask(row):
    return ((1 << row["width"]) - 1) << row["shift"]


def _brings(row, fs):
    number = features.table().number
    return not row["features"] or any(fs >> number(name) & 1 for name in row["features"])


def _forbidden(name, policy, fs):
    """What stands on more than a feature bit."""
    if name == "EFER":
        amd = policy.vendor() in (b"AuthenticAMD", b"HygonGenuine")
        return 0 if amd and not fs >> features.table().number("no-lmsl") & 1 else LMSLE
    if name == "APIC_BASE":
        width = policy.physaddr_bits
        return ALL << (width if 36 <= width <= 52 else 36) & ALL
    if name == "MISC_FEATURES_ENABLES":
        return 0 if policy.platform_info & CPUID_FAULTING else 1
    if name in ("XFD", "XFD_ERR"):
        return ALL & ~policy.xcr0
    if name == "XSS":
        return ALL & ~policy.xss
    return 0


def component(number):
    """ "17 (amx-tile)" """
    name = features.table().component_feature.get(number)
    return f"{number} ({name})" if name else str(number)


def _fault(register, bit, policy, fs):
    """(kind, what) of a bit that may not be; a register of components is one fault when its feature is missing."""
    name = register["name"]
    if name == "MISC_FEATURES_ENABLES" and bit == 0:
        return FEATURE, "cpuid-faulting"
    row = next((row for row in register["bits"] if _mask(row) >> bit & 1), None)
    if row and not _brings(row, fs):
        return FEATURE, row["features"][0]
    if name in ("XSS", "XFD", "XFD_ERR"):
        return COMPONENT, f"component {component(bit)}"
    return RESERVED, f"bit {bit}"


ENDS = {FEATURE: "is not in its CPU policy", COMPONENT: "is not in its CPU policy", RESERVED: "is reserved",
        VALUE: "cannot be"}


def check(name, value, policy, pv=False):
    """[(kind, sentence)] of a register by its name in features.def, each once; without a policy only what no CPU has."""
    register = features.table().registers[name]
    rows, found = register["bits"], []
    if policy is None:
        fs, allowed = 0, sum(map(_mask, rows))
    else:
        fs = policy.featureset()
        allowed = sum(_mask(row) for row in rows if _brings(row, fs)) & ~_forbidden(name, policy, fs)
    if pv and name == "CR4":
        allowed |= CR4_OF_HYPERVISOR
    for bit in bits(value & ~allowed):
        kind, what = _fault(register, bit, policy, fs) if policy else (RESERVED, f"bit {bit}")
        sentence = kind, f"{name}: {what} {ENDS[kind]}"
        if sentence not in found:
            found.append(sentence)
    if (name == "EFER" and value & LMA and not value & LME or
            name == "APIC_BASE" and value & X2APIC and not value & APIC_ENABLE):
        found.append((VALUE, f"{name}: {value:#x} {ENDS[VALUE]}"))
    return found


def check_msr(number, value, policy):
    """The same of an MSR; nothing about one that features.def does not have."""
    name = features.table().register_of_msr.get(number)
    return check(name, value, policy) if name else []


def check_cr0(value):
    found = [(RESERVED, f"CR0: bit {bit} {ENDS[RESERVED]}") for bit in bits(value & ~CR0_KNOWN)]
    if value & CR0_PG and not value & CR0_PE or value & CR0_NW and not value & CR0_CD:
        found.append((VALUE, f"CR0: {value:#x} {ENDS[VALUE]}"))
    return found
