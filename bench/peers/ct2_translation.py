"""CTranslate2's side of the translation rows; ours_translation.cpp is its counterpart. MODEL is a directory of Hugging
Face's, which CTranslate2's own converter reads.

    python ct2_translation.py MODEL BATCHES --threads 2
"""

import argparse
import json
from pathlib import Path

import ctranslate2
from ctranslate2.converters import TransformersConverter

from serve import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("batches", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    converted = arguments.model.with_name(arguments.model.name + "_ctranslate2")
    if not converted.exists():
        TransformersConverter(str(arguments.model)).convert(str(converted))
    how = json.loads((arguments.model / "generation_config.json").read_text())
    ids = json.loads((arguments.model / "vocab.json").read_text())
    pieces = {number: piece for piece, number in ids.items()}
    batches = [[[pieces[token] for token in pair["source"]] for pair in batch]
               for batch in json.loads(arguments.batches.read_text())]
    translator = ctranslate2.Translator(str(converted), device="cpu", compute_type="float32", inter_threads=1,
                                        intra_threads=arguments.threads)

    def repetition() -> dict:
        outputs, scores = [], []
        for batch in batches:
            for found in translator.translate_batch(batch, beam_size=how["num_beams"], return_scores=True,
                                                    max_decoding_length=how["max_length"]):
                outputs.append([ids[piece] for piece in found.hypotheses[0]])
                scores.append(found.scores[0])
        return {"outputs": outputs, "scores": scores}

    serve({"threads": arguments.threads}, repetition)


if __name__ == "__main__":
    main()
