# SPDX-License-Identifier: MIT
"""The page of `xenlevel pool report`, in headless Chromium.  draw-pool (tests/unit/draw_pool.c) draws pools that are in
no registry: one, three, mixed (30 hosts), large (3,000 hosts, 30,000 VMs), hostile, empty.

XENLEVEL_PICTURES=FOLDER keeps a picture of each page that is opened, to be looked at."""

import json
import os
import re
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from browser import Page
from registry import BUILD, run

DRAW = BUILD / "tests/unit/draw-pool"
WHEN = "1796018400"      # 2026-11-30T06:00:00Z: the same page in every run
EVIL_HOST = "</script><script>evil()</script>"


@pytest.fixture(scope="session")
def browser():
    page = Page()
    yield page
    page.close()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """drawn("three") is the path of that pool's page."""
    folder = tmp_path_factory.mktemp("pages")

    def draw(name):
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(run(DRAW, name, "page", SOURCE_DATE_EPOCH=WHEN).stdout)
        return path

    return draw


@pytest.fixture
def show(browser, drawn):
    def show(name, **how):
        browser.open(drawn(name), **how)
        if os.environ.get("XENLEVEL_PICTURES"):
            what = "-".join([name, *map(str, how.values())])
            (Path(os.environ["XENLEVEL_PICTURES"]) / f"{what}.png").write_bytes(browser.picture())
        return browser

    return show


def data_of(page):
    return json.loads(page.text("#data"))


def reason_of(data, cell):
    guest, kind = int(cell.get_attribute("data-g")), int(cell.get_attribute("data-k"))
    return data["reasons"][data["matrix"][guest][kind]]


# ---- what there is ----

