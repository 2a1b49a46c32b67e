# SPDX-License-Identifier: Apache-2.0
"""Hosts that are broken on purpose, and whether the doctors say so."""

import collections
import json
import os
import signal
import sys
import time

from actors import (SBIN, VIP4, VIP6, agent_pins, binary, config, lbctl, lbd_pins, socket_path, start_agent,
                    start_lbd, vip, write_config)
from harness import (both_vips, expect, expect_served, new_lab, scenario, serving_lab,
                     with_both_vips)
from lab import ROOT, run, wait_until
from pki import authority, certificate
from scenarios.health import apply, checks_of, health, http_check, wait_state


def findings(lab):
    """What lbctl doctor finds wrong, {check: (level, fix)}, and its exit code."""
    done = lbctl(lab, "doctor", "-o", "json", check=False)
    return {row["check"]: (row["level"], row["fix"]) for row in json.loads(done.stdout)["findings"]
            if row["level"] != "ok"}, done.returncode


def expect_finding(lab, before, check, level, fix):
    """The doctor finds this, and nothing else that it did not find before."""
    now, code = findings(lab)
    new = {name: found for name, found in now.items() if before.get(name) != found}
    expect(check in new and new[check][0] == level and fix in new[check][1],
           f"wanted {check} {level} {fix!r}, found {new}")
    expect(set(new) <= {check, "vip", "health", "next hop", "eth0: link"}, f"besides {check}: {new}")
    expect(code == (1 if any(level == "fail" for level, _ in now.values()) else 0),
           f"exit code {code} for {now}")


@scenario
def doctor():
    """lbctl doctor names each fault of the load balancer's host, with the command that mends it."""
    with with_both_vips() as lab:
        lb, router = lab.lb, lab.router
        before, code = findings(lab)
        expect(code == 0 and all(level == "warn" for level, _ in before.values()), before)
        found = 0

        lb.ip(["link set eth0 mtu 1500"])
        wait_until(lambda: "eth0: mtu headroom" in findings(lab)[0], 5, "the MTU is noticed")
        expect_finding(lab, before, "eth0: mtu headroom", "warn", "ip link set eth0 mtu 1540")
        lb.ip(["link set eth0 mtu 1600"])
        found += 1

        router.run(["sysctl", "-qw", "net.ipv6.conf.to-lb.keep_addr_on_down=1"])
        router.ip(["link set to-lb down"])
        wait_until(lambda: "eth0: link" in findings(lab)[0], 5, "the carrier is noticed")
        expect_finding(lab, before, "eth0: link", "fail", "cable")
        router.ip(["link set to-lb up"])
        found += 1
        wait_until(lambda: findings(lab)[0] == before, 10, "all is well again")

        lb.ip(["route del default", "route add blackhole default"])
        wait_until(lambda: "next hop" in findings(lab)[0], 5, "the missing route is noticed")
        expect_finding(lab, before, "next hop", "fail", "ip route get")
        lb.ip(["route del default", f"route add default via {lb.gateway4}"])
        found += 1
        wait_until(lambda: findings(lab)[0] == before, 10, "all is well again")

        for real in lab.reals:
            lbctl(lab, "real", "update", f"{VIP4}:80/tcp", real.ip4, "--state", "down")
        expect_finding(lab, before, "vip", "fail", f"lbctl real activate {VIP4}:80/tcp ")
        lbctl(lab, *findings(lab)[0]["vip"][1].split()[1:])
        found += 1
        expect(findings(lab)[0] == before, "the activated real is not noticed")

        text = lbctl(lab, "doctor", check=False).stdout
        expect("hash key" in text and "openssl rand" in text and " ok, " in text, text)

        lab.lbd.stop()
        done = lbctl(lab, "doctor", check=False)
        expect(done.returncode == 1 and "cannot reach lbd" in done.stdout, done)
        expect("doctor -- FLAGS" in done.stdout, f"the way to learn more is not told: {done}")
        return {"faults": found + 1}


