# SPDX-License-Identifier: MIT
"""xl-sim and xenlevel on simulated hosts: the real server, the real core, other machines."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XEN_SIM = BUILD / "xen" / "sim" / "xen-sim"
XL = BUILD / "tools" / "xl" / "xl-sim"
XENLEVEL = BUILD / "tools" / "xenlevel" / "xenlevel"
MACHINES = ROOT / "xen" / "sim" / "machines"
HANGS = 600     # seconds after which something hangs, and is not only slow
PENRYN, SANDY, IVY, CASCADE = "intel-penryn", "intel-sandybridge-ep", "intel-ivybridge-ep", "intel-cascadelake-sp"


class Host:
    def __init__(self, path, machine, *options, cmdline=(), stepped=True):
        self.path, self.socket = path, path / f"{machine}.sock"
        argv = [XEN_SIM, "--machine", MACHINES / f"{machine}.ini", "--socket", self.socket, *options]
        argv += ["--stepped"] if stepped else []
        argv += ["--", *cmdline] if cmdline else []
        self.process = subprocess.Popen([*map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline()
        assert "ready" in ready, (ready, self.process.communicate(timeout=HANGS))

    def run(self, *args, status=0, program=XL):
        env = dict(os.environ, XENLEVEL_HOST=str(self.socket))
        done = subprocess.run([program, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=env, cwd=self.path, timeout=HANGS)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        if status is not None:
            assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done

    def ask(self, *args, **more):
        return json.loads(self.run(*args, "--json", **more).stdout)

    def xenlevel(self, *args, **more):
        return self.run(*args, program=XENLEVEL, **more)

    def config(self, **settings):
        """A file; without a name it is called "g"."""
        settings = {"name": "g", "memory": 4, **settings}
        file = self.path / f"{settings['name']}.cfg"
        file.write_text("".join(f"{k} = {v!r}\n" for k, v in settings.items()))
        return file

    def create(self, *options, **settings):
        return self.ask("create", *options, self.config(**settings))

    def features(self, domain):
        """The names of the features in a domain's policy."""
        self.xenlevel("show", domain, "-o", "guest.xlp")
        shown = json.loads(self.xenlevel("show", "guest.xlp", "--json").stdout)
        return {f["name"] for f in shown["policy"]["features"]}

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        _, err = self.process.communicate(timeout=HANGS)
        assert "Sanitizer" not in err and "runtime error" not in err, err


@pytest.fixture
def start(tmp_path):
    hosts = []

    def make(machine, *options, **more):
        path = tmp_path / f"{len(hosts)}"
        path.mkdir()
        hosts.append(Host(path, machine, *options, **more))
        return hosts[-1]

    yield make
    for host in hosts:
        host.stop()


# ---- info ----

CAPS = {
    PENRYN: ["1.ecx", "1.edx"],
    "intel-nehalem-ep": ["1.ecx", "1.edx", "80000001.ecx", "80000001.edx"],
    SANDY: ["1.ecx", "1.edx", "80000001.ecx", "80000001.edx", "d.1.eax"],
    IVY: ["faulting"],
    "amd-barcelona": ["1.ecx", "1.edx", "80000001.ecx", "80000001.edx"],
    "amd-vishera": ["1.ecx", "1.edx", "80000001.ecx", "80000001.edx", "6.ecx", "7.0.eax", "7.0.ebx"],
}


@pytest.mark.parametrize("machine", CAPS)
def test_levelling_capabilities(start, machine):
    host = start(machine)
    info = host.ask("info")
    assert info["machine"] == machine and info["levelling_caps"] == CAPS[machine]
    assert f"levelling_caps  {' '.join(CAPS[machine])}\n" in host.run("info").stdout
    assert info["nr_cpus"] >= 1 and info["stepped"] and info["steps"] == 0
    assert info["free_pages"] <= info["total_pages"]


def test_user_disable(start):
    host = start("amd-granite-ridge")
    assert "faulting" in host.ask("info")["levelling_caps"]
    assert "CpuidUserDis" in host.run("dmesg").stdout


