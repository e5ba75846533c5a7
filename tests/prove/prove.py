#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prove properties of the policy library with CBMC, for every input at once.

usage: tests/prove/prove.py [--list] [--broken] [--all] [--keep DIR] [NAME...]

One line a proof: its name, its bounds, its time.  The last line counts.  With --broken: the
library is broken in several ways, one at a time, and a proof must fail each time.  Proofs that
have not been seen to end are left out, but for --all and where they are named.
README.md beside this file says what each proof says, and what it does not.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from proofs import BROKEN, FIELD_GROUPS, NOT_ENDED, PROOFS     # noqa: E402
from rewrite import RewriteError, rewrite           # noqa: E402
from rows import RowsError, write_rows              # noqa: E402
from toolchain import Toolchain, ToolchainError     # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIBRARY = ROOT / "xen/arch/x86/cpuid-policy"
PYTHON = "/usr/bin/python3"

RESULT = re.compile(r"^\[(?P<id>[^\]]+)\] (?P<what>.*): (?P<status>SUCCESS|FAILURE|UNKNOWN|ERROR)$", re.M)
# Every harness ends with this assertion, which must fail: or else its assumptions contradict each
# other, and everything is "proved".
REACHED = "the end is reached"


class Sources:
    """Copies of the library: as it is, or broken; each with the rewritings that a proof asks for."""

    def __init__(self, work, mutation=None):
        self.work = work
        self.plain = work / "plain"
        self.plain.mkdir(parents=True)
        for path in LIBRARY.glob("*.[ch]"):
            shutil.copy(path, self.plain)
        for name in ("gen-features.py", "features.def"):
            shutil.copy(LIBRARY / name, self.plain)
        if mutation:
            path = self.plain / mutation.file
            text, count = re.subn(mutation.pattern, mutation.replacement, path.read_text(), flags=re.M)
            if count != 1:
                raise RewriteError(f"{mutation.name}: {count} places of {mutation.file} match, not one")
            path.write_text(text)
        subprocess.run([PYTHON, "gen-features.py", "features.def", "features-gen.h", "features-gen.c",
                        "--json", "features.json"], cwd=self.plain, check=True, capture_output=True)
        write_rows(self.plain / "features.json", FIELD_GROUPS, self.plain / "leaf-rows.h")

    def variant(self, rewrites):
        if not rewrites:
            return self.plain
        path = self.work / "+".join(re.sub(r"\W+", "-", r) for r in rewrites)
        if not path.exists():
            shutil.copytree(self.plain, path)
            rewrite(path, rewrites)
        return path


def command(tools, proof, folder):
    argv = ["nice", "-n", "10", *tools.argv("cbmc"), str(HERE / "harness" / proof.harness),
            "--function", proof.function, "-I", str(ROOT / "xen/include"), "-I", str(folder),
            "-I", str(HERE / "harness"), *(f"-D{d}" for d in proof.defines),
            "--no-malloc-may-fail", "--drop-unused-functions", "--slice-formula", "--unwinding-assertions",
            "--unwind", str(proof.unwind)]
    if proof.unwindset:
        argv += ["--unwindset", ",".join(f"{loop}:{n}" for loop, n in proof.unwindset.items())]
    if not proof.memory:
        argv += ["--no-standard-checks", "--unwinding-assertions"]
    else:
        argv += ["--pointer-overflow-check"]
    if proof.cadical:
        argv += ["--external-sat-solver", str(tools.cadical)]
    return argv + list(proof.flags)


