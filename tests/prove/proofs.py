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


# Arrays as they are, not an element each: what writes whole policies ends much sooner.
ARRAYS = ("--no-array-field-sensitivity",)
# An element each of leaf D, too, which has 64 subleaves.
WIDE = ("--max-field-sensitivity-array-size", "128")


def memory(name, bounds, file="memory.c", **options):
    options.setdefault("flags", ARRAYS)
    return Proof(name=f"memory-{name}".replace("_", "-"), harness=file, function=f"memory_{name}", bounds=bounds,
                 memory=True, **options)


def cut(name, bounds, define=None, **options):
    return memory(name, bounds, **options, file="memory-cut.c", defines=(define,) if define else ())


def check(name, what, **options):
    """policy_check() == 0 implies a part of the relation."""
    return Proof(name=f"check-{name}", harness="relation.c", function=f"check_{name.replace('-', '_')}", unwind=801,
                 bounds=f"every guest and host: {what}", rewrites=("walk", "stop"), **options)


# Leaves whose fields are proved together: name, first, last.  rows.py sees that none is left out.
FIELD_GROUPS = (("00", 0, 6), ("07", 7, 9), ("0a", 0xa, 0xa), ("0b", 0xb, 0x13), ("14", 0x14, 0x1c), ("1d", 0x1d, 0x24),
                ("e00", 0x80000000, 0x80000007), ("e08", 0x80000008, 0x80000018), ("e19", 0x80000019, 0x80000028))
PARTS = ("check_missing", "check_hazards", "check_fields", "check_closed", "check_components", "check_msrs")


def fields(name, first, last):
    """check_leaf() finds nothing: so the LEAF rows of these leaves hold."""
    return Proof(name=f"fields-{name}", harness="rows.c", function="check_rows", defines=(f"GROUP={name}",),
                 bounds=f"every guest and host: the rows of leaves {first:x} to {last:x}",
                 unwindset={"check_rule.0": 5}, rewrites=("plain", "drop:field_fault"))


# Where the leaves of a group are cut again for levels: each cut begins here.
FIT_CUTS = {"00": (0, 2, 4, 5), "07": (7, 8), "e08": (0x80000008, 0x8000000a, 0x8000000e, 0x80000014),
            "e19": (0x80000019, 0x8000001c, 0x8000001f, 0x80000026)}
VENDORS_DIFFER = ("02", "04", "e00", "e08", "e19", "e1c", "e26")    # the others are proved to be the same


def fit_cuts(name, first, last):
    """Every leaf of the group is in one: name, first, last."""
    starts = FIT_CUTS.get(name, (first,))
    for start, end in zip(starts, (*starts[1:], last + 1)):
        yield (f"e{start & 0xff:02x}" if start >> 31 else f"{start:02x}"), start, end - 1


def fit(vendor, group, name, first, last):
    """Levels' fields pass on the host that they were fitted to.  vendor: None where rows make no difference."""
    defines = (f"VENDOR=RULE_{vendor.upper()}",) if vendor else ("VENDOR=RULE_INTEL", "SAME_ROWS")
    return Proof(name=f"fit-{vendor + '-' if vendor else ''}{name}", harness="accepted.c", function="accepted_fit",
                 defines=(f"GROUP={group}", f"FIRST={first}u", f"LAST={last}u", *defines),
                 bounds=f"any number of hosts: the rows of leaves {first:x} to {last:x}",
                 unwind=256, unwindset={"check_rule.0": 5, "fit_leaf.0": 5}, flags=("--object-bits", "12"),
                 rewrites=("plain", "drop:field_fault"))


TAIL_DROPS = tuple(f"drop:{name}" for name in ("featureset_close", "policy_trim", "feature_fault", "prerequisite_fault",
                                              "verify_overlap", "xstate_standard_size"))


def tail(name, what, defines=(), **options):
    """From any state that is related to a host: a part of policy_check(), of policy_verify()."""
    rewrites = options.pop("rewrites", ("walk", "unshared"))
    return Proof(name=f"accepted-{name}", harness="accepted.c", unwind=801,
                 function=f"tail_{options.pop('function', name).replace('-', '_')}",
                 defines=("TAIL", *(defines or ("VENDOR=RULE_INTEL",))), bounds=f"any number of hosts: {what}",
                 flags=options.pop("flags", ARRAYS), rewrites=(*rewrites, "plain", "judge", *TAIL_DROPS),
                 **options)