def test_command_line_of_the_hypervisor(start):
    host = start(IVY, cmdline=["cpuid=no-avx", "loglvl=all"])
    assert "Command line: cpuid=no-avx loglvl=all\n" in host.run("dmesg").stdout
    # It is taken from those who are born there, with all that stands on it.
    host.create("-p", name="q", type="pvh")
    assert not host.features("q") & {"avx", "avx2", "fma", "f16c"}


# ---- domains ----

@pytest.mark.parametrize("kind", ["pv", "pvh", "hvm"])
@pytest.mark.parametrize("guest", ["steady", "writer", "vector"])
def test_life_of_a_domain(start, kind, guest):
    host = start(CASCADE)
    free = host.ask("info")["free_pages"]
    made = host.create(type=kind, vcpus=3, guest=guest, memory=2)
    if kind == "pv":    # this CPU faults: its programs read its policy
        assert made.pop("programs") == {"known": True, "exact": True, "stays_visible": [], "cannot_be_shown": [],
                                        "identity_changes": [], "other_leaves": []}
    assert made == {"domid": 1, "name": "g", "type": kind.upper(), "paused": False}
    (zero, one) = host.ask("list")
    assert zero["domid"] == 0 and zero["name"] == "Domain-0"
    assert one["name"] == "g" and one["type"] == kind.upper() and one["vcpus"] == 3 and one["pages"] == 512
    assert host.ask("info")["free_pages"] <= free - 512

    host.run("run", 300)
    status = host.ask("status", "g")
    assert status["guest"] == guest and [v["status"] for v in status["vcpus"]] == ["running"] * 3
    assert all(v["ticks"] > 0 for v in status["vcpus"])
    assert sum(v["ticks"] for v in status["vcpus"]) == 300
    assert host.ask("list", "g")[0]["time_ns"] > 0

    host.run("pause", "g")
    assert host.ask("list", "g")[0]["paused"]
    assert host.ask("run", 100, status=1)["made"] == 0
    host.run("unpause", "g")
    assert host.ask("run", 100)["made"] == 100

    host.run("destroy", "g")
    assert [d["domid"] for d in host.ask("list")] == [0]
    assert host.ask("info")["free_pages"] == free
    host.run("destroy", "g", status=2)


def test_paused_until_unpaused(start):
    host = start(IVY)
    assert host.create("-p")["paused"]
    assert host.ask("run", 10, status=1)["made"] == 0
    assert host.ask("status", "g")["vcpus"][0]["ticks"] == 0
    host.run("unpause", "g")
    host.run("run", 10)


def test_columns(start):
    host = start(IVY)
    host.create(memory=16, vcpus=2)
    lines = host.run("list").stdout.splitlines()
    assert lines[0].split() == ["Name", "ID", "Mem", "VCPUs", "State", "Time(s)"]
    assert lines[2].split() == ["g", "1", "16", "2", "------", "0.0"]
    assert host.run("list", "g").stdout.splitlines() == [lines[0], lines[2]]
    assert "there is no domain called 'h'" in host.run("list", "h", status=2).stderr


def test_writer(start):
    host = start(IVY)
    host.create(guest="writer", guest_rate=5000, guest_pages=64, seed=77)
    host.run("run", 2000)
    status = host.ask("status", "g")
    assert (status["pages_per_second"], status["nr_gfns"], status["seed"]) == (5000, 64, 77)
    vcpu, = status["vcpus"]
    seconds = vcpu["time_ns"] / 1e9
    assert vcpu["work"] > 0 and abs(vcpu["work"] - 5000 * seconds) <= 5000 * seconds * 0.1 + 2, vcpu


def test_equal_seeds_have_equal_histories(start):
    answers = []
    for _ in range(2):
        host = start(CASCADE, "--seed", "99")
        for name, guest in (("a", "steady"), ("b", "writer"), ("c", "vector")):
            host.create(name=name, guest=guest, vcpus=2)
        host.run("run", 5000)
        answers.append([host.ask("status", name) for name in "abc"] + [host.ask("info")])
    assert answers[0] == answers[1]


