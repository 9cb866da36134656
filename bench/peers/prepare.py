"""Makes what both sides read: model directories with random weights, and files of batches of token ids.

    python prepare.py FILE     # real sentences for a comparison on a GPU, where NEURAL_ATTENTION_DATA_DIR has iwslt17

Sentences are real, vocabularies are not: the pieces of a text are its words, cut after 7 letters, and its punctuation
marks, and a piece's id is a hash of it. On IWSLT's sentences that gives as many pieces as a SentencePiece vocabulary of
32,000 (27 in the mean, in both languages), and the work of a model depends on how many there are, not on which.
"""

import gzip
import json
import os
import random
import re
import shutil
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import (GenerationConfig, GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast, MarianConfig,
                          MarianMTModel, RobertaConfig)
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "reference"))

from interchange import BASE_SIZE  # noqa: E402
from load_base_size import FAMILY, write_tokenizer  # noqa: E402
from model_variants import roles  # noqa: E402
from neural_projections import NeuralMarianMTModel, NeuralRobertaForMaskedLM  # noqa: E402

logging.disable_progress_bar()

PAPER_MARIAN = {"projectors": roles("neural", "neural", "linear", "neural")}
PAPER_ROBERTA = {"projectors": roles("plain_neural", "plain_neural", "plain_neural", "linear")}
NANO_GPT = dict(vocab_size=65, n_positions=64, n_embd=128, n_layer=4, n_head=4, activation_function="gelu",
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
ROBERTA_BASE = dict(max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)


@dataclass(frozen=True)
class Sizes:
    marian: dict
    roberta: dict
    gpt2: dict
    nanogpt: dict
    sentences: int = 32  # in a batch
    training_batches: int = 2
    translation_batches: int = 1
    single_sentences: int = 300  # one at a time
    uniform: int = 32  # tokens of each sentence in the row without padding
    blocks: int = 8
    block: int = 512
    windows: int = 8  # of a GPT-2, in a batch
    window: int = 256
    real_windows: int = 2  # of as many tokens as it reads
    character_batches: int = 60
    characters: int = 12  # windows in each
    prompts: int = 32
    prompt: int = 128
    continued: int = 128
    step_tokens: int = 16384  # target tokens of a step on a GPU
    step_blocks: int = 64


BASE = Sizes(BASE_SIZE, dict(ROBERTA_BASE, vocab_size=50265), {}, NANO_GPT)
QUICK = Sizes(
    dict(BASE_SIZE, vocab_size=4000, decoder_vocab_size=4000, pad_token_id=3999, decoder_start_token_id=3999,
         d_model=64, encoder_layers=2, decoder_layers=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
         encoder_attention_heads=4, decoder_attention_heads=4),
    dict(ROBERTA_BASE, vocab_size=4000, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
         intermediate_size=128),
    dict(n_positions=64, n_embd=64, n_layer=2, n_head=4), NANO_GPT,
    sentences=8, training_batches=2, translation_batches=1, single_sentences=20, blocks=2, block=64, windows=2, window=32,
    character_batches=2, prompts=3, prompt=12, continued=8, step_tokens=64, step_blocks=2)


def pieces(line: str, vocabulary: int) -> list:
    """Ids from 2 to vocabulary - 2: the others are special."""
    return [2 + zlib.crc32(piece.encode()) % (vocabulary - 3) for piece in re.findall(r"\w{1,7}|[^\w\s]", line)]


def real_pairs(data: Path, vocabulary: int, end: int, sets: tuple = ("dev2010",)) -> list:
    """Sets of IWSLT 2017, German to English, in random order."""
    sides = []
    for language in ("de", "en"):
        side = []
        for name in sets:
            with gzip.open(data / "iwslt17" / f"{name}.{language}.gz", "rt", encoding="utf-8") as file:
                side += [pieces(line, vocabulary) + [end] for line in file]
        sides.append(side)
    pairs = [{"source": source, "target": target} for source, target in zip(*sides)]
    random.Random(1).shuffle(pairs)
    return pairs


def uniform_pairs(count: int, length: int, vocabulary: int, end: int) -> list:
    draw = random.Random(2)
    sentence = lambda: [draw.randrange(2, vocabulary - 1) for _ in range(length - 1)] + [end]
    return [{"source": sentence(), "target": sentence()} for _ in range(count)]


def drawn_pairs(tokens: int, vocabulary: int, end: int) -> list:
    """Random ids in sentences whose lengths are spread as those of dev2010, with at least `tokens` target tokens."""
    draw = random.Random(5)
    sentence = lambda length: [draw.randrange(2, vocabulary - 1) for _ in range(max(length, 3) - 1)] + [end]
    pairs, found = [], 0
    while found < tokens:
        length = min(round(22 * draw.lognormvariate(0.0, 0.62)), 110)
        pairs.append({"source": sentence(round(length + draw.gauss(0.0, 0.15 * length))), "target": sentence(length)})
        found += len(pairs[-1]["target"])
    return pairs


def steps_of(pairs: list, tokens: int, count: int) -> list:
    """The first `count` batches of at least `tokens` target tokens."""
    steps, found = [[]], 0
    for pair in pairs:
        if found >= tokens:
            if len(steps) == count:
                return steps
            steps.append([])
            found = 0
        steps[-1].append(pair)
        found += len(pair["target"])
    if found < tokens or len(steps) < count:
        raise SystemExit(f"the sentences have less than {count} times {tokens} target tokens")
    return steps


def masked_blocks(count: int, length: int, config: RobertaConfig) -> list:
    """Random tokens between <s> and </s>; 15% are predicted, 8 of 10 of them hidden by <mask>, one replaced."""
    draw = random.Random(3)
    token = lambda: draw.randrange(4, config.vocab_size - 1)
    blocks = []
    for _ in range(count):
        ids = [config.bos_token_id] + [token() for _ in range(length - 2)] + [config.eos_token_id]
        places = [place for place in range(1, length - 1) if draw.random() < 0.15]
        originals = [ids[place] for place in places]
        for place in places:
            ids[place] = draw.choices([config.vocab_size - 1, token(), ids[place]], [8, 1, 1])[0]
        blocks.append({"ids": ids, "places": places, "originals": originals})
    return blocks


def drawn_windows(count: int, length: int, vocabulary: int) -> list:
    draw = random.Random(6)
    return [[draw.randrange(vocabulary) for _ in range(length)] for _ in range(count)]


def real_windows(text: Path, tokenizer: Path, count: int, length: int) -> list:
    """The beginning of a text, in windows that each begin with the last token of the one before."""
    reader = GPT2TokenizerFast(str(tokenizer / "vocab.json"), str(tokenizer / "merges.txt"))
    with gzip.open(text, "rt", encoding="utf-8") as file:
        ids = reader(file.read(12 * count * length))["input_ids"]
    return [ids[first:first + length + 1] for first in range(0, count * length, length)]


def write_batches(path: Path, items: list, size: int) -> None:
    path.write_text(json.dumps([items[i:i + size] for i in range(0, len(items), size)]))


def write_model(directory: Path, kind, config, change=lambda model: None) -> None:
    if (directory / "model.safetensors").exists():
        return
    torch.manual_seed(4)
    model = kind(config).eval()
    with torch.no_grad():
        change(model)
    model.save_pretrained(directory)


def let_sentences_end(model: MarianMTModel) -> None:
    """Initial weights find all tokens about equally likely, so rounding would decide, and no sentence ends before the
    limit. Larger weights have clear choices that depend on the source. The vector of </s> becomes a clock: it points to
    where the position's slow waves go as a sentence grows, so each sentence ends by itself, sooner or later."""
    width, frequencies = model.config.d_model, model.config.d_model // 2
    for name, weight in model.named_parameters():
        if weight.dim() != 2:
            continue
        if weight is model.model.shared.weight:
            weight *= 1.2
            waves = 10000.0 ** (-2.0 * torch.arange(frequencies) / width)
            slow = ((waves > 0.035) & (waves < 0.085)).float()
            clock = torch.cat([slow, -slow])  # sines, which rise, and cosines, which fall
            weight[model.config.eos_token_id] = 2.0 * clock / clock.norm()
        else:  # small branches keep the position visible through all layers
            gain = 0.08 if "out_proj" in name else 0.3 if ".fc2." in name else 2.0
            weight *= gain / (weight.shape[1] ** 0.5 * model.config.init_std)


def let_tokens_differ(model: GPT2LMHeadModel) -> None:
    """With initial weights, a model repeats its last token for ever. Larger ones say something else each time, and
    clearly."""
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and ".h." in name:
            weight *= 2.0 / (weight.shape[0] ** 0.5 * model.config.initializer_range)


def write_generator(directory: Path, config: GPT2Config, continued: int) -> None:
    write_model(directory, GPT2LMHeadModel, config, let_tokens_differ)
    GenerationConfig(max_new_tokens=continued, do_sample=False, pad_token_id=0).save_pretrained(directory)


def write_translator(directory: Path, kind, config: MarianConfig) -> None:
    """With the tokenizer's files, which CTranslate2's converter reads."""
    write_model(directory, kind, config, let_sentences_end)
    GenerationConfig(
        num_beams=4, max_length=200, early_stopping=True, renormalize_logits=True,
        bad_words_ids=[[config.pad_token_id]], pad_token_id=config.pad_token_id, bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
        decoder_start_token_id=config.decoder_start_token_id).save_pretrained(directory)
    write_tokenizer(directory, FAMILY.tokenizer_folder, config.vocab_size)


def prepare(work: Path, sizes: Sizes, data: Path, models: Path, wanted: set) -> None:
    """All batches, and the models with a name in `wanted`."""
    work.mkdir(parents=True, exist_ok=True)
    marian = MarianConfig(**sizes.marian)
    neural = MarianConfig(**sizes.marian, neural_attention=PAPER_MARIAN)
    roberta = RobertaConfig(**sizes.roberta, neural_attention=PAPER_ROBERTA)
    gpt2, nanogpt = GPT2Config(**sizes.gpt2), GPT2Config(**sizes.nanogpt, bos_token_id=None, eos_token_id=None)
    endless = GPT2Config(**sizes.gpt2, bos_token_id=None, eos_token_id=None)
    writers = {
        "marian": lambda path: write_model(path, NeuralMarianMTModel, neural),
        "roberta": lambda path: write_model(path, NeuralRobertaForMaskedLM, roberta),
        "translator_neural": lambda path: write_translator(path, NeuralMarianMTModel, neural),
        "translator_linear": lambda path: write_translator(path, MarianMTModel, marian),
        "gpt2": lambda path: write_model(path, GPT2LMHeadModel, gpt2),
        "nanogpt": lambda path: write_model(path, GPT2LMHeadModel, nanogpt),
        "generator": lambda path: write_generator(path, endless, sizes.continued),
    }
    for name in wanted:
        writers[name](work / name)

    vocabulary, end = marian.vocab_size, marian.eos_token_id
    write_batches(work / "uniform.json",
                  uniform_pairs(sizes.sentences * sizes.training_batches, sizes.uniform, vocabulary, end),
                  sizes.sentences)
    write_batches(work / "masked.json", masked_blocks(sizes.blocks, sizes.block, roberta), sizes.blocks)
    if (data / "iwslt17").is_dir():
        pairs = real_pairs(data, vocabulary, end)
        for name, batches in ("real", sizes.training_batches), ("translate", sizes.translation_batches):
            write_batches(work / f"{name}.json", pairs[:sizes.sentences * batches], sizes.sentences)
        write_batches(work / "sentences.json", pairs[:sizes.single_sentences], 1)
    write_windows(work, sizes, gpt2, nanogpt, data / "wikitext-2" / "train.txt.gz", models / "gpt2-tokenizer")


def write_windows(work: Path, sizes: Sizes, gpt2: GPT2Config, nanogpt: GPT2Config, text: Path, tokenizer: Path) -> None:
    drawn = lambda count, length, config: drawn_windows(count, length, config.vocab_size)
    write_batches(work / "windows.json", drawn(sizes.windows, sizes.window + 1, gpt2), sizes.windows)
    write_batches(work / "characters.json",
                  drawn(sizes.character_batches * sizes.characters, nanogpt.n_positions + 1, nanogpt), sizes.characters)
    prompts = drawn(sizes.prompts, sizes.prompt, gpt2)
    write_batches(work / "prompts.json", prompts, sizes.prompts)
    write_batches(work / "prompt.json", prompts[:1], 1)
    if text.exists() and tokenizer.is_dir():
        windows = real_windows(text, tokenizer, sizes.real_windows, gpt2.n_positions)
        write_batches(work / "real_windows.json", windows, sizes.real_windows)


GPU_SETS = ("dev2010", "tst2010", "tst2011")


def real_steps(data: Path, sizes: Sizes) -> list:
    vocabulary, end = sizes.marian["vocab_size"], sizes.marian["eos_token_id"]
    return steps_of(real_pairs(data, vocabulary, end, GPU_SETS), sizes.step_tokens, sizes.training_batches)


def prepare_gpu(work: Path, sizes: Sizes, data: Path, sentences: Path | None) -> str:
    """Returns what the sentences are."""
    work.mkdir(parents=True, exist_ok=True)
    roberta = RobertaConfig(**sizes.roberta, neural_attention=PAPER_ROBERTA)
    write_model(work / "marian", NeuralMarianMTModel, MarianConfig(**sizes.marian, neural_attention=PAPER_MARIAN))
    write_model(work / "roberta", NeuralRobertaForMaskedLM, roberta)
    write_batches(work / "masked64.json", masked_blocks(2 * sizes.step_blocks, sizes.block, roberta), sizes.step_blocks)
    if sentences is not None:
        shutil.copy(sentences, work / "step16k.json")
        return "real: IWSLT 2017's " + ", ".join(GPU_SETS)
    if (data / "iwslt17").is_dir():
        (work / "step16k.json").write_text(json.dumps(real_steps(data, sizes)))
        return "real: IWSLT 2017's " + ", ".join(GPU_SETS)
    vocabulary, end = sizes.marian["vocab_size"], sizes.marian["eos_token_id"]
    drawn = drawn_pairs(sizes.training_batches * (sizes.step_tokens + 200), vocabulary, end)
    (work / "step16k.json").write_text(json.dumps(steps_of(drawn, sizes.step_tokens, sizes.training_batches)))
    return "random ids, with lengths spread as IWSLT's are"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = Path(os.environ.get("NEURAL_ATTENTION_DATA_DIR", ""))
    if not (folder / "iwslt17").is_dir():
        raise SystemExit("NEURAL_ATTENTION_DATA_DIR names no folder with iwslt17")
    Path(sys.argv[1]).write_text(json.dumps(real_steps(folder, BASE)))
