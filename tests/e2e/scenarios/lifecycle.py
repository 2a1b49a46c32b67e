# SPDX-License-Identifier: Apache-2.0
"""Start, stop, take over, go away; and what stands in the way of it."""

import json
import pathlib
import re
import signal

from actors import (BIG_FILE_MIB, VIP4, VIP6, binary, config, lbctl, lbd_flags, lbd_pins,
                    start_lbd, url, vip, write_config)
from harness import expect, expect_served, expect_unserved, new_lab, scenario, with_both_vips


def _expect_refused(lab, document, *texts):
    """lbd does not start with the document and says why."""
    path = write_config(lab, document, "refused.yaml")
    done = lab.lb.run([binary("lbd"), *lbd_flags(lab), "--config", path], check=False, timeout=20)
    expect(done.returncode == 1, f"exit code {done.returncode}: {done.stderr}")
    for text in texts:
        expect(text in done.stderr, f"no {text!r} in: {done.stderr}")


@scenario
def restart():
    """Forwarding survives SIGTERM, kill -9 and new starts; a running download does not notice."""
    with with_both_vips() as lab:
        download = lab.client.start("download", [
            "curl", "-sS", "--limit-rate", "8M", "-o", "/dev/null",
            "-w", "%{http_code} %{size_download}", url(VIP4, "/big")])
        for signum in (signal.SIGTERM, signal.SIGKILL):
            lab.lbd.stop(signum)
            for address in (VIP4, VIP6):
                expect_served(lab, address, 50)
            lab.lbd = start_lbd(lab, (lab.dir / "lbd.yaml").read_text())
            for address in (VIP4, VIP6):
                expect_served(lab, address, 50)
        expect(download.alive(), "the download was over before the restarts were")
        download.wait(30)
        said = download.output()
        expect(said == f"200 {BIG_FILE_MIB << 20}", f"the download ended with: {said}")
        return {"restarts": 2, "download_mib": BIG_FILE_MIB}


@scenario
def detach():
    """lbd --detach removes program, link and pins, and may be repeated."""
    with with_both_vips() as lab:
        lab.lbd.stop()
        expect("xdp" in lab.lb.link(), "no program on eth0 after SIGTERM")
        for _ in range(2):
            lab.lb.run([binary("lbd"), *lbd_flags(lab), "--detach"])
            expect("xdp" not in lab.lb.link(), "the program is still on eth0")
            expect(not lbd_pins(lab).exists(), f"left: {lbd_pins(lab)}")
        expect_unserved(lab, VIP4)
        return {}


@scenario
def busy_interface():
    """Another XDP program on the interface is named and left alone."""
    with new_lab(reals=1) as lab:
        lab.attach_pass(lab.lb, "eth0")
        program = lab.lb.link()["xdp"]["prog"]["id"]
        _expect_refused(lab, config(), "eth0", f"id {program}")
        expect(lab.lb.link()["xdp"]["prog"]["id"] == program, "the other program is gone")
        return {"program": program}


@scenario
def missing_interface():
    """A missing interface is named; so is one that is down."""
    with new_lab(reals=1) as lab:
        _expect_refused(lab, config(interfaces=["eth7"]), "eth7")
        lab.lb.ip(["link set eth0 down"])
        _expect_refused(lab, config(), "eth0", "down")
        return {}


BAD_DOCUMENTS = {
    "unknown field": ("interfaces: [eth0]\nvipz: []\n", "vipz"),
    "wrong type": ("interfaces: [eth0]\nvips: 7\n", "vips"),
    "bad address": (json.dumps(config(vip("10.0.0.256", ["10.10.11.2"]))), "10.0.0.256"),
    "bad weight": (json.dumps(config(vip(VIP4, {"10.10.11.2": 1000001}))), "weight"),
    "no port": (json.dumps(config(vip(VIP4, ["10.10.11.2"], port=0))), "port"),
    "duplicate": (json.dumps(config(vip(VIP4, ["10.10.11.2"]), vip(VIP4, ["10.10.12.2"]))), VIP4),
    "no interface": (json.dumps(config(interfaces=["eth7"])), "eth7"),
    "not YAML": ("vips: [", ""),
    # Ten times as much with each line.
    "bomb": ("x-a: &a [1,1,1,1,1,1,1,1]\n" + "".join(
        f"x-{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}{(',*' + chr(97 + i)) * 9}]\n"
        for i in range(10)) + "interfaces: *k\n", ""),
}


