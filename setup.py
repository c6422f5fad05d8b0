"""Builds what Python cannot: protobuf code, and the one extension module over csrc and llama.cpp.

The steps are sub-commands of `build`: `build_proto` runs protoc; `build_ext` fetches the pinned
llama.cpp, runs Cython, then CMake. LLAMAWIRE_PURE=1 leaves out the extension, the worker and the
engine, and needs no compiler.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Extension, find_namespace_packages, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).resolve().parent
PURE = os.environ.get("LLAMAWIRE_PURE", "") not in ("", "0")
BOX_FILES = (
    "Modelfile", "tiny.gguf",
    "Modelfile.vision", "tiny-vision.gguf", "tiny-vision-adapter.gguf",
)  # fmt: skip
SOURCE_ROOTS = ("frontends", "proto") if PURE else ("frontends", "pyx", "proto")
ENGINE_ONLY = ("llamawire.engine", "llamawire.worker", "llamawire.native")
LOCK = ROOT / "csrc" / "llama.cpp.lock"
VENDOR = ROOT / "csrc" / "vendor" / "llama.cpp"
VENDORED_PATHS = (
    "CMakeLists.txt", "cmake", "ggml", "src", "common", "include", "vendor", "tools/mtmd",
    "LICENSE", "licenses",
)  # fmt: skip
PEER_PROGRAMS = ("llama-server", "llama-bench", "llama-batched-bench")
# Ours, as csrc/CMakeLists.txt sets them, and what only the programs need; nothing asks the network.
PEER_ARGUMENTS = (
    "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_OPENMP=OFF",
    "-DGGML_RPC=OFF", "-DGGML_CUDA_NCCL=OFF", "-DGGML_METAL_EMBED_LIBRARY=ON", "-DGGML_CCACHE=ON",
    "-DLLAMA_BUILD_COMMON=ON", "-DLLAMA_BUILD_TOOLS=ON", "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_LLGUIDANCE=OFF",
)  # fmt: skip
BACKENDS = {"CUDA": "GGML_CUDA", "METAL": "GGML_METAL", "VULKAN": "GGML_VULKAN", "HIP": "GGML_HIP"}


class BuildError(SystemExit):
    """Ends the build with one sentence instead of a traceback."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"llamawire: {sentence}")


def flag(name: str, default: bool = False) -> bool:
    value = os.environ.get(name)
    return default if value is None else value not in ("", "0", "false", "OFF")


# ---- llama.cpp -----------------------------------------------------------------------------------