# Not seen to end within their time: they are run when they are asked for, and count as nothing.
NOT_ENDED = ()

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
    cut("whole", "whatever is named", "WHOLE", rewrites=("count", "drop:note_names", "drop:check_family")),
    cut("named_family", "whatever is named", "WHOLE", rewrites=("count", "drop:note_names", "drop:check_family")),
    cut("trim", "every policy", "MERGE", rewrites=("drop:zero_family",)),
    cut("leaf_empty", "every policy and leaf", flags=(*ARRAYS, "--object-bits", "12"), rewrites=("plain",)),
    cut("shrink", "every policy", "SHRINK",
        rewrites=("plain", "down:policy_shrink", "drop:policy_trim", "drop:leaf_empty")),
    cut("prerequisites", "every featureset; by induction over the steps", unwind=801,
        rewrites=("walk", "count")),
    cut("verify", "every policy, any report", "VERIFY",
        rewrites=("walk", "plain", "count", "from:verify_beyond", "drop:verify_prerequisites", "drop:verify_overlap")),
    cut("overlap", "every policy, component and later ones", "VERIFY",
        rewrites=("walk", "plain", "count", "drop:verify_prerequisites", "drop:verify_overlap")),
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
    Proof("accepted-common", "accepted.c", "accepted_common", "any number of hosts, by induction", rewrites=("walk",)),
    Proof("accepted-close", "accepted.c", "accepted_close", "every featureset", unwind=801,
          rewrites=("walk", "closing")),
    Proof("accepted-lose", "accepted.c", "accepted_lose", "every featureset and components", unwind=801,
          defines=("TAIL", "VENDOR=RULE_INTEL"), flags=ARRAYS, rewrites=("walk", *TAIL_DROPS)),
    Proof("accepted-trim", "accepted.c", "accepted_trim", "every policy", defines=("TAIL", "VENDOR=RULE_INTEL"),
          rewrites=("from:policy_trim", "from:zero_family", *TAIL_DROPS)),
    Proof("accepted-shrink", "accepted.c", "accepted_shrink", "every policy", defines=("TAIL", "VENDOR=RULE_INTEL"),
          rewrites=("walk", "plain", "judge", "down:policy_shrink", "from:verify_beyond", *TAIL_DROPS)),
    Proof("accepted-visits", "accepted.c", "accepted_visits", "every level and host", defines=("VISITS",),
          unwindset={"policy_fit_fields.0": 38, "policy_fit_fields.3": 42}, rewrites=("plain", "drop:fit_leaf")),
    tail("missing", "what accumulates and every capability is the host's"),
    tail("hazards", "every hazard of the host's is told"),
    tail("numbers", "numbers are at most the host's"),
    tail("closed", "closed as Xen closes it"),
    tail("components", "components are the host's, in the same place and form; any of them",
         rewrites=("one",)),
    tail("copies", "AMD's copies are its own"),
    tail("verify-features", "what a feature stands on is there; addresses"),
    tail("verify-lists", "components and caches as a CPU has them; any of them", rewrites=("one",)),
    tail("unshared", "what they do not share is gone",
         rewrites=("walk", "unshared", "drop:close_over_components", "drop:set_components")),
    *(tail(f"unbacked-{vendor}", "no leaf without its feature", (f"VENDOR=RULE_{vendor.upper()}",), function="unbacked",
           rewrites=("walk", "unshared", "drop:close_over_components", "drop:set_components"))
      for vendor in ("intel", "amd")),
    *(fit(vendor, group[0], *cut) for group in FIELD_GROUPS for cut in fit_cuts(*group)
      for vendor in (("intel", "amd") if cut[0] in VENDORS_DIFFER else (None,))),
    Proof("check-return-stack", "returns.c", "check_return_stack", "every guest and host's default", unwind=801,
          rewrites=("walk", "drop:feature_fault", "drop:hazard_concerns")),
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
    Mutation("told-of-nothing", "fields.c", r" && !host_silent\)", ")", "fields-0a"),
    Mutation("a-subset-by-number", "fields.c", r"return !\(g & ~h\);", "return g <= h;", "fields-14"),
    Mutation("silent-with-the-feature", "fields.c", r"return silent && !f->feature;", "return silent;", "fields-1d"),
    Mutation("one-vendor-only", "fields.h", r"\(f->vendors & vendor\)", "f->vendors == vendor", "fields-e00"),
    Mutation("untold-is-not-asked", "fields.c", r"if \(told \? (!field_fits\(.*\)) : g != 0\)", r"if (told && \1)",
             "fields-e08"),
    Mutation("first-of-the-leaves", "fields.c", r"rules_of\(leaf\); f->first <= leaf && leaf <= f->last; f\+\+",
             "rules_of(leaf); f->first == leaf; f++", "fields-e19"),
    Mutation("rsba-is-always-strong", "check.c", r"bool strong = rsba && .*;", "bool strong = rsba;",
             "check-return-stack"),
    Mutation("bound-is-only-said", "leaves.c", "^    return limit;", "    return n;", "memory-merge"),
    Mutation("one-leaf-too-many", "leaves.c",
             r"if \(w->count < w->room\)",
             "if (w->count <= w->room)", "memory-put-leaf"),
    Mutation("one-subleaf-too-many", "leaves.c",
             r"min_count\(first->a, f->count - 1u\)",
             "min_count(first->a, f->count)", "memory-to-leaves"),
    Mutation("words-of-32", "whole.c", r"n->slots\[number / 64\]", "n->slots[number / 32]", "memory-note-names"),
    Mutation("as-many-as-it-says", "whole.c",
             r"policy_last_extd\(&n\.policy\)",
             "policy_max_extd(&n.policy)", "memory-whole"),
    Mutation("one-name-too-many", "whole.c", r"s < count; s\+\+", "s <= count; s++", "memory-named-family"),
    Mutation("maximum-is-too-high", "leaves.c",
             r"if \(p->basic\[0\]\.a >= POLICY_NR_BASIC\)",
             "if (p->basic[0].a > POLICY_NR_BASIC)", "memory-trim"),
    Mutation("behind-the-family", "leaves.c",
             r"s < f->count; s\+\+\)\n(        if \(!regs_empty)",
             r"s <= f->count; s++)\n\1", "memory-leaf-empty"),
    Mutation("never-trimmed", "leaves.c", r"    policy_trim\(p\);\n(    while)", r"\1", "memory-shrink"),
    Mutation("set-from-one", "verify.c",
             r"feature_dependents_at\[feature\] - 1u",
             "feature_dependents_at[feature]", "memory-prerequisites"),
    Mutation("behind-the-caches", "verify.c", "s < POLICY_NR_CACHE", "s < 4096", "memory-verify"),
    Mutation("behind-the-sets", "featureset.c",
             r"&feature_dependents_sets\[set - 1\]",
             "&feature_dependents_sets[set]", "memory-featureset-close"),
    Mutation("the-next-component", "verify.c", r"(\*o = &p->xstate\[i)\]", r"\1 + 4096]", "memory-overlap"),
    Mutation("behind-the-components", "level.c", "i < POLICY_NR_XSTATE", "i <= POLICY_NR_XSTATE", "memory-close"),
    Mutation("behind-what-is-zeroed", "leaves.c",
             r"s < f->count; s\+\+\)\n(        \*policy_leaf)",
             r"s <= f->count; s++)\n\1", "memory-zero-family"),
    Mutation("hazards-of-others", "check.c",
             r"if \(hazard_concerns\(fs, \(unsigned int\)f\)\)",
             "if (!hazard_concerns(fs, (unsigned int)f))", "check-hazards-told"),
    Mutation("numbers-at-least", "check.c", r"if \(g <= h\)", "if (g >= h)", "check-numbers"),
    Mutation("half-a-name", "check.c", r"guest->basic\[0\]\.c != max->basic\[0\]\.c \|\|", "", "check-identity"),
    Mutation("the-last-host-only", "level.c",
             r"c->any\.w\[i\] \|= fs\.w\[i\];",
             "c->any.w[i] = fs.w[i];", "accepted-common"),
    Mutation("the-last-dependents-only", "featureset.c",
             r"featureset_or\(&falling, &falling, (feature_dependents\(\(unsigned int\)f\))\)",
             r"falling = *\1", "accepted-close"),
    Mutation("the-first-two-stay", "level.c", r"\*xcr0 = 0;", "*xcr0 = 3;", "accepted-lose"),
    Mutation("the-last-leaf-goes", "leaves.c",
             r"i = basic \+ 1; i < POLICY_NR_BASIC",
             "i = basic; i < POLICY_NR_BASIC", "accepted-trim"),
    Mutation("full-leaves-go", "leaves.c",
             r"(p->basic\[0\]\.a > 1 && )leaf_empty",
             r"\1!leaf_empty", "accepted-shrink"),
    Mutation("not-the-last-extended", "fit.c", r"i <= extd; i\+\+", "i < extd; i++", "accepted-visits"),
    Mutation("given-where-none-has-it", "level.c",
             r"\(hazard->w\[i\] \| c->may\.w\[i\]\)",
             "(hazard->w[i] | accumulate->w[i])", "accepted-missing"),
    Mutation("hazards-of-all", "level.c", r"\(c->any\.w\[i\] & \(hazard", "(c->all.w[i] & (hazard", "accepted-hazards"),
    Mutation("events-without-a-pmu", "level.c",
             r"^    if \(!\(fs->w\[FEATURESET_Aa\] & 0xff\)\)",
             "    if (0)", "accepted-numbers"),
    Mutation("never-closed", "level.c", r"^    featureset_close\(fs, NULL\);\n", "", "accepted-closed"),
    Mutation("a-component-too-many", "level.c", r"p->xstate\[0\]\.d = \(uint32_t\)\(xcr0 >> 32\);",
             "p->xstate[0].d = (uint32_t)(xss >> 32);", "accepted-components"),
    Mutation("copies-stay", "level.c", r"^    fs->w\[FEATURESET_e1d\] &= ~mirror.*\n", "", "accepted-copies"),
    Mutation("features-without-state", "level.c", r"XSTATE_OF_FEATURES & ~\*xcr0", "0", "accepted-verify-features"),
    Mutation("any-cache", "level.c", "type >= 1 && type <= 3", "type >= 1", "accepted-verify-lists"),
    Mutation("half-a-width", "level.c",
             r"\*widths >> 8 & 0xff(.* << 8 \|)", r"*widths >> 4 & 0xff\1", "accepted-closed"),
    Mutation("only-the-first-subleaf", "fit.c", r"\(family \? family->count : 1u\)", "1u", "accepted-unbacked-intel"),
    Mutation("only-what-is-backed", "fit.c",
             r"if \(!f->feature \|\| featureset_test",
             "if (f->feature || featureset_test", "accepted-unbacked-amd"),
    Mutation("unshared-stays", "fit.c", r"^        featureset_drop\(&fs, \(unsigned int\)f\);", "        ;",
             "accepted-unshared"),
    Mutation("silence-is-equal", "fit.c", r"\*mute \|= a != b \|\| silent;", "*mute |= a != b;", "fit-intel-02"),
    Mutation("warned-by-silence", "fit.c", r"^ *\*mute \|= silent;.*\n", "", "fit-0a"),
    Mutation("bits-stay", "fit.c", "return a & b;", "return a;", "fit-14"),
    Mutation("unshared-is-not-noted", "fit.c", r"if \(mute && feature\)", "if (mute && 0)", "fit-1d"),
    Mutation("what-is-offered-stays", "fit.c", r"return a == b \? a : 0;", "return a;", "fit-intel-e00"),
    Mutation("the-larger", "fit.c", r"(case RULE_AT_MOST:\n *return a) < b", r"\1 > b", "fit-intel-e08"),
    Mutation("the-first-leaf-only", "fit.c",
             r"rules_of\(leaf\); f->first <= leaf && leaf <= f->last; f",
             "rules_of(leaf); f->first == leaf; f", "fit-e0e"),
    Mutation("not-edx", "fit.c", "f->registers & regs", "f->registers & regs & 7", "fit-amd-02"),
    Mutation("the-first-subleaf-s-rules", "fit.c",
             r"(NR_RULES_COMPARED \|\| !rule_applies\(f, )subleaf",
             r"\g<1>0", "fit-07"),
    Mutation("all-bits", "fit.c", "return a & b;", "return a | b;", "fit-14"),
    Mutation("silence-is-not-noted", "fit.c", r"if \(feature\)$", "if (0)", "fit-1d"),
    Mutation("offered-in-part", "fit.c", r"return a == b \? a : 0;", "return a & b;", "fit-amd-e00"),
    Mutation("the-host-s", "fit.c", r"(case RULE_AT_MOST:\n *return) a < b \? a : b;", r"\1 b;", "fit-amd-e08"),
    Mutation("offered-is-left-out", "fit.c",
             "f->rule >= NR_RULES_COMPARED",
             "f->rule >= NR_RULES_COMPARED - 1", "fit-amd-e19"),
    Mutation("below-the-last-subleaf", "fields.h", r"subleaf <= f->high", "subleaf < f->high", "fields-07"),
    Mutation("at-least", "fields.c", r"return g <= h;", "return g >= h;", "fields-0b"),
    Mutation("what-others-offer", "fit.c", r"return a == b \? a : 0;", "return b;", "fit-0b"),
]