def test_free_running_host(start):
    host = start(IVY, stepped=False)
    host.create()
    deadline = time.monotonic() + HANGS
    while host.ask("status", "g")["vcpus"][0]["ticks"] < 100:
        assert time.monotonic() < deadline
    host.run("run", 5, status=2)


# ---- configuration ----

def test_settings_before_the_file(start):
    host = start(IVY)
    file = host.config(memory=4, vcpus=1)
    host.run("create", file, "memory=8", "name=other", 'guest="writer"', "vcpus=2")
    domain, = host.ask("list", "other")
    assert domain["pages"] == 8 * 256 and domain["vcpus"] == 2
    assert host.ask("status", "other")["guest"] == "writer"
    host.run("create", "/dev/null", "name=third", "memory=1")


WRONG = {
    "unknown key": ("name = 'g'\n# note\nmemroy = 64\n", "g.cfg:3: a simulated guest has no setting 'memroy'"),
    "behind a list": ("name = 'g'\ndisk = [ 'a',\n 'b' ]\nx = 1\n", "g.cfg:4: a simulated guest has no setting 'x'"),
    "in one line": ("name = 'g'; x = 'a;b=c'; y = 1\n", "g.cfg:1: a simulated guest has no setting 'y'"),
    "syntax": ("name = 'g'\nmemory = = 3\n", "g.cfg:2: config parsing error near `='"),
    "not closed": ("name = 'g\n", "g.cfg:1: "),
    "not a number": ("name = 'g'\nmemory = 'much'\n", "g.cfg:2: "),
    "a list": ("name = 'g'\nvcpus = [ '1' ]\n", "g.cfg:2: "),
    "no name": ("memory = 4\n", "a guest needs a name"),
    "name with a slash": ("name = '../g'\n", "letters, digits"),
    "name of digits": ("name = '7'\n", "does not begin with a digit"),
    "too many vCPUs": ("name = 'g'\nvcpus = 42\n", "vcpus = 42: it must be from 1 to 41"),
    "no vCPU": ("name = 'g'\nvcpus = 0\n", "vcpus = 0: it must be from 1 to 41"),
    "negative": ("name = 'g'\nmemory = '-1'\n", "memory = -1: it must be from 1 to"),
    "first key": ("nmae = 'g'\n", "g.cfg:1: a simulated guest has no setting 'nmae'"),
    "added to": ("name = 'g'\nextra += 'x'\n", "g.cfg:2: a simulated guest has no setting 'extra'"),
    "type": ("name = 'g'\ntype = 'arm'\n", "type = 'arm': it must be pv, pvh or hvm"),
    "guest": ("name = 'g'\nguest = 'linux'\n", "guest = 'linux': it must be steady, writer or vector"),
    "topology": ("name = 'g'\nvcpus = 4\ncores = 3\n", "does not have 4 vCPUs"),
    "pages": ("name = 'g'\nguest = 'writer'\nmemory = 1\nguest_pages = 256\n", "in 1 MiB there are 212"),
    "no such policy": ("name = 'g'\ncpu_policy = 'none.xlp'\n", "none.xlp: No such file"),
    "zero byte": ("name = 'g'\0\n", "this is not text"),
}


@pytest.fixture(scope="module")
def ivy(tmp_path_factory):
    """One for tests that leave nothing behind."""
    host = Host(tmp_path_factory.mktemp("ivy"), IVY)
    yield host
    host.stop()


@pytest.mark.parametrize("what", WRONG)
def test_wrong_configuration(ivy, what):
    text, says = WRONG[what]
    free = ivy.ask("info")["free_pages"]
    (ivy.path / "g.cfg").write_text(text)
    done = ivy.run("create", "g.cfg", status=2)
    assert says in done.stderr and done.stdout == "", done.stderr
    assert [d["domid"] for d in ivy.ask("list")] == [0] and ivy.ask("info")["free_pages"] == free


def test_strings_with_quotes(ivy):
    (ivy.path / "g.cfg").write_text("name = \"g\" # a 'note\nguest = 'vector'\nmemory = 1\n")
    ivy.run("create", "g.cfg", "-p")
    ivy.run("destroy", "g")


