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


def memory(name, bounds, file="memory.c", **options):
    options.setdefault("flags", ("--no-array-field-sensitivity",))
    return Proof(name=f"memory-{name}".replace("_", "-"), harness=file, function=f"memory_{name}", bounds=bounds,
                 memory=True, **options)


def cut(name, bounds, define=None, **options):
    return memory(name, bounds, **options, file="memory-cut.c", defines=(define,) if define else ())


def check(name, what, **options):
    """policy_check() == 0 implies a part of the relation."""
    return Proof(name=f"check-{name}", harness="relation.c", function=f"check_{name.replace('-', '_')}", unwind=801,
                 bounds=f"every guest and host: {what}", rewrites=("walk", "stop"), **options)


# Leaves whose fields are proved together: name, first, last.  rows.py sees that none is left out.
FIELD_GROUPS = (("00", 0, 6), ("07", 7, 0x13), ("14", 0x14, 0x1c), ("1d", 0x1d, 0x24),
                ("e00", 0x80000000, 0x80000007), ("e08", 0x80000008, 0x80000018), ("e19", 0x80000019, 0x80000028))
PARTS = ("check_missing", "check_hazards", "check_fields", "check_closed", "check_components", "check_msrs")


def fields(name, first, last):
    """check_leaf() finds nothing: so the LEAF rows of these leaves hold."""
    return Proof(name=f"fields-{name}", harness="rows.c", function="check_rows", defines=(f"GROUP={name}",),
                 bounds=f"every guest and host: the rows of leaves {first:x} to {last:x}",
                 unwindset={"check_rule.0": 5}, rewrites=("plain", "drop:field_fault"))


PROOFS = [
    Proof("next-feature", "lemmas.c", "lemma_feature", "every set, every start", unwind=26, memory=True),
    Proof("next-component", "lemmas.c", "lemma_component", "every 64-bit mask; by induction every step", unwind=4,
          memory=True),
    memory("fault", "reports of up to 3, any count"),
    memory("zero_family", "every family, every start"),
    cut("merge", "arrays of any length, any report; by induction over the steps", "MERGE",
        rewrites=("drop:zero_family", "count", "step:take_leaves", "step:take_msrs")),
    cut("put_leaf", "any writer"),
    cut("to_leaves", "every policy, any room", "TO_LEAVES", rewrites=("plain", "drop:put_leaf")),
    cut("note_names", "arrays of any length; by induction over the steps", rewrites=("step:note_names",)),
    cut("whole", "whatever is named", "WHOLE", rewrites=("count", "drop:note_names")),
    cut("trim", "every policy", "MERGE", rewrites=("drop:zero_family",)),
    cut("leaf_empty", "every policy and leaf", rewrites=("plain",)),
    cut("shrink", "every policy", "SHRINK", rewrites=("plain", "drop:policy_trim", "drop:leaf_empty")),
    cut("prerequisites", "every featureset; by induction over the steps", unwind=801,
        rewrites=("walk", "count")),
    cut("verify", "every policy, any report", "VERIFY",
        rewrites=("walk", "plain", "count", "drop:verify_prerequisites")),
    cut("featureset_close", "every featureset; by induction over the steps"),
    cut("close", "every policy", "CLOSE", rewrites=("walk", "drop:featureset_close")),
    memory("featureset", "up to 33 words", unwind=36),
    memory("featureset_policy", "every featureset, every policy"),
    check("capabilities", "capabilities are a subset"),
    check("hazards-told", "hazards are told"),
    check("numbers", "numbers are at most the host's"),
    check("identity", "the same vendor, MSR CE a subset"),
    check("state", "state components, their places and forms"),
    Proof("plain", "lemmas.c", "lemma_plain", "any two leaves", unwind=5),
    Proof("check-parts", "rows.c", "check_parts", "every guest, host and report", defines=("PARTS",),
          rewrites=("drop:policy_check_fields", *(f"drop:{part}" for part in PARTS))),
    Proof("check-visits", "rows.c", "check_visits", "every guest and host", defines=("VISITS",),
          unwindset={"check_leaves.0": 38, "check_leaves.3": 42}, rewrites=("plain", "drop:check_leaf")),
    *(fields(*group) for group in FIELD_GROUPS),
    Proof("check-return-stack", "returns.c", "check_return_stack", "every guest and host's default", unwind=801,
          rewrites=("walk", "drop:feature_fault", "drop:concerns")),
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
    Mutation("half-of-a-leaf-is-empty", "policy-private.h", r"return !\(x\[0\] \| x\[1\]\);", "return !(x[0] & x[1]);",
             "plain"),
    Mutation("xss-is-not-asked", "check.c", r"^ *check_components\(guest, max, policy_xss.*\n", "", "check-parts"),
    Mutation("not-the-last-leaf", "fields.c", r"i <= basic; i\+\+", "i < basic; i++", "check-visits"),
    Mutation("offered-as-a-subset", "fields.c", r"return !g;", "return !(g & ~h);", "fields-00"),
    Mutation("told-of-nothing", "fields.c", r" && !host_silent\)", ")", "fields-07"),
    Mutation("a-subset-by-number", "fields.c", r"return !\(g & ~h\);", "return g <= h;", "fields-14"),
    Mutation("silent-with-the-feature", "fields.c", r"return silent && !f->feature;", "return silent;", "fields-1d"),
    Mutation("one-vendor-only", "fields.h", r"\(f->vendors & vendor\)", "f->vendors == vendor", "fields-e00"),
    Mutation("untold-is-not-asked", "fields.c", r"if \(told \? (!field_fits\(.*\)) : g != 0\)", r"if (told && \1)",
             "fields-e08"),
    Mutation("first-of-the-leaves", "fields.c", r"rules_of\(leaf\); f->first <= leaf && leaf <= f->last; f\+\+",
             "rules_of(leaf); f->first == leaf; f++", "fields-e19"),
    Mutation("rsba-is-always-strong", "check.c", r"bool strong = rsba && .*;", "bool strong = rsba;",
             "check-return-stack"),
]