def judge(output):
    """The reasons why it is not proved; none: it is."""
    results = [m.groupdict() for m in RESULT.finditer(output)]
    if not results:
        lines = output.strip().splitlines()
        return ["CBMC came to no result: " + (lines[-1] if lines else "no output")]
    reached = [r for r in results if REACHED in r["what"]]
    wrong = [f"{r['id']} {r['what']}: {r['status']}" for r in results
             if r["status"] != "SUCCESS" and r not in reached]
    if not reached or any(r["status"] != "FAILURE" for r in reached):
        wrong.append("the end of the harness is not reached: the proof says nothing")
    return wrong


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(tools, sources, proof, log):
    """Returns (reasons, seconds of processor time: what else the machine does is not the proof's)."""
    start = children_seconds()
    try:
        folder = sources.variant(proof.rewrites)
        # Each of CBMC and the SAT solver, its child, has the limit.
        with log.open("w") as out:
            p = subprocess.Popen(["prlimit", f"--cpu={proof.timeout}", *command(tools, proof, folder)],
                                 cwd=sources.work, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
            try:
                p.wait()
            finally:
                if p.poll() is None:
                    os.killpg(p.pid, 9)
        if p.returncode < 0:
            return [f"not finished after {proof.timeout} s (signal {-p.returncode})"], children_seconds() - start
        return judge(log.read_text()), children_seconds() - start
    except RewriteError as error:
        return [str(error)], children_seconds() - start


def prove(tools, proofs, work):
    failed, total = 0, 0.0
    sources = Sources(work / "source")
    for proof in proofs:
        reasons, seconds = run(tools, sources, proof, work / f"{proof.name}.log")
        failed += bool(reasons)
        total += seconds
        print(f"{'FAILED' if reasons else 'proved'}  {proof.name:<22} {seconds:6.1f} s  {proof.bounds}", flush=True)
        for reason in reasons[:10]:
            print(f"        {reason}")
    print(f"{len(proofs) - failed} proved, {failed} failed, {len(PROOFS) - len(proofs)} not run; {total:.0f} s")
    return failed


def prove_broken(tools, mutations, work):
    """Every mutation must make a proof fail, by one of the harness's or CBMC's assertions."""
    survived, total = 0, 0.0
    by_name = {p.name: p for p in PROOFS}
    for mutation in mutations:
        sources = Sources(work / mutation.name, mutation)
        proof = by_name[mutation.proof]
        reasons, seconds = run(tools, sources, proof, work / f"{mutation.name}.log")
        survived += not reasons
        total += seconds
        print(f"{'survived' if not reasons else 'caught'}  {mutation.name:<22} {seconds:6.1f} s  by {proof.name}: "
              f"{reasons[0] if reasons else 'nothing'}", flush=True)
    print(f"{len(mutations) - survived} caught, {survived} survived, {len(BROKEN) - len(mutations)} not run; "
          f"{total:.0f} s")
    return survived


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these proofs, or the mutations that these catch")
    parser.add_argument("--list", action="store_true", help="only say what would be proved")
    parser.add_argument("--broken", action="store_true", help="break the library, and see the proofs fail")
    parser.add_argument("--all", action="store_true", help="those too that have not been seen to end")
    parser.add_argument("--keep", type=Path, help="leave the sources and CBMC's output in this folder")
    args = parser.parse_args()
    names = args.names or [p.name for p in PROOFS if args.all or p.name not in NOT_ENDED]
    proofs = [p for p in PROOFS if args.list and not args.names or p.name in names]
    mutations = [m for m in BROKEN if m.proof in names]
    unknown = {*args.names, *NOT_ENDED} - {p.name for p in PROOFS}
    if unknown:
        parser.error(f"no such proof: {', '.join(sorted(unknown))}")
    if args.list:
        for proof in proofs:
            print(f"{proof.name:<22} {'not seen to end: ' if proof.name in NOT_ENDED else ''}{proof.bounds}")
        return 0
    with tempfile.TemporaryDirectory(prefix="xenlevel-prove-") as tmp:
        work = Path(tmp)
        if args.keep:
            shutil.rmtree(args.keep, ignore_errors=True)
            args.keep.mkdir(parents=True)
            work = args.keep.resolve()
        try:
            tools = Toolchain()
            print(f"CBMC {tools.version()}", flush=True)
            if args.broken:
                return 1 if prove_broken(tools, mutations, work) else 0
            return 1 if prove(tools, proofs, work) else 0
        except (ToolchainError, RewriteError, RowsError, subprocess.CalledProcessError) as error:
            print(f"prove: {error}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