def test_bad_setting_on_the_command_line(ivy):
    assert "'memory' is not a setting" in ivy.run("create", "/dev/null", "memory", status=2).stderr
    assert "command line:1: " in ivy.run("create", "/dev/null", "x=1", status=2).stderr


def test_names_are_unique(ivy):
    ivy.create()
    said = "there is a domain called 'g' already: it is domain"
    assert said in ivy.run("create", ivy.config(), status=2).stderr
    ivy.run("save", "-c", "g", "g.save")
    assert said in ivy.run("restore", "g.save", status=2).stderr  # the same words: one function
    ivy.run("destroy", "g")


def test_what_fails_half_way_is_gone(ivy):
    free = ivy.ask("info")["free_pages"]
    done = ivy.run("create", ivy.config(memory=65536), status=2)
    assert "the host has none left" in done.stderr
    assert [d["domid"] for d in ivy.ask("list")] == [0] and ivy.ask("info")["free_pages"] == free


def test_no_hvm_on_a_machine_without_it(start):
    host = start(PENRYN)
    assert not host.ask("info")["hvm"]
    assert "this host runs no HVM guests" in host.run("create", host.config(type="hvm"), status=2).stderr
    host.create(type="pv")


# ---- CPUs ----

def captured(*hosts):
    """A pool's level over these hosts, made as people make it."""
    for host in hosts:
        host.xenlevel("host", "-o", hosts[0].path / f"{host.ask('info')['machine']}.xlp")
    files = sorted(p.name for p in hosts[0].path.glob("*.xlp"))
    hosts[0].xenlevel("level", *files, "-o", "pool.xlp")
    for host in hosts[1:]:
        shutil.copy(hosts[0].path / "pool.xlp", host.path)
    return files


def test_name_of_a_captured_host(start):
    host = start(IVY)
    assert json.loads(host.xenlevel("host", "--json").stdout)["name"] == IVY
    assert (host.path / f"{IVY}.xlp").exists()


@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_level_of_two_unlike_hosts(start, kind):
    old, new = start(SANDY), start(CASCADE)
    captured(old, new)
    new.create("-p", name="born", type=kind)
    new.create("-p", name="later", type=kind)
    new.create(name="built", type=kind, cpu_policy=str(new.path / "pool.xlp"))
    # Without EIBRS returns are predicted from elsewhere without restriction: RSBA where RRSBA was.
    assert "rrsba" in new.features("born")
    assert new.features("built") - {"rsba"} < new.features("born")

    # What was born there cannot go to the older host; by name.
    done = new.xenlevel("check", "born", old.path / f"{SANDY}.xlp", status=1)
    assert "avx2" in done.stdout and "cannot run" in done.stdout
    # `xenlevel apply` to a paused domain does what cpu_policy= does.
    new.xenlevel("apply", "later", "pool.xlp")
    assert new.features("later") == new.features("built")
    for name in ("later", "built"):
        new.xenlevel("check", name, old.path / f"{SANDY}.xlp")
    # The guest runs on it, and sees it.
    new.run("run", 100)
    assert new.ask("status", "built")["vcpus"][0]["status"] == "running"
    # A domain that has run keeps its CPU.
    new.run("unpause", "later")
    new.run("run", 10)
    assert "has run already" in new.xenlevel("apply", "later", "pool.xlp", status=2).stderr


def test_a_level_for_another_vendor(start):
    intel, amd = start(IVY), start("amd-vishera")
    captured(intel)
    done = amd.run("create", amd.config(cpu_policy=str(intel.path / "pool.xlp")), status=2)
    assert "another vendor" in done.stderr
    assert len(amd.ask("list")) == 1


