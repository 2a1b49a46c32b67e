#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A small data centre in network namespaces, for demonstrations and tests:

    client ---- router ---- lb
                  |-------- real1, real2, ...

Every link has IPv4 and IPv6. The router sends the VIPs to the load balancer, which sends them
encapsulated back through the router to the reals; these answer the client directly. All that a lab
makes carries its name (namespaces lbd-NAME-*, files in /run/lbd-NAME), so `down` can remove it from
any process, also after a crash. Nothing outside these is touched.

Usage: lab.py up NAME [REALS] | down NAME | list | exec NAME NODE COMMAND...
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN = pathlib.Path("/run")
NETNS = pathlib.Path("/run/netns")

VIP4 = "10.200.0.1"
VIP6 = "2001:db8:200::1"
# Room for the outer headers: XDP_TX drops frames that are longer than the link's MTU.
UNDERLAY_MTU = 1600
CLIENT, LB, FIRST_REAL = 1, 2, 11  # subnets

SYSCTLS = {
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv6/conf/all/accept_dad": 0,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/ipv6/conf/default/accept_ra": 0,
}
ROUTER_SYSCTLS = {"net/ipv4/ip_forward": 1, "net/ipv6/conf/all/forwarding": 1}
# The VIP is on every real: none may answer ARP requests for it.
REAL_SYSCTLS = {"net/ipv4/conf/all/arp_ignore": 1, "net/ipv4/conf/all/arp_announce": 2}


class LabError(Exception):
    """What failed, for people."""


def build_dir():
    return pathlib.Path(os.environ.get("LBD_BUILD_DIR") or ROOT / "build/release").resolve()


def tail(path, lines=15):
    try:
        return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:])
    except OSError as error:
        return str(error)


