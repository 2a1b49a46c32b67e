# SPDX-License-Identifier: Apache-2.0
"""The root file system of a guest: an archive that its kernel unpacks into memory."""

import os
import pathlib
import re
import stat
import subprocess

# Debian's layout: these are links into /usr.
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class Initramfs:
    """A cpio archive (newc) in the making."""

    def __init__(self):
        self._entries = {}  # path without leading slash: (mode, bytes or path)
        for name in MERGED:
            self._entries[name] = (stat.S_IFLNK | 0o777, f"usr/{name}".encode())

    @staticmethod
    def _inside(path):
        parts = pathlib.PurePosixPath(path).parts[1:]
        return "/".join(("usr", *parts) if parts[0] in MERGED else parts)

    def directory(self, path, mode=0o755):
        inside = self._inside(path)
        if inside not in self._entries:
            self._parents(inside)
            self._entries[inside] = (stat.S_IFDIR | mode, b"")

    def _parents(self, inside):
        parent = inside.rpartition("/")[0]
        if parent:
            self.directory(f"/{parent}")

    def file(self, path, content, mode=0o755):
        """A file; `content` is bytes, or the path of a file of the host."""
        inside = self._inside(path)
        self._parents(inside)
        self._entries[inside] = (stat.S_IFREG | mode, content)

    def link(self, path, target):
        inside = self._inside(path)
        self._parents(inside)
        self._entries[inside] = (stat.S_IFLNK | 0o777, target.encode())

    def copy(self, source, path=None):
        """A file of the host, with the mode that it has there."""
        source = pathlib.Path(source)
        self.file(path or source, source, source.stat().st_mode & 0o777)

    def tree(self, source, path=None, skip=()):
        """A directory of the host; `skip`: names to leave out."""
        source = pathlib.Path(source)
        for directory, names, files in os.walk(source):
            names[:] = [name for name in names if name not in skip]
            for name in files:
                at = pathlib.Path(directory, name)
                if name not in skip and at.exists():
                    self.copy(at, pathlib.Path(path or source, at.relative_to(source)))

    def programs(self, paths):
        """Programs and libraries of the host, with the libraries that they need."""
        paths = [pathlib.Path(path) for path in paths]
        for path in paths:
            self.copy(path)
        self.libraries(paths)

    def libraries(self, paths):
        """The shared libraries that these ELF files need."""
        done = subprocess.run(["ldd", *map(str, paths)], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, check=False)
        for library in set(re.findall(r"(?:=> |^\t)(/\S+) \(0x", done.stdout, re.MULTILINE)):
            self.copy(library)

    def write(self, out):
        """Writes the archive to a binary file; returns its size."""
        start = out.tell()
        for number, (name, (mode, content)) in enumerate(sorted(self._entries.items()), 1):
            data = content.read_bytes() if isinstance(content, pathlib.Path) else content
            _write_entry(out, number, name, mode, data)
        _write_entry(out, 0, "TRAILER!!!", 0, b"")
        return out.tell() - start


def _write_entry(out, number, name, mode, data):
    links = 2 if stat.S_ISDIR(mode) else 1
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + "".join(f"{field:08X}" for field in fields).encode() + encoded
    out.write(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))
