"""Fine-tuning with transformers' ``Trainer``: from rows to a ``save_pretrained`` folder."""

from __future__ import annotations

import json
import math
import random
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter
from transformers import (
    EarlyStoppingCallback,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.integrations import TensorBoardCallback

from model.network import ComplaintModel
from model.tokeniser import Tokeniser
from training.augment import augment
from training.batches import TokenBudgetBatchSampler
from training.config import TrainingConfig
from training.dropout import use_pooled_dropout
from training.losses import consistency_loss, total_loss
from training.precision import resolve
from training.reading import token_ids
from training.targets import COLUMNS, motive_weights

Validate = Callable[[ComplaintModel, Tokeniser], dict[str, float]]


class Collator:
    """Rows to padded tensors; rewrites a share of the texts so that each epoch reads them a little differently.

    If ``paired`` a rewritten row stays in the batch as it was, too, and each of the two has half of its weight.
    """

    def __init__(self, tokeniser: Tokeniser, pad_id: int, rate: float, seed: int, *, paired: bool = False):
        self.tokeniser, self.pad_id, self.rate, self.paired = tokeniser, pad_id, rate, paired
        self.random = random.Random(seed)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """``input_ids``, ``attention_mask`` ``[rows, tokens]``, targets ``[rows, labels]`` and ``weight`` ``[rows]``.

        If paired also ``pairs`` ``[pairs, 2]``: the rows of both wordings of a text.
        """
        texts = [augment(row["text"], self.random, rate=self.rate) for row in rows]
        rows, pairs = list(rows), []
        if self.paired:
            for i, row in enumerate(rows[:]):
                if texts[i] != row["text"]:
                    rows[i] = {**row, "weight": row["weight"] / 2}
                    pairs.append((i, len(rows)))
                    rows.append(rows[i])
                    texts.append(row["text"])
        ids = [token_ids(self.tokeniser, text) for text in texts]
        longest = max(map(len, ids))
        batch = {
            "input_ids": torch.tensor([[*row, *[self.pad_id] * (longest - len(row))] for row in ids]),
            "attention_mask": torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids]),
        }
        for name in (*COLUMNS, "weight"):
            batch[name] = torch.tensor([row[name] for row in rows], dtype=torch.float32)
        if self.paired:
            batch["pairs"] = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
        return batch


def parameter_groups(network: ComplaintModel, config: TrainingConfig) -> list[dict[str, Any]]:
    """Layer-wise learning-rate decay (Howard & Ruder 2018); no weight decay on biases, norms and heads."""
    settings = config.optimisation
    depth = network.encoder.config.num_hidden_layers

    def rate(name: str) -> float:
        if not name.startswith("encoder."):
            return settings.head_learning_rate
        parts = name.split(".")
        layer = int(parts[parts.index("layer") + 1]) + 1 if "layer" in parts else 0
        return settings.learning_rate * settings.layer_decay ** (depth - layer)

    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in network.named_parameters():
        decay = settings.weight_decay if parameter.ndim > 1 and name not in ("queries", "weights") else 0.0
        key = (rate(name), decay)
        group = groups.setdefault(key, {"params": [], "lr": key[0], "weight_decay": key[1]})
        group["params"].append(parameter)
    return list(groups.values())


class JsonLines(TrainerCallback):
    """Appends every figure the trainer logs to ``log.jsonl``."""

    def __init__(self, path: Path):
        self.path, self.started = path, time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """One line a report: step, seconds since start and the figures."""
        if state.is_world_process_zero:
            row = {"step": state.global_step, "seconds": round(time.monotonic() - self.started), **(logs or {})}
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


class SamplerEpoch(TrainerCallback):
    """Tells the sampler its epoch: the trainer loses it when several processes resume in the middle of one."""

    def __init__(self, sampler: TokenBudgetBatchSampler):
        self.sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The epoch begun or gone on with."""
        self.sampler.set_epoch(int(state.epoch or 0))


class ComplaintTrainer(Trainer):
    """``Trainer`` with kesu's batches, loss, optimiser groups and validation figures."""

    # Set by Trainer, which mypy does not follow.
    optimizer: torch.optim.Optimizer | None
    control: Any

    def __init__(self, config: TrainingConfig, sampler: TokenBudgetBatchSampler, validate: Validate, **kwargs: Any):
        super().__init__(**kwargs)
        self.config, self.sampler, self.validate = config, sampler, validate
        self.motive_weights = motive_weights(self.train_dataset, config.loss.rare_motive_power)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches by token budget, dealt out to the processes in turn."""
        return self.accelerator.prepare(
            DataLoader(self.train_dataset, batch_sampler=self.sampler, collate_fn=self.data_collator)
        )

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        """AdamW with a learning rate a layer."""
        if self.optimizer is None:
            fused = self.args.device.type in ("cpu", "cuda")
            self.optimizer = torch.optim.AdamW(
                parameter_groups(self.model, self.config), betas=(0.9, 0.98), eps=1e-6, fused=fused
            )
        return self.optimizer

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """Loss of a batch of :class:`Collator`."""
        output = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        loss = total_loss(
            output,
            inputs,
            self.config.loss,
            smoothing=self.config.optimisation.label_smoothing,
            motive_weights=self.motive_weights.to(inputs["weight"].device),
        )
        if "pairs" in inputs:
            apart = consistency_loss(output, inputs["pairs"], self.config.loss, inputs["weight"])
            loss = loss + self.config.augmentation.consistency * apart
        return (loss, output) if return_outputs else loss

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Figures of the validation rows, named ``eval_…``; ``eval_index`` decides what is best."""
        figures: list[dict[str, float] | None] = [None]
        if self.is_world_process_zero():
            network = self.accelerator.unwrap_model(self.model)
            network.eval()
            found = self.validate(network, self.data_collator.tokeniser)
            network.train()
            figures = [{f"{metric_key_prefix}_{name}": value for name, value in found.items()}]
        # Batch statistics differ a little between processes; were their figures to differ, only some would stop early.
        told: dict[str, float] = broadcast_object_list(figures)[0]
        self.log(told)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, told)
        return told


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end (the trainer's state comes last); None without one."""
    whole = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)