# One way to break an interface of lbd, what the doctor makes of it, and what mends it: without any
# what the doctor says.
Fault = collections.namedtuple("Fault", "harm check level fix mend", defaults=[None])


@scenario
def doctor_of_interfaces():
    """Each fault of an interface is found, and goes away by the command that lbctl doctor prints."""
    with with_both_vips() as lab:
        lb, reals = lab.lb, [real.ip4 for real in lab.reals]

        def add_eth1(queues=4):
            """A veth of several queues, whose other end is here, too."""
            lb.ip([f"link add eth1 numrxqueues {queues} numtxqueues 1 type veth peer name peer1 "
                   f"numtxqueues {queues} numrxqueues {queues}", "link set eth1 up",
                   "link set peer1 up"])
            lb.run(["ethtool", "-K", "peer1", "tx", "off"])

        def apply_config(interfaces=("eth0", "eth1"), vips=(vip(VIP4, reals),), **settings):
            lbctl(lab, "config", "apply",
                  write_config(lab, config(*vips, interfaces=interfaces, **settings), "new.yaml"))

        def restart():
            """What `systemctl restart lbd` does."""
            lab.lbd.stop()
            lab.lbd = start_lbd(lab, (lab.dir / "new.yaml").read_text())

        def detach(device="eth1"):
            run(["bpftool", "link", "detach", "pinned", lbd_pins(lab) / f"link_{device}"], env=SBIN)

        def replace_program():
            detach()
            lab.attach_pass(lb, "eth1")

        def delete_eth1():
            lb.ip(["link del eth1"])

        def use_one_queue():
            lb.run(["ethtool", "-L", "peer1", "tx", "1"])
            lb.run(["ethtool", "-L", "eth1", "rx", "1"])

        def merge_generic():
            apply_config(xdp_mode="generic")
            lb.run(["ethtool", "-K", "eth1", "gro", "on"])

        def split_native():
            lb.run(new()["eth1: offload"][1].split())
            wait_until(lambda: "eth1: offload" not in new(), 5, "packets are not merged any more")
            apply_config(xdp_mode="native")

        def go_generic():
            """The kernel refuses a native program where the peer sends by more queues."""
            apply_config(["eth0"])
            delete_eth1()
            add_eth1()
            lb.run(["ethtool", "-L", "eth1", "rx", "1"])
            apply_config(xdp_mode="auto")

        def go_native():
            apply_config(["eth0"])
            lb.run(["ethtool", "-L", "eth1", "rx", "4"])
            apply_config()

        faults = [
            Fault(lambda: lb.ip(["link set eth1 down"]), "eth1: link", "fail", "ip link set eth1 up"),
            Fault(lambda: lb.ip(["link set peer1 down"]), "eth1: link", "fail", "ip link set peer1 up"),
            Fault(delete_eth1, "eth1: link", "fail", "make eth1 again", add_eth1),
            Fault(detach, "eth1: program", "fail", "systemctl restart lbd", restart),
            Fault(replace_program, "eth1: program", "fail", "ip link set dev eth1 xdpdrv off"),
            Fault(lambda: lb.run(["ethtool", "-K", "peer1", "tx", "on"]), "eth1: offload", "warn",
                  "ethtool -K peer1 tx off"),
            Fault(use_one_queue, "eth1: queues", "warn", "ethtool -L eth1 rx "),
            Fault(lambda: apply_config(xdp_mode="generic"), "eth1: xdp mode", "warn",
                  "set xdp_mode: native", lambda: apply_config(xdp_mode="native")),
            Fault(lambda: apply_config(vips=()), "configuration", "warn", "lbctl vip add",
                  apply_config),
            Fault(lambda: apply_config([]), "configuration", "fail", "set interfaces", apply_config),
            Fault(merge_generic, "eth1: offload", "warn", "ethtool -K eth1 gro off", split_native),
            Fault(go_generic, "eth1: xdp mode", "warn", "read lbd's error", go_native),
        ]
        add_eth1()
        apply_config()
        before = findings(lab)[0]
        expect(not any(check.startswith("eth1") for check in before), before)

        def new():
            now = findings(lab)[0]
            return {check: found for check, found in now.items() if before.get(check) != found}

        for fault in faults:
            fault.harm()
            wait_until(lambda f=fault: f.check in new(), 5, f"{fault.check} is found")
            level, fix = new()[fault.check]
            expect(level == fault.level and fault.fix in fix, f"{fault.check}: {level} {fix!r}")
            if fault.mend:
                fault.mend()
            else:
                lb.run(fix.split())
            wait_until(lambda: not new(), 10, f"{fault.check} goes away by: {fix}; left: {new()}")
        expect_served(lab, VIP4)
        return {"faults": len(faults)}