@pytest.mark.parametrize("kind", ["pv", "hvm"])
def test_a_cpu_that_the_host_does_not_have(start, kind):
    """The hypervisor refuses; the features that stand in the way are named."""
    old, new = start(IVY), start(CASCADE)
    new.create("-p", type=kind)
    new.xenlevel("show", "g", "-o", "guest.xlp")
    done = old.run("create", old.config(type=kind, cpu_policy=str(new.path / "guest.xlp")), status=2)
    assert "was not given its CPU policy" in done.stderr and "avx2" in done.stderr
    assert len(old.ask("list")) == 1
    # The log of the hypervisor names it too, or where it is.
    old.create(type=kind)
    assert "avx2" not in old.features("g")


def test_a_hazard_that_it_was_not_told_of(start):
    """The host has every feature of the guest, and a warning beside: that is the reason, and it is named."""
    old, new = start("intel-haswell-ep"), start("intel-skylake-sp")
    old.create("-p", type="pvh")
    old.xenlevel("show", "g", "-o", "guest.xlp")
    done = new.run("create", new.config(type="pvh", cpu_policy=str(old.path / "guest.xlp")), status=2)
    assert "was not given its CPU policy" in done.stderr
    assert [line.split()[0] for line in done.stderr.splitlines() if line.startswith("  ")] == ["rsba"]
    assert len(new.ask("list")) == 1


def test_a_cpu_that_needs_nested_paging(start):
    """A shadow guest has less than the host's policies for HVM guests say."""
    host = start(CASCADE)
    host.create("-p", type="pvh")
    host.xenlevel("show", "g", "-o", "guest.xlp")
    done = host.run("create", host.config(name="s", type="pvh", hap=0, cpu_policy=str(host.path / "guest.xlp")), status=2)
    assert "was not given its CPU policy" in done.stderr and "pcid" in done.stderr


def test_a_host_is_no_level(start):
    host = start(IVY)
    host.xenlevel("host", "-o", "me.xlp")
    assert "is a host" in host.run("create", host.config(cpu_policy="me.xlp"), status=2).stderr


def test_vector_guest_uses_what_it_was_given(start):
    host = start(CASCADE)
    old = start(SANDY)
    captured(host, old)
    host.create(name="all", guest="vector", type="pvh")
    host.create(name="less", guest="vector", type="pvh", cpu_policy="pool.xlp")
    host.run("run", 200)
    most, less = (host.ask("status", name)["vcpus"][0] for name in ("all", "less"))
    assert most["work"] and less["work"] and most["level"] < less["level"]  # in its list, the best first


@pytest.mark.parametrize("machine", [CASCADE, "amd-bergamo"])
def test_topology(start, machine):
    host = start(machine)
    host.create("-p", type="pvh", vcpus=8, threads=2, cores=2, sockets=2)
    leaves = [{(l["leaf"], l.get("subleaf")): l for l in host.ask("cpuid", "g", "--vcpu", n)["leaves"]}
              for n in range(8)]
    ids = [int(view["0x0000000b", 0]["edx"], 16) for view in leaves]
    assert len(set(ids)) == 8
    shift = int(leaves[0]["0x0000000b", 0]["eax"], 16)
    assert len({i >> shift for i in ids}) == 4  # cores
    shift = int(leaves[0]["0x0000000b", 1]["eax"], 16)
    assert len({i >> shift for i in ids}) == 2  # sockets
    assert [int(view["0x00000001", None]["ebx"], 16) >> 24 for view in leaves] == ids
    host.run("cpuid", "g", "--vcpu", 8, status=2)


def leaf_one(host, *args):
    return next(l for l in host.ask("cpuid", "g", *args)["leaves"] if l["leaf"] == "0x00000001")


@pytest.mark.parametrize("options", [(), ("--stock",)])
@pytest.mark.parametrize("kind", ["pv", "pvh"])
def test_what_a_vcpu_reads_now(start, kind, options):
    """The host answers from the vCPU itself: OSXSAVE follows its CR4, the policy does not say it."""
    host = start(CASCADE, *options)
    host.create("-p", type=kind, vcpus=2)
    osxsave = 1 << 27

    before = leaf_one(host), leaf_one(host, "--vcpu", 0)
    assert not int(before[1]["ecx"], 16) & osxsave
    host.run("unpause", "g")
    host.run("run", 20)
    after = leaf_one(host), leaf_one(host, "--vcpu", 0)
    assert after[0] == before[0]
    assert int(after[1]["ecx"], 16) == int(before[1]["ecx"], 16) | osxsave


