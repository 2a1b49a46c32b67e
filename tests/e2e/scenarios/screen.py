# SPDX-License-Identifier: Apache-2.0
"""What people look at: lbctl top in a terminal, the status page, completion in shells."""

import json
import os
import pty
import re
import shlex
import signal
import struct
import subprocess

from actors import SBIN, VIP4, VIP6, binary, config, decap_counts, lbctl, socket_path, vip
from browser import Browser
from harness import expect, expect_served, expect_unserved, scenario, serving_lab, with_both_vips
from lab import run, wait_until
from scenarios.health import http_check, wait_state


class Terminal:
    """A tmux of its own."""

    def __init__(self, lab, command, width=80, height=24):
        self._socket = lab.dir / "tmux.sock"
        self._env = {"TERM": "xterm", "LANG": "C.UTF-8", "TMUX": ""}
        # The server of tmux sometimes goes before its first client has come.
        wait_until(lambda: self.tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height,
                                     " ".join(map(str, lab.lb.command(command))),
                                     check=False).returncode == 0, 10, "tmux starts", 0.3)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.tmux("kill-server", check=False)

    def tmux(self, *argv, check=True):
        return run(["tmux", "-S", self._socket, *argv], check=check, env=self._env)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def screen(self):
        return self.tmux("capture-pane", "-p").stdout.split("\n")[:-1]

    def ended(self):
        return self.tmux("list-sessions", check=False).returncode != 0

    def wait_for(self, text):
        seen = []

        def there():
            seen[:] = self.screen()
            return any(text in line for line in seen)
        try:
            wait_until(there, 10, f"{text!r} on the screen", 0.1)
        except Exception as error:
            raise type(error)(f"{error}; there is\n" + "\n".join(seen)) from None
        return seen


@scenario
def top():
    """lbctl top fits 80x24, sorts, drills down and resizes; its totals are what the reals got."""
    with with_both_vips() as lab:
        expect_served(lab, VIP4, 60)
        expect_served(lab, VIP6, 40)
        page = wait_until(lambda: _once(lab), 10, "the totals stand still")
        sent = {VIP4: sum(decap_counts(real)["v4"] for real in lab.reals),
                f"[{VIP6}]": sum(decap_counts(real)["v6"] for real in lab.reals)}
        for address, packets in sent.items():
            row = next(line for line in page if line.startswith(f"{address}:80/tcp"))
            expect(int(row.split()[1].replace(",", "")) == packets, f"{row}: the reals got {packets}")
            expect(row.split()[4].replace(",", "") == ("60" if address == VIP4 else "40"), row)
        command = [binary("lbctl"), "--server", f"unix:{socket_path(lab)}", "top", "--interval", "0.3"]
        with Terminal(lab, command) as terminal:
            screen = terminal.wait_for("*PPS")
            expect(len(screen) == 24 and all(len(line) <= 80 for line in screen), screen)
            expect(screen[0].startswith("lbd ") and screen[23].startswith("q quit"), screen)
            terminal.keys("n")
            terminal.wait_for("*VIP")
            terminal.keys("t")
            terminal.wait_for("PACKETS")
            first = next(line for line in terminal.screen() if ":80/tcp" in line).split()[0]
            terminal.keys("Enter")
            screen = terminal.wait_for(f"Reals of {first}")
            addresses = [real.ip4 if first.startswith(VIP4) else real.ip6 for real in lab.reals]
            expect(all(any(line.startswith(a) for line in screen) for a in addresses), screen)
            terminal.keys("Escape")
            terminal.wait_for(":80/tcp")
            terminal.tmux("resize-window", "-x", 100, "-y", 12)
            wait_until(lambda: len(terminal.screen()) == 12 and
                       terminal.screen()[11].startswith("q quit"), 10, "the smaller page", 0.1)
            terminal.keys("q")
            wait_until(terminal.ended, 10, "top ends")
        return {"packets": sum(sent.values())}