@scenario
def config_rejected():
    """A bad document is refused with the place of the error, and changes nothing."""
    with with_both_vips() as lab:
        before = json.loads(lbctl(lab, "status", "-o", "json").stdout)["generation"]
        document = lbctl(lab, "config", "get").stdout
        for case, (text, place) in BAD_DOCUMENTS.items():
            path = write_config(lab, text, "bad.yaml")
            done = lbctl(lab, "config", "apply", path, check=False)
            expect(done.returncode != 0, f"{case}: accepted")
            expect(place in done.stderr, f"{case}: no {place!r} in: {done.stderr}")
        expect(lbctl(lab, "config", "get").stdout == document, "the configuration has changed")
        after = json.loads(lbctl(lab, "status", "-o", "json").stdout)["generation"]
        expect(after == before, f"generation {before} -> {after}")
        for address in (VIP4, VIP6):
            expect_served(lab, address)
        return {"documents": len(BAD_DOCUMENTS)}


@scenario
def config_checked():
    """lbd --check finds the same mistakes without lbd, and leaves nothing behind."""
    with new_lab(reals=1) as lab:
        def check(document):
            path = write_config(lab, document, "checked.yaml")
            return path, lab.lb.run([binary("lbd"), "--check", path], check=False, timeout=10)
        for case, (text, place) in BAD_DOCUMENTS.items():
            path, done = check(text)
            if case == "no interface":  # that is for the host to say
                expect(done.returncode == 0, f"{case}: {done}")
                continue
            expect(done.returncode == 1 and place in done.stderr, f"{case}: {done}")
            expect(re.match(rf"{re.escape(str(path))}:\d+:\d+: ", done.stderr), f"{case}: {done}")
        good = [config(), config(vip(VIP4, ["10.10.11.2"]), vip(VIP6, ["fd10::2"])),
                "# A comment.\ninterfaces:\n  - eth0\n"]
        for document in good:
            done = check(document)[1]
            expect(done.returncode == 0 and not done.stderr, f"refused: {done}")
        missing = lab.lb.run([binary("lbd"), "--check", lab.dir / "none.yaml"], check=False)
        expect(missing.returncode == 1 and "none.yaml" in missing.stderr, f"{missing}")
        expect("xdp" not in lab.lb.link() and not lbd_pins(lab).exists(), "something is left")
        return {"bad": len(BAD_DOCUMENTS) - 1, "good": len(good)}


@scenario
def generic_mode():
    """The same works in the kernel's generic hook, and the mode is reported."""
    with with_both_vips(xdp_mode="generic") as lab:
        # Generic XDP sees the sender's super-packets, which cannot be encapsulated as one.
        lab.router.run(["ethtool", "-K", "to-lb", "tso", "off", "gso", "off"])
        expect(lab.lb.link()["xdp"]["mode"] == 2, f"not generic: {lab.lb.link()['xdp']}")
        (attachment,) = json.loads(lbctl(lab, "status", "-o", "json").stdout)["attachments"]
        expect("generic" in str(attachment["mode"]).lower(), f"reported: {attachment}")
        for address in (VIP4, VIP6):
            expect_served(lab, address, 300)
        return {"requests": 600}


def _map_bytes(pid):
    """Kernel memory of all BPF maps that a process holds."""
    maps = {}
    for entry in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except OSError:  # closed meanwhile
            continue
        fields = dict(re.findall(r"^(\w+):\s*(\d+)$", text, re.MULTILINE))
        if "map_id" in fields:
            maps[fields["map_id"]] = int(fields["memlock"])
    return sum(maps.values()), len(maps)


@scenario
def memory():
    """lbd with an empty configuration, attached: maps and resident memory stay below 64 MB."""
    with new_lab(reals=1) as lab:
        lbd = start_lbd(lab, config())
        map_bytes, maps = _map_bytes(lbd.pid)
        status = pathlib.Path(f"/proc/{lbd.pid}/status").read_text()
        resident = int(re.search(r"^VmRSS:\s*(\d+) kB", status, re.MULTILINE)[1]) << 10
        # lbd maps most of its BPF maps into memory; these pages are there only once.
        smaps = pathlib.Path(f"/proc/{lbd.pid}/smaps").read_text()
        shared = sum(int(kb) << 10 for kb in re.findall(
            r"bpf-map\n(?:[A-Z].*\n)*?Rss:\s*(\d+) kB", smaps))
        own = resident - shared
        expect(maps > 0 and shared > 0, "no BPF map found: the measurement is wrong")
        expect(map_bytes + own < 64e6, f"maps {map_bytes} + resident {own} bytes")
        return {"maps_mb": f"{map_bytes / 1e6:.1f}", "resident_mb": f"{own / 1e6:.1f}"}