def ended_with(checkpoint: Path, steps: int) -> Path | None:
    """The best checkpoint of a training that had ended at ``checkpoint``, early or after ``steps``; else None."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    stopping = state["stateful_callbacks"].get(EarlyStoppingCallback.__name__)
    patience = stopping["args"]["early_stopping_patience"] if stopping else math.inf
    waited = stopping["attributes"]["early_stopping_patience_counter"] if stopping else 0
    if waited < patience and state["global_step"] < steps:
        return None
    # By its number: the folder may have been moved since.
    best = checkpoint.with_name(f"checkpoint-{state['best_global_step']}")
    return best if (best / "model.safetensors").exists() else None


def remove_unfinished(folder: Path) -> None:
    """Delete what a kill in the middle of writing a checkpoint left: the trainer would count it among the newest."""
    for checkpoint in folder.glob("checkpoint-*"):
        if not (checkpoint / "trainer_state.json").exists():
            shutil.rmtree(checkpoint)


def fit(
    config: TrainingConfig,
    network: ComplaintModel,
    tokenizer: PreTrainedTokenizerFast,
    table: Dataset,
    validate: Validate,
    output: Path,
    *,
    resume: bool = False,
) -> ComplaintModel:
    """Train ``network`` on ``table``, keep the weights of the best validation index, save them in ``output``.

    ``validate`` gives the figures of the held-out rows, ``index`` among them. Checkpoints lie in
    ``output/checkpoints``; ``resume`` goes on from the last, and starts afresh where there is none.
    Under ``torchrun`` every process calls this; only the first writes. Raises ValueError for fewer than two rows.
    """
    settings = config.optimisation
    set_seed(settings.seed)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    on_cpu = not torch.cuda.is_available()
    if on_cpu:
        use_pooled_dropout(network)
        # The backward pass of torch's fused attention takes almost three times as long as the plain one here.
        network.encoder.set_attn_implementation("eager")
    tokeniser = Tokeniser(tokenizer.backend_tokenizer, config.model.max_tokens)
    lengths = [len(token_ids(tokeniser, text)) for text in table["text"]]
    processes = PartialState(cpu=on_cpu).num_processes
    paired = config.augmentation.consistency > 0
    # What is rewritten is read twice.
    budget = int(settings.batch_tokens / (1 + config.augmentation.rate)) if paired else settings.batch_tokens
    sampler = TokenBudgetBatchSampler(lengths, budget, seed=settings.seed, processes=processes)
    per_epoch = len(sampler) // processes
    steps = math.ceil(per_epoch * settings.epochs)
    interval = min(per_epoch, 500)
    output.mkdir(parents=True, exist_ok=True)
    arguments = TrainingArguments(
        output_dir=str(output / "checkpoints"),
        max_steps=steps,
        warmup_steps=int(steps * settings.warmup_share),
        lr_scheduler_type="linear",
        max_grad_norm=settings.max_gradient_norm,
        bf16=resolve(settings.precision) == "bf16",
        use_cpu=on_cpu,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_index",
        greater_is_better=True,
        logging_steps=max(1, min(50, interval)),
        report_to=[],
        disable_tqdm=not sys.stderr.isatty(),
        seed=settings.seed,
        data_seed=settings.seed,
        remove_unused_columns=False,
        accelerator_config={"even_batches": False},
        restore_callback_states_from_checkpoint=True,
    )
    callbacks: list[TrainerCallback] = [SamplerEpoch(sampler), JsonLines(output / "log.jsonl")]
    if arguments.process_index == 0:
        callbacks.append(TensorBoardCallback(SummaryWriter(str(output / "tensorboard"))))
    if settings.patience:
        callbacks.append(EarlyStoppingCallback(math.ceil(settings.patience * per_epoch / interval)))
    trainer = ComplaintTrainer(
        config,
        sampler,
        validate,
        model=network,
        args=arguments,
        train_dataset=table,
        eval_dataset=table,  # the trainer wants one; `evaluate` reads the validation rows instead
        data_collator=Collator(
            tokeniser, tokenizer.pad_token_id, config.augmentation.rate, settings.seed, paired=paired
        ),
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    checkpoint = last_checkpoint(Path(arguments.output_dir)) if resume else None
    if trainer.is_world_process_zero():
        remove_unfinished(Path(arguments.output_dir))
    if checkpoint and (best := ended_with(checkpoint, steps)):
        # The trainer would forget that it had stopped early, and go on.
        network.load_state_dict(load_file(best / "model.safetensors"))
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        # Takes bf16 back out of `forward`: what is calibrated and exported from here on computes in fp32.
        trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    if trainer.is_world_process_zero():
        network.save_pretrained(output / "best")
        tokenizer.save_pretrained(output / "best")
    return network
