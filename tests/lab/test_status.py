# SPDX-License-Identifier: MIT
"""xenlevel status in a real dom0: the trial goes through the gate to the hypervisor, and creates nothing."""

import json

import pytest

from xenlab.tools import GATE

STATE = "/var/lib/xenlevel"


def status(host, rc):
    done = host.run("xenlevel status --json", env={"XENLEVEL_LOG": "/root/never"})
    assert done.rc == rc, (done.out, done.err)
    answers = {}
    for check in json.loads(done.out)["checks"]:
        answers.setdefault(check["check"], []).append((check["answer"], check["text"]))
    return answers


@pytest.fixture
def helper(sandybridge):
    """Where this host's libxl has its helper; afterwards it is there again."""
    path = sandybridge.run("ls /usr/lib/xen-*/bin/libxl-save-helper").out.strip()
    yield path
    sandybridge.run(f"[ ! -e {path}.stock ] || mv -f {path}.stock {path}; rm -rf {STATE}")


def test_status(sandybridge, helper):
    before = status(sandybridge, 1)
    assert before["login"] == [("no", f"{helper} is Xen's own")] and "refuses" not in before
    assert before["livepatch"][0][0] == "unused" and "not in Xen 4.17" in before["livepatch"][0][1]
    domains = sandybridge.run("xl list").out

    sandybridge.run(f"mv {helper} {helper}.stock && ln {GATE} {helper} && mkdir -p {STATE} && xenlevel host -o {STATE}/host.xlp")
    after = status(sandybridge, 0)
    assert after["login"][0][0] == "yes" and after["host"][0][0] == "yes"
    (answer, text), = after["refuses"]
    assert answer == "yes" and text.endswith("is refused by name"), text
    assert sandybridge.run("xl list").out.split("\n")[1:][0].split()[:2] == domains.split("\n")[1:][0].split()[:2]
    assert len(sandybridge.run("xl list").out.split("\n")) == len(domains.split("\n"))
    assert sandybridge.run("[ -e /root/never ]").rc       # the logs of the trial are syslog's

    # Without a variable: through the gate, to Xen's helper beside it.
    sandybridge.create_probe("p").check()
    sandybridge.save("p", "/root/p.img", env={"XENLEVEL_LOG": "/root/gate.log"})
    sandybridge.restore("/root/p.img", env={"XENLEVEL_LOG": "/root/gate.log"})
    assert sandybridge.wait_probe("p", 2).healthy
    assert "passed: 'p' (PVH" in sandybridge.run("cat /root/gate.log").out
    sandybridge.run("xl destroy p; rm -f /root/p.img /root/gate.log")
