"""Runs a program under a seccomp profile: confined.py PROFILE PROGRAM [ARGUMENT…]

A system call that the profile does not allow kills the process, instead of failing as in a container: a library may have a
fallback that hides the failure.
"""

import ctypes
import json
import os
import pathlib
import sys

LIBRARY = "libseccomp.so.2"
KILL_PROCESS, ALLOW = 0x80000000, 0x7FFF0000
UNKNOWN = -1


def confine(profile):
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(KILL_PROCESS)))
    for entry in profile["syscalls"]:
        assert entry["action"] == "SCMP_ACT_ALLOW"
        for name in entry["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            # Those of another architecture are not an error.
            if number == UNKNOWN or library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0) not in (0, -33):
                sys.exit(f"{LIBRARY} knows no system call {name}")
    if library.seccomp_load(context) != 0:  # with no_new_privs, so that it requires no privilege
        sys.exit("the kernel does not accept the filter")


if __name__ == "__main__":
    confine(json.loads(pathlib.Path(sys.argv[1]).read_text()))
    os.execv(sys.argv[2], sys.argv[2:])