def wait_until(condition, timeout, what, interval=0.02):
    """Waits for a true value of condition() and returns it."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise LabError(f"{what}: not within {timeout} s")
        time.sleep(interval)
    return value


def run(argv, timeout=30, check=True, stdin=None, env=None):
    """Runs a command; returns its CompletedProcess with text output."""
    argv = [str(arg) for arg in argv]
    try:
        done = subprocess.run(argv, timeout=timeout, text=True, errors="replace",
                              stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, **(env or {})})
    except FileNotFoundError:
        raise LabError(f"{argv[0]}: not installed") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: no end after {timeout} s") from None
    if check and done.returncode:
        raise LabError(f"{' '.join(argv)}: exit code {done.returncode}\n"
                       f"{(done.stderr or done.stdout).strip()}")
    return done


class Process:
    """A process that a node started, with its own session and log file."""

    def __init__(self, name, popen, log, log_start):
        self.name, self.log, self._log_start = name, log, log_start
        self._popen = popen
        self.pid = popen.pid

    def output(self):
        """What this process wrote to its log, which earlier ones of its name share."""
        return self.log.read_bytes()[self._log_start:].decode(errors="replace")

    def alive(self):
        return self._popen.poll() is None

    def wait(self, timeout=10):
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name}: still runs after {timeout} s\n{tail(self.log)}") from None

    def kill(self, signum):
        if self.alive():
            self._popen.send_signal(signum)

    def stop(self, signum=signal.SIGTERM, timeout=10):
        """Sends the signal and returns the exit code."""
        self.kill(signum)
        return self.wait(timeout)

    def require_alive(self):
        if not self.alive():
            raise LabError(f"{self.name} ended with code {self._popen.returncode}; "
                           f"its log {self.log}:\n{tail(self.log)}")


class Node:
    """A host of the lab: one network namespace."""

    def __init__(self, lab, name, subnet):
        self.lab, self.name = lab, name
        self.netns = f"lbd-{lab.name}-{name}"
        self.ip4, self.ip6 = f"10.10.{subnet}.2", f"fd10:0:0:{subnet:x}::2"
        self.gateway4, self.gateway6 = f"10.10.{subnet}.1", f"fd10:0:0:{subnet:x}::1"

    def command(self, argv):
        # Unlike `ip netns exec`, keeps the mounts, so that the bpffs stays visible.
        return ["nsenter", f"--net={NETNS / self.netns}", "--"] + [str(arg) for arg in argv]

    def run(self, argv, **kwargs):
        return run(self.command(argv), **kwargs)

    def start(self, name, argv, env=None):
        """Starts a process in the background; its output goes to its log."""
        log = self.lab.dir / "log" / f"{name}.log"
        with log.open("ab") as out:
            log_start = out.tell()
            popen = subprocess.Popen(self.command(argv), stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=subprocess.STDOUT, start_new_session=True,
                                     env={**os.environ, **(env or {})})
        (self.lab.dir / "pid" / name).write_text(f"{popen.pid}\n")
        return Process(name, popen, log, log_start)

    def ip(self, lines):
        """Runs lines of `ip -batch` inside the namespace."""
        run(["ip", "-n", self.netns, "-batch", "-"], stdin="\n".join(lines) + "\n")

    def link(self, device="eth0"):
        """What `ip link` says of a device."""
        show = ["ip", "-n", self.netns, "-j", "-d", "-s", "link", "show", "dev", device]
        return json.loads(run(show).stdout)[0]

    def set_sysctls(self, values):
        script = "".join(f"echo {value} > /proc/sys/{key}\n" for key, value in values.items())
        self.run(["sh", "-ec", script])


class Lab:
    """One lab. `with Lab(...) as lab:` builds it and removes it whatever happens."""

    def __init__(self, name, reals=3, owner=None):
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            raise LabError(f"lab name {name!r}: only a-z, 0-9, - and _")
        self.name = name
        self.dir = RUN / f"lbd-{name}"
        self.bpffs = self.dir / "bpf"
        self.owner = owner
        self.client = Node(self, "client", CLIENT)
        self.lb = Node(self, "lb", LB)
        self.router = Node(self, "router", CLIENT)
        self.router.ip4, self.router.ip6 = self.router.gateway4, self.router.gateway6
        self.reals = [Node(self, f"real{i + 1}", FIRST_REAL + i) for i in range(reals)]

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *unused):
        self.down()

    @property
    def nodes(self):
        return [self.router, self.client, self.lb] + self.reals

    def node(self, name):
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"lab {self.name} has no node {name}; it has "
                       f"{', '.join(node.name for node in self.nodes)}")

    # -- building -----------------------------------------------------------------------------

    def up(self):
        if os.geteuid() != 0:
            raise LabError("network namespaces need root")
        if self.dir.exists() or self._namespaces():
            raise LabError(f"lab {self.name} exists; remove it: {sys.argv[0]} down {self.name}")
        for part in ("log", "pid", "bpf"):
            (self.dir / part).mkdir(parents=True)
        state = {"reals": len(self.reals), "owner": _identity(self.owner) if self.owner else None}
        (self.dir / "lab.json").write_text(json.dumps(state))
        run(["mount", "-t", "bpf", "bpf", self.bpffs])

        self.add_namespaces(self.nodes)
        for node in self.nodes:
            node.set_sysctls({**SYSCTLS, **(ROUTER_SYSCTLS if node is self.router else {}),
                              **(REAL_SYSCTLS if node in self.reals else {})})
        for node in self.nodes:
            if node is not self.lb:
                self._connect(node)
        self.connect_lb()

    def add_namespaces(self, nodes):
        run(["ip", "-batch", "-"], stdin="".join(f"netns add {node.netns}\n" for node in nodes))

    def connect_lb(self):
        """Makes the link of the load balancer, which leads the VIPs there."""
        self._connect(self.lb)
        self.router.ip([f"route add {VIP4}/32 via {self.lb.ip4}",
                        f"route add {VIP6}/128 via {self.lb.ip6}"])
        self.prepare_link(self.lb)

    def _connect(self, node):
        if node is self.router:
            return node.ip(["link set lo up"])
        port = f"to-{node.name}"
        mtu = 1500 if node is self.client else UNDERLAY_MTU
        self.router.ip([
            f"link add {port} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {node.netns}",
            f"addr add {node.gateway4}/24 dev {port}",
            f"addr add {node.gateway6}/64 dev {port} nodad",
            f"link set {port} up",
        ])
        node.ip([
            "link set lo up",
            f"addr add {node.ip4}/24 dev eth0",
            f"addr add {node.ip6}/64 dev eth0 nodad",
            "link set eth0 up",
            f"route add default via {node.gateway4}",
            f"route add ::/0 via {node.gateway6}",
        ])
        return None

    def prepare_link(self, node):
        """Makes the link of a node fit for a load balancer."""
        port = f"to-{node.name}"
        # A veth takes frames of its peer's XDP_TX only while it runs an XDP program itself.
        self.attach_pass(self.router, port)
        # XDP sees frames before their checksums are filled in; so fill them in before.
        self.router.run(["ethtool", "-K", port, "tx", "off"])

    def attach_pass(self, node, device):
        """Attaches an XDP program that passes everything."""
        program = build_dir() / "bpf/pass/pass.bpf.o"
        if not program.exists():
            raise LabError(f"{program} is missing; build first, or set LBD_BUILD_DIR")
        # The variable keeps ip from mounting a bpffs at /sys/fs/bpf.
        node.run(["ip", "link", "set", "dev", device, "xdpdrv", "obj", program, "sec", "xdp.frags"],
                 env={"TC_BPF_MNT": str(self.bpffs)})

    # -- removing -----------------------------------------------------------------------------

    def _namespaces(self):
        if not NETNS.exists():
            return []
        ours = re.compile(rf"lbd-{re.escape(self.name)}-(client|router|lb|real\d+)")
        return sorted(path.name for path in NETNS.iterdir() if ours.fullmatch(path.name))

    def _pids(self):
        return [int(pid) for name in self._namespaces()
                for pid in run(["ip", "netns", "pids", name], check=False).stdout.split()]

    def down(self):
        """Removes everything of this lab; what is not there is no error."""
        for signum, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
            for pid in self._pids():
                _kill(pid, signum)
            deadline = time.monotonic() + patience
            while self._pids() and time.monotonic() < deadline:
                time.sleep(0.02)
        for name in self._namespaces():
            run(["ip", "netns", "del", name], check=False)
        # Threads of a process that has ended may still hold it.
        deadline = time.monotonic() + 20
        while os.path.ismount(self.bpffs) and time.monotonic() < deadline:
            if run(["umount", self.bpffs], check=False).returncode:
                time.sleep(0.1)
        if self.dir.exists() and not os.path.ismount(self.bpffs):
            shutil.rmtree(self.dir)
        left = self._namespaces() + ([str(self.dir)] if self.dir.exists() else [])
        if left:
            raise LabError(f"lab {self.name}: could not remove {', '.join(left)}")


def _kill(pid, signum):
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        pass


def _identity(pid):
    """A process number and its start time, which no later process shares."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [pid, int(stat[19])]