SQUAT = """
import socket, sys, time
family, address = (socket.AF_UNIX, sys.argv[1]) if len(sys.argv) == 2 else (
    socket.AF_INET, (sys.argv[1], int(sys.argv[2])))
held = socket.socket(family)
held.bind(address)
held.listen()
print("listening", flush=True)
time.sleep(600)
"""


@scenario
def doctor_without_lbd():
    """Where lbd does not run, does not start or does not answer, lbctl doctor examines the host."""
    with new_lab(reals=1) as lab:
        lb, socket = lab.lb, socket_path(lab)
        state, pins = lab.dir / "state", lab.dir / "pins"
        # State and pins are on file systems of their own.
        for directory, kind, options in ((state, "tmpfs", "size=80m"), (pins, "tmpfs", "size=1m")):
            directory.mkdir()
            run(["mount", "-t", kind, "-o", options, kind, directory])
        good = both_vips(lab, hash_key="00112233445566778899aabbccddeeff")
        file = write_config(lab, good)
        flags = {"listen": f"unix:{socket}", "bpffs": lbd_pins(lab), "state_dir": state,
                 "config": file}

        def words(**changed):
            return [f"--{flag}={value}" for flag, value in (flags | changed).items()]

        def examine(**changed):
            """What is not well, {check: row}, but for what this machine may lack."""
            done = lb.run([binary("lbctl"), "--server", f"unix:{socket}", "--timeout", "1", "doctor",
                           "-o", "json", "--", *words(**changed)], check=False)
            rows = json.loads(done.stdout)["findings"]
            return {row["check"]: row for row in rows
                    if row["level"] != "ok" and row["check"] not in ("clock", "eth0: queues")}

        def expect_found(check, level, message, fix, besides=("lbd", "process", "eth0: program"),
                         **changed):
            now = examine(**changed)
            expect(check in now and set(now) <= {check, *besides}, f"wanted {check}, found {now}")
            row = now[check]
            expect(row["level"] == level and message in row["message"] and fix in row["fix"], row)
            return row["fix"]

        def expect_no_start(message, **changed):
            """lbd with these flags ends at once, and says this."""
            done = lb.run([binary("lbd"), *words(**changed)], check=False)
            expect(done.returncode == 1 and message in done.stderr, done)

        try:
            found = examine()
            expect(set(found) == {"lbd", "process", "eth0: program"}, found)
            expect("cannot reach lbd" in found["lbd"]["message"] and
                   found["process"]["level"] == "warn" and
                   found["eth0: program"]["level"] == "fail", found)

            file.write_text('{"interfaces": ["eth0"],\n "vips": [{"address": "10.0.0.300"}]}')
            expect_found("configuration", "fail", f"{file}:2:", f"lbd --check {file}")
            expect_no_start(f"{file}:2:")
            write_config(lab, good | {"interfaces": ["eth9"]})
            expect_found("eth9: link", "fail", "does not exist; there are ", "make eth9 again")
            expect_no_start("does not exist; there are ")
            write_config(lab, good)

            fix = expect_found("bpffs", "fail", "without which lbd does not start",
                               f"mount -t bpf bpf {pins}", bpffs=pins / "lbd")
            expect_no_start("is not on a bpffs", bpffs=pins / "lbd")
            run(fix.split())
            expect("bpffs" not in examine(bpffs=pins / "lbd"), "the remedy mounts one")
            run(["umount", pins])

            socket.unlink()  # an lbd that did not start left it
            socket.write_text("")
            fix = expect_found("socket", "fail", "is no socket", f"rm {socket}")
            expect_no_start("is not a socket")
            run(fix.split())
            for name, place, check, message in (
                    ("api", [socket], "socket", "(python3), since 20"),
                    ("metrics", ["127.0.0.1", 9188], "--metrics_listen", "cannot listen on")):
                squatter = lb.start(f"squat-{name}", ["python3", "-c", SQUAT, *place])
                wait_until(lambda p=squatter: "listening" in p.output(), 10, "it listens")
                fix = expect_found(check, "fail", message, "ss -ltnp" if name == "metrics" else
                                   f"kill {squatter.pid}")
                expect_no_start("another process serves" if name == "api" else "cannot listen on")
                if name == "metrics":
                    seen = lb.run(["sh", "-c", fix.partition(";")[0]]).stdout
                    expect(f"pid={squatter.pid}," in seen, seen)
                    squatter.stop()
                else:
                    run(fix.partition(",")[0].split())
                    squatter.wait()
            found = examine()  # the last lbd forwarded already when it found its port taken
            expect(set(found) == {"lbd", "process"}, f"not mended: {found}")

            # A disk with little room, then with a damaged revision beside a good one.
            (state / "ballast").write_bytes(bytes(60 << 20))
            expect_found("disk", "warn", f"are left for revisions in {state}", f"df -h {state}")
            (state / "ballast").unlink()
            lab.lbd = start_lbd(lab, good, flags=[f"--state_dir={state}"])
            expect(set(examine()) == set(), "lbd runs, and all is well")
            lab.lbd.kill(signal.SIGSTOP)
            found = examine()
            expect(set(found) == {"lbd"} and "no answer" in found["lbd"]["message"], found)
            lab.lbd.kill(signal.SIGCONT)
            lab.lbd.stop()
            # One that listens elsewhere has the pins.
            other = lb.start("other", [binary("lbd"), *words(listen=f"unix:{lab.dir}/other.sock")])
            wait_until(lambda: "serves" in other.output(), 15, "the other lbd runs")
            expect_found("process", "fail", f"process {other.pid} (lbd), since 20", f"kill {other.pid}")
            expect_no_start("another lbd is running")
            other.stop()
            found = examine()
            expect(set(found) == {"lbd", "process"}, f"what forwards is found: {found}")
            (state / f"revision-{2:020}").write_text("damaged")
            expect_found("state", "warn", "revision-00000000000000000002", "")
            return {"faults": 12}
        finally:
            for directory in (pins, state):
                while os.path.ismount(directory):
                    run(["umount", directory])


