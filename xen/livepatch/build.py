#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the payload for one hypervisor.

usage: build.py --policy DIR --include DIR XEN_SYMS OUT

Needs gcc and binutils.  The result is checked before it is written: only the listed symbols of the
hypervisor, only relocations that its loader knows, no frame above 1 KiB, less than 96 KiB in all.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
POLICY_SOURCES = ["featureset.c", "leaves.c", "check.c", "components.c", "fields.c", "text.c", "verify.c", "xstate.c"]
SOURCES = ["audit.c", "born.c", "hooks.c"]
# All that the payload may ask of the hypervisor; payload.h says what each is for.
ALLOWED = {"printk", "x86_cpu_policy_to_featureset", "x86_cpu_policy_fill_native", "raw_cpu_policy", "host_cpu_policy",
           "pv_max_cpu_policy", "pv_def_cpu_policy", "hvm_max_cpu_policy", "hvm_def_cpu_policy", "cpu_khz",
           "__x86_return_thunk"}
RELOCATIONS = {"R_X86_64_64", "R_X86_64_PC32", "R_X86_64_PLT32"}
MAX_FRAME = 1024
MAX_SIZE = 96 * 1024
CFLAGS = ["-std=gnu11", "-O2", "-ffreestanding", "-fPIC", "-mno-red-zone", "-mgeneral-regs-only",
          "-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-common", "-fno-jump-tables",
          "-fcf-protection=branch", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror",
          "-D__XEN_TOOLS__=1", '-DDESCRIPTION(text)=""', f"-Wframe-larger-than={MAX_FRAME}"]


class BuildError(Exception):
    pass


def run(*argv):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if r.returncode:
        raise BuildError(f"{' '.join(map(str, argv))}:\n{r.stderr or r.stdout}".rstrip())
    return r.stdout


def notes(identity, path):
    """Two ELF notes name the build-id of the hypervisor that the payload is for."""
    number = ",".join(f"0x{identity[i:i + 2]}" for i in range(0, len(identity), 2))
    text = ['.section .note.GNU-stack,"",@progbits\n']
    for section in (".livepatch.depends", ".livepatch.xen_depends"):
        text.append(f'.section {section},"a",@note\n.long 4,{len(identity) // 2},3\n.asciz "GNU"\n.byte {number}\n')
    path.write_text("".join(text))


def check(payload):
    """What the loader and the design demand of the result."""
    undefined = set(run("nm", "-u", payload).split()) - {"U"}
    if undefined - ALLOWED:
        raise BuildError(f"the payload refers to {' '.join(sorted(undefined - ALLOWED))}")
    kinds = set(re.findall(r"R_X86_64_\w+", run("readelf", "-rW", payload)))
    if kinds - RELOCATIONS:
        raise BuildError(f"the payload has relocations {' '.join(sorted(kinds - RELOCATIONS))}")
    size = int(run("size", payload).splitlines()[1].split()[3])
    if size > MAX_SIZE:
        raise BuildError(f"the payload has {size} bytes, {MAX_SIZE} are the limit")
    return size


def build(syms, out, policy, include):
    identity = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", syms))
    if not identity:
        raise BuildError(f"{syms}: no build-id")
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        run(sys.executable, HERE / "gen-layout.py", syms, tmp / "layout-gen.h")
        run(sys.executable, policy / "gen-features.py", policy / "features.def", tmp / "features-gen.h",
            tmp / "features-gen.c")
        notes(identity[1], tmp / "notes.S")
        # Hidden: everything the payload refers to is near, nothing goes through a table.
        (tmp / "hidden.h").write_text("#pragma GCC visibility push(hidden)\n")
        flags = [*CFLAGS, "-include", tmp / "hidden.h", "-I", tmp, "-I", include, "-I", policy]
        if "__x86_return_thunk" in run("nm", syms):
            flags.append("-mfunction-return=thunk-extern")      # as the hypervisor itself was built
        objects = []
        for source in [policy / s for s in POLICY_SOURCES] + [tmp / "features-gen.c"] + [HERE / s for s in SOURCES]:
            objects.append(tmp / (source.stem + ".o"))
            run("gcc", *flags, "-c", source, "-o", objects[-1])
        run("gcc", "-c", tmp / "notes.S", "-o", tmp / "notes.o")
        result = tmp / "payload"
        run("ld", "-r", "--build-id=sha1", "--gc-sections", "--entry=audit_entry", "-u", "audit_functions", "-u",
            "audit_preapply", "-u", "audit_postrevert", "-u", "born_load", "-u", "born_unload", "-u", "born_prerevert",
            "-u", "born_says", "-T", HERE / "payload.lds", *objects, tmp / "notes.o", "-o",
            result)
        run("strip", "--strip-unneeded", result)
        size = check(result)
        partial = Path(f"{out}.{os.getpid()}")
        partial.write_bytes(result.read_bytes())
        os.replace(partial, out)
    return identity[1], size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--policy", type=Path, required=True, help="the policy library's sources")
    parser.add_argument("--include", type=Path, required=True, help="its headers")
    parser.add_argument("syms", metavar="XEN_SYMS", help="the hypervisor with its symbols")
    parser.add_argument("out", metavar="OUT")
    options = parser.parse_args()
    try:
        identity, size = build(options.syms, options.out, options.policy, options.include)
    except (BuildError, OSError) as e:
        print(f"livepatch build: {e}", file=sys.stderr)
        return 2
    print(f"{options.out}: {size} bytes for the hypervisor with build-id {identity}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
