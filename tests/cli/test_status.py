# SPDX-License-Identifier: MIT
"""xenlevel status, enable, disable: a root of files, a gate in it, and a simulated host that the gate asks."""

import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("XENLEVEL_BUILD", ROOT / "build"))
XENLEVEL = BUILD / "tools/xenlevel/xenlevel"
GATE = BUILD / "tests/migration/gate/engine-under-test"
BIN = "usr/lib/xen-4.17/bin"
HELPER = f"{BIN}/libxl-save-helper"
DROP_IN = "etc/systemd/system/{}.service.d/xenlevel.conf"
UNITS = ["xendomains", "libvirtd", "virtxend"]
LIBVIRTD = "[Unit]\nDescription=x\n[Service]\nEnvironment=LIBVIRTD_ARGS=\"--timeout 120\"\nEnvironmentFile=-/etc/default/libvirtd\n"


class Machine:
    """A folder that looks like a dom0's root."""

    def __init__(self, path, socket):
        self.root, self.socket = path / "root", socket
        for folder in (BIN, "etc/systemd/system", "etc/init.d", "etc/default", "usr/lib/systemd/system", "var/lib/xenlevel"):
            (self.root / folder).mkdir(parents=True)
        self.program(HELPER, "#!/bin/sh\nexit 1\n")
        self.program("etc/init.d/xendomains", "#!/bin/sh\n")
        self.write("usr/lib/systemd/system/libvirtd.service", LIBVIRTD)

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def program(self, name, text):
        self.write(name, text)
        (self.root / name).chmod(0o755)

    def put_gate(self, name):
        shutil.copy(GATE, self.root / name)

    def divert(self):
        """What the package does, but for dpkg."""
        (self.root / HELPER).rename(self.root / f"{HELPER}.stock")
        self.put_gate(HELPER)

    def run(self, *args, status=0, env=None):
        env = dict(os.environ, XENLEVEL_HOST=str(self.socket), **(env or {}))
        done = subprocess.run([XENLEVEL, args[0], "--root", self.root, *map(str, args[1:])], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, env=env, timeout=600)
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        assert done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
        return done

    def status(self, *args, status=0, **more):
        """{check: [(answer, text)]}"""
        answer = json.loads(self.run("status", "--json", *args, status=status, **more).stdout)
        assert answer["on"] == (status == 0)
        checks = {}
        for c in answer["checks"]:
            checks.setdefault(c["check"], []).append((c["answer"], c["text"]))
        return checks

    def files(self):
        return {str(p.relative_to(self.root)): p.read_bytes() for p in (self.root / "etc").rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def socket(tmp_path_factory):
    path = tmp_path_factory.mktemp("host") / "s"
    sim = subprocess.Popen([BUILD / "xen/sim/xen-sim", "-m", "intel-haswell-ep", "-s", path], stdout=subprocess.PIPE)
    assert sim.stdout.readline()
    yield path
    sim.terminate()
    sim.wait(600)


@pytest.fixture
def machine(tmp_path, socket):
    return Machine(tmp_path, socket)


# ---- status ----

def test_nothing_is_on(machine):
    checks = machine.status(status=1)
    for check in ("login", "xendomains", "libvirtd"):
        assert checks[check] == [("no", f"/{HELPER} is Xen's own")]
    assert checks["virtxend"] == [("unused", "not installed")]
    assert "refuses" not in checks         # the stock helper is never started


def test_in_the_helpers_place(machine):
    machine.divert()
    checks = machine.status()
    assert checks["place"] == [("yes", f"/{HELPER} is the gate")]
    assert {checks[c][0][0] for c in ("login", "xendomains", "libvirtd")} == {"yes"}
    (answer, text), = checks["refuses"]
    assert answer == "yes" and text.endswith("is refused by name") and f"/{HELPER}: " in text
    assert "refuses" not in machine.status("--no-trial")


def test_each_gate_is_tried_once(machine):
    machine.divert()
    machine.put_gate("gate")
    machine.write("etc/environment", "LIBXL_SAVE_HELPER=/gate\n")
    for unit, helper in (("xendomains", "/gate"), ("libvirtd", f"/{HELPER}")):
        machine.write(DROP_IN.format(unit), f"[Service]\nEnvironment=LIBXL_SAVE_HELPER={helper}\n")
    assert [text.split(":")[0] for _, text in machine.status()["refuses"]] == [f"/{HELPER}", "/gate"]


def test_the_trial_creates_nothing(machine, socket):
    machine.divert()

    def domains():
        return subprocess.run([BUILD / "tools/xl/xl-sim", "-s", socket, "list"], capture_output=True, text=True, check=True).stdout

    before = domains()
    machine.status()
    assert domains() == before


@pytest.mark.parametrize("script, why", [
    ("exit 0", "was not refused for it (exit status 0)"),
    ("exit 1", "was not refused for it (exit status 1)"),
    ("printf 'refused: because'; exit 1", "was not refused for it"),
])
def test_a_gate_that_does_not_refuse(machine, script, why):
    machine.divert()
    machine.program(HELPER, f"#!/bin/sh\n# xenlevel-save-helper stands here for libxl-save-helper\n{script}\n")
    assert why in machine.status(status=1)["refuses"][0][1]


def test_what_is_given_up_does_not_weaken_the_trial(machine):
    machine.divert()
    machine.status(env={"XENLEVEL_ALLOW": "vme", "XENLEVEL_STREAM": "nonsense"})


def test_a_stock_helper_that_is_gone(machine):
    machine.divert()
    (machine.root / f"{HELPER}.stock").unlink()
    assert "not beside it" in machine.status(status=1)["place"][0][1]


def test_a_name_without_a_helper(machine):
    (machine.root / HELPER).rename(machine.root / f"{HELPER}.stock")
    assert "nothing can be saved or restored" in machine.status(status=1)["place"][0][1]


def test_a_second_xen_without_the_gate(machine):
    machine.divert()
    machine.program("usr/lib/xen-4.20/bin/libxl-save-helper", "#!/bin/sh\n")
    checks = machine.status(status=1)
    assert [c[0] for c in checks["place"]] == ["yes", "unused"]
    assert checks["libvirtd"] == [("no", "/usr/lib/xen-4.20/bin/libxl-save-helper is Xen's own")]


def test_no_xen_answers(machine, tmp_path):
    machine.divert()
    machine.socket = tmp_path / "nobody"
    checks = machine.status(status=1)
    assert checks["refuses"][0] == ("unknown", f"/{HELPER}: not tried: no Xen answers here")
    assert checks["livepatch"][0][0] == "unknown"


def test_a_level_that_is_kept_and_not_loaded(machine, tmp_path):
    """No live patch is in a simulated host: what is kept for the boot is not what new domains are born on."""
    machine.divert()
    assert "born" not in machine.status()
    path = machine.root / "var/lib/xenlevel/level.xlp"
    path.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "XENLEVEL_HOST": str(machine.socket)}
    subprocess.run([XENLEVEL, "host", "--name", "a", "-o", tmp_path / "a.xlp"], env=env, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([XENLEVEL, "level", tmp_path / "a.xlp", "-o", path], check=True, stdout=subprocess.DEVNULL)
    assert machine.status(status=1)["born"] == [("no", f"not on the level of 'level', which is in {path}")]
    path.write_bytes(path.read_bytes()[:-1])
    assert machine.status(status=1)["born"] == [("no", f"{path} cannot be read")]


@pytest.mark.parametrize("files, answer", [
    ({DROP_IN.format("libvirtd"): "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/gate\n"}, "yes"),
    ({DROP_IN.format("libvirtd"): "[Service]\nEnvironment=A=1 \"LIBXL_SAVE_HELPER=/gate\" B=2\n"}, "yes"),
    ({DROP_IN.format("libvirtd"): "[Unit]\nEnvironment=LIBXL_SAVE_HELPER=/gate\n"}, "no"),
    ({DROP_IN.format("libvirtd"): "[Service]\n#Environment=LIBXL_SAVE_HELPER=/gate\n"}, "no"),
    ({DROP_IN.format("libvirtd"): "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/gate\nEnvironment=\n"}, "no"),
    ({DROP_IN.format("libvirtd"): "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/gate\n",
      "etc/systemd/system/libvirtd.service.d/zz.conf": "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/usr/lib/other\n"}, "no"),
    ({"etc/systemd/system/libvirtd.service.d/zz.conf": "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/gate\n",
      "run/systemd/system/libvirtd.service.d/aa.conf": "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/usr/lib/other\n"}, "yes"),
    ({DROP_IN.format("libvirtd"): "",
      "usr/lib/systemd/system/libvirtd.service.d/xenlevel.conf": "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/gate\n"}, "no"),
    ({"etc/default/libvirtd": "# LIBXL_SAVE_HELPER=/x\nLIBXL_SAVE_HELPER='/gate'\n"}, "yes"),
    ({"etc/environment": "LIBXL_SAVE_HELPER=/gate\n"}, "no"),     # which a unit does not read
    ({DROP_IN.format("libvirtd"): "[Service]\nEnvironment=LIBXL_SAVE_HELPER=/not/there\n"}, "unknown"),
    ({DROP_IN.format("libvirtd"): "[Service]\nEnvironment=\\\n LIBXL_SAVE_HELPER=/gate\n"}, "unknown"),
    ({DROP_IN.format("libvirtd"): f"[Service]\nEnvironment=A={'x' * 300} LIBXL_SAVE_HELPER=/not/a/gate\n"}, "unknown"),
    ({DROP_IN.format("libvirtd"): f"[Service]\n# {'x' * 300}\nEnvironment=LIBXL_SAVE_HELPER=/gate\n"}, "yes"),
])
def test_environment_of_a_unit(machine, files, answer):
    machine.put_gate("gate")
    machine.program("usr/lib/other", "#!/bin/sh\n")
    for name, text in files.items():
        machine.write(name, text)
    assert machine.status("-n", status=1)["libvirtd"][0][0] == answer


def test_another_helper_hides_the_gate(machine):
    """The variable is stronger than the place."""
    machine.divert()
    machine.write(DROP_IN.format("libvirtd"), f"[Service]\nEnvironment=LIBXL_SAVE_HELPER=/{HELPER}.stock\n")
    checks = machine.status(status=1)
    assert checks["libvirtd"] == [("no", f"LIBXL_SAVE_HELPER is /{HELPER}.stock, which is not the gate")]
    assert checks["login"][0][0] == "yes"


def test_what_is_given_up_for_good_is_said(machine):
    machine.divert()
    machine.write("etc/default/libvirtd", "XENLEVEL_ALLOW=avx2\n")
    assert "gives up avx2 there" in machine.status()["libvirtd"][0][1]


def test_host_file(machine, tmp_path, socket):
    machine.divert()
    path = machine.root / "var/lib/xenlevel/host.xlp"
    env = dict(os.environ, XENLEVEL_HOST=str(socket))
    subprocess.run([XENLEVEL, "host", "-o", path], check=True, env=env, stdout=subprocess.DEVNULL)
    assert machine.status("-n")["host"][0][0] == "yes"
    dump = ROOT / "xen/sim/machines/intel-sandybridge-ep.cpuid"
    subprocess.run([XENLEVEL, "host", "--dump", dump, "-o", path], check=True, stdout=subprocess.DEVNULL)
    answer, text = machine.status("-n", status=1)["host"][0]
    assert answer == "no" and "avx2" in text
    path.write_bytes(path.read_bytes()[:-3])
    assert machine.status("-n", status=1)["host"][0][0] == "unknown"
    other = tmp_path / "none.xlp"
    assert machine.status("-n", "--host", other)["host"][0][0] == "unused"


# ---- the live patch after a reboot ----

ENABLED = "etc/systemd/system/multi-user.target.wants/xenlevel-livepatch.service"
KEPT = "var/lib/xenlevel/livepatch"
OLD_ID, NEW_ID = "11" * 20, "22" * 20


def elf(path, build_id, section):
    """An ELF file with this build-id in a section of that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-nostdlib", "-shared", f"-Wl,--build-id=0x{build_id}", "-x", "c", "/dev/null", "-o", path], check=True)
    subprocess.run(["objcopy", "--rename-section", f".note.gnu.build-id={section}", path], check=True)


def boot_image(machine, name, build_id):
    path = machine.root / "boot" / name
    elf(path, build_id, ".note")
    path.write_bytes(gzip.compress(path.read_bytes()))


def payload(machine, name, build_id):
    elf(machine.root / KEPT / f"{name}.livepatch", build_id, ".livepatch.xen_depends")


@pytest.mark.parametrize("kept, answer, why", [
    ([], "no", f"no payload for build-id {OLD_ID}"),
    ([(OLD_ID, OLD_ID)], "yes", "a payload is there"),
    ([(NEW_ID, NEW_ID)], "no", f"no payload for build-id {OLD_ID}"),
    ([(OLD_ID, NEW_ID)], "no", f"is for another hypervisor, build-id {NEW_ID}"),
])
def test_live_patch_after_a_reboot(machine, kept, answer, why):
    machine.divert()
    machine.write(ENABLED, "")
    boot_image(machine, "xen-4.17-amd64.gz", OLD_ID)
    (machine.root / "boot/xen.gz").symlink_to("/nowhere")
    for name, build_id in kept:
        payload(machine, name, build_id)
    seen = machine.status("-n", status=0 if answer == "yes" else 1)["livepatch-at-boot"][0]
    assert seen[0] == answer and why in seen[1]


def test_a_hypervisor_that_comes_needs_its_own_live_patch(machine):
    machine.divert()
    machine.write(ENABLED, "")
    boot_image(machine, "xen-4.17-amd64.gz", OLD_ID)
    payload(machine, OLD_ID, OLD_ID)
    machine.status("-n")
    boot_image(machine, "xen-4.20-amd64.gz", NEW_ID)
    answer, text = machine.status("-n", status=1)["livepatch-at-boot"][0]
    assert answer == "no" and "xen-4.20-amd64.gz" in text
    (machine.root / ENABLED).unlink()
    assert machine.status("-n")["livepatch-at-boot"][0][0] == "unused"


@pytest.mark.parametrize("content", [b"", b"no hypervisor", gzip.compress(b"no hypervisor", mtime=0)], ids=["empty", "text", "packed text"])
def test_what_is_booted_cannot_be_read(machine, content):
    machine.divert()
    machine.write(ENABLED, "")
    (machine.root / "boot").mkdir()
    assert machine.status("-n", status=1)["livepatch-at-boot"][0][0] == "unknown"
    (machine.root / "boot/xen-4.17-amd64.gz").write_bytes(content)
    assert machine.status("-n", status=1)["livepatch-at-boot"] == [
        ("no", f"{machine.root}/boot/xen-4.17-amd64.gz: it has no build-id")]


@pytest.fixture
def builder(machine, tmp_path):
    """livepatch build --all, with a python3 that makes a payload of whatever it is given."""
    machine.program("../bin/python3", "#!/bin/sh\n[ ! -e \"$6.broken\" ] || exit 2\n"
                    "exec objcopy --rename-section .note.gnu.build-id=.livepatch.xen_depends \"$6\" \"$7\"\n")

    def build(status=0):
        path = f"{machine.root}/../bin:{os.environ['PATH']}"
        env = dict(os.environ, PATH=path, XENLEVEL_HOST=str(machine.socket))
        done = subprocess.run([XENLEVEL, "livepatch", "build", "--all", "--root", machine.root], env=env, capture_output=True, text=True)
        assert done.returncode == status, done
        return done, sorted(p.name for p in (machine.root / KEPT).iterdir())
    return build


def test_build_all(machine, builder):
    symbols = machine.root / "usr/lib/debug/boot"
    elf(symbols / "xen-syms-4.17-amd64", OLD_ID, ".note.gnu.build-id")
    (symbols / "xen-syms-4.17-amd64.map").write_text("")
    boot_image(machine, "xen-4.17-amd64.gz", OLD_ID)
    assert builder()[1] == [f"{OLD_ID}.livepatch"]
    boot_image(machine, "xen-4.20-amd64.gz", NEW_ID)
    done, kept = builder(status=1)
    assert kept == [f"{OLD_ID}.livepatch"] and f"no payload for build-id {NEW_ID}" in done.stderr
    elf(symbols / "xen-syms-4.20-amd64", NEW_ID, ".note.gnu.build-id")
    assert builder()[1] == [f"{OLD_ID}.livepatch", f"{NEW_ID}.livepatch"]
    # One that cannot be built does not stop the others.
    (symbols / "xen-syms-4.17-amd64.broken").write_text("")
    (machine.root / KEPT / f"{OLD_ID}.livepatch").unlink()
    assert builder(status=2)[1] == [f"{NEW_ID}.livepatch"]


def test_what_runs_keeps_its_live_patch(machine, builder):
    """Its symbols went with the upgrade, and it still runs; where none answers nobody knows, and nothing is deleted."""
    symbols = machine.root / "usr/lib/debug/boot"
    elf(symbols / "xen-syms-4.17-amd64", OLD_ID, ".note.gnu.build-id")
    payload(machine, "dead00be", "dead00be")
    payload(machine, NEW_ID, NEW_ID)
    machine.socket = "/nowhere"
    assert len(builder()[1]) == 3
    assert prune(machine) == [OLD_ID, "dead00be"]


def prune(machine, status=0):
    """What build --all leaves where a Xen of build-id dead00be runs."""
    env = dict(os.environ, PATH=f"{machine.root}/../bin:{os.environ['PATH']}", FAKE_XEN="paused")
    done = subprocess.run([BUILD / "tests/unit/xen/xenlevel-under-test", "livepatch", "build", "--all", "--root", machine.root], env=env)
    assert done.returncode == status
    return sorted(p.stem for p in (machine.root / KEPT).iterdir())


def test_what_can_be_booted_keeps_its_live_patch(machine, builder):
    """Its symbols were removed, and nobody can build another; when it goes from /boot, so does the payload."""
    payload(machine, NEW_ID, NEW_ID)
    boot_image(machine, "xen-4.20-amd64.gz", NEW_ID)
    assert prune(machine) == [NEW_ID]
    # One without a build-id may be the one that a payload is for.
    (machine.root / "boot/xen-4.20-amd64.gz").write_bytes(gzip.compress(b"no hypervisor"))
    assert prune(machine, status=1) == [NEW_ID]
    (machine.root / "boot/xen-4.20-amd64.gz").unlink()
    assert prune(machine) == []


def test_build_all_takes_no_file(machine):
    for more in (["x"], ["-o", "x"], ["-s", "x"]):
        assert subprocess.run([XENLEVEL, "livepatch", "build", "--all", *more], capture_output=True).returncode == 2


# ---- words ----

def test_table(machine):
    machine.divert()
    out = machine.run("status", "-n").stdout
    assert [line.split()[0] for line in out.splitlines()][:2] == ["Xen", "xl,"]
    assert "virtxend" in out and " -  " in out


@pytest.mark.parametrize("args", [["status", "--all"], ["load", "--root", "/"], ["build", "--root", "/"], ["unload", "--all"]])
def test_options_of_build_alone(args):
    """They are no options to pass over: `load --root` would load into this machine's hypervisor."""
    r = subprocess.run([XENLEVEL, "livepatch", *args], capture_output=True, text=True)
    assert r.returncode == 2 and "--all goes with build, and --root with build --all" in " ".join(r.stderr.split())


def test_usage(machine):
    machine.run("status", "x", status=2)
    assert subprocess.run([XENLEVEL, "status", "--root", "/nonexistent"], capture_output=True).returncode == 2


# ---- enable, disable ----

def test_enable_and_disable(machine):
    machine.put_gate("gate")
    machine.write("etc/environment", "LANG=C\n# mine\nX=\"y z\"")
    before = machine.files()
    out = machine.run("enable", "--gate", "/gate", "--dry-run").stdout
    assert machine.files() == before and "nothing was changed" in out and "+ LIBXL_SAVE_HELPER=/gate" in out
    assert machine.run("enable", "--gate", "/gate").stdout.splitlines()[:-1] == out.splitlines()[:-1]
    for unit in UNITS:
        text = (machine.root / DROP_IN.format(unit)).read_text()
        assert text.endswith("[Service]\nEnvironment=LIBXL_SAVE_HELPER=/gate\n")
        assert (machine.root / DROP_IN.format(unit)).stat().st_mode & 0o777 == 0o644
    assert (machine.root / "etc/environment").read_text() == "LANG=C\n# mine\nX=\"y z\"\nLIBXL_SAVE_HELPER=/gate\n"
    checks = machine.status()
    assert {checks[c][0][0] for c in ("login", "xendomains", "libvirtd", "refuses")} == {"yes"}
    after = machine.files()
    assert "it is on already" in machine.run("enable", "--gate", "/gate").stdout and machine.files() == after
    machine.run("disable", "--dry-run")
    assert machine.files() == after
    machine.run("disable")
    assert machine.files() == {**before, "etc/environment": before["etc/environment"] + b"\n"}
    assert not list((machine.root / "etc/systemd/system").iterdir())
    assert "it is off already" in machine.run("disable").stdout


def test_enable_with_another_gate(machine):
    """Where the gate has moved to."""
    machine.put_gate("gate")
    machine.put_gate("gate2")
    machine.run("enable", "--gate", "/gate")
    out = machine.run("enable", "--gate", "/gate2").stdout
    assert "- LIBXL_SAVE_HELPER=/gate\n" in out
    assert (machine.root / "etc/environment").read_text() == "LIBXL_SAVE_HELPER=/gate2\n"
    machine.run("disable", "--gate", "/gate")
    assert (machine.root / "etc/environment").read_text() == ""


@pytest.mark.parametrize("enabled, local, says", [
    ("Y", None, True),
    ("N", None, False),
    (None, None, False),
    ("Y", "# /opt/gate PUx,\n", True),
    ("Y", "  /opt/gate PUx,\n", False),
])
def test_a_confined_libvirtd(machine, enabled, local, says):
    (machine.root / "opt").mkdir()
    machine.put_gate("opt/gate")
    machine.write("etc/apparmor.d/usr.sbin.libvirtd", "")
    if enabled:
        machine.write("sys/module/apparmor/parameters/enabled", f"{enabled}\n")
    if local:
        machine.write("etc/apparmor.d/local/usr.sbin.libvirtd", local)
    warned = machine.run("enable", "--gate", "/opt/gate").stderr
    assert ("AppArmor" in warned and "local/usr.sbin.libvirtd" in warned) is says
    answer, text = machine.status("-n", status=1 if says else 0)["libvirtd"][0]
    assert (answer, "AppArmor" in text) == (("no", True) if says else ("yes", False))


def test_a_confined_libvirtd_may_start_what_is_in_the_helpers_place(machine):
    machine.divert()
    machine.write("etc/apparmor.d/usr.sbin.libvirtd", "")
    machine.write("sys/module/apparmor/parameters/enabled", "Y\n")
    machine.status("-n")
    machine.write(DROP_IN.format("libvirtd"), f"[Service]\nEnvironment=LIBXL_SAVE_HELPER=/{HELPER}\n")
    machine.status("-n")


def test_somebody_elses_drop_in_stays(machine):
    machine.put_gate("gate")
    machine.write("etc/systemd/system/libvirtd.service.d/mine.conf", "[Service]\n")
    machine.run("enable", "--gate", "/gate")
    machine.run("disable")
    assert (machine.root / "etc/systemd/system/libvirtd.service.d/mine.conf").exists()


@pytest.mark.parametrize("command", [["enable", "--gate", "/gate"], ["disable"]])
def test_somebody_elses_helper_stays(machine, command):
    machine.put_gate("gate")
    machine.program("usr/lib/other", "#!/bin/sh\n")
    machine.write("etc/environment", "A=1\nLIBXL_SAVE_HELPER=\"/usr/lib/other\"\n")
    error = machine.run(*command, status=2).stderr
    assert "line 2" in error and "/usr/lib/other" in error
    assert (machine.root / "etc/environment").read_text() == "A=1\nLIBXL_SAVE_HELPER=\"/usr/lib/other\"\n"


@pytest.mark.parametrize("link", ["etc/environment", "etc/systemd/system/libvirtd.service.d"])
def test_nothing_is_changed_behind_a_link(machine, tmp_path, link):
    machine.put_gate("gate")
    elsewhere = tmp_path / "elsewhere"
    if link.endswith(".d"):
        elsewhere.mkdir()
    else:
        elsewhere.write_text("")
    (machine.root / link).symlink_to(elsewhere)
    assert "symbolic link" in machine.run("enable", "--gate", "/gate", status=2).stderr
    assert not list(elsewhere.iterdir()) if elsewhere.is_dir() else not elsewhere.read_text()


@pytest.mark.parametrize("gate, why", [
    ("/nothing", "No such file"),
    (f"/{HELPER}", "is not the gate"),
    ("gate", "whole path"),
    ("/ga te", "whole path"),
    ("/gate\nX=1", "whole path"),
])
def test_only_a_gate_is_enabled(machine, gate, why):
    machine.put_gate("gate")
    before = machine.files()
    assert why in machine.run("enable", "--gate", gate, status=2).stderr
    assert machine.files() == before


def test_no_systemd(machine):
    machine.put_gate("gate")
    shutil.rmtree(machine.root / "etc/systemd")
    machine.run("enable", "--gate", "/gate")
    assert set(machine.files()) == {"etc/environment", "etc/init.d/xendomains"}


def test_environment_that_is_no_text(machine):
    machine.put_gate("gate")
    (machine.root / "etc/environment").write_bytes(b"A=1\0B=2\n")
    assert "cannot be read as text" in machine.run("enable", "--gate", "/gate", status=2).stderr
    assert (machine.root / "etc/environment").read_bytes() == b"A=1\0B=2\n"


def test_diversion(machine):
    """The package's state, as dpkg keeps it."""
    machine.divert()
    dpkg = machine.root / "var/lib/dpkg"
    (dpkg / "info").mkdir(parents=True)
    (dpkg / "updates").mkdir()
    (dpkg / "info/format").write_text("1\n")
    (dpkg / "status").write_text("Package: xen-utils-4.17\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
                                 "Maintainer: x <x@x>\nDescription: x\n")
    (dpkg / "info/xen-utils-4.17.list").write_text(f"/{HELPER}\n")
    assert "the next upgrade of Xen takes its place" in machine.status("-n", status=1)["place"][0][1]
    (dpkg / "diversions").write_text(f"/{HELPER}\n/{HELPER}.stock\nxenlevel-gate\n")
    assert machine.status("-n")["place"] == [("yes", f"/{HELPER} is the gate, by a diversion of dpkg's")]
    machine.put_gate("gate")
    assert "the package xenlevel-gate" in machine.run("enable", "--gate", "/gate").stdout
    assert not (machine.root / "etc/environment").exists()