def _checked(lab, interfaces=("eth0",), **settings):
    """IPv4 reals only: all of them are reached whatever becomes of IPv6."""
    reals = [real.ip4 for real in lab.reals]
    return config(vip(VIP4, reals, checks=[http_check()]), vip(VIP6, reals, checks=[http_check()]),
                  interfaces=interfaces, **settings)


@scenario
def doctor_of_probes():
    """lbctl doctor names each fault that keeps probes from working, with the command that mends it."""
    with serving_lab(_checked) as lab:
        lb = lab.lb
        wait_state(lab, "up")
        before, code = findings(lab)
        expect(code == 0 and all(level == "warn" for level, _ in before.values()), before)
        found = 0

        def expect_found(check, level, fix):
            """The fault is found, and nothing else; returns what mends it."""
            nonlocal found
            wait_until(lambda: check in findings(lab)[0], 10, f"{check} is found")
            expect_finding(lab, before, check, level, fix)
            found += 1
            return findings(lab)[0][check][1]

        def expect_mended(check):
            wait_until(lambda: findings(lab)[0] == before, 10, f"{check} is mended")
            wait_until(lambda: not any(row["blind"] for row in checks_of(lab)), 10, "all checks see")

        lb.ip([f"addr del {lb.ip6}/64 dev eth0"])
        fix = expect_found("probes: source", "fail", "ip addr add ADDRESS/64 dev eth0")
        expect(all(row["state"] == "up" for row in checks_of(lab)), "no real goes down by that")
        lb.run(fix.partition(",")[0].replace("ADDRESS", lb.ip6).split())
        expect_mended("probes: source")

        # Addresses to probe from that the host does not have: nobody would answer ARP for them.
        for setting, source, length, vip_ in (("source_v4", lb.ip4 + "9", 32, VIP4),
                                              ("source_v6", lb.ip6 + "9", 128, VIP6)):
            apply(lab, _checked(lab, probes={setting: source}))
            fix = expect_found("probes: source", "fail", f"ip addr add {source}/{length} dev eth0")
            wait_state(lab, "down", address=vip_)
            lb.run(fix.split())
            wait_state(lab, "up")
            expect_mended("probes: source")
        apply(lab, _checked(lab))
        expect_mended("probes: source")

        # Some ports are reserved for something else already.
        lb.run(["sysctl", "-qw", "net.ipv4.ip_local_reserved_ports=5000-5010"])
        lb.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 62000"])
        fix = expect_found("probes: ports", "fail", "ip_local_reserved_ports=5000-5010,61000-65535")
        lb.run(fix.split())
        expect_mended("probes: ports")

        apply(lab, _checked(lab, health="none"))
        expect_found("probes", "warn", "config apply")
        holder = lb.start("holder", [ROOT / "tests/e2e/tools/hold_queue.py", "eth0", "0"])
        wait_until(lambda: "holding" in holder.output() or holder.require_alive(), 10, "it holds")
        apply(lab, _checked(lab))
        expect_found("eth0: probes", "fail", "ss --xdp -p")
        expect(all(row["state"] == "up" for row in checks_of(lab)), "no real goes down by that")
        holder.stop(9)
        expect_mended("eth0: probes")

        # A second interface, by which the client and the VIP itself would be reached.
        lb.ip(["link add eth1 type veth peer name peer1", "link set eth1 up", "link set peer1 up"])
        apply(lab, _checked(lab, interfaces=("eth0", "eth1")))
        wait_state(lab, "up")
        before = findings(lab)[0]
        lb.run(["sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1"])
        fix = expect_found("eth0: rp_filter", "warn", "sysctl -w net.ipv4.conf.eth0.rp_filter=2")
        lb.ip([f"route add {lab.client.ip4}/32 dev eth1", f"route add {VIP4}/32 dev eth1"])
        ping = ["ping", "-c", "1", "-W", "1", lb.ip4]
        expect(lab.client.run(ping, check=False).returncode != 0, "the filter drops what is the host's")
        expect_served(lab, VIP4)
        made = health(lab)["probes"]["succeeded"]
        wait_until(lambda: int(health(lab)["probes"]["succeeded"]) > int(made) + 20, 10,
                   "probes of VIP4 and VIP6 go on")
        expect(all(row["state"] == "up" and not row["last_reason"] for row in checks_of(lab)),
               f"answers come past the filter: {checks_of(lab)}")
        lb.run(fix.split())
        lb.ip([f"route del {lab.client.ip4}/32 dev eth1"])
        expect(lab.client.run(ping, check=False).returncode == 0, "the remedy lets them in")
        expect_mended("eth0: rp_filter")

        for nginx in lab.nginx.values():
            nginx.stop(9)
        wait_state(lab, "down")
        now, code = findings(lab)
        expect(code == 1 and now["vip"][1].startswith("lbctl health ") and "health" in now, now)
        return {"faults": found + 1}


