# SPDX-License-Identifier: MIT
"""What is done to a copy of the library before it is proved, and why that is the same.

Each rewriting must find what it expects; what has changed meanwhile is an error, not a proof.

walk         Iterating over the set bits of a mask becomes: for each bit, if it is set.  CBMC then
             knows each bit's number while it unwinds.  The proofs next-feature and next-component
             say that the library's iterations visit exactly the set bits, upwards.
stop         policy_fault() ends the run.  For "the answer is 0": each fault is counted, and no count
             is taken back (proof fault), so a run with one cannot answer 0.
count        policy_fault() only counts: what else it does is proved by itself (proof fault).
drop:NAME    The static function NAME does nothing to memory outside of *p (proof NAME); its
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


def _drop(folder, name):
    pattern = re.compile(rf"^static ([^;{{}}]*?)\b{name}\(([^;{{}}]*)\)\n\{{", re.M)
    for path in sorted(folder.glob("*.c")):
        text = path.read_text()
        if not pattern.search(text):
            continue
        stub = r"static \1stub_" + name + r"(\2);" + "\n#define " + name + " stub_" + name + "\n"
        # The stub takes the name everywhere; the real body gets another one.
        text = pattern.sub(lambda m: m.expand(stub) + f"static {m[1]}real_{name}({m[2]})\n{{", text, count=1)
        path.write_text(text)
        return
    raise RewriteError(f"no static function {name} any more")


def rewrite(folder, names):
    for name in names:
        if name == "walk":
            _walk(folder)
        elif name == "stop":
            _private_header(folder, FAULT, r"\1\n    (void)f;\n    r->count++;\n    __CPROVER_assume(0);\n}")
        elif name == "count":
            _private_header(folder, FAULT, r"\1\n    (void)f;\n    if (r)\n        r->count++;\n}")
        elif name.startswith("drop:"):
            _drop(folder, name.split(":", 1)[1])
        else:
            raise RewriteError(f"no rewriting {name}")
