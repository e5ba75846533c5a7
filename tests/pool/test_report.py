# SPDX-License-Identifier: MIT
"""xenlevel pool report: what it writes of a registry, its JSON, and its numbers for Prometheus.  (test_report_page.py
opens the page in a browser.)"""

import json
import math
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from registry import BUILD, ROOT, run

DRAW = BUILD / "tests/unit/draw-pool"
XL_SIM = BUILD / "tools/xl/xl-sim"
POOLS = ["empty", "one", "three", "mixed", "unsure", "hostile"]


def draw(name, what):
    return run(DRAW, name, what).stdout


def numbers_of(text):
    """{(metric, {label: value}): number}; the parser refuses what is not of the format."""
    return {(s.name, tuple(sorted(s.labels.items()))): s.value
            for family in text_string_to_metric_families(text) for s in family.samples}


# ---- of a registry ----

def test_a_pool_of_two_hosts_is_drawn(pool, hosts, tmp_path):
    pool("init", "-n", "web")
    new, old = hosts("intel-cascadelake-sp", "intel-haswell-ep")
    pool("join", host=new)
    run(XL_SIM, "-s", new, "create", "/dev/null", "name=rich", "type=hvm", "memory=64")
    pool("refresh", host=new)
    pool("join", host=old)
    page, numbers = tmp_path / "pool.html", tmp_path / "pool.prom"
    data = json.loads(pool("report", "-o", page, "--prometheus", numbers, "--json").stdout)
    assert [(h["name"], [vm["name"] for vm in h["vms"]]) for h in data["hosts"]] == \
        [("intel-cascadelake-sp", ["rich"]), ("intel-haswell-ep", [])]
    assert data["pool"]["name"] == "web" and data["pool"]["registry"] == f"folder {pool.where}"
    assert (data["history"][0]["what"], data["history"][-1]["what"]) == ("join", "init")
    assert data["events"] == len(data["history"])
    assert data["mobility"] == {"pairs": 1, "yes": 0, "power_cycle": 0, "no": 1, "cannot_say": 0}
    reason, = [r for r in data["reasons"] if r["pairs"]]
    assert reason["answer"] == "no" and "avx512f" in reason["missing"] and reason["text"].startswith("Lacks ")
    stuck = "xenlevel_pool_host_vms_cannot_leave", (("host", "intel-cascadelake-sp"), ("pool", "web"))
    assert numbers_of(numbers.read_text())[stuck] == 1
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n") and "rich on intel-cascadelake-sp" in text


def test_an_empty_pool_is_drawn(pool, tmp_path):
    pool("init")
    assert pool("report", "-o", tmp_path / "p.html").stdout == ""
    assert (tmp_path / "p.html").read_text().endswith("</html>\n")
    assert pool("report", "-o", "-").stdout.startswith("<!DOCTYPE html>")
    assert pool("report", "--prometheus", "-").stdout.startswith("# HELP xenlevel_pool_hosts ")


def test_the_same_pool_is_the_same_page():
    first, second = (run(DRAW, "mixed", "page", SOURCE_DATE_EPOCH=1).stdout for _ in range(2))
    assert first == second


def test_bad_usage(pool, tmp_path):
    pool("init")
    for args, said in [([], "say what to write: -o FILE, --prometheus FILE or --json"),
                       (["--json", "-o", "-"], "only one of them can go to standard output"),
                       (["--json", "more"], "it takes no arguments")]:
        assert pool("report", *args, status=2).stderr.startswith(f"xenlevel: pool report: {said}\n")


def test_a_registry_that_cannot_be_read_writes_nothing(pool, tmp_path):
    page = tmp_path / "p.html"
    assert pool("report", "-o", page, status=2).stderr == f"xenlevel: {pool.where}: there is no such folder\n"
    assert not page.exists()


def test_a_file_is_written_whole_or_not_at_all(pool, tmp_path):
    pool("init")
    for option in ("-o", "--prometheus"):
        path = tmp_path / "there"
        path.write_text("old")
        done = pool("report", option, path / "below", status=2)
        assert done.stderr == f"xenlevel: {path}/below: cannot be written: Not a directory\n"
        assert path.read_text() == "old"
        pool("report", option, path)
        assert path.read_text() != "old" and list(tmp_path.glob("there*")) == [path], "nothing else is left there"


# ---- the data ----

@pytest.mark.parametrize("name", POOLS)
def test_the_page_has_the_data_of_json_inside(name):
    page = run(DRAW, name, "page", SOURCE_DATE_EPOCH=1).stdout
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S).group(1)
    assert not set(inside) & set("<>&"), "no string can end the element"
    assert json.loads(inside) == json.loads(run(DRAW, name, "json", SOURCE_DATE_EPOCH=1).stdout)