@scenario
def certificate_expiry():
    """lbctl doctor says when lbd's certificate ends, and that it has, as it stands in the file."""
    with with_both_vips() as lab:
        pki = lab.dir / "pki"
        pki.mkdir()
        authority(pki, "fleet")
        file = pki / "lbd.pem"

        def renew(days):
            """A certificate that ends in so many days."""
            end = time.gmtime(time.time() + days * 86400)
            certificate(pki, "lbd", "fleet", end=time.strftime("%Y%m%d%H%M%SZ", end))
            return time.strftime("%Y-%m-%d %H:%M UTC", end)

        def finding(level):
            rows = json.loads(lbctl(lab, "doctor", "-o", "json", check=False).stdout)["findings"]
            row = next(row for row in rows if row["check"] == f"certificate {file}")
            expect(row["level"] == level, row)
            return row

        day = renew(30)
        lab.lbd.stop()
        lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text(), flags=[
            "--listen_tcp=127.0.0.1:7443", "--tls_cert", file, "--tls_key", pki / "lbd.key",
            "--tls_client_ca", pki / "fleet.pem"])
        expect(day in finding("ok")["message"], finding("ok"))
        day = renew(3)
        expect(f"expires on {day}" in finding("warn")["message"], finding("warn"))
        day = renew(-1)
        expect(f"expired on {day}" in finding("fail")["message"], finding("fail"))
        expect("new one" in finding("fail")["fix"] and
               lbctl(lab, "doctor", check=False).returncode == 1, finding("fail"))
        file.write_text("no certificate")
        expect("cannot be read" in finding("fail")["message"], finding("fail"))
        renew(30)
        finding("ok")
        return {"certificates": 5}