def vendor_llama_cpp() -> Path:
    """The folder of llama.cpp's tree: LLAMA_CPP_DIR, or csrc/vendor, filled from the pin."""
    other = os.environ.get("LLAMA_CPP_DIR")
    if other:
        return Path(other).resolve()
    stamp = VENDOR / ".pin"
    pin = LOCK.read_text()
    if not (stamp.exists() and stamp.read_text() == pin):
        print("llamawire: fetching the pinned llama.cpp (75 MB, once)", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            unpack_llama_cpp(download_llama_cpp(Path(folder)), VENDOR, VENDORED_PATHS)
        stamp.write_text(pin)
    return VENDOR


def download_llama_cpp(folder: Path) -> Path:
    """The source archive named in llama.cpp.lock, checked against its hash by pip."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--no-binary", "llama-cpp-python", "--require-hashes",
        "-r", str(LOCK), "-d", str(folder),
    ]  # fmt: skip
    if subprocess.run(command, cwd=folder).returncode != 0:
        raise BuildError(
            "could not fetch llama.cpp; the first build from a checkout needs the network "
            "(or LLAMA_CPP_DIR with a tree of your own)"
        )
    return next(folder.glob("*.tar.gz"))


def copy_licenses(vendor: Path, target: Path) -> None:
    """llama.cpp's licence, and those of what it carries, go where its machine code goes."""
    target.mkdir(parents=True, exist_ok=True)
    for path in (vendor / "LICENSE", *(vendor / "licenses").iterdir()):
        shutil.copyfile(path, target / f"llama.cpp-{path.name}")


def unpack_llama_cpp(archive: Path, target: Path, paths: tuple[str, ...]) -> None:
    """Unpacks `paths` of the llama.cpp inside `archive` into `target`; empty paths: all of it."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            inner = member.name.partition("/vendor/llama.cpp/")[2]
            wanted = not paths or any(inner == p or inner.startswith(p + "/") for p in paths)
            parts = inner.split("/")
            if not wanted or not member.isfile() or parts[0] in ("", ".git") or ".." in parts:
                continue
            path = target / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            source = tar.extractfile(member)
            assert source is not None
            with source, path.open("wb") as out:
                shutil.copyfileobj(source, out)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)


# ---- CMake ---------------------------------------------------------------------------------------


def cmake_arguments(
    environment: dict[str, str] | None = None, system: str | None = None
) -> list[str]:
    """CMake's -D arguments for the backend flags; CMAKE_ARGS comes last, so it wins."""
    env = os.environ if environment is None else environment
    arguments = []
    for name, option in BACKENDS.items():
        default = "1" if name == "METAL" and (system or platform.system()) == "Darwin" else "0"
        on = env.get(f"LLAMAWIRE_{name}", default) not in ("", "0")
        arguments.append(f"-D{option}={'ON' if on else 'OFF'}")
    if env.get("LLAMAWIRE_PORTABLE", "0") not in ("", "0"):
        # A released wheel: x86-64-v3, checked by a CPUID test when the module is imported.
        arguments += ["-DGGML_NATIVE=OFF", "-DLLAMAWIRE_BASELINE_V3=ON"]
    else:
        arguments += ["-DGGML_NATIVE=ON", "-DLLAMAWIRE_BASELINE_V3=OFF"]
    return arguments + env.get("CMAKE_ARGS", "").split()


def peer_backend_arguments() -> list[str]:
    """The backend flags of llama.cpp's own programs: what our options ask of ggml alone."""
    return [a for a in cmake_arguments() if not a.startswith("-DLLAMAWIRE_")]


def build_id() -> str:
    """Names this build; daemon and worker compare it (llamawire/engine/build.py)."""
    digest = hashlib.sha256()
    for folder, pattern in (("csrc/llamawire", "*"), ("pyx", "**/*.p*"), ("proto", "**/*.proto")):
        for path in sorted((ROOT / folder).glob(pattern)):
            if path.suffix in (".h", ".cc", ".pyx", ".pxd", ".pyi", ".proto"):
                digest.update(path.read_bytes())
    digest.update(LOCK.read_bytes())
    return digest.hexdigest()[:16]


class build_native(build_ext):
    """Cython, then CMake and Ninja in a kept folder; CMake links, since it knows the backends."""

    def run(self) -> None:
        if not self.extensions:
            return
        self.check_tools()
        vendor = vendor_llama_cpp()
        folder = ROOT / "build" / os.environ.get("LLAMAWIRE_BUILD_FOLDER", "cmake")
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "_native.cpp"
        self.cythonize(source)
        output = self.output_folder()
        output.mkdir(parents=True, exist_ok=True)
        self.configure(folder, vendor, source, output)
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
        command = ["cmake", "--build", str(folder), "--target", "_native", "-j", jobs]
        if subprocess.run(command).returncode != 0:
            raise BuildError("the C++ build failed; the compiler's words stand above")
        (output / "build_id").write_text(build_id() + "\n")
        if output.is_relative_to(Path(self.build_lib).resolve()):
            copy_licenses(vendor, output / "licenses")

    def check_tools(self) -> None:
        if not (shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")):
            raise BuildError("no C++ compiler was found (Debian, Ubuntu: apt install g++)")
        if not Path(sysconfig.get_path("include"), "Python.h").exists():
            raise BuildError("Python.h is missing (Debian, Ubuntu: apt install python3-dev)")
        if flag("LLAMAWIRE_CUDA") and not (shutil.which("nvcc") or os.environ.get("CUDACXX")):
            raise BuildError("LLAMAWIRE_CUDA=1 needs nvcc on the PATH or in CUDACXX")

    def cythonize(self, target: Path) -> None:
        sources = [
            p for p in (ROOT / "pyx/llamawire/native").iterdir() if p.suffix in (".pyx", ".pxd")
        ]
        if target.exists() and all(p.stat().st_mtime < target.stat().st_mtime for p in sources):
            return
        command = [
            sys.executable, "-m", "cython", "--cplus", "-3", "-Werror",
            # Cython does not see that a folder without __init__.py is a package.
            "-I", "pyx", "--module-name", "llamawire.native._native",
            "pyx/llamawire/native/_native.pyx", "-o", str(target),
        ]  # fmt: skip
        if subprocess.run(command, cwd=ROOT).returncode != 0:
            raise BuildError("Cython refused pyx/llamawire/native; its words stand above")

    def output_folder(self) -> Path:
        if self.editable_mode or self.inplace:
            return ROOT / "pyx" / "llamawire" / "native"
        return Path(self.build_lib).resolve() / "llamawire" / "native"

    def configure(self, folder: Path, vendor: Path, source: Path, output: Path) -> None:
        command = [
            "cmake", "-S", str(ROOT / "csrc"), "-B", str(folder), "-G", "Ninja",
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DLLAMA_CPP_DIR={vendor}",
            f"-DLLAMAWIRE_NATIVE_CPP={source}",
            f"-DLLAMAWIRE_OUTPUT_DIR={output}",
            f"-DLLAMAWIRE_BUILD_ID={build_id()}",
            f"-DPython_EXECUTABLE={sys.executable}",
            *cmake_arguments(),
        ]  # fmt: skip
        if subprocess.run(command).returncode != 0:
            raise BuildError("CMake could not configure the build; its words stand above")


# ---- protobuf ------------------------------------------------------------------------------------


class build_proto(Command):
    """protoc, beside the .proto files in a checkout, into build_lib for a wheel."""

    description = "generate the protobuf code"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode = False

    def initialize_options(self) -> None:
        self.build_lib: str | None = None

    def finalize_options(self) -> None:
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self) -> None:
        from grpc_tools import protoc

        target = ROOT / "proto" if self.editable_mode else Path(str(self.build_lib)).resolve()
        target.mkdir(parents=True, exist_ok=True)
        protos = sorted(str(p) for p in (ROOT / "proto").rglob("*.proto"))
        include = Path(protoc.__file__).parent / "_proto"
        outputs = [f"--python_out={target}", f"--grpc_python_out={target}"]
        if shutil.which("protoc-gen-mypy"):
            outputs += [f"--mypy_out={target}", f"--mypy_grpc_out={target}"]
        arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{include}", *outputs, *protos]
        if protoc.main(arguments) != 0:
            raise BuildError("protoc refused a .proto file; its words stand above")

    def get_source_files(self) -> list[str]:
        return sorted(str(p.relative_to(ROOT)) for p in (ROOT / "proto").rglob("*.proto"))

    def get_outputs(self) -> list[str]:
        return []

    def get_output_mapping(self) -> dict[str, str]:
        return {}


class build_peer(Command):
    """llama.cpp's own programs from the same pin with the same flags: what the bench compares with.

    Not a part of `build`; `make peer` runs it. Everything lies in build/peer, the programs in
    build/peer/bin.
    """

    description = "build llama-server, llama-bench and llama-batched-bench"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass

    def run(self) -> None:
        folder = ROOT / "build" / "peer"
        source = folder / "llama.cpp"
        stamp = folder / ".pin"
        if not (stamp.exists() and stamp.read_text() == LOCK.read_text()):
            print("llamawire: fetching all of the pinned llama.cpp (75 MB, once)", flush=True)
            with tempfile.TemporaryDirectory() as downloads:
                unpack_llama_cpp(download_llama_cpp(Path(downloads)), source, ())
            stamp.write_text(LOCK.read_text())
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count() or 1)
        targets = [word for name in PEER_PROGRAMS for word in ("--target", name)]
        for command in (
            ["cmake", "-S", str(source), "-B", str(folder), "-G", "Ninja", *PEER_ARGUMENTS,
             *peer_backend_arguments()],
            ["cmake", "--build", str(folder), *targets, "-j", jobs],
        ):  # fmt: skip
            if subprocess.run(command).returncode != 0:
                raise BuildError(
                    "llama.cpp's programs could not be built; CMake's words stand above"
                )