@pytest.mark.parametrize("name", POOLS)
def test_the_counts_follow_from_the_rest(name):
    data = json.loads(draw(name, "json"))
    kinds, guests, hosts, reasons = data["kinds"], data["guests"], data["hosts"], data["reasons"]
    answer = [[reasons[r]["answer"] for r in row] for row in data["matrix"]]
    assert [k["hosts"] for k in kinds] == [sum(h["kind"] == k for h in hosts) for k in range(len(kinds))]
    assert [g["vms"] for g in guests] == [sum(vm["guest"] == g for h in hosts for vm in h["vms"]) for g in range(len(guests))]
    pairs = [(g, k) for h in hosts for vm in h["vms"] for other in hosts if other is not h
             for g, k in [(vm["guest"], other["kind"])]]
    count = {a: sum(answer[g][k] == a for g, k in pairs) for a in ("yes", "power cycle", "no", "cannot say")}
    assert data["mobility"] == {"pairs": len(pairs), **{a.replace(" ", "_"): n for a, n in count.items()}}
    for i, reason in enumerate(reasons):
        assert reason["pairs"] == sum(data["matrix"][g][k] == i for g, k in pairs)
    assert [r["pairs"] for r in reasons[1:]] == sorted((r["pairs"] for r in reasons[1:]), reverse=True)
    for h in hosts:
        takers = [o for o in hosts if o is not h and o["seen"] and not o["maintenance"]]
        assert h["can_leave"] == sum(any(answer[vm["guest"]][o["kind"]] == "yes" for o in takers) for vm in h["vms"])
        if len(hosts) > 1:
            assert h["plan"]["move"] + h["plan"]["stay"] == len(h["vms"]) and h["plan"]["move"] <= h["can_leave"]
        else:
            assert h["plan"] is None
    assert data["pool"]["cannot_leave"] == sum(len(h["vms"]) - h["can_leave"] for h in hosts)


def test_what_a_kind_costs_all_others_have():
    """Of three: only Sandy Bridge lacks AVX2, only Cascade Lake and no other has AVX-512."""
    data = json.loads(draw("three", "json"))
    costs = {k["cpu"]: set(k["costs"]) for k in data["kinds"]}
    assert {"avx2", "bmi1", "fma", "rdrand"} <= costs["Intel 6-45-5"]
    assert not any("avx512f" in cost for cost in costs.values()), "two kinds lack it: none alone costs it"
    assert not set.intersection(*costs.values())


def test_every_member_is_in_the_manual():
    manual = (ROOT / "docs/man/xenlevel.1.md").read_text()
    section = manual[manual.index("### pool report"):]
    section = section[:re.search(r"\n##+ ", section).start()]
    data = json.loads(draw("three", "json"))
    members = set(data) | {m for key in ("pool", "mobility", "level") for m in data[key]} | \
        {m for key in ("kinds", "guests", "reasons", "hosts", "history") for m in data[key][0]} | \
        {"usage"} | set(data["hosts"][0]["plan"]) | set(data["graphs"][0]) | set(data["graphs"][0]["groups"][0])
    assert not [m for m in members if not re.search(rf"\b{m}\b", section)]
    metrics = {name.split("{")[0] for name in re.findall(r"^xenlevel_pool_\S+", draw("three", "metrics"), re.M)}
    assert not [m for m in metrics if m not in section]


# ---- Prometheus ----

@pytest.mark.parametrize("name", POOLS)
def test_the_numbers_are_those_of_the_data(name):
    numbers, data = numbers_of(draw(name, "metrics")), json.loads(draw(name, "json"))
    names = {pool for (_, labels) in numbers for key, pool in labels if key == "pool"}
    assert len(names) == 1
    pool = ("pool", names.pop())
    assert numbers["xenlevel_pool_hosts", (pool,)] == data["pool"]["hosts"]
    assert numbers["xenlevel_pool_vms", (pool,)] == data["pool"]["vms"]
    assert numbers["xenlevel_pool_host_kinds", (pool,)] == len(data["kinds"])
    assert numbers["xenlevel_pool_vms_cannot_leave", (pool,)] == data["pool"]["cannot_leave"]
    ratio = numbers["xenlevel_pool_mobility_ratio", (pool,)]
    pairs = data["mobility"]["pairs"]
    assert math.isclose(ratio, data["mobility"]["yes"] / pairs, rel_tol=1e-8) if pairs else math.isnan(ratio)
    assert numbers["xenlevel_pool_level_info", (("level", data["pool"]["level"] or ""), pool)] == 1
    for metric, value in [("host_vms", lambda h: len(h["vms"])), ("host_drift", lambda h: h["drift"] is not None),
                          ("host_maintenance", lambda h: h["maintenance"]), ("host_silent", lambda h: h["seen"] is None)]:
        found = [n for (name, _), n in numbers.items() if name == f"xenlevel_pool_{metric}"]
        assert found == [value(h) for h in data["hosts"]]


def test_hostile_names_are_labels():
    text = draw("hostile", "metrics")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    hosts = {dict(labels)["host"] for (name, labels) in numbers_of(text) if name == "xenlevel_pool_host_vms"}
    assert hosts == {"</script><script>evil()</script>", r"\xff\xfe<!--<b>\xe2\x80\xae"}
    assert 'host="\\\\xff\\\\xfe<!--' in text, "a backslash is escaped as the format wants"


def test_when_a_host_was_seen_is_seconds():
    seen = {dict(labels)["host"]: n for (name, labels), n in numbers_of(draw("three", "metrics")).items()
            if name == "xenlevel_pool_host_last_refresh_timestamp_seconds"}
    assert seen == {"ada": 1767225600, "bert": 1767225600, "carl": 1795845600}
