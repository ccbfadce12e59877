"""The number format that training computes in: bfloat16 where the processor has instructions for it, else float32."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["bf16", "fp32"]
# Names in torch's list of what a CPU can do, on x86 and Arm. Without one of them bfloat16 is emulated: measured
# 5.5 s a step instead of 1.5 s.
_BF16_INSTRUCTIONS = ("amx_bf16", "avx512_bf16", "bf16")


def fastest_precision() -> Precision:
    """``bf16`` on a GPU or CPU that computes in it, ``fp32`` elsewhere."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    found = torch.cpu.get_capabilities()
    return "bf16" if any(found.get(name) for name in _BF16_INSTRUCTIONS) else "fp32"


def resolve(precision: Literal["auto", "bf16", "fp32"]) -> Precision:
    """``precision`` as configured, with ``auto`` decided for this machine."""
    return fastest_precision() if precision == "auto" else precision