def names():
    """Every lab of this machine."""
    return sorted(path.parent.name.removeprefix("lbd-") for path in RUN.glob("lbd-*/lab.json"))


def open_lab(name):
    """A lab that another process made."""
    try:
        state = json.loads((RUN / f"lbd-{name}" / "lab.json").read_text())
    except FileNotFoundError:
        raise LabError(f"no lab {name}; there are: {', '.join(names()) or 'none'}") from None
    return Lab(name, state["reals"])


def sweep():
    """Removes labs whose owner has died."""
    for name in names():
        try:
            owner = json.loads((RUN / f"lbd-{name}" / "lab.json").read_text())["owner"]
        except (OSError, ValueError):  # being made or removed at this moment
            continue
        if owner is None:
            continue
        try:
            alive = _identity(owner[0]) == owner
        except OSError:
            alive = False
        if not alive:
            Lab(name).down()


def main(argv):
    try:
        match argv:
            case ["up", name]:
                Lab(name).up()
            case ["up", name, reals]:
                Lab(name, int(reals)).up()
            case ["down", name]:
                Lab(name).down()
            case ["list"]:
                print("\n".join(names()))
            case ["exec", name, node, *command] if command:
                command = open_lab(name).node(node).command(command)
                os.execvp(command[0], command)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
