"""Token ids in, logits out: ONNX Runtime, or a stand-in of the same face for tests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model.cpus import available_cpus
from model.errors import InvalidArtefact, InvalidInput
from model.taxonomy import Taxonomy

FloatArray = npt.NDArray[np.float32]
HEADS = ("causes", "motives", "severity", "style")


@dataclass(frozen=True, slots=True)
class Logits:
    """Raw scores of n texts, float32: causes [n, C], motives [n, M], severity [n, S], style [n, K]."""

    causes: FloatArray
    motives: FloatArray
    severity: FloatArray
    style: FloatArray

    def __len__(self) -> int:
        return len(self.causes)

    def rows(self, start: int, stop: int) -> Logits:
        """The half-open range of texts ``start, stop``."""
        return Logits(*(getattr(self, field.name)[start:stop] for field in fields(self)))


def head_sizes(taxonomy: Taxonomy) -> dict[str, int]:
    """Number of outputs of each head for these labels."""
    sizes = (len(taxonomy.causes), len(taxonomy.motives), taxonomy.levels, len(taxonomy.styles))
    return dict(zip(HEADS, sizes, strict=True))


class Engine(Protocol):
    """What computes logits. The row of a text never depends on the other texts of the call."""

    def logits(self, batch: Sequence[Sequence[int]]) -> Logits:
        """Logits of each sequence of token ids (framed, not padded), in the order given; n may be 0."""
        ...


def _empty(sizes: dict[str, int], rows: int) -> Logits:
    return Logits(*(np.empty((rows, sizes[head]), np.float32) for head in HEADS))


class OnnxEngine:
    """One shared ONNX Runtime session, called with one text at a time from ``threads`` threads.

    Dynamic int8 quantisation takes one activation scale a call, so a batch would let texts
    change each other's logits; one text a call cannot, and costs no padding. ONNX Runtime
    releases the interpreter's lock while it computes, hence threads scale.
    """

    def __init__(self, path: Path, taxonomy: Taxonomy, threads: int | None = None):
        """Load the graph at ``path``; ``threads`` defaults to the processors this process may use.

        Raises InvalidArtefact when the file is no such graph or its outputs do not fit
        ``taxonomy``, InvalidInput when ``threads`` is below 1.
        """
        if threads is not None and threads < 1:
            raise InvalidInput(f"threads must be 1 or more, not {threads}")
        # Imported here: 0.2 s that `import model` and the dummy engine need not pay.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_mem_pattern = False  # keeps a plan for every length ever seen; lengths differ all the time
        options.log_severity_level = 3  # errors only; they come back as exceptions
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(path),
                options,
                providers=["CPUExecutionProvider"],
                # The fused kernel is slower on x86 than the plain graph (ONNX Runtime 1.22-1.32).
                disabled_optimizers=["SkipLayerNormFusion"],
            )
        except Exception as error:  # ONNX Runtime's exceptions share no base but this one
            raise InvalidArtefact(
                f"{path}: ONNX Runtime {onnxruntime.__version__} cannot load it; export the model again "
                f"or update onnxruntime ({_first_line(error)})"
            ) from error
        self.threads = threads or available_cpus()
        self._path = path
        self._sizes = head_sizes(taxonomy)
        self._check_face(self._session)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()

    def _check_face(self, session: Any) -> None:
        inputs = [node.name for node in session.get_inputs()]
        outputs = {node.name: node.shape for node in session.get_outputs()}
        if inputs != ["input_ids"] or set(outputs) != set(HEADS):
            raise InvalidArtefact(
                f"{self._path}: has inputs {', '.join(inputs)} and outputs {', '.join(outputs)}, but input_ids and "
                f"{', '.join(HEADS)} are expected; export the model with `kesu export`"
            )
        for head, size in self._sizes.items():
            width = outputs[head][-1] if outputs[head] else None
            if isinstance(width, int) and width != size:
                raise InvalidArtefact(
                    f"{self._path}: output {head} has {width} scores, but the taxonomy beside it has {size} labels; "
                    "labels and network are of different models: export the model again"
                )

    def logits(self, batch: Sequence[Sequence[int]]) -> Logits:
        """See :class:`Engine`. Raises InvalidArtefact when the network fails or gives no finite number."""
        out = _empty(self._sizes, len(batch))
        # Longest first: no thread is left alone with a long text at the end.
        order = sorted(range(len(batch)), key=lambda row: -len(batch[row]))

        def run(row: int) -> None:
            ids = np.asarray(batch[row], np.int64)[None]
            try:
                values = self._session.run(HEADS, {"input_ids": ids})
            except Exception as error:
                raise InvalidArtefact(
                    f"{self._path}: the network failed on a text of {ids.shape[1]} tokens; tokenizer.json and network "
                    f"may be of different models: export the model again ({_first_line(error)})"
                ) from error
            for head, value in zip(HEADS, values, strict=True):
                if value.shape != (1, self._sizes[head]):
                    raise InvalidArtefact(
                        f"{self._path}: output {head} has the shape {list(value.shape)}, expected "
                        f"[1, {self._sizes[head]}] (one text, one score a label); export the model again"
                    )
                if not np.isfinite(value).all():
                    raise InvalidArtefact(
                        f"{self._path}: output {head} is not a finite number for a text of {ids.shape[1]} tokens; "
                        "the weights are damaged or overflow in int8: export the model again"
                    )
                getattr(out, head)[row] = value[0]

        if self.threads == 1 or len(batch) < 2:
            for row in order:
                run(row)
        else:
            # Consumed for its exceptions; on the first one the rest is cancelled.
            for _ in self._workers().map(run, order):
                pass
        return out

    def _workers(self) -> ThreadPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="kesu-engine")
            return self._pool


class DummyEngine:
    """Logits drawn from a hash of the token ids: any text, no weights, always the same answer."""

    def __init__(self, taxonomy: Taxonomy, scale: float = 2.0):
        self._sizes = head_sizes(taxonomy)
        self._scale = scale

    def logits(self, batch: Sequence[Sequence[int]]) -> Logits:
        """See :class:`Engine`."""
        out = _empty(self._sizes, len(batch))
        for row, ids in enumerate(batch):
            digest = hashlib.blake2b(np.asarray(ids, np.int64).tobytes(), digest_size=8).digest()
            rng = np.random.default_rng(int.from_bytes(digest))
            for head, size in self._sizes.items():
                getattr(out, head)[row] = rng.normal(scale=self._scale, size=size)
        return out


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