@pytest.mark.parametrize("name", ["empty", "one", "three", "mixed", "unsure", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_without_a_word_in_the_console(show, name, scheme):
    page = show(name, scheme=scheme)
    assert page.log() == []
    assert len(page.all("h1")) == 1 and len(page.all("main section")) == 7
    assert page.js("return document.documentElement.classList.contains('scripted')")


def test_the_head_says_what_the_pool_is(show):
    page = show("three")
    figures = {page.text(d.find_element("css selector", "dt")): page.text(d.find_element("css selector", "dd"))
               for d in page.all(".figures div")}
    assert figures == {"hosts": "3", "kinds of host": "3", "VMs": "13", "of all moves work": "69 %", "level": "web.v2"}
    assert page.text(".said") == ("Of 26 pairs of a VM and another host, 18 work. 6 more would after a power cycle of the VM "
                                  "on the pool's level. Of 2 nobody can say.")
    assert "30 November 2026, 06:00 UTC, in folder /srv/pool" in page.text("header")
    assert [page.text(i) for i in page.all(".attention li")] == [
        "1 host has changed since it joined: bert.",
        "3 hosts have VMs that no other host in service can run: ada, bert, carl."]


def test_a_pool_of_one_host_and_an_empty_one_say_so(show):
    page = show("one")
    assert len(page.all("svg a")) == 1 and len(page.all("table.heat td")) == 1
    assert page.text(".said") == "There is no VM that could move to another host yet."
    assert page.text(".attention h2") == "Nothing needs a look"
    page = show("empty")
    assert not page.all("table.heat") and not page.all("svg")
    assert "The pool has no hosts yet." in page.text("#kinds") and "There are no VMs" in page.text("#matrix")


def test_the_graph_has_the_data_s_nodes_and_arrows(show):
    page = show("mixed")
    graph, = data_of(page)["graphs"]
    assert len(page.all("svg a")) == len(graph["groups"]) == 8
    drawn = {(int(e.get_attribute("data-from")), int(e.get_attribute("data-to"))) for e in page.all("svg .edge")}
    moves = {(a, b) for a, group in enumerate(graph["groups"]) for b in group["to"] if a != b}
    assert drawn and drawn < moves, "fewer arrows than moves: some follow from others"
    reached = set(drawn)
    for _ in graph["groups"]:
        reached |= {(a, d) for a, b in reached for c, d in reached if b == c}
    assert reached == moves, "arrows that follow each other are just the moves"
    boxes = page.js("return Array.from(document.querySelectorAll('svg .box'), b => b.getBBox()).map(b => [b.x, b.y, b.width, b.height])")
    for i, (x, y, width, height) in enumerate(boxes):
        for u, v, *_ in boxes[:i]:
            assert abs(x - u) >= width or abs(y - v) >= height, "two nodes lie over each other"


def test_what_nobody_can_say_is_no_no(show):
    page = show("unsure")
    data = data_of(page)
    graph, = data["graphs"]
    known, unsure = (next(h["kind"] for h in data["hosts"] if h["name"] == name) for name in ("known", "unsure"))
    group = {g["kinds"][0]: g for g in graph["groups"]}[known]
    assert [graph["groups"][g]["kinds"] for g in group["cannot_say_to"]] == [[unsure]] and unsure not in group["to"]
    assert len(page.all("svg .edge")) == 1, "the other way: what the one may lack the other has"
    assert "Of some kinds nobody can say whether these guests can run there" in page.text("#moves")
    node, = [a for a in page.all("svg a") if graph["groups"][int(a.get_attribute("data-group"))] == group]
    page.js("arguments[0].focus()", node)
    assert f"Nobody can say: {data['kinds'][unsure]['name']}." in page.text("[data-sentence]")
    cells = {int(c.get_attribute("data-k")): page.text(c)[0] for c in page.all("table.heat td")}
    assert cells == {known: "✓", unsure: "?"} and "Nobody knows about erms" in page.text(".reasons")


def test_a_vm_s_usage_is_beside_its_name(show):
    assert "web1 on known: told avx512f, its state never used" in page_text(show("unsure", script=False))
    page = show("unsure")
    page.js("document.querySelector('table.heat details').open = true")
    page.driver.execute_async_script("setTimeout(arguments[0])")
    assert "web1 on known: told avx512f, its state never used" in page_text(page)


def page_text(page):
    return page.text("table.heat")


def test_the_page_needs_nothing_from_elsewhere(drawn):
    text = drawn("mixed").read_text()
    assert re.findall(r"(?i)(?:src|srcset|action|data)\s*=", re.sub(r"<script.*?</script>", "", text, flags=re.S)) == []
    assert set(re.findall(r'href="([^"]*)"', text)) == set(re.findall(r'href="(#[^"]*)"', text)), "only places in the page"
    assert not re.search(r"(?i)https?:|@import|url\(", text)


def test_nothing_but_the_page_s_own_script_and_style_may_run(show):
    page = show("three")
    policy = page.one("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and policy.count("'sha256-") == 2
    page.js("""for (const [name, text] of [["script", "window.ran = true"], ["style", "h1 { color: rgb(1, 2, 3) }"]]) {
                 const e = document.createElement(name); e.textContent = text; document.body.append(e); }""")
    assert page.js("return window.ran === undefined") and page.colour("h1", "color") != "rgb(1, 2, 3)"
    assert len([line for line in page.log() if "Content Security Policy" in line]) == 2


# ---- the map ----

def test_arrow_keys_walk_through_the_map_and_the_reason_is_beside_the_cell(show):
    page = show("mixed")
    data = data_of(page)
    assert len(page.all("table.heat td[tabindex='0']")) == 1, "one stop for the Tab key"
    page.js("arguments[0].focus()", page.all("table.heat td")[0])
    assert page.text("#why strong").startswith("Yes: HVM and PVH guests")
    seen = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.END, Keys.HOME, Keys.ARROW_LEFT, Keys.ARROW_UP,
                Keys.PAGE_DOWN):
        page.keys(key)
        cell = page.focused()
        seen.append((int(cell.get_attribute("data-g")), int(cell.get_attribute("data-k"))))
        reason = reason_of(data, cell)
        assert page.one("#why").is_displayed() and reason["text"] in page.text("#why")
        assert cell.get_attribute("aria-describedby") == "why"
        assert len(page.all("table.heat td[tabindex='0']")) == 1
    assert seen == [(0, 1), (0, 2), (1, 2), (1, 7), (1, 0), (1, 0), (0, 0), (8, 0)]
    page.hold(Keys.CONTROL, Keys.END)
    assert page.focused().get_attribute("data-k") == "7"
    page.keys(Keys.ESCAPE)
    assert not page.one("#why").is_displayed()


def test_the_tab_key_leaves_the_map(show):
    page = show("three")
    page.js("arguments[0].focus()", page.all("table.heat td")[1])
    page.keys(Keys.TAB)
    assert page.focused().tag_name != "td" and not page.one("#why").is_displayed()


@pytest.mark.parametrize("width", [1200, 400])
def test_the_reason_is_at_the_pointer(show, width):
    page = show("three", width=width)
    data = data_of(page)
    for cell in page.all("table.heat td")[:6]:
        page.point(cell)
        assert page.one("#why").is_displayed() and reason_of(data, cell)["text"] in page.text("#why")
        box, tip = cell.rect, page.one("#why").rect
        assert tip["x"] >= 0 and tip["x"] + tip["width"] <= width
        assert tip["x"] >= box["x"] + box["width"] or tip["y"] >= box["y"] + box["height"] or \
            tip["y"] + tip["height"] <= box["y"], "it does not hide the cell"
    page.point(page.one("h1"))
    assert not page.one("#why").is_displayed()


def test_answers_are_told_apart_without_colour(show):
    page = show("three")
    data = data_of(page)
    signs, names = {}, {}
    for cell in page.all("table.heat td"):
        answer = reason_of(data, cell)["answer"]
        signs.setdefault(answer, set()).add(page.text(cell)[0])
        names.setdefault(answer, set()).add(cell.get_attribute("aria-label").partition(":")[0])
    assert signs == {"yes": {"✓"}, "power cycle": {"↻"}, "cannot say": {"?"}}
    assert names == {"yes": {"Yes"}, "power cycle": {"Only after a power cycle"}, "cannot say": {"Cannot say"}}
    assert page.colour("td.cycle", "backgroundImage") != page.colour("td.unknown", "backgroundImage") != "none"


def test_a_class_opens_to_all_of_its_vms(show):
    page = show("mixed")
    data = data_of(page)
    for details in page.all("table.heat details"):
        guest = int(details.get_attribute("data-guest"))
        page.js("arguments[0].querySelector('summary').focus()", details)
        page.keys(Keys.ENTER)
        # The browser sends "toggle" as a task of its own.
        page.driver.execute_async_script("setTimeout(arguments[0])")
        names = page.js("return Array.from(arguments[0].querySelectorAll('li'), li => li.textContent)", details)
        assert sorted(names) == sorted(f"{vm['name']} on {host['name']}" for host in data["hosts"] for vm in host["vms"]
                                       if vm["guest"] == guest)


# ---- the graph ----

def test_a_node_in_focus_says_where_its_guests_can_go(show):
    page = show("mixed")
    graph, = data_of(page)["graphs"]
    kinds = [k["name"] for k in data_of(page)["kinds"]]
    resting = page.text("[data-sentence]")
    for node in page.all("svg a"):
        page.js("arguments[0].focus()", node)
        group = graph["groups"][int(node.get_attribute("data-group"))]
        others = [kinds[k] for to in group["to"] if graph["groups"][to] is not group for k in graph["groups"][to]["kinds"]]
        said = page.text("[data-sentence]").partition(". ")[0]
        assert said == f"Guests born on {kinds[group['kinds'][0]]} can also run on: {'; '.join(others) or 'no other kind'}"
        assert len(page.all("svg a.on")) == 1 + len(others)
    page.js("document.activeElement.blur()")
    assert page.text("[data-sentence]") == resting and not page.all("svg.looking")
    page.point(page.all("svg a rect")[0])
    assert page.text("[data-sentence]") != resting


# ---- hosts ----

def test_hosts_can_be_filtered_and_put_in_order(show):
    page = show("mixed")
    page.one("#filter").send_keys("drift host0007")
    assert [page.text(r.find_element("css selector", "th")) for r in page.all("#host-table tbody tr") if r.is_displayed()] == ["host0007.rack00"]
    assert page.text("#found") == "1 of 30 hosts"
    page.one("#filter").clear()
    free, = [b for b in page.all("#host-table thead button") if page.text(b) == "Free, GiB"]
    for order, sign in (("ascending", 1), ("descending", -1)):
        page.js("arguments[0].focus()", free)
        page.keys(Keys.ENTER)
        assert [page.text(th) for th in page.all(f"#host-table th[aria-sort={order}]")] == ["Free, GiB"]
        shown = [sign * float(page.text(r.find_elements("css selector", "td")[3])) for r in page.all("#host-table tbody tr")]
        assert shown == sorted(shown) and len(shown) == 30


# ---- for everybody's eyes, and on paper ----

@pytest.mark.parametrize("name", ["three", "mixed", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_contrast(show, name, scheme):
    page = show(name, scheme=scheme)
    n, weak = page.contrast(4.5)
    assert n > 90 and weak == []


def test_light_and_dark_follow_the_system_until_somebody_chooses(show):
    light, dark = (show("three", scheme=s).colour("body", "backgroundColor") for s in ("light", "dark"))
    assert light != dark
    page = show("three", scheme="light")
    page.js("document.getElementById('theme-auto').focus()")
    for colour in (light, dark, light):     # Light, Dark, and round to Auto
        page.keys(Keys.ARROW_RIGHT)
        assert page.colour("body", "backgroundColor") == colour
    page.keys(Keys.ARROW_LEFT)
    assert page.colour("body", "backgroundColor") == dark
    assert show("three", scheme="light").colour("body", "backgroundColor") == dark, "it is remembered"
    page.js("document.getElementById('theme-auto').click()")


def test_paper_is_white_and_has_the_reasons(show):
    page = show("mixed", scheme="dark")
    assert not page.one("#matrix section, #matrix > details").get_property("open"), "many reasons are behind a line"
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF-") and len(pdf) > 20_000
    assert page.one("#matrix > details").get_property("open"), "and open on paper"
    page = show("mixed", scheme="dark", media="print")
    assert page.colour("body", "backgroundColor") == "rgb(255, 255, 255)"
    assert not page.one(".bar").is_displayed() and not page.one("#filter").is_displayed()
    assert page.contrast(4.5)[1] == []


@pytest.mark.parametrize("name", ["three", "mixed", "hostile"])
def test_a_narrow_screen_is_not_wider_than_itself(show, name):
    page = show(name, width=360)
    assert page.js("return document.documentElement.scrollWidth") <= 360


def test_it_can_be_read_without_its_script(show):
    page = show("three", script=False)
    data = data_of(page)
    assert not page.js("return document.documentElement.classList.contains('scripted')")
    assert not page.one("#filter").is_displayed(), "what needs the script is not there"
    reasons = {li.get_property("value"): page.text(li) for li in page.all(".reasons li")}
    for cell in page.all("table.heat td"):
        reason = reason_of(data, cell)
        if reason["answer"] != "yes":
            assert reason["text"] in reasons[int(page.text(cell.find_element("css selector", "sub")))]
    assert "web1 on ada" in page.text("table.heat") and "1 host" in page.text("#kinds")


# ---- names that want to be something else ----

def test_hostile_names_are_text(show):
    page = show("hostile")
    assert page.log() == [], "evil() is not defined: it would say so"
    assert len(page.all("script")) == 2 and page.all("img, b, iframe") == [] and len(page.all("style")) == 1
    assert page.text("h1") == f"Pool </title>{EVIL_HOST}"
    assert page.driver.title == f"Pool </title>{EVIL_HOST}, 2026-11-30T06:00:00Z"
    assert sorted(page.text(th) for th in page.all("#host-table tbody th")) == [EVIL_HOST, r"\xff\xfe<!--<b>\xe2\x80\xae"]
    assert "CPU </style><script>evil()</script>" in page.text("#kinds")
    data = data_of(page)
    assert [h["name"] for h in data["hosts"]] == [EVIL_HOST, r"\xff\xfe<!--<b>\xe2\x80\xae"]
    assert data["hosts"][0]["vms"][0]["name"] == "<img src=x onerror=evil()>&amp;\"'`\n# x\x1b[31m\\"
    for cell in page.all("table.heat td"):
        page.js("arguments[0].focus()", cell)
    for node in page.all("svg a"):
        page.js("arguments[0].focus()", node)
    for details in page.all("details"):
        page.js("arguments[0].open = true", details)
    page.driver.execute_async_script("setTimeout(arguments[0])")
    assert page.log() == [] and page.all("img, b, iframe") == []


# ---- large ----

@pytest.mark.slow
def test_3000_hosts_are_a_page_of_some_megabytes(show, drawn):
    assert drawn("large").stat().st_size < 5_000_000
    page = show("large")
    assert page.log() == []
    assert len(page.all("#host-table tbody tr")) == 3000
    assert 0 < len(page.all("table.heat tbody tr")) <= 60 and len(page.all("table.heat thead th")) <= 41
    assert 0 < len(page.all("svg a")) <= 24
    assert page.js("return document.documentElement.scrollWidth") <= 1200
    page.one("#filter").send_keys("silent")
    shown = page.js("return Array.from(document.querySelectorAll('#host-table tbody tr')).filter(r => !r.hidden).length")
    assert page.text("#found") == f"{shown} of 3,000 hosts" and shown == data_of(page)["pool"]["silent"] > 0
