"""RoBERTa's model directories both ways between this library and Hugging Face: no bit of a tensor changes, no setting is
lost.

    python interchange_roberta.py --resave build/parity/bin/resave_model [--seed N] [--base_size]

The checks of interchange.py, and
aliases      further names of the output layer's tied matrix and bias are taken where they agree and refused where they
             do not
other_parts  a pooling layer and position_ids, which masked language models of the Hub have, are left aside; a model
             without the head is refused
converted    pytorch_model.bin, which names the tied tensors twice, comes through convert_pytorch_model.py
"""

import json
import random
from pathlib import Path

import torch
from transformers import RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification, RobertaModel
from transformers import RobertaTokenizerFast

from converter_check import accepted, save_pickled
from model_directories import EditedFile, Family, Resave, check_aliases, fill, read_tensors, require
from model_directories import require_equal_tensors, run
from neural_projections import NeuralRobertaForMaskedLM


def random_config(generator: random.Random, vocabulary: int, **more) -> RobertaConfig:
    begin, pad, end = generator.choice([(0, 1, 2), (5, 3, 0), (0, 4, 7)])
    return RobertaConfig(**dict(
        vocab_size=vocabulary, hidden_size=6 * generator.randint(1, 6), num_hidden_layers=generator.randint(1, 3),
        num_attention_heads=generator.choice([1, 2, 3, 6]), intermediate_size=generator.randint(1, 50),
        max_position_embeddings=generator.randint(20, 70), type_vocab_size=generator.choice([1, 2, 3]),
        hidden_act=generator.choice(["gelu", "swish", "relu", "mish"]),
        hidden_dropout_prob=generator.choice([0.0, 0.1, 0.25]),
        attention_probs_dropout_prob=generator.choice([0.0, 0.05]),
        layer_norm_eps=generator.choice([1e-5, 1e-12, 1e-3]), initializer_range=generator.choice([0.02, 0.013]),
        bos_token_id=begin, pad_token_id=pad, eos_token_id=end, classifier_dropout=0.2, use_cache=False,
    ) | more)


def random_model(config: RobertaConfig, seed: int) -> RobertaForMaskedLM:
    model = RobertaForMaskedLM(config).eval()
    fill(model, seed)
    return model


def base_size() -> RobertaForMaskedLM:
    return RobertaForMaskedLM(RobertaConfig(max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5))


def logits(model: RobertaForMaskedLM, generator: torch.Generator) -> torch.Tensor:
    """Over all ids: padding, which has a position of its own, is among them."""
    return model(input_ids=torch.randint(model.config.vocab_size, (3, 11), generator=generator)).logits


FAMILY = Family(
    stock=RobertaForMaskedLM, neural=NeuralRobertaForMaskedLM, described_by={"config.json": RobertaConfig},
    tokenizer=RobertaTokenizerFast, tokenizer_folder=Path(__file__).resolve().parents[1] / "golden" / "byte_bpe",
    tokenizer_files=("tokenizer.json", "vocab.json", "merges.txt"), width="hidden_size",
    tied={"lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
          "lm_head.decoder.bias": "lm_head.bias"},
    optional=(), papers_projectors=("plain_neural", "plain_neural", "plain_neural", "linear"),
    random_config=random_config, random_model=random_model, logits=logits, base_size=base_size,
)


def aliases(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    check_aliases(family, EditedFile(resave, scratch, random_model(random_config(generator, 23), 3)), tables={})


def other_parts(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    config = random_config(generator, 23)
    file = EditedFile(resave, scratch, random_model(config, 3))
    bare = RobertaModel(config)
    pooler = {f"roberta.{name}": tensor for name, tensor in bare.state_dict().items() if name.startswith("pooler.")}
    require(len(pooler) == 2, f"the pooling layer is {sorted(pooler)}")
    positions = {"roberta.embeddings.position_ids": torch.arange(config.max_position_embeddings).unsqueeze(0)}
    file.taken(pooler)
    file.taken(pooler | positions)
    # The bare model has no name that is expected; a long list is cut.
    for model, names in ((bare, ("missing      roberta.embeddings.word_embeddings.weight", " more")),
                         (RobertaForSequenceClassification(config),
                          ("missing      lm_head.bias", "unexpected   classifier.dense.weight"))):
        folder = scratch / type(model).__name__
        model.save_pretrained(folder)
        resave.refused(folder, file.never, names=["model.safetensors", *names])
    described = json.loads((file.folder / "config.json").read_text())
    for key, value in (("model_type", "xlm-roberta"), ("is_decoder", True), ("add_cross_attention", True),
                       ("tie_word_embeddings", False), ("position_embedding_type", "relative_key")):
        folder = scratch / key
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(described | {key: value}))
        resave.refused(folder, file.never, names=["config.json", value if key == "model_type" else key])
    print("  a pooling layer and position_ids left aside, other kinds of model refused")


def converted(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    for case, shards in enumerate((None, 20_000)):
        folder, own = scratch / f"pickled{case}", scratch / f"own{case}"
        config = random_config(generator, 23, **({"hidden_size": 36} if shards else {}))
        model = random_model(config, generator.randrange(1000))
        save_pickled(model, folder, shards)
        require((folder / "pytorch_model.bin.index.json").is_file() == bool(shards), "shards, or none, against the wish")
        accepted(folder)
        model.save_pretrained(own)
        resave(folder, scratch / f"ours{case}")
        require_equal_tensors(read_tensors(scratch / f"ours{case}"), read_tensors(own), "converted")
    print("  pytorch_model.bin, whole and in shards: equal")


if __name__ == "__main__":
    run(__doc__, FAMILY, [aliases, other_parts, converted])
