"""A BERT small enough to be trained within a test, its vocabulary, and rows whose labels hang on single words."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, set_seed

from data.schema import LabelledText
from model.taxonomy import Taxonomy

POSITIONS = 96
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")

_THINGS = [
    "灯泡", "雨伞", "拖鞋", "水壶", "毛毯", "书包", "风扇", "台历", "手套", "围巾",
    "闹钟", "牙刷", "茶杯", "相框", "花盆", "地垫", "衣架", "脸盆", "窗帘", "砂锅",
    "尺子", "铅笔", "棋盘", "口琴", "鱼缸", "木梯", "草帽", "皮带", "沙袋", "浴巾",
]  # fmt: skip
_WISHES = ["退款", "换新", "道歉", "解释", "处分", "维修", "补发", "取消", "赔偿", "提醒", "说说", "登记"]
_DEGREES = ["谢谢", "有点", "相当", "非常", "极其", "彻底"]
_TONES = ["望知悉", "哈哈", "一二三", "急急急", "唉呀", "请核实", "呵呵", "完毕"]
_OPENINGS = ["昨天", "今天", "上周", "前天", "月初", "早上", "中午", "晚上"]

SMALL_TAXONOMY = """
version: "toy-1"
groups:
  - {id: thing, zh: 东西, en: Thing, definition: 东西的问题}
  - {id: people, zh: 人, en: People, definition: 人的问题}
causes:
  - {id: thing.broken, group: thing, zh: 坏了, en: Broken, definition: 坏了}
  - {id: thing.late, group: thing, zh: 迟到, en: Late, definition: 迟到}
  - {id: people.rude, group: people, zh: 无礼, en: Rude, definition: 无礼}
  - {id: people.absent, group: people, zh: 无人, en: Absent, definition: 没人理}
motives:
  - {id: money, zh: 要钱, en: Money, definition: 退赔}
  - {id: sorry, zh: 道歉, en: Apology, definition: 道歉}
  - {id: talk, zh: 说说, en: Talk, definition: 说说而已}
severities:
  - {id: "0", zh: 非投诉, en: None, definition: 不是投诉}
  - {id: "1", zh: 轻, en: Low, definition: 轻}
  - {id: "2", zh: 中, en: Middle, definition: 中}
  - {id: "3", zh: 重, en: High, definition: 重}
styles:
  - {id: plain, zh: 平, en: Plain, definition: 平, neutral: true}
  - {id: witty, zh: 谐, en: Witty, definition: 谐}
  - {id: exact, zh: 细, en: Exact, definition: 细}
"""


def keyword_rows(taxonomy: Taxonomy, count: int, seed: int = 0) -> list[LabelledText]:
    """Rows of any taxonomy in which one word stands for each label, a fifth of them no complaints."""
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        cause, motive = rng.randrange(len(taxonomy.causes)), rng.randrange(len(taxonomy.motives))
        level = 0 if number % 5 == 0 else rng.randrange(1, taxonomy.levels)
        style = rng.randrange(len(taxonomy.styles))
        opening = rng.choice(_OPENINGS)
        text = f"{opening}{_THINGS[cause]}的事{_DEGREES[level]}不满，要{_WISHES[motive]}，{_TONES[style]}。"
        labels = {
            "causes": [taxonomy.cause_ids[cause]],
            "motives": [taxonomy.motive_ids[motive]],
            "style": taxonomy.style_ids[style],
        }
        if level == 0:
            text, labels = f"{opening}的{_THINGS[cause]}收到了，{_DEGREES[0]}。", {}
        row = {"id": str(number), "text": text, "severity": level, **labels}
        rows.append(LabelledText.parse(row, taxonomy))
    return rows


def train_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A Unigram vocabulary of the characters and some words of ``texts``, with the special pieces of the real one."""
    size = len(set("".join(texts))) + 500
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    trainer = trainers.UnigramTrainer(
        vocab_size=size, special_tokens=list(SPECIALS), unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        mask_token="<mask>",
    )


def write_base(folder: Path, texts: Sequence[str]) -> Path:
    """An untrained encoder of two layers with a vocabulary of ``texts``, saved as a real base is."""
    tokenizer = train_tokenizer(texts)
    set_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=256,
        max_position_embeddings=POSITIONS,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