@scenario
def top_of_trouble():
    """lbctl top shows whose packets are dropped; its keys work while lbd hangs."""
    with with_both_vips() as lab:
        for real in lab.reals:
            lbctl(lab, "real", "update", f"{VIP4}:80/tcp", real.ip4, "--state", "down")
        expect_unserved(lab, VIP4)
        expect_served(lab, VIP6, 10)
        stats = {row["vip"]["address"]: row["total"]
                 for row in json.loads(lbctl(lab, "stats", "-o", "json").stdout)["vips"]}
        dropped = int(stats[VIP4]["dropped"])
        expect(dropped > 0 and int(stats[VIP6]["dropped"]) == 0, stats)
        by_verdict = json.loads(lbctl(lab, "stats", "-o", "json").stdout)["verdicts"]
        expect(dropped == next(int(row["packets"]) for row in by_verdict
                               if row["verdict"] == "no_real"), by_verdict)
        command = [binary("lbctl"), "--server", f"unix:{socket_path(lab)}", "top", "--interval", "0.3"]
        with Terminal(lab, command) as terminal:
            terminal.wait_for("DROP/S")
            terminal.keys("t", "d")
            screen = terminal.wait_for("*DROPS")
            rows = [line.split() for line in screen if ":80/tcp" in line]
            expect(rows[0][0] == f"{VIP4}:80/tcp" and rows[0][5] == str(dropped), screen)
            lab.lbd.kill(signal.SIGSTOP)
            try:
                terminal.wait_for("No answer from lbd for 2 s")
                terminal.keys("n")
                terminal.wait_for("*VIP")
                terminal.keys("q")
                wait_until(terminal.ended, 2, "top ends while lbd hangs", 0.1)
            finally:
                lab.lbd.kill(signal.SIGCONT)
        return {"dropped": dropped}


def _once(lab):
    """lbctl top --once, when nothing is under way any more."""
    pages = [lbctl(lab, "top", "--once", "--interval", "0.2").stdout.splitlines() for _ in range(2)]
    rows = [[line for line in page if ":80/tcp" in line] for page in pages]
    return pages[1] if rows[0] == rows[1] else None


@scenario
def console():
    """The status page is whole by itself, and its data is what lbd does."""
    with with_both_vips() as lab:
        expect_served(lab, VIP4, 30)

        def get(path):
            return lab.lb.run(["curl", "-sSi", "--max-time", "10",
                               f"http://127.0.0.1:9188{path}"]).stdout
        page = get("/")
        expect("200 OK" in page and "Content-Security-Policy: default-src 'none'" in page, page[:500])
        foreign = re.findall(r"(?:src|href|@import|url\()\s*=?\s*['\"]?(?:https?:)?//[^'\" )]+", page)
        expect(not foreign, f"the page wants {foreign}")
        data = json.loads(get("/console.json").partition("\n\n")[2]
                          or get("/console.json").partition("\r\n\r\n")[2])
        packets = {vip["vip"]["address"]: int(vip["total"]["packets"]) for vip in data["stats"]["vips"]}
        expect(packets[VIP4] >= 30 * 4 and packets[VIP6] == 0, packets)
        expect({"status", "vips", "findings", "events"} <= set(data), list(data))
        expect(sum(data["vips"][0]["slots"]) == 16384, data["vips"])
        drawn = lab.lb.run(
            ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--window-size=390,844",
             f"--user-data-dir={lab.dir / 'chromium'}", "--virtual-time-budget=5000", "--dump-dom",
             "http://127.0.0.1:9188/"], timeout=60).stdout
        for text in (f"{VIP4}:80/tcp", f"[{VIP6}]:80/tcp", "3 of 3 reals", "packets/s forwarded",
                     "Encapsulated and sent to a real.", lab.reals[0].ip4, "hash key"):
            expect(text in drawn, f"the browser does not show {text!r}: {drawn[-3000:]}")
        expect('id="stale" role="status" style="display: none;"' in drawn, "the page found no data")
        return {"bytes": len(page)}


