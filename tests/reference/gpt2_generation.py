"""What Hugging Face's generate makes of a causal language model under many settings: greedy and beam searches with
float64 scores. Each prompt is continued alone: Hugging Face would pad a batch of them on the left."""

import numpy as np
import torch
from transformers import GenerationConfig

from double_precision import double_generation
from model_goldens import require


def settings(subject, plain: list) -> list:
    """What is searched for, under the names of generation_config.json. `plain` holds the results of an unconstrained
    beam search, from which the forbidden words come, so that forbidding them matters."""
    eos, limit = subject.eos, subject.max_length
    base = dict(
        num_beams=1,
        num_return_sequences=1,
        max_length=limit,
        min_length=0,
        length_penalty=1.0,
        repetition_penalty=1.0,
        early_stopping=False,
        no_repeat_ngram_size=0,
        bad_words_ids=None,
        renormalize_logits=False,
        do_sample=False,
        eos_token_id=eos,
        bos_token_id=eos,
        pad_token_id=eos,
    )
    found = [results[0]["ids"] for results in plain if results[0]["ids"]]
    word = [found[0][0]] if found else [(eos + 1) % subject.vocabulary]
    pairs = [ids[i : i + 2] for ids in found for i in range(len(ids) - 1) if word[0] not in ids[i : i + 2]]
    words = [word] + pairs[:1]

    def each(**changes):
        return {**base, **changes}

    return [
        each(),
        each(min_length=limit - 2, no_repeat_ngram_size=2),
        each(bad_words_ids=words, suppress_tokens=word),
        each(num_beams=2, length_penalty=0.6, num_return_sequences=2),
        each(num_beams=4, num_return_sequences=4),
        each(num_beams=6, length_penalty=2.0, num_return_sequences=6),
        each(num_beams=3, length_penalty=-0.5, early_stopping="never", num_return_sequences=3),
        each(num_beams=4, early_stopping=True, length_penalty=0.6, num_return_sequences=4),
        each(num_beams=4, min_length=limit - 2, no_repeat_ngram_size=2, num_return_sequences=2),
        each(num_beams=4, bad_words_ids=words, renormalize_logits=True, num_return_sequences=4),
        each(num_beams=3, eos_token_id=[eos, *word], num_return_sequences=3),
        each(num_beams=4, forced_eos_token_id=eos, length_penalty=0.0, num_return_sequences=2),
        each(repetition_penalty=2.0),
        each(repetition_penalty=0.75, suppress_tokens=word),
        each(num_beams=4, repetition_penalty=2.2, num_return_sequences=4),
        each(num_beams=3, repetition_penalty=1.6, renormalize_logits=True, bad_words_ids=words, num_return_sequences=2),
        each(num_beams=3, max_new_tokens=3, forced_eos_token_id=eos, early_stopping="never", num_return_sequences=3),
        each(max_new_tokens=4, repetition_penalty=1.25),
        each(num_beams=4, min_new_tokens=7, num_return_sequences=3),
    ]


def run(model, prompts, how: dict):
    """The results of each prompt, the best first, and the smallest lead of a greedy choice."""
    ends = how["eos_token_id"] if isinstance(how["eos_token_id"], list) else [how["eos_token_id"]]
    # As generation_config.json would say it; what a config given to generate leaves None comes from here.
    model.generation_config = GenerationConfig(**how)
    results, margin = [], np.inf
    for prompt in prompts:
        with double_generation():
            out = model.generate(
                input_ids=torch.from_numpy(prompt[None]),
                attention_mask=torch.ones((1, len(prompt)), dtype=torch.int64),
                return_dict_in_generate=True,
                output_scores=True,
            )
        results.append([])
        for index, row in enumerate(out.sequences.numpy()):
            require((row[: len(prompt)] == prompt).all(), "a result does not begin with its prompt")
            row = row[len(prompt) :]
            ended = np.flatnonzero(np.isin(row, ends))
            result = {"ids": [int(token) for token in (row[: ended[0]] if ended.size else row)]}
            if how["num_beams"] > 1:
                score = out.sequences_scores[index]
                require(score.dtype == torch.float64 and score.isfinite(), f"the score is {score}")
                result["score"] = float(score)
            else:
                for scores in out.scores[: len(result["ids"]) + 1]:
                    best = scores[index].topk(2).values
                    margin = min(margin, float(best[0] - best[1]))
            results[-1].append(result)
    return results, margin


def generations(model, subject, prompts) -> list:
    """[{"config": generation_config.json's keys, "results": per prompt [{"ids", "score"}]}]. Ids are without prompt and
    end."""
    plain, _ = run(model, prompts, {**settings(subject, [])[0], "num_beams": 4})
    found = []
    for how in settings(subject, plain):
        results, margin = run(model, prompts, how)
        if how["num_beams"] == 1:
            require(margin > (1e-2 if subject.chosen else 1e-7), f"greedy choices are too close: {margin}")
        found.append({"config": {key: value for key, value in how.items() if value is not None}, "results": results})
    if subject.chosen:
        check_variety(subject, prompts, found)
    return found


def check_variety(subject, prompts, found: list) -> None:
    """The settings of a preset must show what they are for."""
    at_limit = {len(prompt) + len(results[0]["ids"]) == subject.max_length
                for prompt, results in zip(prompts, found[0]["results"])}
    require(at_limit == {True, False}, "greedy texts should end both by themselves and at the limit")
    best = [[results[0]["ids"] for results in generation["results"]] for generation in found]
    require(best[3] != best[4] or best[5] != best[4], "neither beams nor the length penalty matter")
    for i in (8, 9, 10, 14, 15):
        require(best[i] != best[4], f"setting {i} gives what the plain beam search gives")
    for i in (1, 2, 12, 13):
        require(best[i] != best[0], f"setting {i} gives what the plain greedy search gives")
