# SPDX-License-Identifier: Apache-2.0
"""What scenarios are made of."""

import contextlib
import os
import sys

import actors
from lab import Lab, LabError, tail

scenarios = {}
guest_scenarios = {}


class Failure(Exception):
    """A scenario did not see what it must see."""


def expect(condition, message):
    if not condition:
        raise Failure(message)


def scenario(function):
    """Registers a scenario under the function's name; it returns figures to print."""
    scenarios[function.__name__] = function
    return function


def guest_scenario(function):
    """Registers a scenario that needs what only the kernels of tests/vm are sure to have."""
    guest_scenarios[function.__name__] = function
    return function


@contextlib.contextmanager
def new_lab(reals=3):
    """A lab that goes away with the scenario; when that fails, the ends of its logs are shown."""
    name = f"e2e-{os.getpid()}"
    with Lab(name, reals=reals, owner=os.getpid()) as lab:
        try:
            yield lab
        except (Failure, LabError):
            for log in sorted((lab.dir / "log").iterdir()):
                print(f"--- {log.name}\n{tail(log)}", file=sys.stderr)
            raise


@contextlib.contextmanager
def serving_lab(make_config, reals=3):
    """A lab in which nginx and lbagent run on each real, and lbd with make_config(lab)."""
    with new_lab(reals) as lab:
        lab.nginx, lab.agents = {}, {}
        for real in lab.reals:
            lab.nginx[real.name] = actors.start_nginx(real)
            lab.agents[real.name] = actors.start_agent(real)
        lab.lbd = actors.start_lbd(lab, make_config(lab))
        yield lab


def expect_served(lab, address, count=100, parallel=1):
    """Every request to the address is answered."""
    result = actors.request_many(lab.client, address, count, parallel)
    expect(result.failures == 0,
           f"{result.failures} of {count} requests to {address} failed: {result.errors}")
    return result


def expect_unserved(lab, address):
    """A connection to the address does not come about."""
    done = lab.client.run(["curl", "-sS", "--connect-timeout", "0.5", actors.url(address)],
                          check=False)
    expect(done.returncode != 0, f"{address} answers, and should not: {done.stdout}")


def expect_no_checksum_errors(lab):
    for real in lab.reals:
        for line in real.run(["nstat", "-asz", "TcpInCsumErrors"]).stdout.splitlines():
            if line.startswith("TcpInCsumErrors"):
                expect(line.split()[1] == "0", f"{real.name}: {line}")


def both_vips(lab, **settings):
    """VIP4 over IPv4 reals, VIP6 over IPv6 reals."""
    return actors.config(actors.vip(actors.VIP4, [real.ip4 for real in lab.reals]),
                         actors.vip(actors.VIP6, [real.ip6 for real in lab.reals]), **settings)


def with_both_vips(**settings):
    return serving_lab(lambda lab: both_vips(lab, **settings))
