# SPDX-License-Identifier: Apache-2.0
"""What lbd keeps of its configurations: history, restarts, mistakes that go back by themselves."""

import json
import re
import signal

from actors import (VIP4, binary, config, lbctl, lbd_flags, lbd_pins, socket_path, start_lbd,
                    vip, write_config)
from harness import expect, expect_served, expect_unserved, new_lab, scenario, serving_lab
from lab import run, wait_until

KEY = f"{VIP4}:80/tcp"


def _state(lab):
    return ["--state_dir", lab.dir / "state"]


def _generation(lab):
    return int(json.loads(lbctl(lab, "status", "-o", "json").stdout)["generation"])


def _document(lab, reals):
    return config(vip(VIP4, [real.ip4 for real in lab.reals[:reals]]))


def _restart(lab, signum=signal.SIGKILL, document=None):
    lab.lbd.stop(signum)
    lab.lbd = start_lbd(lab, document, flags=_state(lab))


def _apply(lab, reals, *flags, check=True):
    path = write_config(lab, _document(lab, reals), "next.yaml")
    return lbctl(lab, "config", "apply", path, *flags, check=check)


@scenario
def revisions():
    """Acknowledged changes survive SIGKILL; history, diff, rollback, confirm; a damaged file."""
    with serving_lab(lambda lab: _document(lab, 3)) as lab:
        _restart(lab, document=_document(lab, 3))
        lbctl(lab, "real", "delete", KEY, lab.reals[2].ip4)
        # The file only seeds: what was acknowledged last is in force after a restart.
        _restart(lab, document=_document(lab, 3))
        expect(_generation(lab) == 2, f"generation {_generation(lab)} after the restart")
        answers = expect_served(lab, VIP4).answers
        expect(lab.reals[2].name not in answers, f"the deleted real is back: {answers}")

        history = json.loads(lbctl(lab, "config", "history", "-o", "json").stdout)["revisions"]
        expect([row["generation"] for row in history] == [2, 1], f"history: {history}")
        expect(lab.reals[2].ip4 in history[0]["changes"][0], f"history: {history}")
        expect(lab.reals[2].ip4 in lbctl(lab, "config", "diff", "2", "1").stdout, "diff 2 1")
        lbctl(lab, "config", "rollback", "1", "--comment", "it was right")
        expect(lab.reals[2].name in expect_served(lab, VIP4).answers, "not rolled back")

        # A change that cuts us off goes back by itself, also when lbd is killed meanwhile.
        _apply(lab, 0, "--confirm-within", "2")
        expect_unserved(lab, VIP4)
        _restart(lab)
        wait_until(lambda: _generation(lab) == 5, 8, "the unconfirmed change goes back")
        expect_served(lab, VIP4)
        _apply(lab, 2, "--confirm-within", "1")
        lbctl(lab, "config", "confirm")

        # The last file is torn: the one before is used, and that is said.
        newest = max((lab.dir / "state").glob("revision-*"))
        newest.write_bytes(newest.read_bytes()[:-5])
        _restart(lab)
        expect(_generation(lab) == 5, f"generation {_generation(lab)} after a torn file")
        expect("damaged" in lab.lbd.output(), "the damage is not in the log")
        expect_served(lab, VIP4)
        return {"revisions": 6}


