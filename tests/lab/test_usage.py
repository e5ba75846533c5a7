# SPDX-License-Identifier: MIT
"""What guests of a real Xen have used of their CPU: asked while they run, and out of their images."""

import json


def usage(host, arg):
    return json.loads(host.run(["xenlevel", "usage", "--json", arg]).check().out)


def by_usage(answer):
    kinds = {}
    for f in answer["features"]:
        kinds.setdefault(f["usage"], set()).add(f["name"])
    return kinds


def test_a_pvh_guest_and_its_image(cascadelake):
    cascadelake.create_probe("used").check()
    answer = usage(cascadelake, "used")
    kinds = by_usage(answer)
    assert (answer["type"], answer["vcpus"], answer["vcpus_offline"], answer["beyond_policy"]) == ("PVH", 1, 0, [])
    # The probe runs in 64-bit mode with SSE, and has executed no XSETBV (noavx).
    assert {"lm", "pae", "sse"} <= kinds["in-use"] and "pku" in kinds["never"] and {"movbe", "bmi1"} <= kinds["untraced"]
    assert answer["summary"] == "never on: pku"
    assert cascadelake.wait_probe("used", 2).healthy        # nothing has paused it
    cascadelake.save("used", "/root/used.save").check()
    saved = usage(cascadelake, "/root/used.save")
    assert saved["features"] == answer["features"] and saved["summary"] == answer["summary"]


def test_a_pv_guest_and_its_image(cascadelake):
    cascadelake.start_pv_linux("pv")
    answer = usage(cascadelake, "pv")
    kinds = by_usage(answer)
    assert (answer["type"], answer["vcpus"], answer["beyond_policy"]) == ("PV", 1, [])
    # Linux switches XSAVE on; what is Xen's (PAE, NX, long mode) tells nothing of the guest.
    assert "xsave" in kinds["in-use"] and {"pae", "nx", "lm", "movbe"} <= kinds["untraced"]
    before = cascadelake.pv_ticks("pv")[-1]
    usage(cascadelake, "pv")
    cascadelake.wait_pv_tick("pv", before)
    cascadelake.save("pv", "/root/pv.save").check()
    assert by_usage(usage(cascadelake, "/root/pv.save")) == kinds
