# SPDX-License-Identifier: Apache-2.0
"""Kernels of Debian's archive: found, downloaded and unpacked, never installed.

They are kept outside the repository, in $LBD_VM_CACHE or ~/.cache/lbd/kernels, and used from there
when the archive cannot be reached.
"""

import fcntl
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import time

FLAVOUR = "cloud-amd64"  # small, and with everything that the guests need


class KernelError(Exception):
    """What failed, for people."""


def cache_dir():
    return pathlib.Path(os.environ.get("LBD_VM_CACHE")
                        or pathlib.Path.home() / ".cache/lbd/kernels")


def _run(argv, timeout=120, **kwargs):
    try:
        done = subprocess.run([str(arg) for arg in argv], text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, "LC_ALL": "C",
                              "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}, **kwargs)
    except FileNotFoundError:
        raise KernelError(f"{argv[0]}: not installed; see deploy/packages [test]") from None
    except subprocess.TimeoutExpired:
        raise KernelError(f"{argv[0]}: no end after {timeout} s") from None
    if done.returncode:
        raise KernelError(f"{' '.join(map(str, argv))}: {done.stderr.strip()}")
    return done.stdout


def _numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)]


def _newest(versions):
    return max(versions, key=_numbers, default=None)


class Kernel:
    """An unpacked kernel."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.version = self.root.name  # as uname -r says it

    @property
    def image(self):
        return self.root / "boot" / f"vmlinuz-{self.version}"

    def modules(self, names):
        """These modules and all that they need, in the order of loading, as (name, bytes)."""
        found = []
        for name in names:
            shown = _run(["modprobe", "-d", self.root, "-S", self.version, "--show-depends", name])
            for line in shown.splitlines():
                match line.split():
                    case ["insmod", path, *unused]:
                        found.append(pathlib.Path(path))
        for path in dict.fromkeys(found):
            data = path.read_bytes()
            if path.suffix == ".xz":
                data = lzma.decompress(data)
            yield path.name.partition(".")[0], data


def _available(series):
    """The versions of a series ("6.1") that apt knows."""
    pattern = re.compile(rf"linux-image-({re.escape(series)}\.\d[^-]*(?:-\d+)?-{FLAVOUR})")
    names = _run(["apt-cache", "pkgnames", f"linux-image-{series}."]).split()
    return [match[1] for name in names if (match := pattern.fullmatch(name))]


def _cached(series):
    return [path.name for path in cache_dir().glob(f"{series}.*-{FLAVOUR}")]


def _download(version, directory):
    """Fetches the package into the directory; once more with fresh lists if they are old."""
    argv = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root",
            "-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=20",
            f"linux-image-{version}"]
    try:
        _run(argv, cwd=directory)
    except KernelError:
        _run(["apt-get", "update", "-q"])
        _run(argv, cwd=directory)
    return next(directory.glob("*.deb"))


def _fetch(version):
    final = cache_dir() / version
    work = cache_dir() / f".{version}.{os.getpid()}"
    work.mkdir(parents=True)
    try:
        package = _download(version, work)
        _run(["dpkg-deb", "-x", package, work / "root"])
        _run(["depmod", "-b", work / "root", version])
        shutil.rmtree(work / "root/usr")
        os.rename(work / "root", final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def find(series):
    """The newest kernel of a series, from the archive or, where that is away, from the cache."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        available = _available(series)
        if not available and not _cached(series):
            _run(["apt-get", "update", "-q"])
            available = _available(series)
        version = _newest(available)
        if version and not (cache_dir() / version).exists():
            start = time.monotonic()
            try:
                _fetch(version)
                print(f"kernel {version}: downloaded in {time.monotonic() - start:.1f} s")
            except KernelError as error:
                if not _cached(series):
                    raise KernelError(
                        f"kernel {version} cannot be had: {error}\n"
                        f"Debian's archive must be reachable once; afterwards the kernel is in "
                        f"{cache_dir()} (LBD_VM_CACHE names another place)") from None
                print(f"kernel {version} cannot be had ({error})")
                version = None
        version = version or _newest(_cached(series))
        if not version:
            raise KernelError(f"no package linux-image-{series}.*-{FLAVOUR} in apt's lists, which "
                              "are those of Debian 12; run apt-get update")
        return Kernel(cache_dir() / version)
