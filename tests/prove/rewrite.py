# SPDX-License-Identifier: MIT
"""What is done to a copy of the library before it is proved, and why that is the same.

Each rewriting must find what it expects; what has changed meanwhile is an error, not a proof.

walk         Iterating over the set bits of a mask becomes: for each bit, if it is set.  CBMC then
             knows each bit's number while it unwinds.  The proofs next-feature and next-component
             say that the library's iterations visit exactly the set bits, upwards.
closing      The same in featureset_close(), which asks what is missing of those that others stand on (that
             it takes no others is looked for in the source): the others are left out.
unshared     The same in policy_drop_unbacked(): what no row of a leaf hangs on is left out.  The harness
             has these features in can_be_unshared, and asserts that it asks for no others.
one          Iterating over components becomes: the harness's the_component, any, if it is set; in set_components()
             too.  What the library does for one touches its own subleaf alone, so that what is so of any is so
             of all.  That these bodies name xstate with that index only is looked for in the source.
plain        regs_empty() and regs_differ() compare the registers one by one (proof plain).
stop         policy_fault() ends the run.  For "the answer is 0": each fault is counted, and no count
             is taken back (proof fault), so a run with one cannot answer 0.
judge        policy_fault() asks the harness, found(): a finding is what is supposed not to be, or what
             must not be.  What else it does is proved by itself (proof fault).
count        policy_fault() only counts: what else it does is proved by itself (proof fault).
step:NAME    The loops of the function NAME over arrays run one step, any one, from any state: its
             locals that begin with 0 begin with anything, and *p is the harness's to choose.  The
             steps assign none of its parameters, which the rewriting sees to, so that a step
             within its memory is every step: an induction made by hand.  for (i = 0; i < n; i++)
             ends by its form.
from:NAME    In the function NAME a loop over i that begins at a number which is not known becomes one
             that begins at 0 and does nothing before that number.  CBMC then knows each slot's
             number.  That the body leaves i alone is looked for in the source.
down:NAME    In the function NAME "while (X > low && empty(X)) X--" becomes: for each number from
             the highest that X may be (which is asserted) down to low, if X is that number and
             empty(number), X is one less.  Each number comes at most once, in the same order.
drop:NAME    The function NAME does nothing to memory outside of *p (proof NAME); its
             body is replaced by that of the harness, stub_NAME().
"""

import re


class RewriteError(Exception):
    pass


COMPONENTS = re.compile(r"#define for_each_component\(i, mask\)\s*\\\n.*\n")
COMPONENTS_WALK = """#define for_each_component(i, mask) \\
    for (uint64_t m_ = (mask), once_ = 1; once_; once_ = 0) \\
        for ((i) = 0; (i) < 64; (i)++) \\
            if ((m_ >> (i)) & 1)
"""
FEATURES = re.compile(r"for \((?P<type>int )?(?P<f>\w+) = featureset_next\((?P<set>&?\w+), 0\); (?P=f) >= 0;\s*"
                      r"(?P=f) = featureset_next\((?P=set), \(unsigned int\)(?P=f) \+ 1\)\)")
FAULT = re.compile(r"(static inline void policy_fault\(struct policy_report \*r, struct policy_fault f\)\n\{).*?\n\}",
                   re.S)


def _features_walk(match):
    f, of = match["f"], match["set"]
    return (f"for ({match['type'] or ''}{f} = 0; {f} < (int)FEATURESET_BITS; {f}++) "
            f"if (featureset_test({of}, (unsigned int){f}))")


def _replace(path, pattern, by):
    text, count = pattern.subn(by, path.read_text())
    if not count:
        raise RewriteError(f"{path.name}: nothing there is like {pattern.pattern[:60]!r} any more")
    path.write_text(text)


def _private_header(folder, pattern, by):
    """Whichever header has it now."""
    for path in sorted(folder.glob("*.h")):
        if pattern.search(path.read_text()):
            return _replace(path, pattern, by)
    raise RewriteError(f"no header has anything like {pattern.pattern[:60]!r} any more")


