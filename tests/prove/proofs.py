# SPDX-License-Identifier: MIT
"""The proofs, with their bounds; and the ways in which the library is broken to see them fail."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Proof:
    name: str
    harness: str                    # in harness/
    function: str
    bounds: str                     # for people
    unwind: int = 66                # times any loop may run: more is a failure (unwinding assertion)
    unwindset: dict = field(default_factory=dict)
    rewrites: tuple = ()            # rewrite.py
    defines: tuple = ()
    memory: bool = False            # bounds, pointers, overflows, shifts
    cadical: bool = False           # instead of CBMC's own MiniSat
    flags: tuple = ()
    timeout: int = 300


@dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    pattern: str                    # must match once
    replacement: str
    proof: str                      # that must fail


def memory(name, bounds, **options):
    options.setdefault("flags", ("--no-array-field-sensitivity",))
    return Proof(name=f"memory-{name}".replace("_", "-"), harness="memory.c", function=f"memory_{name}", bounds=bounds,
                 memory=True, **options)


def check(name, what, **options):
    """policy_check() == 0 implies a part of the relation."""
    return Proof(name=f"check-{name}", harness="relation.c", function=f"check_{name.replace('-', '_')}", unwind=801,
                 bounds=f"every guest and host: {what}", rewrites=("walk", "stop"), **options)


PROOFS = [
    Proof("next-feature", "lemmas.c", "lemma_feature", "every set, every start", unwind=26, memory=True),
    Proof("next-component", "lemmas.c", "lemma_component", "every 64-bit mask; by induction every step", unwind=4,
          memory=True),
    memory("fault", "reports of up to 3, any count"),
    memory("zero_family", "every family, every start"),
    memory("merge", "arrays of up to 30 leaves, any number of MSRs, any report",
           rewrites=("drop:zero_family", "count"), defines=("MOST_LEAVES=30",), unwind=10,
           unwindset={"take_leaves.0": 31, "take_msrs.0": 3}),
    memory("featureset", "up to 33 words", unwind=36),
    memory("featureset_policy", "every featureset, every policy"),
    check("capabilities", "capabilities are a subset"),
    check("hazards-told", "hazards are told"),
    check("numbers", "numbers are at most the host's"),
    check("identity", "the same vendor, MSR CE a subset"),
    check("state", "state components, their places and forms"),
]

# Each changes one line, and is a mistake that somebody could make.
BROKEN = [
    Mutation("one-finding-too-many", "policy-private.h", r"if \(r->count < r->max\)", "if (r->count <= r->max)",
             "memory-fault"),
    Mutation("two-bits-a-step", "policy-private.h", r"m_ &= m_ - 1\)", "m_ &= m_ - 2)", "next-component"),
    Mutation("first-of-the-next-word", "featureset.c", r"i\+\+, mask = ~0u\)", "i++)", "next-feature"),
    Mutation("words-beyond-the-set", "featureset.c", r"i < known; i\+\+", "i < n; i++", "memory-featureset"),
    Mutation("half-of-an-msr", "leaves.c", r"\(uint64_t\)fs->w\[FEATURESET_m10Ah\] << 32", "0",
             "memory-featureset-policy"),
    Mutation("a-smaller-offset-passes", "check.c", r"if \(g->b != h->b\)", "if (g->b > h->b)", "check-state"),
    Mutation("unnamed-bits-pass", "check.c", r"missing\.w\[i\] = guest->w\[i\] &",
             "missing.w[i] = guest->w[i] & featureset_known()->w[i] &", "check-capabilities"),
]