def test_what_stays_visible(start):
    host = start(PENRYN)
    (host.path / "less.cfg").write_text("")
    host.create(name="pv")
    cpu = host.ask("cpuid", "pv")
    assert cpu["costs_switches"] in (True, False) and isinstance(cpu["visible"], list)
    names = {f["name"] for f in cpu["visible"]}
    # A leaf that Penryn's mask MSR does not cover.
    assert "dts" in names and not names & host.features("pv")
    text = host.run("cpuid", "pv").stdout
    assert "stay visible" in text and "dts" in text


def test_nothing_stays_visible_with_faulting(start):
    host = start(IVY)
    host.create(name="pv")
    host.create(name="pvh", type="pvh")
    cpu = host.ask("cpuid", "pv")
    assert cpu["visible"] == [] and cpu["costs_switches"] is False
    assert "visible" not in host.ask("cpuid", "pvh")


def test_what_programs_see_otherwise(start):
    """On Sandy Bridge masks cannot set a bit that the CPU shows as 0."""
    host = start(SANDY)
    made = host.create(name="pv")["programs"]
    assert made["known"] and not made["exact"]
    assert "hypervisor" in {f["name"] for f in made["cannot_be_shown"]}
    assert "hypervisor leaves" in made["identity_changes"] and "brand" not in made["identity_changes"]
    cpu = host.ask("cpuid", "pv")
    assert cpu["programs"] == made
    assert "cannot be shown, though its policy has it: hypervisor" in host.run("cpuid", "pv").stdout
    text = host.run("create", host.config(name="other")).stdout
    assert "is domain 2" in text and "cannot be shown: hypervisor" in text and "stays visible: " in text
    assert "programs" not in host.create(name="pvh", type="pvh")


def test_check_of_a_domain_knows_where_it_is(start):
    sandy, haswell = start(SANDY), start("intel-haswell-ep")
    captured(sandy, haswell)
    sandy.create(name="pv", cpu_policy=str(sandy.path / "pool.xlp"))
    there = sandy.path / "intel-haswell-ep.xlp"
    done = sandy.xenlevel("check", "pv", there)
    assert "can run on" in done.stdout and f"move from {SANDY} to" in done.stdout
    assert "appears: hypervisor" in done.stdout
    assert "refused by --strict" in sandy.xenlevel("check", "--strict", "pv", there, status=1).stdout
    haswell.create(name="pv", cpu_policy=str(haswell.path / "pool.xlp"))
    assert "move from" not in haswell.xenlevel("check", "--strict", "pv", there).stdout


def test_apply_strict(start):
    sandy, haswell = start(SANDY), start("intel-haswell-ep")
    captured(sandy, haswell)
    for host in (sandy, haswell):
        host.create("-p", name="pv")
        host.create("-p", name="pvh", type="pvh")
    before = sandy.features("pv")
    for options in (["--strict"], ["-s", "--dry-run"]):
        done = sandy.xenlevel("apply", *options, "pv", "pool.xlp", status=1)
        assert "refused by --strict" in done.stderr and "cannot be shown: hypervisor" in done.stderr
    assert sandy.features("pv") == before       # nothing was changed
    sandy.xenlevel("apply", "--strict", "pvh", "pool.xlp")
    haswell.xenlevel("apply", "--strict", "pv", "pool.xlp")

    done = sandy.xenlevel("apply", "--dry-run", "pv", "pool.xlp")
    assert "cannot be shown: hypervisor" in done.stdout
    answer = json.loads(sandy.xenlevel("apply", "--json", "pv", "pool.xlp").stdout)
    assert answer["as_asked"] and answer["programs"]["known"] and not answer["programs"]["exact"]
    assert "hypervisor" in {f["name"] for f in answer["programs"]["cannot_be_shown"]}
    assert sandy.features("pv") < before


# ---- the host ----

