# SPDX-License-Identifier: MIT
"""The CPU identities a lab host can have: QEMU -cpu strings that are known to boot Xen with a dom0.

All need `-smap,-smep` where the model has them (with SMAP the PV dom0 dies in create_bounce_frame under TCG) and
`-rdtscp`; guests other than PV need SVM with nested paging, also on an Intel identity: TCG has no VMX, and Xen takes
an Intel CPU with SVM as it comes.
"""

_INTEL = ",-smap,-smep,+svm,+npt,-pcid,-rdtscp"

CPUS = {
    "nehalem": "Nehalem,+svm,+npt,-rdtscp",
    "westmere": "Westmere,+svm,+npt,-pcid,-rdtscp",
    "sandybridge": "SandyBridge,+svm,+npt,-rdtscp",
    "ivybridge": "IvyBridge,-smep,+svm,+npt,-rdtscp",
    "haswell": "Haswell-noTSX" + _INTEL,
    "skylake": "Skylake-Server" + _INTEL,
    "cascadelake": "Cascadelake-Server" + _INTEL,
    "icelake": "Icelake-Server" + _INTEL,
    "opteron_g3": "Opteron_G3,+npt",
    "amd-rich": "max,-smap,-smep,-rdtscp",
    "amd-poor": "max,-smap,-smep,-rdtscp,-avx2,-bmi1,-bmi2,-fma,-f16c,-sse4a",
}


def cpu_string(name):
    """The -cpu string of a catalogue name; anything else is taken as such a string itself."""
    return CPUS.get(name, name)