class build_everything(build):
    sub_commands: ClassVar = [("build_proto", None), *build.sub_commands]


class build_python(build_py):
    """Puts the models in the box into the engine's package; a checkout finds it in models/tiny."""

    def run(self) -> None:
        super().run()
        if PURE or self.editable_mode:
            return
        target = Path(self.build_lib) / "llamawire" / "engine" / "box"
        target.mkdir(parents=True, exist_ok=True)
        for name in BOX_FILES:
            shutil.copy2(ROOT / "models" / "tiny" / name, target / name)


class source_distribution(sdist):
    """Holds llama.cpp's tree, so that a release builds without network."""

    def run(self) -> None:
        vendor_llama_cpp()
        super().run()


def packages() -> tuple[list[str], dict[str, str]]:
    names: list[str] = []
    folders: dict[str, str] = {}
    for root in SOURCE_ROOTS:
        for name in find_namespace_packages(root, include=["llamawire*"]):
            if (PURE and name.startswith(ENGINE_ONLY)) or name.endswith("__pycache__"):
                continue
            if name == "llamawire" or name in names:
                continue
            names.append(name)
            folders[name] = os.path.join(root, *name.split("."))
    return names, folders


names, folders = packages()
setup(
    packages=names,
    package_dir=folders,
    package_data={"": ["py.typed", "*.pyi", "*.proto", "build_id"]},
    ext_modules=[] if PURE else [Extension("llamawire.native._native", sources=[])],
    cmdclass={
        "build": build_everything,
        "build_proto": build_proto,
        "build_py": build_python,
        "build_ext": build_native,
        "build_peer": build_peer,
        "sdist": source_distribution,
    },
)