def test_clear_the_log(start):
    host = start(IVY)
    assert "Levelling" in host.run("dmesg", "-c").stdout
    assert host.run("dmesg").stdout == ""


def test_power_off(start):
    host = start(IVY)
    host.run("poweroff")
    assert host.process.wait(600) == 0
    assert "no simulated host at" in host.run("list", status=2).stderr


def test_dead_host(start):
    host = start(IVY)
    host.process.send_signal(signal.SIGKILL)
    host.process.wait(600)
    assert "no simulated host at" in host.run("list", status=2).stderr
    assert "no simulated host at" in host.xenlevel("host", status=2).stderr


def test_no_domain_0(ivy):
    assert "the host's own" in ivy.run("destroy", "0", status=2).stderr
    ivy.run("pause", "0", status=2)
    assert "no scripted guest" in ivy.run("status", "0", status=2).stderr


@pytest.mark.parametrize("command", ["pause", "unpause", "destroy", "status", "cpuid"])
def test_unknown_domain(ivy, command):
    assert "there is no domain called 'nobody'" in ivy.run(command, "nobody", status=2).stderr
    assert "there is no domain 99" in ivy.run(command, "99", status=2).stderr


# ---- the program ----

def test_help(ivy):
    commands = ("info", "list", "create", "destroy", "pause", "unpause", "cpuid", "status", "dmesg", "run", "poweroff")
    listed = ivy.run("--help").stdout
    for command in commands:
        assert f"\n  {command} " in listed
        text = ivy.run(command, "--help").stdout
        assert text.startswith(f"usage: xl-sim {command} ") and "--socket PATH" in text
    assert ivy.run("--version").stdout.startswith("xl-sim ")


def test_usage(ivy):
    assert "there is no command 'fly'" in ivy.run("fly", status=2).stderr
    for args in (("pause",), ("pause", "a", "b"), ("info", "x"), ("create",), ("run",), ("run", "many"), ("run", "-1"),
                 ("list", "--nope"), ("cpuid", "0", "-n", "x"), ("dmesg", "x"), ("poweroff", "now"), ("--nope",), ()):
        assert ivy.run(*args, status=2).stdout == ""


def test_closed_output(ivy):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([XL, "list"], stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True,
                              env=dict(os.environ, XENLEVEL_HOST=str(ivy.socket)), timeout=HANGS)
    assert done.returncode == 2 and "standard output" in done.stderr


# ---- cpuid = ----

def test_cpuid_of_a_configuration(start):
    """Names and bit strings give a domain what libxl would; what stands on a hidden feature goes with it."""
    host = start(CASCADE)
    host.create(name="plain", type="pvh")
    plain = host.features("plain")
    host.create(name="names", type="pvh", cpuid="host,avx2=0,rdrand=0")
    assert plain - host.features("names") >= {"avx2", "rdrand"}
    bits = ["x" * 26 + "0" + "x" * 5, "x0" + "x" * 30]
    host.create(name="bits", type="pvh", cpuid=[f"0x7,0:ebx={bits[0]}", f"1:ecx={bits[1]}"])
    assert host.features("bits") == host.features("names")
    host.create(name="closed", type="pvh", cpuid="host,xsave=0")
    assert plain - host.features("closed") >= {"xsave", "avx", "avx2", "fma"}


@pytest.mark.parametrize("setting, what", [
    ({"cpuid": "host,nothere=0"}, "cpuid: 'nothere': libxl knows no such name"),
    ({"cpuid": ["0x7,0:ebx=01"]}, "cpuid: '0x7,0:ebx=01': not LEAF"),
    ({"cpuid": "host,avx2=0", "cpu_policy": "x.xlp"}, "cpuid and cpu_policy exclude each other"),
    ({"cpuid": "host,movdiri=1"}, "movdiri"),
])
def test_cpuid_that_cannot_be(start, setting, what):
    host = start(CASCADE)
    done = host.run("create", host.config(type="pvh", **setting), status=2)
    assert what in " ".join(done.stderr.split())
    assert [d for d in host.ask("list") if d["name"] == "g"] == []