PHONE = (390, 844)


@scenario
def console_on_phones():
    """On a narrow screen the status page does not scroll sideways; it is dark for those who prefer it."""
    with with_both_vips() as lab:
        brightness, sizes = {}, {}
        for scheme in ("light", "dark"):
            with Browser(lab.lb, "http://127.0.0.1:9188/", *PHONE, scheme) as browser:
                for text in (f"{VIP4}:80/tcp", f"[{VIP6}]:80/tcp", "3 of 3 reals"):
                    browser.wait_for(text)
                width = browser.value("document.scrollingElement.scrollWidth")
                expect(width <= PHONE[0], f"{scheme}: the page is {width} pixels wide")
                colours = [browser.value(f"getComputedStyle(document.body).{name}")
                           for name in ("backgroundColor", "color")]
                brightness[scheme] = [sum(map(int, re.findall(r"\d+", colour)[:3]))
                                      for colour in colours]
                png = browser.screenshot()
                expect(png.startswith(b"\x89PNG\r\n\x1a\n") and png[12:16] == b"IHDR", png[:32])
                size = struct.unpack(">II", png[16:24])
                expect(size == PHONE, f"{scheme}: the picture has {size}")
                sizes[f"{scheme}_png_bytes"] = len(png)
        for scheme, (background, text) in brightness.items():
            expect((background < text) == (scheme == "dark") and abs(background - text) > 300,
                   f"{scheme}: background {background}, text {text} of 765")
        return sizes


def _on_terminal(lab, *argv, **env):
    """What lbctl writes to a terminal."""
    ours, theirs = pty.openpty()
    try:
        subprocess.run([binary("lbctl"), "--server", f"unix:{socket_path(lab)}", *argv],
                       stdin=subprocess.DEVNULL, stdout=theirs, timeout=20, check=True,
                       env={"PATH": os.environ["PATH"], "TERM": "xterm", **env})
        return os.read(ours, 65536).decode().replace("\r\n", "\n")
    finally:
        os.close(theirs)
        os.close(ours)


@scenario
def colours():
    """Colours come to terminals only, and never with NO_COLOR; the text is the same."""
    with with_both_vips() as lab:
        argv = ["real", "list", f"{VIP4}:80/tcp"]
        piped = lbctl(lab, *argv).stdout
        expect(lab.reals[0].ip4 in piped and "\033" not in piped, f"in a pipe: {piped!r}")
        coloured = _on_terminal(lab, *argv)
        expect("\033[32m" in coloured, f"on a terminal: {coloured!r}")
        expect(re.sub(r"\033\[\d*m", "", coloured) == piped, f"{coloured!r}, in a pipe: {piped!r}")
        for env, wanted in (({"NO_COLOR": "1"}, piped), ({"TERM": "dumb"}, piped),
                            ({"NO_COLOR": ""}, coloured)):  # as if it were not set
            text = _on_terminal(lab, *argv, **env)
            expect(text == wanted, f"{env}: {text!r}, not {wanted!r}")
        return {}


