"""What setup.py asks of CMake, and what it says when something is missing."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def build() -> ModuleType:
    """setup.py without the call of `setup`, which needs a command."""
    spec = importlib.util.spec_from_file_location("llamawire_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", lambda **arguments: None)
        patch.chdir(ROOT)
        spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("variable", "option"),
    [
        ("LLAMAWIRE_CUDA", "-DGGML_CUDA=ON"),
        ("LLAMAWIRE_METAL", "-DGGML_METAL=ON"),
        ("LLAMAWIRE_VULKAN", "-DGGML_VULKAN=ON"),
        ("LLAMAWIRE_HIP", "-DGGML_HIP=ON"),
    ],
)
def test_a_backends_flag_turns_it_on_and_nothing_else(
    build: ModuleType, variable: str, option: str
) -> None:
    arguments = build.cmake_arguments({variable: "1"}, "Linux")
    on = [a for a in arguments if a.endswith("=ON") and a != "-DGGML_NATIVE=ON"]
    assert on == [option]


def test_metal_is_the_default_on_macos_only(build: ModuleType) -> None:
    assert "-DGGML_METAL=ON" in build.cmake_arguments({}, "Darwin")
    assert "-DGGML_METAL=OFF" in build.cmake_arguments({"LLAMAWIRE_METAL": "0"}, "Darwin")
    assert "-DGGML_METAL=OFF" in build.cmake_arguments({}, "Linux")


def test_cmake_args_come_last_so_that_they_win(build: ModuleType) -> None:
    arguments = build.cmake_arguments({"CMAKE_ARGS": "-DGGML_NATIVE=OFF -DX=1"}, "Linux")
    assert arguments[-2:] == ["-DGGML_NATIVE=OFF", "-DX=1"]


def test_a_portable_build_has_the_v3_baseline(build: ModuleType) -> None:
    arguments = build.cmake_arguments({"LLAMAWIRE_PORTABLE": "1"}, "Linux")
    assert "-DGGML_NATIVE=OFF" in arguments
    assert "-DLLAMAWIRE_BASELINE_V3=ON" in arguments


def test_an_archive_gives_only_what_is_wanted_and_no_links(
    build: ModuleType, tmp_path: Path
) -> None:
    import io
    import tarfile

    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("src/llama.cpp", "tests/x.cpp", ".git/config", "../../escape"):
            info = tarfile.TarInfo(f"p-1/vendor/llama.cpp/{name}")
            tar.addfile(info, io.BytesIO())
        link = tarfile.TarInfo("p-1/vendor/llama.cpp/src/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    build.unpack_llama_cpp(archive, tmp_path / "out", ("src",))
    files = [str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")]
    assert files == ["src/llama.cpp"]


def only(tools: Path, *names: str) -> dict[str, str]:
    """An environment whose PATH has these tools and no others."""
    tools.mkdir()
    for name in names:
        found = subprocess.run(["which", name], capture_output=True, text=True).stdout.strip()
        if found:
            (tools / name).symlink_to(found)
    return {**os.environ, "PATH": str(tools)}


def make(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    """`make` in a copy of the Makefile's folder, with nothing built yet; what it says."""
    for name in ("Makefile", "pyproject.toml", "setup.py"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["/usr/bin/make", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    return done.stdout + done.stderr


TOOLS = ("sh", "find", "grep", "sed", "expand", "cat", "rm", "touch", "python3")


def test_a_python_that_is_too_old_is_one_clear_sentence(tmp_path: Path) -> None:
    environment = only(tmp_path / "bin", *TOOLS)
    old = tmp_path / "bin" / "oldpython"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    said = make(environment, tmp_path, "install", "PYTHON=oldpython")
    assert "llamawire: python 3.10 or newer is needed" in said


def test_a_missing_venv_module_is_one_clear_sentence(tmp_path: Path) -> None:
    environment = only(tmp_path / "bin", *TOOLS)
    fake = tmp_path / "bin" / "novenv"
    fake.write_text(f'#!/bin/sh\ncase "$*" in *venv*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    said = make(environment, tmp_path, "install", "PYTHON=novenv")
    assert "llamawire: python's venv module is missing" in said


def test_a_missing_compiler_is_one_clear_sentence(tmp_path: Path) -> None:
    environment = only(tmp_path / "bin", "sh") | {"CXX": "no-such-compiler"}
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "llamawire: no C++ compiler was found" in done.stdout + done.stderr
    assert done.returncode != 0


def test_cuda_without_nvcc_is_one_clear_sentence(tmp_path: Path) -> None:
    environment = only(tmp_path / "bin", "sh", "c++", "g++") | {"LLAMAWIRE_CUDA": "1"}
    environment.pop("CUDACXX", None)
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "llamawire: LLAMAWIRE_CUDA=1 needs nvcc" in done.stdout + done.stderr