def _walk(folder):
    _private_header(folder, COMPONENTS, lambda m: COMPONENTS_WALK)
    for path in sorted(folder.glob("*.c")):
        text = path.read_text()
        starts = len(re.findall(r"= featureset_next\([^;]*, 0\)", text))
        text, count = FEATURES.subn(_features_walk, text)
        if count != starts:
            raise RewriteError(f"{path.name}: {starts} walks over features, {count} of a known form")
        path.write_text(text)


ONE = """#define for_each_component(i, mask) \\
    for (uint64_t m_ = (mask), once_ = ((i) = the_component, 1); once_; once_ = 0) \\
        if ((m_ >> (i)) & 1)
"""
EACH = re.compile(r"for \(unsigned int i = 2; i < POLICY_NR_XSTATE; i\+\+\)(\n.*\n *p->xstate\[i\] = )")

EACH_BODY = re.compile(r"for_each_component\(i, [^\n]*\n    \{\n(.*?)\n    \}", re.S)


def _one(folder):
    _private_header(folder, COMPONENTS, lambda m: ONE)
    _replace(folder / "level.c", EACH, lambda m: "for (unsigned int i = the_component, once_ = 1; "
             f"once_ && i >= 2 && i < POLICY_NR_XSTATE; once_ = 0){m[1]}")
    for name in ("check.c", "verify.c"):
        for body in EACH_BODY.findall((folder / name).read_text()):
            if re.search(r"xstate\[(?!i\])|[-+|&^]=|\+\+|--", body):
                raise RewriteError(f"{name}: components are not looked at one by one")


def _closing(folder):
    """After walk."""
    path = folder / "featureset.c"
    if "featureset_andnot(&missing, &features_with_dependents, fs);" not in path.read_text():
        raise RewriteError("featureset_close() takes others than those that others stand on")
    _replace(path, re.compile(r"if \(featureset_test\(&missing, \(unsigned int\)f\)\)"),
             "if (featureset_test(&features_with_dependents, (unsigned int)f) && "
             "featureset_test(&missing, (unsigned int)f))")


def _unshared(folder):
    """After walk."""
    _replace(folder / "fit.c", re.compile(r"if \(featureset_test\(unshared, \(unsigned int\)f\)\)"),
             "if (featureset_test(&can_be_unshared, (unsigned int)f) && "
             "featureset_test(unshared, (unsigned int)f))")


def _drop(folder, name):
    pattern = re.compile(rf"^(?:static )?(\w[^;{{}}/]*?)\b{name}\(([^;{{}}/]*)\)\n\{{", re.M)
    for path in sorted(folder.glob("*.c")):
        text = path.read_text()
        if not pattern.search(text):
            continue
        stub = r"static \1stub_" + name + r"(\2);" + "\n#define " + name + " stub_" + name + "\n"
        # The stub takes the name everywhere; the real body gets another one.
        text = pattern.sub(lambda m: m.expand(stub) + f"static {m[1]}real_{name}({m[2]})\n{{", text, count=1)
        path.write_text(text)
        return
    raise RewriteError(f"no function {name} any more")


PLAIN = {"regs_empty": "!r->a && !r->b && !r->c && !r->d",
         "regs_differ": "a->a != b->a || a->b != b->b || a->c != b->c || a->d != b->d"}


def _plain(folder):
    for name, expression in PLAIN.items():
        _private_header(folder, re.compile(rf"(static inline bool {name}\([^)]*\)\n\{{).*?\n\}}", re.S),
                        lambda m, e=expression: f"{m[1]}\n    return {e};\n}}")


LOOP = re.compile(r"for \(size_t i = 0; ([^;]*); i\+\+\)")


def _step_body(name, parameters, body):
    for parameter in re.findall(r"(\w+)(?:,|$)", parameters):
        if re.search(rf"(?<![>.\w*]){parameter}\b(?:\s*[-+|&^*/]?=[^=]|\+\+|--)", body):
            raise RewriteError(f"{name}: its steps assign {parameter}")
    body, count = LOOP.subn(r"for (size_t i = nondet_size(), once_ = 1; once_ && (\1); i++, once_ = 0)", body)
    if not count or re.search(r"\b(while|for) \((?!size_t i = nondet_size)", body):
        raise RewriteError(f"{name}: not loops over arrays alone")
    return re.sub(r"^(    uint32_t \w+ =) 0;", r"\1 nondet_uint();", body, flags=re.M)


