"""Makes tests/golden/byte_bpe: a small byte-level BPE that Hugging Face's tokenizers learn, and what it does to hard texts.

    python byte_bpe_goldens.py [--output DIR] [--data DIR] [--models DIR]

From text.txt of that folder (written for this project) come
  tokenizer.json, vocab.json, merges.txt   640 pieces with RoBERTa's special tokens
  cases.json                               for each text: the words it is cut into (their lengths in bytes), its ids, and
                                           its ids where a space is put in front ("prefixed", null where the same)
                                           and for long lines, which are drawn, the number of ids and a hash of them
  wikitext2.json                           16,000 pieces learned from WikiText-2's train.txt.gz: a hash of the merges, and
                                           number and hash of all ids of valid.txt.gz; only with --data (default:
                                           NEURAL_ATTENTION_DATA_DIR), else it is the committed file
  gpt2.json                                GPT-2's own vocabulary, of gpt2-tokenizer in --models (default:
                                           NEURAL_ATTENTION_MODELS_DIR): number and hash of the ids that GPT2TokenizerFast
                                           gives for train.txt.gz and valid.txt.gz, each as one text; only with both folders
"""

import argparse
import gzip
import json
import os
import random
from pathlib import Path

from byte_bpe_cases import FIXED, LONG, long_line, mixtures
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import GPT2TokenizerFast

FOLDER = Path(__file__).resolve().parents[1] / "golden" / "byte_bpe"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def text_of(path: Path) -> str:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8", newline="\n") as file:
        return file.read()


def lines_of(path: Path) -> list:
    return text_of(path).removesuffix("\n").split("\n")


def gpt2_tokenizer(models: Path) -> GPT2TokenizerFast:
    return GPT2TokenizerFast.from_pretrained(str(models / "gpt2-tokenizer"), model_max_length=10**9)


def train(lines: list, size: int, add_prefix_space: bool = False) -> Tokenizer:
    """As RoBERTa's, with its ids: <s> 0, <pad> 1, </s> 2, <unk> 3, then the bytes, and <mask> last."""
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size - 1, min_frequency=2, show_progress=False, special_tokens=SPECIAL,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=add_prefix_space)
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json, and vocab.json and merges.txt as transformers writes them: with the added token."""
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    tokenizer.model.save(str(folder))
    vocabulary = dict(sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1]))
    (folder / "vocab.json").write_text(json.dumps(vocabulary) + "\n")


def hash_of(numbers) -> str:
    state = 0xCBF29CE484222325
    for number in numbers:
        state = (state ^ number) * 0x100000001B3 % 2**64
    return f"{state:016x}"


def merges_of(tokenizer: Tokenizer) -> list:
    """[left id, right id, left id, …]"""
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
    return [tokenizer.token_to_id(piece) for pair in pairs for piece in pair]


def encode(tokenizer: Tokenizer, text: str) -> list:
    return tokenizer.encode(text, add_special_tokens=False).ids


def with_space(tokenizer: Tokenizer) -> Tokenizer:
    """The same with add_prefix_space."""
    other = Tokenizer.from_str(tokenizer.to_str())
    other.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return other


def words(text: str) -> list:
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
    return [text[begin:end] for _, (begin, end) in cut]


def case(tokenizer: Tokenizer, prefixing: Tokenizer, text: str) -> dict:
    ids, prefixed = encode(tokenizer, text), encode(prefixing, text)
    return {"text": text, "words": [len(word.encode()) for word in words(text)], "ids": ids,
            "prefixed": None if prefixed == ids else prefixed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURAL_ATTENTION_DATA_DIR") or None)
    parser.add_argument("--models", type=Path, default=os.environ.get("NEURAL_ATTENTION_MODELS_DIR") or None)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = (FOLDER / "text.txt").read_text(encoding="utf-8")
    for name in ("text.txt", "wikitext2.json", "gpt2.json", "nfc.json"):  # the last is nfc_tables.py's
        if arguments.output != FOLDER:
            (arguments.output / name).write_bytes((FOLDER / name).read_bytes())

    tokenizer = train(text.removesuffix("\n").split("\n"), 640)
    assert tokenizer.get_vocab_size() == 640 and tokenizer.token_to_id("<mask>") == 639
    save(tokenizer, arguments.output)
    prefixing = with_space(tokenizer)
    texts = list(dict.fromkeys([*FIXED, *text.split("\n"), *mixtures(120, random.Random(1))]))
    rows = [json.dumps(case(tokenizer, prefixing, one), separators=(",", ":")) for one in texts]
    longs = []
    for form in LONG:
        ids = encode(tokenizer, long_line(**form))
        longs.append(json.dumps({**form, "count": len(ids), "hash": hash_of(ids)}))
    (arguments.output / "cases.json").write_text(
        '{"texts": [\n' + ",\n".join(rows) + '],\n"long": [\n' + ",\n".join(longs) + "]}\n")

    if arguments.data is not None:
        folder = arguments.data / "wikitext-2"
        tokenizer = train(lines_of(folder / "train.txt.gz"), 16000)
        ids = [id for line in lines_of(folder / "valid.txt.gz") for id in encode(tokenizer, line)]
        merges = merges_of(tokenizer)
        (arguments.output / "wikitext2.json").write_text(json.dumps({
            "vocab_size": tokenizer.get_vocab_size(), "merges": len(merges) // 2, "merges_hash": hash_of(merges),
            "valid_ids": len(ids), "valid_hash": hash_of(ids)}, indent=2) + "\n")
        if arguments.models is not None:
            gpt2, found = gpt2_tokenizer(arguments.models), {}
            for name in ("train", "valid"):
                ids = gpt2(text_of(folder / f"{name}.txt.gz")).input_ids
                found |= {f"{name}_ids": len(ids), f"{name}_hash": hash_of(ids)}
            (arguments.output / "gpt2.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
