# SPDX-License-Identifier: Apache-2.0
"""What runs on the nodes of a lab: lbd, lbagent, nginx, iperf3, curl."""

import collections
import contextlib
import json
import math
import os
import signal
import socket

from lab import LabError, ROOT, VIP4, VIP6, build_dir, run, wait_until

BIG_FILE_MIB = 64

NGINX_CONF = """\
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  client_max_body_size 256m;
  server {{
    listen 80; listen [::]:80;
    root {www};
    add_header X-Real {name};
    location = / {{ default_type text/plain; return 200 "{name}\\n"; }}
    location = /upload {{ default_type text/plain; proxy_pass http://127.0.0.1:81/; }}
  }}
  server {{ listen 127.0.0.1:81; return 200 "{name}\\n"; }}
}}
"""


def binary(name):
    path = build_dir() / "bin" / name
    if not path.exists():
        raise LabError(f"{path} is missing; build first, or set LBD_BUILD_DIR")
    return path


def start_nginx(node):
    """A web server on every address of the node: / says its name, /big is a large file."""
    directory = node.lab.dir / f"nginx-{node.name}"
    www = node.lab.dir / "www"
    directory.mkdir(exist_ok=True)
    if not www.exists():
        www.mkdir()
        with (www / "big").open("wb") as big:
            big.truncate(BIG_FILE_MIB << 20)
    conf = directory / "nginx.conf"
    conf.write_text(NGINX_CONF.format(dir=directory, www=www, name=node.name))
    os.chmod(node.lab.dir, 0o755)
    process = node.start(f"nginx-{node.name}", ["nginx", "-e", directory / "error.log", "-c", conf])
    _wait_listening(node, process, 80)
    return process


def start_iperf3(node, address, port):
    # Bound to the VIP, or its UDP answers would come from another address of the node.
    process = node.start(f"iperf3-{node.name}-{port}", ["iperf3", "-s", "-B", address, "-p", port])
    _wait_listening(node, process, port)
    return process


def start_echo_server(node, port, wrap=list):
    script = ROOT / "tests/e2e/tools/echo_server.py"
    process = node.start(f"echo-{node.name}", wrap([script, port]))
    _wait_listening(node, process, port)
    return process


@contextlib.contextmanager
def udp_flows(lab, address, rate, node=None, reals=None):
    """4096 UDP flows to port 53 of a VIP, so many packets a second until the block ends; its figures
    (sent, lost, misdirected, pps) then. It counts on eth0 of the VIP's reals (all of the lab, unless
    given), in place of lbagent."""
    sender = lab.router.start("flows", [
        binary("flow_sender"), lab.router.netns, "to-lb", (node or lab.lb).link()["address"], address,
        rate, *(real.netns for real in reals or lab.reals)])
    figures = {}
    wait_until(lambda: "sending" in sender.output() or sender.require_alive(), 20, "packets are sent")
    yield figures
    sender.stop(signal.SIGTERM, timeout=30)
    figures.update(word.split("=") for word in sender.output().splitlines()[-1].split())


def _wait_listening(node, process, port):
    def listening():
        process.require_alive()
        return node.run(["ss", "-Hltn", f"sport = :{port}"]).stdout
    wait_until(listening, 20, f"{process.name} listens on port {port}")


def start_agent(node, vips=(VIP4, VIP6), flags=()):
    """lbagent on a real; returns when it serves."""
    vip_flags = [flag for vip in vips for flag in ("--vip", vip)]
    process = node.start(f"lbagent-{node.name}",
                         [binary("lbagent"), "--interface", "eth0", *vip_flags,
                          "--bpffs", agent_pins(node), *flags])
    _wait_log(process, "serving ")
    return process


def decapsulate_by_kernel(node):
    """The plain devices of Linux in place of lbagent: every mix of families, from any sender."""
    node.ip([f"addr add {VIP4}/32 dev lo", f"addr add {VIP6}/128 dev lo nodad",
             f"link add tunnel4in4 type ipip local {node.ip4} remote any",
             f"link add tunnel6in4 type sit local {node.ip4} remote any",
             f"link add tunnel-in6 type ip6tnl mode any local {node.ip6} remote any",
             *(f"link set {device} up" for device in ("tunnel4in4", "tunnel6in4", "tunnel-in6"))])


def agent_pins(node):
    return node.lab.bpffs / f"lbagent-{node.name}"


def decap_counts(node):
    """Packets by outcome, from the pinned map of lbagent."""
    names = ("passed", "v4", "v6", "malformed", "fragment", "ecn")
    dump = json.loads(run(["bpftool", "-j", "map", "dump", "pinned",
                           agent_pins(node) / "lb_decap_count"], env=SBIN).stdout)
    counts = {}
    for name, entry in zip(names, dump):
        counts[name] = sum(cpu["value"] for cpu in entry["formatted"]["values"])
    return counts


