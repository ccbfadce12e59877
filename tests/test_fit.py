"""The training loop itself, on a tiny encoder: learns, repeats itself, resumes, stops, keeps the best."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from datasets import Dataset

from model.network import ComplaintModel, build, load
from model.taxonomy import parse_taxonomy
from model.tokeniser import Tokeniser
from tests.tiny import SMALL_TAXONOMY, keyword_rows
from training import fit as module
from training.config import load_config
from training.encoder import load_tokenizer
from training.fit import fit, last_checkpoint, parameter_groups
from training.losses import consistency_loss
from training.targets import labelled_table

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SMALL = parse_taxonomy(SMALL_TAXONOMY, Path("toy.yaml"))
SETTINGS = (
    "model.max_tokens=48",
    "optimisation.batch_tokens=400",
    "optimisation.learning_rate=1e-3",
    "optimisation.head_learning_rate=1e-2",
    "optimisation.precision=fp32",
    "optimisation.epochs=2",
    "augmentation.rate=0.2",
)

Fit = Callable[..., ComplaintModel]


@pytest.fixture(scope="module")
def table() -> Dataset:
    return labelled_table(keyword_rows(SMALL, 90), SMALL, {})


@pytest.fixture
def run(tiny_base: Path, table: Dataset) -> Fit:
    """Train in a folder; ``index`` gives the figure of each validation, by its number from 1."""

    def run(
        output: Path, *overrides: str, index: Callable[[int], float] = float, resume: bool = False
    ) -> ComplaintModel:
        counted = 0

        def validate(network: ComplaintModel, tokeniser: object) -> dict[str, float]:
            nonlocal counted
            assert not network.training
            counted += 1
            return {"index": index(counted)}

        config = load_config(overrides=[*SETTINGS, *overrides])
        network = build(str(tiny_base), SMALL)
        return fit(config, network, load_tokenizer(tiny_base), table, validate, output, resume=resume)

    return run


def log(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def losses(output: Path) -> list[float]:
    return [row["loss"] for row in log(output) if "loss" in row]


def state(folder: Path) -> dict[str, object]:
    return json.loads((folder / "trainer_state.json").read_text())


def test_fit_learns_repeats_itself_and_saves(run: Fit, tmp_path: Path) -> None:
    network = run(tmp_path / "one")
    run(tmp_path / "two")
    assert losses(tmp_path / "one") == losses(tmp_path / "two")
    assert losses(tmp_path / "one")[-1] < 0.8 * losses(tmp_path / "one")[0]
    saved = load(tmp_path / "one" / "best").state_dict()
    assert all(torch.equal(value, saved[name]) for name, value in network.state_dict().items())
    assert load_tokenizer(tmp_path / "one" / "best").pad_token == "<pad>"
    assert any((tmp_path / "one" / "tensorboard").iterdir())
    run(tmp_path / "other", "optimisation.seed=1")
    assert losses(tmp_path / "one") != losses(tmp_path / "other")


def test_fit_in_half_precision_gives_back_a_network_in_full_precision(run: Fit, tmp_path: Path) -> None:
    network = run(tmp_path, "optimisation.precision=bf16").eval()
    ids = torch.tensor([[0, 5, 6, 7, 2]])
    with torch.no_grad():
        found, expected = network(ids), load(tmp_path / "best").eval()(ids)
    torch.testing.assert_close(found.causes, expected.causes, atol=1e-5, rtol=1e-5)  # bf16 is off by 1e-2


def test_fit_draws_answers_to_rewritten_texts_together(run: Fit, table: Dataset, tmp_path: Path) -> None:
    tokeniser: list[Tokeniser] = []

    def apart(setting: str) -> float:
        folder = tmp_path / str(len(tokeniser))
        network = run(folder, "augmentation.rate=1", "optimisation.epochs=4", setting).eval()
        tokeniser.append(Tokeniser(load_tokenizer(folder / "best").backend_tokenizer, 48))
        batch = module.Collator(tokeniser[-1], 1, 1.0, 5, paired=True)([table[i] for i in range(90)])
        with torch.no_grad():
            output = network(batch["input_ids"], batch["attention_mask"])
        return float(consistency_loss(output, batch["pairs"], load_config().loss, batch["weight"]))

    # Both read the same batches; the second is as good as without the term.
    assert apart("augmentation.consistency=2") < 0.7 * apart("augmentation.consistency=1e-9")


def test_fit_resumes_where_it_was_killed(run: Fit, tmp_path: Path) -> None:
    def killed(evaluation: int) -> float:
        if evaluation == 3:
            raise KeyboardInterrupt
        return evaluation

    run(tmp_path / "whole", "optimisation.epochs=3")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", "optimisation.epochs=3", index=killed)
    before = last_checkpoint(tmp_path / "cut" / "checkpoints")
    assert before is not None
    done = len(log(tmp_path / "cut"))
    # What a kill in the middle of writing leaves behind is neither resumed from nor kept in place of a whole one.
    (tmp_path / "cut" / "checkpoints" / "checkpoint-99999").mkdir()
    run(tmp_path / "cut", "optimisation.epochs=3", resume=True)
    whole, cut = (last_checkpoint(tmp_path / name / "checkpoints") for name in ("whole", "cut"))
    assert whole is not None
    assert cut is not None
    assert state(whole)["global_step"] == state(cut)["global_step"] == 1.5 * state(before)["global_step"]
    assert all(row["step"] > state(before)["global_step"] for row in log(tmp_path / "cut")[done:])


def test_fit_resume_without_a_checkpoint_starts_afresh(run: Fit, tmp_path: Path) -> None:
    run(tmp_path, "optimisation.epochs=0.2", resume=True)
    assert last_checkpoint(tmp_path / "checkpoints") is not None


def test_fit_evaluates_the_last_step_and_every_epoch_is_as_long(run: Fit, tmp_path: Path) -> None:
    run(tmp_path, "optimisation.epochs=2.5")
    evaluated = [row["step"] for row in log(tmp_path) if "eval_index" in row]
    epoch = evaluated[0]
    assert evaluated == [epoch, 2 * epoch, -(-5 * epoch // 2)]


def test_fit_keeps_the_best_and_stops_early(run: Fit, tmp_path: Path) -> None:
    network = run(
        tmp_path, "optimisation.epochs=9", "optimisation.patience=2", index=lambda n: (0.1, 0.5, 0.4, 0.3, 0.9)[n - 1]
    )
    figures = [row["eval_index"] for row in log(tmp_path) if "eval_index" in row]
    assert figures == [0.1, 0.5, 0.4, 0.3]
    last = last_checkpoint(tmp_path / "checkpoints")
    assert last is not None
    best = Path(str(state(last)["best_model_checkpoint"]))
    assert best != last
    wanted, newest = load(best).state_dict(), load(last).state_dict()
    assert all(torch.equal(value, wanted[name]) for name, value in network.state_dict().items())
    assert not torch.equal(wanted["weights"], newest["weights"])
    assert not torch.equal(wanted["standardise.running_mean"], newest["standardise.running_mean"])
    # What had stopped early does not go on, however good the next figure would be.
    again = run(tmp_path, "optimisation.epochs=9", "optimisation.patience=2", index=lambda n: 1.0, resume=True)
    assert last_checkpoint(tmp_path / "checkpoints") == last
    assert all(torch.equal(value, wanted[name]) for name, value in again.state_dict().items())


def test_fit_reads_a_new_mixture_every_epoch(run: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []
    plain = module.Collator.__call__

    def spy(self: module.Collator, rows: list[dict[str, object]]) -> dict[str, torch.Tensor]:
        read.append(tuple(sorted(hash(row["text"]) for row in rows)))
        return plain(self, rows)

    monkeypatch.setattr(module.Collator, "__call__", spy)
    run(tmp_path)
    half = len(read) // 2
    assert len(read) == 2 * half
    assert set(read[:half]) != set(read[half:])


def test_parameter_groups_cover_all_and_lower_layers_learn_slower(tiny_base: Path) -> None:
    network = build(str(tiny_base), SMALL)
    config = load_config(overrides=["optimisation.layer_decay=0.5", "optimisation.learning_rate=1e-3"])
    groups = parameter_groups(network, config)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    named = dict(network.named_parameters())
    assert sum(len(group["params"]) for group in groups) == len(named)
    assert rate[id(named["queries"])] == config.optimisation.head_learning_rate
    assert rate[id(named["encoder.encoder.layer.1.output.dense.weight"])] == 1e-3
    assert rate[id(named["encoder.encoder.layer.0.output.dense.weight"])] == 5e-4
    assert rate[id(named["encoder.embeddings.word_embeddings.weight"])] == 2.5e-4
    assert decay[id(named["encoder.encoder.layer.0.output.dense.weight"])] > 0
    assert decay[id(named["encoder.encoder.layer.0.output.dense.bias"])] == decay[id(named["weights"])] == 0


def test_last_checkpoint_is_the_highest_whole_one(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    for step in (9, 100, 20, 300):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if step != 300:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