SEND_IPIP = """
import socket, sys
inner = bytes.fromhex("4500001400000000401100000a0000010a000002")
socket.socket(socket.AF_INET, socket.SOCK_RAW, 4).sendto(inner, (sys.argv[1], 0))
"""


@scenario
def doctor_of_a_real():
    """lbagent doctor names each fault of a real server, with the command that mends it."""
    with new_lab(reals=1) as lab:
        real = lab.reals[0]

        def examine():
            done = real.run([binary("lbagent"), "doctor", "--interface", "eth0", "--vip", VIP4,
                             "--vip", VIP6, "--bpffs", agent_pins(real)], check=False)
            return done.stdout, done.returncode

        text, code = examine()
        expect(code == 1 and f"ip addr add {VIP4}/32 dev lo" in text, text)
        # Right for encap l2, until packets come that nothing unwraps.
        addresses = [f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo nodad"]
        real.ip(addresses)
        text, code = examine()
        expect(code == 0 and "encap l2 only" in text, text)
        lab.router.run([sys.executable, "-c", SEND_IPIP, real.ip4])
        text, code = examine()
        expect(code == 1 and "nothing unwraps what load balancers send" in text, text)
        real.ip([address.replace(" add ", " del ").replace(" nodad", "") for address in addresses])
        start_agent(real)
        text, code = examine()
        expect(code == 0 and "FAIL" not in text and "warn" not in text, text)
        faults = [
            (["sysctl", "-qw", "net.ipv4.conf.eth0.rp_filter=1"],
             "sysctl -w net.ipv4.conf.eth0.rp_filter=2", 1),
            (["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"],
             "sysctl -w net.ipv4.conf.eth0.arp_ignore=1", 1),
            (["sysctl", "-qw", "net.ipv4.conf.all.arp_announce=0"],
             "sysctl -w net.ipv4.conf.eth0.arp_announce=2", 0),
            (["ip", "link", "set", "eth0", "mtu", "1500"], "ip link set eth0 mtu 1540", 0),
            (["ip", "addr", "del", f"{VIP4}/32", "dev", "lo"], f"ip addr add {VIP4}/32 dev lo", 1),
        ]
        for harm, fix, wanted in faults:
            real.run(harm)
            text, code = examine()
            expect(f"do: {fix}" in text and code == wanted, f"after {harm}: {code}\n{text}")
            # The remedy is what the doctor says, word for word, but for the MTU's explanation.
            real.run(fix.split())
            text, code = examine()
            expect(fix not in text and code == 0, f"after {fix}: {code}\n{text}")
        return {"faults": len(faults) + 3}