@scenario
def change_options():
    """--dry-run tells and does nothing; what exceeds --max-changes or --max-disruption, or was made for
    another configuration, is refused and does nothing."""
    with new_lab() as lab:
        lab.lbd = start_lbd(lab, _document(lab, 3))
        before = lbctl(lab, "config", "get").stdout
        gone = [real.ip4 for real in lab.reals[1:]]
        told = _apply(lab, 1, "--dry-run").stdout
        for text in (*(f"- {KEY} real {real}" for real in gone), "SLOTS THAT MOVE"):
            expect(text in told, f"no {text!r} in: {told}")
        for flags, text in ((["--max-changes", "1"], "2 changes, but options.max_changes is 1"),
                            (["--max-disruption", "60"], "but options.max_disruption is 60.00 %"),
                            (["--etag", "1-0"], "1-0 is not in force any more")):
            for dry in ([], ["--dry-run"]):
                done = _apply(lab, 1, *flags, *dry, check=False)
                expect(done.returncode == 1 and text in done.stderr, f"{flags + dry}: {done}")
        after = lbctl(lab, "config", "get").stdout
        expect((after, _generation(lab)) == (before, 1), f"changed: {after}; before: {before}")
        etag = re.search(r"--etag (\S+)", told)[1]
        expect(f"(now {etag})" in done.stderr, f"told {etag}, and refused: {done.stderr}")
        # The same is made with room enough, once.
        flags = ["--max-changes", "2", "--max-disruption", "70", "--etag", etag]
        _apply(lab, 1, *flags)
        expect(_generation(lab) == 2, f"generation {_generation(lab)}")
        done = _apply(lab, 3, *flags, check=False)
        expect(done.returncode == 1 and f"{etag} is not in force any more" in done.stderr,
               f"a stale etag: {done}")
        expect(_generation(lab) == 2, f"generation {_generation(lab)} after a stale etag")
        return {}


@scenario
def full_disk():
    """A full disk refuses changes; lbd and forwarding go on; with room again changes are made."""
    with serving_lab(lambda lab: _document(lab, 3)) as lab:
        state = lab.dir / "state"
        state.mkdir()
        run(["mount", "-t", "tmpfs", "-o", "size=64k", "lbd-state", state])
        try:
            _restart(lab, document=_document(lab, 3))
            with (state / "ballast").open("wb", buffering=0) as ballast:
                try:
                    while True:
                        ballast.write(bytes(4096))
                except OSError:
                    pass
            done = lbctl(lab, "real", "delete", KEY, lab.reals[2].ip4, check=False)
            expect(done.returncode == 1 and "No space left" in done.stderr, f"not refused: {done}")
            expect(lab.reals[2].name in expect_served(lab, VIP4).answers, "a refused change is made")
            (state / "ballast").unlink()
            lbctl(lab, "real", "delete", KEY, lab.reals[2].ip4)
            expect(_generation(lab) == 2, "no new generation")
        finally:
            lab.lbd.stop()
            run(["umount", state])
        return {}


@scenario
def reload():
    """SIGHUP and lbctl config reload apply the file; a bad file changes nothing."""
    with serving_lab(lambda lab: _document(lab, 3)) as lab:
        write_config(lab, _document(lab, 2))
        lab.lbd.kill(signal.SIGHUP)
        wait_until(lambda: _generation(lab) == 2, 5, "SIGHUP is heard")
        expect(lab.reals[2].name not in expect_served(lab, VIP4).answers, "not reloaded")
        write_config(lab, "interfaces: [eth0]\nvips: [{adress: 1}]\n")
        done = lbctl(lab, "config", "reload", check=False)
        expect(done.returncode == 1 and "lbd.yaml:2:9" in done.stderr, f"accepted: {done}")
        lab.lbd.kill(signal.SIGHUP)
        wait_until(lambda: "the configuration stays as it is" in lab.lbd.output(), 5, "it is said")
        write_config(lab, _document(lab, 1))
        lbctl(lab, "config", "reload")
        expect(_generation(lab) == 3, f"generation {_generation(lab)}")
        expect_served(lab, VIP4)
        return {}


@scenario
def two_daemons():
    """A second lbd refuses the pins, the state directory or the socket of the first."""
    with new_lab(reals=1) as lab:
        lab.lbd = start_lbd(lab, config(), flags=_state(lab))
        for what, flags in {
                "--bpffs": ["--listen", f"unix:{socket_path(lab, 'second')}", "--bpffs", lbd_pins(lab),
                            "--state_dir", lab.dir / "other"],
                "--state_dir": lbd_flags(lab, "second")[:-1] + _state(lab),
                "--listen": ["--listen", f"unix:{socket_path(lab)}", "--state_dir=",
                             "--bpffs", lbd_pins(lab, "second")]}.items():
            done = lab.lb.run([binary("lbd"), *flags], check=False, timeout=20)
            expect(done.returncode == 1 and what in done.stderr, f"{what}: {done}")
        expect(lbctl(lab, "status").returncode == 0, "the first does not answer any more")
        return {}
