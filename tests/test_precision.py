"""Which number format training takes on which machine."""

from typing import Any

import pytest
import torch

from training.precision import fastest_precision, resolve


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    capabilities: dict[str, Any] = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
        ({"bf16": True, "architecture": "aarch64"}, "bf16"),
        ({}, "fp32"),
    ],
    indirect=["cpu"],
)
def test_auto_takes_bf16_where_the_cpu_computes_in_it(cpu: None, expected: str) -> None:
    assert fastest_precision() == expected
    assert resolve("auto") == expected


@pytest.mark.parametrize("supported", [True, False])
def test_auto_on_a_gpu_asks_the_gpu(monkeypatch: pytest.MonkeyPatch, supported: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert resolve("auto") == ("bf16" if supported else "fp32")


@pytest.mark.parametrize("cpu", [{}], indirect=True)
def test_what_is_told_is_taken(cpu: None) -> None:
    assert resolve("bf16") == "bf16"
    assert resolve("fp32") == "fp32"
