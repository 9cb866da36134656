"""CTranslate2's side of the translation rows; ours_translation.cpp is its counterpart. MODEL is a directory of Hugging
Face's, which CTranslate2's own converter reads.

    python ct2_translation.py MODEL BATCHES --threads 2
"""

import argparse
import json
from pathlib import Path

import ctranslate2
from ctranslate2.converters import TransformersConverter

from serve import serve, translations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="share a batch, each with so many threads")
    parser.add_argument("--dtype", default="float32", choices=["float32", "int8"])
    parser.add_argument("--num_beams", type=int, help="instead of the model's")
    parser.add_argument("--max_length", type=int, help="instead of the model's")
    parser.add_argument("--parts", type=int, default=0, help="of the batches, of which each repetition takes the next")
    arguments = parser.parse_args()

    converted = arguments.model.with_name(arguments.model.name + "_ctranslate2")
    if not converted.exists():
        TransformersConverter(str(arguments.model)).convert(str(converted))
    how = json.loads((arguments.model / "generation_config.json").read_text())
    ids = json.loads((arguments.model / "vocab.json").read_text())
    pieces = {number: piece for piece, number in ids.items()}
    batches = [[[pieces[token] for token in pair["source"]] for pair in batch]
               for batch in json.loads(arguments.batches.read_text())]
    translator = ctranslate2.Translator(str(converted), device="cpu", compute_type=arguments.dtype,
                                        inter_threads=arguments.workers, intra_threads=arguments.threads)
    beams, longest = arguments.num_beams or how["num_beams"], arguments.max_length or how["max_length"]

    def translate(batch: list) -> list:
        share = -(-len(batch) // arguments.workers)
        found = translator.translate_batch(batch, beam_size=beams, return_scores=True, max_batch_size=share,
                                           max_decoding_length=longest - 1)  # which does not count the start token
        return [([ids[piece] for piece in one.hypotheses[0]], one.scores[0]) for one in found]

    serve({"threads": arguments.threads}, translations(batches, arguments.parts, translate))


if __name__ == "__main__":
    main()
