#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read from a hypervisor's symbols how it lays out what the payload must touch.

usage: gen-layout.py XEN_SYMS OUT.h

XEN_SYMS is the unstripped hypervisor (Debian: /usr/lib/debug/boot/xen-syms-*, package
xen-hypervisor-*-dbg).  It carries symbols but no type information, so the layout of its policy
object is read from its own code: x86_cpu_policy_to_featureset() loads every feature word from its
place.  Every number is derived twice, or the generator stops; the payload tests them once more when
it is loaded.
"""

import re
import subprocess
import sys

# Word of the public ABI -> (leaf family, subleaf or leaf number, byte of the register).
WORDS = [("basic", 1, 12), ("basic", 1, 8), ("extd", 1, 12), ("extd", 1, 8), ("xstate", 1, 0), ("feat", 0, 4),
         ("feat", 0, 8), ("extd", 7, 12), ("extd", 8, 4), ("feat", 0, 12), ("feat", 1, 0), ("extd", 0x21, 0),
         ("feat", 1, 4), ("feat", 2, 12), ("feat", 1, 8), ("feat", 1, 12), ("arch_caps", 0, 0), ("arch_caps", 0, 4),
         ("extd", 0x21, 8)]


class Unknown(Exception):
    """This hypervisor is not built as expected."""


def tool(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def function(syms, name):
    """The disassembled instructions of a function, one string each."""
    text = tool("objdump", "-d", "--no-show-raw-insn", f"--disassemble={name}", syms)
    lines = re.findall(r"^ffff[0-9a-f]+:\s+(.*?)\s*$", text, re.M)
    if not lines:
        raise Unknown(f"no function {name}() in {syms}")
    return [re.sub(r"\s+", " ", line) for line in lines]


def number(text):
    return int(text, 16) if text else 0


def feature_words(syms):
    """Offsets in the policy of the ABI's words, in their order."""
    words = {}
    pending = {}
    for line in function(syms, "x86_cpu_policy_to_featureset"):
        load = re.fullmatch(r"mov (0x[0-9a-f]+)?\(%rdi\),%(e[acd]x)", line)
        store = re.fullmatch(r"mov %(e[acd]x),(0x[0-9a-f]+)?\(%rsi\)", line)
        if load:
            pending[load[2]] = number(load[1])
        elif store:
            words[number(store[2]) // 4] = pending.pop(store[1])
    if sorted(words) != list(range(len(words))) or not words:
        raise Unknown("x86_cpu_policy_to_featureset() does not fill words one after the other")
    return [words[i] for i in range(len(words))]


def families(offsets):
    """Where the array of each family of leaves begins; every word must agree."""
    if len(offsets) > len(WORDS):
        raise Unknown(f"{len(offsets)} feature words, this payload knows {len(WORDS)}")
    bases = {}
    for (family, leaf, byte), offset in zip(WORDS, offsets):
        bases.setdefault(family, set()).add(offset - leaf * 16 - byte)
    for family, found in bases.items():
        if len(found) != 1:
            raise Unknown(f"the words of {family} disagree: {sorted(map(hex, found))}")
    return {family: found.pop() for family, found in bases.items()}


def platform_info(syms):
    """The audit's own last comparison: guest & ~host of the MSR."""
    lines = function(syms, "x86_cpu_policies_are_compatible")
    host = [m[1] for line in lines if (m := re.fullmatch(r"mov (0x[0-9a-f]+)\(%rdi\),%eax", line))]
    guest = [m[1] for line in lines if (m := re.fullmatch(r"and (0x[0-9a-f]+)\(%rsi\),%eax", line))]
    if len(host) != 1 or host != guest:
        raise Unknown("x86_cpu_policies_are_compatible() does not compare PLATFORM_INFO as expected")
    return number(host[0])


def maxima(syms):
    """What the audit compares first: the three maximum leaves."""
    lines = function(syms, "x86_cpu_policies_are_compatible")
    return [number(m[1]) for line in lines if (m := re.fullmatch(r"cmp %eax,(0x[0-9a-f]+)?\(%rdi\)", line))]


def caller(syms):
    """Size of the object, and that the caller keeps its domain in %rbx when it calls the audit."""
    lines = function(syms, "update_domain_cpu_policy")
    call = next((i for i, line in enumerate(lines) if "<x86_cpu_policies_are_compatible>" in line), None)
    if call is None:
        raise Unknown("update_domain_cpu_policy() does not call x86_cpu_policies_are_compatible()")
    size = None
    kept = False
    for i, line in enumerate(lines[:call]):
        if line == "mov %rdi,%rbx":
            kept = True
        elif re.search(r",%[re]?b[xl]$", line) and not line.startswith(("cmp", "test")):
            kept = False
        if "<_xmalloc>" in line:
            sizes = [m[1] for back in lines[:i] if (m := re.fullmatch(r"mov \$(0x[0-9a-f]+),%edi", back))]
            size = number(sizes[-1]) if sizes else None
    if not kept:
        raise Unknown("update_domain_cpu_policy() does not keep its domain in %rbx")
    if not size:
        raise Unknown("update_domain_cpu_policy() does not allocate a policy")
    return size


def symbols(syms):
    found = {}
    for line in tool("nm", "-S", syms).splitlines():
        parts = line.split()
        if len(parts) == 4:
            found[parts[3]] = (int(parts[0], 16), int(parts[1], 16))
    return found


def build_id(syms):
    m = re.search(r"Build ID: ([0-9a-f]+)", tool("readelf", "-n", syms))
    if not m:
        raise Unknown("no build-id")
    return m[1]


def default_policies_writable(syms, names):
    """The default policies are read-only data, which the hypervisor makes writable while it applies and reverts a live patch."""
    if not any("<relax_virtual_region_perms>" in line for line in function(syms, "arch_livepatch_quiesce")):
        raise Unknown("arch_livepatch_quiesce() does not call relax_virtual_region_perms()")
    if sum("<modify_xen_mappings_lite>" in line for line in function(syms, "relax_virtual_region_perms")) != 2:
        raise Unknown("relax_virtual_region_perms() does not open two ranges, text and read-only data")
    addresses = {}
    for line in tool("nm", syms).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[2] in ("_srodata", "_erodata"):
            addresses[parts[2]] = int(parts[0], 16)
    if len(addresses) != 2:
        raise Unknown("no _srodata and _erodata")
    for name in ("pv_def_cpu_policy", "hvm_def_cpu_policy"):
        address, size = names[name]
        if not addresses["_srodata"] <= address <= address + size <= addresses["_erodata"]:
            raise Unknown(f"{name} is not in the data that can be written while a live patch is applied")


def first_bytes(syms, address, count):
    text = tool("objdump", "-s", f"--start-address={address:#x}", f"--stop-address={address + count:#x}", syms)
    words = re.findall(r"^ [0-9a-f]{16} ((?:[0-9a-f]{2,8} ?)+)", text, re.M)
    return bytes.fromhex("".join(words).replace(" ", ""))[:count]


def layout(syms):
    """{NAME: number} for the header."""
    offsets = feature_words(syms)
    base = families(offsets)
    msr = platform_info(syms)
    size = caller(syms)
    names = symbols(syms)
    audit = names.get("x86_cpu_policies_are_compatible")
    if base["basic"] != 0 or maxima(syms) != [0, base["feat"], base["extd"]]:
        raise Unknown("the maxima that the audit compares are not where the feature words say")
    slots = {
        "BASIC": 14,                                        # leaves 0..D; the payload tests each
        "FEAT": 3,
        "XSTATE": (base["extd"] - base["xstate"]) // 16,
        "EXTD": (msr - base["extd"]) // 16,
    }
    if slots["XSTATE"] != 63 or slots["EXTD"] < 0x22 or base["feat"] < slots["BASIC"] * 16 or \
            base["xstate"] - base["feat"] < slots["FEAT"] * 16 or not msr < base["arch_caps"] < size:
        raise Unknown(f"the policy object is not laid out as expected: {base}, size {size:#x}")
    for name in ("raw_cpu_policy", "host_cpu_policy", "pv_max_cpu_policy", "pv_def_cpu_policy", "hvm_max_cpu_policy",
                 "hvm_def_cpu_policy"):
        if name not in names or names[name][1] != size:
            raise Unknown(f"{name} is not an object of {size:#x} bytes")
    default_policies_writable(syms, names)
    numbers = {f"LAYOUT_{k.upper()}": v for k, v in base.items() if k != "basic"}
    numbers |= {f"LAYOUT_NR_{k}": v for k, v in slots.items()}
    numbers |= {"LAYOUT_PLATFORM_INFO": msr, "LAYOUT_SIZE": size, "LAYOUT_XEN_WORDS": len(offsets),
                "AUDIT_OLD_SIZE": audit[1]}
    return numbers, first_bytes(syms, audit[0], 8)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n")[2])
    try:
        numbers, first = layout(sys.argv[1])
        identity = build_id(sys.argv[1])
    except (Unknown, subprocess.CalledProcessError, FileNotFoundError) as e:
        sys.exit(f"{sys.argv[1]}: not a hypervisor that a payload can be built for: {e}")
    lines = [f"/* Made by gen-layout.py from the hypervisor with build-id {identity}. */"]
    lines += [f"#define {name} {value:#x}" for name, value in numbers.items()]
    lines += ["#define AUDIT_FIRST_BYTES " + ", ".join(f"{b:#04x}" for b in first),
              "#define XEN_BUILD_ID " + ", ".join(f"0x{identity[i:i + 2]}" for i in range(0, len(identity), 2))]
    with open(sys.argv[2], "w", encoding="ascii") as out:
        out.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