SBIN = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def socket_path(lab, name="lbd"):
    return lab.dir / f"{name}.sock"


def lbd_pins(lab, name="lbd"):
    return lab.bpffs / name


def lbd_flags(lab, name="lbd"):
    """Without a state directory, so that each start begins with its document."""
    return ["--listen", f"unix:{socket_path(lab, name)}", "--bpffs", lbd_pins(lab, name),
            "--state_dir="]


def config(*vips, interfaces=("eth0",), **settings):
    """A configuration document of lbd."""
    return {"interfaces": list(interfaces), **settings, "vips": list(vips)}


def vip(address, reals, protocol="tcp", port=80, **fields):
    """A VIP of a document. `reals`: addresses, or {address: weight}."""
    weights = reals if isinstance(reals, dict) else dict.fromkeys(reals, 100)
    return {"address": address, "port": port, "protocol": protocol, **fields,
            "reals": [{"address": real, "weight": weight} for real, weight in weights.items()]}


def write_config(lab, document, name="lbd.yaml"):
    """Writes a document; JSON is YAML."""
    path = lab.dir / name
    text = document if isinstance(document, str) else json.dumps(document, indent=2) + "\n"
    path.write_text(text)
    return path


def start_lbd(lab, document=None, flags=(), node=None, name="lbd", wrap=list,
              program="lbd"):
    """lbd on the load balancer; returns when its API answers, that is when it forwards."""
    config_flags = [] if document is None else ["--config", write_config(lab, document)]
    process = (node or lab.lb).start(name, wrap([binary(program), *lbd_flags(lab, name),
                                                 *config_flags, *flags]))

    def answers():
        process.require_alive()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(socket_path(lab, name))) == 0
    wait_until(answers, 15, "lbd answers on its socket")
    return process


def lbctl(lab, *argv, check=True, name="lbd", timeout=None):
    """`timeout`: for calls that may take longer than usual, in seconds."""
    patience = [] if timeout is None else ["--timeout", timeout]
    return run([binary("lbctl"), "--server", f"unix:{socket_path(lab, name)}", *patience, *argv],
               check=check, timeout=timeout or 30)


def verdicts(lab):
    """Packets by verdict."""
    stats = json.loads(lbctl(lab, "stats", "-o", "json").stdout)
    return {v["verdict"]: int(v.get("packets", 0)) for v in stats["verdicts"]}


def start_capture(lab, *flags, command=("capture",)):
    """lbctl capture, or another command that captures, in the background; returns when it runs."""
    before = lab.lbd.output().count("A capture starts")
    process = lab.lb.start("capture", [binary("lbctl"), "--server", f"unix:{socket_path(lab)}",
                                       *command, *flags])
    wait_until(lambda: lab.lbd.output().count("A capture starts") > before, 10, "the capture starts")
    return process


def captured_frames(file, *fields, flags=()):
    """The fields of each frame in a capture file, as tshark reads it."""
    names = [word for field in fields or ("frame.number",) for word in ("-e", field)]
    lines = run(["tshark", "-r", file, "-T", "fields", *names, *flags], check=False).stdout
    return [line.split("\t") for line in lines.splitlines()]


def _wait_log(process, text, timeout=10):
    def said():
        process.require_alive()
        return text in process.output()
    wait_until(said, timeout, f"{process.name} logs {text!r}")


def url(address, path="/", port=80):
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}{'' if port == 80 else f':{port}'}{path}"


Requests = collections.namedtuple("Requests", "answers failures seconds errors")


def request_many(client, address, count, parallel=1, path="/", flags=()):
    """`count` requests, each on a connection of its own, by one curl process."""
    lines = ["no-keepalive", "silent", "show-error", "no-progress-meter", "max-time = 10",
             'header = "Connection: close"',
             'write-out = "%header{x-real} %{http_code} %{time_total}\\n"']
    lines += [f'url = "{url(address, path)}"', 'output = "/dev/null"'] * count
    if parallel > 1:
        flags = [*flags, "--parallel", "--parallel-immediate", "--parallel-max", parallel]
    done = client.run(["curl", "--config", "-", *flags], stdin="\n".join(lines),
                      timeout=60 + count * 0.1, check=False)
    answers, seconds = collections.Counter(), []
    for line in done.stdout.splitlines():
        match line.split():
            case [real, "200", took]:
                answers[real] += 1
                seconds.append(float(took))
    return Requests(answers, count - sum(answers.values()), seconds,
                    "\n".join(done.stderr.splitlines()[:5]))


def chi_square(answers, weights):
    """How far answers by real are from the weights of three reals, and the bound on that which chance
    alone exceeds once in a million runs."""
    assert len(weights) == 3  # the closed form of the bound is that of 2 degrees of freedom
    scale = sum(answers.values()) / sum(weights.values())
    distance = sum((answers[name] - weight * scale) ** 2 / (weight * scale)
                   for name, weight in weights.items())
    return distance, -2 * math.log(1e-6)
