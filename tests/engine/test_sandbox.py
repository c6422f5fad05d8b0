"""What workers are told, and what is kept from them."""

from __future__ import annotations

from llamawire.engine.sandbox import Sandbox, worker_environment
from llamawire.engine.settings import Settings


def test_settings_and_secrets_are_kept_from_workers() -> None:
    environ = {
        "PATH": "/bin", "LD_LIBRARY_PATH": "/x", "CUDA_VISIBLE_DEVICES": "0", "MONKEY_ISLAND": "1",
        "LLAMAWIRE_NATIVE_LOG": "info", "LLAMAWIRE_API_KEY": "k", "OLLAMA_HOST": "h",
        "LLAMAWIRE_REGISTRY_MIRROR": "https://u:p@h", "HF_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s",
        "db_password": "p", "GOOGLE_APPLICATION_CREDENTIALS": "c",
    }  # fmt: skip
    assert set(worker_environment(environ)) == {
        "PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "MONKEY_ISLAND", "LLAMAWIRE_NATIVE_LOG",
    }  # fmt: skip


def test_a_worker_is_told_its_bounds() -> None:
    assert Sandbox("require", 5).arguments == ("--sandbox", "require", "--memory-bytes", "5")
    assert int(Sandbox().arguments[-1]) >= 0


def test_a_sandbox_of_another_kind_is_the_usual_one() -> None:
    assert Settings.from_environment({"LLAMAWIRE_SANDBOX": "off"}).sandbox == "off"
    assert Settings.from_environment({"LLAMAWIRE_SANDBOX": "maybe"}).sandbox == "auto"
