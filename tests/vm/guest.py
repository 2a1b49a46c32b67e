# SPDX-License-Identifier: Apache-2.0
"""One emulated machine: its root file system, its start, and what it says."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from initramfs import Initramfs
from kernels import KernelError

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# What the kernels of the guests have, and the host may lack.
MODULES = ("veth", "ipip", "ip6_tunnel", "sit", "fou", "fou6", "ip_gre", "ip6_gre", "dummy",
           "8021q", "bonding", "macvlan", "sch_ingress", "cls_bpf", "ip_vs", "ip_vs_mh", "pktgen")

PROGRAMS = ("bash", "basename", "cat", "cp", "curl", "cut", "date", "dirname", "ethtool", "grep",
            "head", "id", "ip", "iperf3", "ipvsadm", "kill", "ln", "ls", "mkdir", "mount", "nginx",
            "nsenter", "nstat", "ping", "python3", "rm", "sed", "seq", "setpriv", "sleep", "ss", "sysctl", "tail", "tc",
            "tcpdump", "timeout", "touch", "umount", "uname", "xdp-loader", "bpftool", "env", "sort", "tr", "wc",
            "journalctl", "systemctl", "systemd-sysusers")

# systemd, with what its log and the units of lbd need of its own units.
SYSTEMD = pathlib.Path("/lib/systemd")
SYSTEMD_PROGRAMS = ("systemd", "systemd-journald")
SYSTEMD_UNITS = ("sysinit.target", "basic.target", "sockets.target", "slices.target", "shutdown.target",
                 "umount.target", "network.target", "network-online.target", "systemd-journald.service",
                 "systemd-journald.socket", "systemd-journald-dev-log.socket")

# Programs as `cmake --install` puts them into /usr, where the build directory of a guest links to.
INSTALLED = ("sbin/lbd", "sbin/lbagent", "bin/lbctl")
# Files of the project, by their place in the build directory; the rest is sources.
BINARIES = ("bin/bpf_test", "bin/netlink_test", "bin/real_decap_test", "bin/flow_sender")
OBJECTS = ("bpf/pass/pass.bpf.o", "bpf/bench_xdp_tx/bench_xdp_tx.bpf.o")
SOURCES = ("deploy/lab", "tests/e2e", "tests/vm")
# libxdp's, which looks for it there.
DISPATCHER = pathlib.Path("/usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o")
# In the guest. build is what LBD_BUILD_DIR names.
PROJECT = "/lbd"

MEMORY_MIB = 2048
END = re.compile(r"^@@ part (\S+) code (\d+)$")

# With a thread per CPU, qemu's translated code may still hold a breakpoint by which a kernel
# patches itself, after the kernel has forgotten it: the guest dies, rarely and at any time. Nothing
# in a guest can cause that, so it is booted again.
STALE_BREAKPOINT = re.compile(r"\bint3: 0000 \[#1\]")
ATTEMPTS = 3


class GuestError(Exception):
    """What failed, for people."""


def _which(name):
    path = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if path is None:
        raise GuestError(f"{name}: not installed; see deploy/packages [test]")
    return pathlib.Path(path)


def _python(image):
    """The standard library, without what no test needs."""
    home = pathlib.Path(subprocess.run(
        ["/usr/bin/python3", "-c", "import os; print(os.path.dirname(os.__file__))"], text=True,
        check=True, stdout=subprocess.PIPE).stdout.strip())
    image.tree(home, skip=("test", "idlelib", "ensurepip", "lib2to3", "pydoc_data", "distutils",
                           "dist-packages", "tkinter", "unittest", "turtledemo",
                           *(path.name for path in home.glob("config-*"))))
    image.libraries(home.glob("lib-dynload/*.so"))


def _systemd(image):
    image.programs(SYSTEMD / name for name in SYSTEMD_PROGRAMS)
    for name in SYSTEMD_UNITS:
        image.copy(SYSTEMD / "system" / name)
    image.copy(HERE / "parts.service", "/etc/systemd/system/parts.service")
    image.file("/etc/machine-id", b"%032x\n" % 1)
    for path in ("/var/log", "/var/lib"):
        image.directory(path)
    image.directory("/var/tmp", 0o1777)


def _installation(image, build):
    """What a package would have in it."""
    root = build / "vm/install"
    shutil.rmtree(root, ignore_errors=True)
    try:
        subprocess.run(["cmake", "--install", build, "--strip", "--prefix", "/usr"], check=True,
                       env={**os.environ, "DESTDIR": str(root)}, stdout=subprocess.DEVNULL)
    except subprocess.CalledProcessError:
        raise GuestError(f"{build} cannot be installed; build first, or set LBD_BUILD_DIR") from None
    image.tree(root / "usr", "/usr", skip=("share",))
    programs = [root / "usr" / name for name in INSTALLED]
    image.libraries(programs)
    for path in programs:
        image.link(f"{PROJECT}/build/bin/{path.name}", f"/{path.relative_to(root)}")


def _project(image, build):
    for name in BINARIES + OBJECTS:
        source = build / name
        if not source.exists():
            raise GuestError(f"{source} is missing; build first, or set LBD_BUILD_DIR")
        # Without debug information, which is most of a program.
        stripped = build / "vm" / name
        if not stripped.exists() or stripped.stat().st_mtime < source.stat().st_mtime:
            stripped.parent.mkdir(parents=True, exist_ok=True)
            if name in OBJECTS:
                shutil.copyfile(source, stripped)
            else:
                subprocess.run(["strip", "-o", stripped, source], check=True)
        image.file(f"{PROJECT}/build/{name}", stripped)
    image.libraries(build / name for name in BINARIES)
    for name in SOURCES:
        image.tree(ROOT / name, f"{PROJECT}/{name}", skip=("__pycache__",))


def make_image(kernel, build):
    """The archive for this kernel, as a file in the build directory."""
    image = Initramfs()
    for path in ("/proc", "/sys", "/dev", "/run", "/var/lib/nginx", "/var/log/nginx", "/root",
                 "/usr/lib64", "/usr/lib32", "/usr/libx32"):
        image.directory(path)
    image.directory("/tmp", 0o1777)
    image.link("/var/run", "../run")
    programs = [_which(name) for name in PROGRAMS]
    image.programs(programs)
    image.link("/usr/bin/sh", "bash")
    image.copy(_which("busybox"))
    for path in ("/etc/passwd", "/etc/group", "/etc/protocols", "/etc/services"):
        if os.path.exists(path):
            image.copy(path)
    image.file("/etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n")
    image.tree("/etc/iproute2")
    image.copy(DISPATCHER)
    _python(image)
    _systemd(image)
    _installation(image, build)
    _project(image, build)
    for number, (name, data) in enumerate(kernel.modules(MODULES)):
        image.file(f"/modules/{number:02}-{name}.ko", data, 0o644)
    image.copy(HERE / "init", "/init")
    path = build / "vm" / f"{kernel.version}.cpio"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        image.write(out)
    return path


@dataclasses.dataclass
class Outcome:
    """How a part of the tests ended."""
    part: str
    code: int  # of the part; 0: passed


def run(kernel, image, parts, timeout, instructions=False):
    """Boots, runs the parts, and echoes what they say; returns an Outcome for each that ended.

    instructions: a CPU on which each instruction takes one nanosecond of the guest's time.
    """
    for attempt in range(1, ATTEMPTS + 1):
        outcomes, stale = _boot(kernel, image, parts, timeout, instructions)
        if not stale:
            break
        print(f"the emulator ran a breakpoint that the kernel had removed (attempt {attempt} of "
              f"{ATTEMPTS})", flush=True)
    return outcomes


def _boot(kernel, image, parts, timeout, instructions):
    """One attempt of run(): the outcomes, and whether the machine died of STALE_BREAKPOINT."""
    cpu = (["-smp", "1", "-accel", "tcg", "-icount", "shift=0,sleep=off"] if instructions
           else ["-smp", "2", "-accel", "tcg,thread=multi"])
    argv = ["timeout", "-k", "5", str(timeout), "qemu-system-x86_64", "-M", "pc", *cpu,
            "-cpu", "max", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none",
            "-serial", "stdio", "-net", "none", "-no-reboot", "-kernel", str(kernel.image),
            "-initrd", str(image), "-append",
            f"console=ttyS0 quiet loglevel=3 panic=-1 lbd.parts={','.join(parts)}"]
    start = time.monotonic()
    try:
        qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise GuestError(f"{error.filename}: not installed; see deploy/packages [test]") from None
    outcomes = []
    stale = False
    try:
        for raw in qemu.stdout:
            line = raw.decode(errors="replace").rstrip()
            stale = stale or bool(STALE_BREAKPOINT.search(line))
            if end := END.match(line):
                outcomes.append(Outcome(end[1], int(end[2])))
            elif line:
                print(f"{time.monotonic() - start:6.1f} {line}", flush=True)
    finally:
        qemu.terminate()
        code = qemu.wait()
    if code == 124:
        print(f"no end after {timeout} s", file=sys.stderr)
    return outcomes, stale and len(outcomes) < len(parts)


__all__ = ["GuestError", "KernelError", "Outcome", "make_image", "run"]