@scenario
def health_on_screen():
    """lbctl top and the status page show which reals are up, not only what is wanted of them."""
    with serving_lab(lambda lab: config(vip(VIP4, [real.ip4 for real in lab.reals],
                                            checks=[http_check()]))) as lab:
        wait_state(lab, "up")
        real1, real2, real3 = lab.reals
        lab.nginx[real1.name].stop(9)
        wait_state(lab, "down", real1)
        lbctl(lab, "health", "set", f"{VIP4}:80/tcp", real2.ip4, "down")
        wanted = {real1.ip4: "down", real2.ip4: "set down", real3.ip4: "up"}
        command = [binary("lbctl"), "--server", f"unix:{socket_path(lab)}", "top", "--interval", "0.3"]
        with Terminal(lab, command) as terminal:
            screen = terminal.wait_for("1/3")
            expect("2 not up" in screen[0] and screen[6].endswith("HEALTH"), screen)
            terminal.keys("Enter")
            screen = terminal.wait_for(f"Reals of {VIP4}")
            for address, state in wanted.items():
                expect(any(line.startswith(address) and line.endswith(f" {state}") for line in screen),
                       f"{address} {state}: {screen}")
        drawn = lab.lb.run(
            ["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--window-size=1000,900",
             f"--user-data-dir={lab.dir / 'chromium'}", "--virtual-time-budget=5000", "--dump-dom",
             "http://127.0.0.1:9188/"], timeout=60).stdout
        expect("2 not up" in drawn and '<b class="bad">2</b><span class="soft">reals not up' in drawn,
               drawn[-3000:])
        for address, state in wanted.items():
            tone = "ok" if state == "up" else "bad"
            expect(f'<td>{address}</td><td class="ok">active</td><td class="{tone}">{state}</td>' in drawn,
                   f"{address} {state}: {drawn[-3000:]}")
        return {}


@scenario
def completion():
    """bash, zsh and fish complete commands, options and the names that lbd knows."""
    with with_both_vips() as lab:
        env = {"LBCTL_SERVER": f"unix:{socket_path(lab)}",
               "PATH": f"{binary('lbctl').parent}:{SBIN['PATH']}", "HOME": str(lab.dir)}
        vip = f"{VIP4}:80/tcp"
        v4, v6 = ([getattr(real, family) for real in lab.reals] for family in ("ip4", "ip6"))
        lines = {f"lbctl vip show {VIP4}": [vip], f"lbctl real drain {vip} 10.": v4,
                 "lbctl health history ": sorted(v4 + v6), f"lbctl capture --vip {vip} --real ": v4}
        for line, wanted in lines.items():
            words = line.split(" ")
            bash = (f"source <(lbctl completion bash); COMP_LINE='{line}'; "
                    "COMP_POINT=${#COMP_LINE}; _lbctl; printf '%s\\n' \"${COMPREPLY[@]}\"")
            fish = f"lbctl completion fish | source; complete -C '{line}'"
            zsh = ("autoload -U compinit; compinit -u -D; source <(lbctl completion zsh); "
                   f"words=({shlex.join(words)}); CURRENT={len(words)}; "
                   "compadd() { shift; print -l -- $@ }; _lbctl")
            for shell, script in (("bash", bash), ("fish", fish), ("zsh", zsh)):
                done = run([shell, "-c", script], env=env, check=False)
                offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
                # bash keeps what is before the last colon of the word.
                before = words[-1].rpartition(":")
                ends = [word.removeprefix(before[0] + before[1]) for word in wanted]
                expect(sorted(offered) == sorted(ends if shell == "bash" else wanted),
                       f"{shell}, {line}: {done}")
        words = run(["lbctl", "__complete", "real", "drain", vip, ""], env={**os.environ, **env})
        expect(words.stdout.split() == [real.ip4 for real in lab.reals], words)
        man = run(["man", "--warnings", "-l", "-"], stdin=run(["lbctl", "__man"], env=env).stdout)
        expect("lbctl vip add" in man.stdout and not man.stderr, man.stderr)
        bundle = lab.dir / "bundle.tar.gz"
        # There, as the metrics are on the loopback of lbd's namespace.
        lab.lb.run([binary("lbctl"), "support-bundle", bundle], env=env)
        names = run(["tar", "-tzf", bundle]).stdout.split()
        expect("lbd-support/doctor.yaml" in names and "lbd-support/events.yaml" in names, names)
        text = run(["tar", "-xzOf", bundle]).stdout
        expect("hash_key: " not in text.replace("hash_key: ''", "").replace('hash_key: ""', ""),
               "the bundle has the key")
        metrics = run(["tar", "-xzOf", bundle, "lbd-support/metrics.txt"]).stdout
        expect("\nlbd_build_info{" in metrics, metrics)
        return {"shells": 3}
