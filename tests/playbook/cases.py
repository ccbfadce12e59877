"""Classifications and playbooks to test with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from model.classification import Classification, LabelScore, ModelInfo, Severity
from model.taxonomy import load_taxonomy
from serving.playbook import CaseContext

SHANGHAI = ZoneInfo("Asia/Shanghai")
TAXONOMY = load_taxonomy()
NAMES = {
    label.id: label.zh for labels in (TAXONOMY.causes, TAXONOMY.motives, TAXONOMY.styles) for label in labels
}  # fmt: skip


def case(
    causes: Sequence[str] = (),
    motives: Sequence[str] = (),
    level: int = 2,
    style: str | None = None,
    *,
    model_level: int | None = None,
    decision: str = "auto",
) -> Classification:
    """A classification with these labels, the first ones the most probable."""
    style = style or TAXONOMY.neutral_style
    scores = tuple(
        LabelScore(c, NAMES.get(c, c), 0.95 - 0.1 * i, TAXONOMY.group_of.get(c)) for i, c in enumerate(causes)
    )
    return Classification(
        is_complaint=level > 0,
        complaint_probability=0.97 if level else 0.02,
        causes=scores,
        cause_groups={score.group: score.probability for score in reversed(scores) if score.group},
        motives=tuple(LabelScore(m, NAMES.get(m, m), 0.9 - 0.2 * i) for i, m in enumerate(motives)),
        severity=Severity(
            level,
            TAXONOMY.severities[level].zh,
            tuple(float(i == level) for i in range(TAXONOMY.levels)),
            level if model_level is None else model_level,
        ),
        style=LabelScore(style, NAMES.get(style, style), 0.8),
        confidence=0.9,
        decision=decision,
        review_reasons=(),
        warnings=(),
        model=ModelInfo("test", "0", TAXONOMY.version),
    )


def at(*when: int) -> datetime:
    """A moment in Shanghai."""
    year, month, day, *clock = when
    return datetime(year, month, day, *clock, tzinfo=SHANGHAI)  # type: ignore[misc]


def received(*when: int, channel: str | None = None, industry: str | None = None) -> CaseContext:
    """A case looked at in the moment in which it comes in."""
    return CaseContext(channel=channel, industry=industry, received_at=at(*when), now=at(*when))


def write(folder: Path, **files: str) -> Path:
    """A playbook folder with these files."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


HEAD = 'version: "t1"\nextends: kesu\n'


def strategy(id: str = "own.vent", when: str = "{motive: vent}", **fields: str) -> str:
    """One entry of ``strategies``; fields in YAML, None of them checked."""
    given = {
        "title": "{zh: 自家做法, en: Our way}",
        "when": when,
        "owner": "agent",
        "due": "{hours: 3}",
        "human_decision": "false",
        "steps": "[先听客户说完]",
    } | fields
    return f"  - id: {id}\n" + "".join(f"    {key}: {value}\n" for key, value in given.items())
