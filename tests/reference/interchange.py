"""Marian's model directories both ways between this library and Hugging Face: no bit of a tensor changes, no setting is
lost.

    python interchange.py --resave build/parity/bin/resave_model [--seed N] [--base_size]

from_hugging_face   models that save_pretrained wrote, of random odd sizes, in one file and in shards, float32, float16
                    and bfloat16, are loaded and saved by us; Hugging Face reads the result and computes the same logits
to_hugging_face     models of ours, one for each kind of projector and a mixed one, load strictly into the classes that
                    docs/interchange.md shows; what Hugging Face saves of them loads here again
misfits             a tensor that is missing or has another shape is refused by its name
aliases             further names of the tied matrix and the position tables are taken where they agree and refused
                    where they do not
"""

import random
from pathlib import Path

import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer

from model_directories import EditedFile, Family, Resave, check_aliases, fill, run
from neural_projections import NeuralMarianMTModel

BASE_SIZE = dict(  # opus-mt-de-en's
    vocab_size=58101, decoder_vocab_size=58101, d_model=512, encoder_layers=6, decoder_layers=6,
    encoder_attention_heads=8, decoder_attention_heads=8, encoder_ffn_dim=2048, decoder_ffn_dim=2048,
    max_position_embeddings=512, activation_function="swish", scale_embedding=True, pad_token_id=58100,
    decoder_start_token_id=58100, bos_token_id=0, eos_token_id=0, forced_eos_token_id=0,
)


def random_config(generator: random.Random, vocabulary: int, **more) -> MarianConfig:
    encoder_heads, decoder_heads = generator.choice([(1, 3), (3, 3), (3, 1), (2, 6), (6, 2)])
    return MarianConfig(**dict(
        vocab_size=vocabulary, decoder_vocab_size=vocabulary, d_model=6 * generator.randint(1, 6),
        encoder_layers=generator.randint(1, 3), decoder_layers=generator.randint(1, 3),
        encoder_attention_heads=encoder_heads, decoder_attention_heads=decoder_heads,
        encoder_ffn_dim=generator.randint(1, 50), decoder_ffn_dim=generator.randint(1, 50),
        max_position_embeddings=generator.randint(20, 70),
        activation_function=generator.choice(["swish", "relu", "gelu"]),
        scale_embedding=generator.choice([True, False]), dropout=generator.choice([0.0, 0.1, 0.25]),
        attention_dropout=generator.choice([0.0, 0.05]), activation_dropout=generator.choice([0.0, 0.05]),
        init_std=generator.choice([0.02, 0.013]), pad_token_id=vocabulary - 1, decoder_start_token_id=vocabulary - 1,
        bos_token_id=0, eos_token_id=0, forced_eos_token_id=0, num_beams=6, max_length=512,
        bad_words_ids=[[vocabulary - 1]],
    ) | more)


def random_generation(config: MarianConfig) -> GenerationConfig:
    return GenerationConfig(
        num_beams=5, max_length=19, min_length=3, length_penalty=0.7, no_repeat_ngram_size=4, renormalize_logits=True,
        early_stopping=True, bad_words_ids=[[config.pad_token_id], [3, 4]], pad_token_id=config.pad_token_id,
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id,
        forced_eos_token_id=config.forced_eos_token_id, decoder_start_token_id=config.decoder_start_token_id)


def random_model(config: MarianConfig, seed: int) -> MarianMTModel:
    model = MarianMTModel(config).eval()
    model.generation_config = random_generation(config)
    fill(model, seed)
    return model


def base_size() -> MarianMTModel:
    model = MarianMTModel(MarianConfig(**BASE_SIZE))
    model.generation_config.max_length = 512  # without it Hugging Face stops at 20 tokens, and we at 512
    return model


def logits(model: MarianMTModel, generator: torch.Generator) -> torch.Tensor:
    ids = torch.randint(1, model.config.vocab_size - 1, (3, 11), generator=generator)
    targets = torch.randint(1, model.config.vocab_size - 1, (3, 7), generator=generator)
    return model(input_ids=ids, decoder_input_ids=targets).logits


FAMILY = Family(
    stock=MarianMTModel, neural=NeuralMarianMTModel,
    described_by={"config.json": MarianConfig, "generation_config.json": GenerationConfig},
    tokenizer=MarianTokenizer,
    tokenizer_folder=Path(__file__).resolve().parents[1] / "golden" / "marian_tokenizer",
    tokenizer_files=("source.spm", "target.spm", "vocab.json", "tokenizer_config.json"),
    width="d_model",
    tied=dict.fromkeys(("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"),
                       "model.shared.weight"),
    optional=("final_logits_bias",), papers_projectors=("neural", "neural", "linear", "neural"),
    random_config=random_config, random_model=random_model, logits=logits, base_size=base_size,
)


def aliases(family: Family, resave: Resave, scratch: Path, generator: random.Random) -> None:
    model = random_model(random_config(generator, 23), 3)
    state = model.state_dict()
    file = EditedFile(resave, scratch, model)
    check_aliases(family, file, {name: state[name] for name in ("model.encoder.embed_positions.weight",
                                                                "model.decoder.embed_positions.weight")})
    file.refused({"lm_head.bias": torch.zeros(23)}, "unexpected", "lm_head.bias")


if __name__ == "__main__":
    run(__doc__, FAMILY, [aliases])