def _step(folder, name):
    pattern = re.compile(rf"(^static [^;{{}}/]*?\b{name}\(([^;{{}}/]*)\)\n\{{)(.*?)(^\}})", re.M | re.S)
    for path in sorted(folder.glob("*.c")):
        if pattern.search(path.read_text()):
            return _replace(path, pattern, lambda m: m[1] + _step_body(name, m[2], m[3]) + m[4])
    raise RewriteError(f"no function {name} any more")


FROM = re.compile(r"for \(uint32_t (\w+) = ([^;]*[a-z][^;]*);\s*\1 < ([^;]*);\s*\1\+\+\)")


def _from_body(name, body):
    for i in {m[1] for m in FROM.finditer(body)}:
        if re.search(rf"(?<!uint32_t )(?<!int )\b{i}\s*[-+|&^*/]?=[^=]|--{i}|{i}--|\+\+{i}|&{i}\b", body):
            raise RewriteError(f"{name}: its steps assign {i}")
    body, count = FROM.subn(r"for (uint32_t \1 = 0, from_ = (\2); \1 < (\3); \1++) if (\1 >= from_)", body)
    if not count:
        raise RewriteError(f"{name}: no loop from a number that is not known")
    return body


DOWN = re.compile(r"while \((?P<x>p->(?P<array>\w+)\[0\]\.a)(?: > (?P<low>\w+))? && (?P<empty>[^;]*)\)\n *(?P=x)--;")
FIRST = {"feat": "0", "basic": "0", "extd": "EXTD_FIRST"}


def _down_loop(match):
    x, array = match["x"], match["array"]
    high = f"{FIRST[array]} + POLICY_NR_{array.upper()} - 1"
    if match["empty"].count(x) != 1:
        raise RewriteError(f"{x}: not one question for each number")
    return (f'__CPROVER_assert({x} <= {high} || {x} <= {match["low"] or 0}, "a maximum that a policy can hold");\n'
            f'    for (uint32_t x_ = {high}; x_ > {match["low"] or 0}; x_--)\n'
            f'        if ({x} == x_ && {match["empty"].replace(x, "x_")})\n            {x} = x_ - 1;')


def _down_body(name, body):
    loops = body.count("while (")
    body, count = DOWN.subn(_down_loop, body)
    if not count or count != loops:
        raise RewriteError(f"{name}: {loops} loops, {count} of a known form")
    return body


def _loops(folder, name, change):
    pattern = re.compile(rf"(^[a-z][^;{{}}/]*?\b(?:real_)?{name}\([^;{{}}/]*\)\n\{{)(.*?)(^\}})", re.M | re.S)
    for path in sorted(folder.glob("*.c")):
        if pattern.search(path.read_text()):
            return _replace(path, pattern, lambda m: m[1] + change(name, m[2]) + m[3])
    raise RewriteError(f"no function {name} any more")


def rewrite(folder, names):
    for name in names:
        if name == "walk":
            _walk(folder)
        elif name == "one":
            _one(folder)
        elif name == "closing":
            _closing(folder)
        elif name == "unshared":
            _unshared(folder)
        elif name == "judge":
            _private_header(folder, FAULT, r"void found(struct policy_report *r);\n\1\n    (void)f;\n    found(r);\n}")
        elif name == "plain":
            _plain(folder)
        elif name == "stop":
            _private_header(folder, FAULT, r"\1\n    (void)f;\n    r->count++;\n    __CPROVER_assume(0);\n}")
        elif name == "count":
            _private_header(folder, FAULT, r"\1\n    (void)f;\n    if (r)\n        r->count++;\n}")
        elif name.startswith("step:"):
            _step(folder, name.split(":", 1)[1])
        elif name.startswith("from:"):
            _loops(folder, name.split(":", 1)[1], _from_body)
        elif name.startswith("down:"):
            _loops(folder, name.split(":", 1)[1], _down_body)
        elif name.startswith("drop:"):
            _drop(folder, name.split(":", 1)[1])
        else:
            raise RewriteError(f"no rewriting {name}")
