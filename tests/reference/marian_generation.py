"""What Hugging Face's generate makes of a model under many settings: greedy and beam searches with float64 scores."""

from collections import Counter

import numpy as np
import torch
from transformers import GenerationConfig

from double_precision import double_generation
from model_goldens import attention_mask, pad_rows, require

BEAM_COUNTS = {2, 4, 6}


def settings(subject, plain: list) -> list:
    """What is searched for, under the names of generation_config.json. `plain` holds the results of an unconstrained
    beam search, from which the forbidden words come, so that forbidding them matters."""
    pad, eos, limit = subject.pad_id, subject.eos, subject.max_length
    base = dict(
        num_beams=1,
        num_return_sequences=1,
        max_length=limit,
        min_length=0,
        length_penalty=1.0,
        early_stopping=False,
        no_repeat_ngram_size=0,
        bad_words_ids=[[pad]],
        renormalize_logits=False,
        do_sample=False,
        decoder_start_token_id=pad,
        eos_token_id=eos,
        bos_token_id=eos,
        pad_token_id=pad,
        forced_eos_token_id=eos,
    )
    found = [result["ids"] for sentence in plain for result in sentence[:1]]
    tokens = Counter(token for ids in found for token in ids)
    word = [max(tokens, key=lambda token: (tokens[token], token))] if tokens else [(eos + 1) % subject.vocabulary]
    pairs = Counter(pair for ids in found for pair in zip(ids, ids[1:]) if word[0] not in pair)
    triples = [list(ids[i : i + 3]) for ids in found for i in range(len(ids) - 2) if word[0] not in ids[i : i + 3]]
    pair = list(max(pairs, key=lambda pair: (pairs[pair], pair))) if pairs else [word[0], word[0]]
    ordinary = [id for id in range(subject.vocabulary) if id not in (pad, eos, *word, *pair)]
    first = sorted({ids[0] for ids in found if ids} | {ids[1] for ids in found[:1] if len(ids) > 1})
    words = [[pad], word, pair] + triples[:1]

    def each(**changes):
        return {**base, **changes}

    return [
        each(),
        each(min_length=limit // 2, no_repeat_ngram_size=2, bad_words_ids=words),
        each(num_beams=2, length_penalty=0.6, num_return_sequences=2),
        each(num_beams=4, num_return_sequences=4),
        each(num_beams=6, length_penalty=2.0, num_return_sequences=6),
        each(num_beams=4, min_length=limit // 2, length_penalty=0.6),
        each(num_beams=4, no_repeat_ngram_size=2, num_return_sequences=2),
        each(num_beams=4, bad_words_ids=words, num_return_sequences=2),
        each(num_beams=6, early_stopping=True, length_penalty=0.6, num_return_sequences=6),
        each(num_beams=4, early_stopping="never", length_penalty=2.0, num_return_sequences=4),
        each(num_beams=3, length_penalty=-0.5, early_stopping="never", num_return_sequences=3),
        each(num_beams=4, renormalize_logits=True, num_return_sequences=4),
        each(num_beams=4, bad_words_ids=None, num_return_sequences=2),  # then the padding token may be chosen
        each(num_beams=4, renormalize_logits=True, bad_words_ids=words, min_length=limit // 2, no_repeat_ngram_size=2),
        each(num_beams=4, max_length=6, forced_eos_token_id=None, num_return_sequences=4),
        each(num_beams=6, max_length=6, length_penalty=2.0, num_return_sequences=6),
        each(num_beams=2, max_length=limit - 3, forced_eos_token_id=None, length_penalty=0.0, early_stopping=True,
             renormalize_logits=True, no_repeat_ngram_size=3, min_length=5, bad_words_ids=words),
        each(num_beams=4, suppress_tokens=word, num_return_sequences=2),
        each(num_beams=4, begin_suppress_tokens=first, num_return_sequences=2),
        each(num_beams=4, forced_bos_token_id=ordinary[0], begin_suppress_tokens=first, num_return_sequences=4),
        each(num_beams=3, eos_token_id=[eos, *pair[1:]], min_length=4, num_return_sequences=3),
        each(num_beams=1, forced_bos_token_id=ordinary[1], eos_token_id=[eos, pair[1]], suppress_tokens=word),
    ]


def run(model, sources, how: dict):
    """The results of each sentence, the best first, and the smallest lead of a greedy choice."""
    pad, count = how["pad_token_id"], how["num_return_sequences"]
    ends = how["eos_token_id"] if isinstance(how["eos_token_id"], list) else [how["eos_token_id"]]
    # As generation_config.json would say it; what a config given to generate leaves None comes from here.
    model.generation_config = GenerationConfig(**how)
    with double_generation():
        out = model.generate(
            input_ids=pad_rows(sources, pad),
            attention_mask=attention_mask(sources),
            return_dict_in_generate=True,
            output_scores=True,
        )
    results = [[] for _ in sources]
    margin = np.inf
    for index, row in enumerate(out.sequences.numpy()):
        require(row[0] == how["decoder_start_token_id"], "generation does not begin with the start token")
        ended = np.flatnonzero(np.isin(row[1:], ends))
        ids = [int(token) for token in (row[1 : 1 + ended[0]] if ended.size else row[1:])]
        require(pad not in ids or not how["bad_words_ids"], "the padding token was chosen")
        require(len(ids) < how["max_length"], "a result is too long")
        result = {"ids": ids}
        if how["num_beams"] > 1:
            score = out.sequences_scores[index]
            require(score.dtype == torch.float64 and score.isfinite(), f"the score is {score}")
            result["score"] = float(score)
        else:
            first = 0 if how.get("forced_bos_token_id") is None else 1
            forced = how["max_length"] - 2 if how["forced_eos_token_id"] is not None else how["max_length"]
            for scores in out.scores[first : min(forced, len(ids) + 1)]:
                best = scores[index].topk(2).values
                margin = min(margin, float(best[0] - best[1]))
        results[index // count].append(result)
    return results, margin


def generations(model, subject, sources) -> list:
    """[{"config": generation_config.json's keys, "results": per sentence [{"ids", "score"}]}]. Ids are without start
    and end tokens. A sentence alone gives the same as in the batch."""
    plain, _ = run(model, sources, {**settings(subject, [])[0], "num_beams": 4})
    found = []
    for how in settings(subject, plain):
        results, margin = run(model, sources, how)
        for source, together in zip(sources, results):
            alone, _ = run(model, [source], how)
            require([r["ids"] for r in alone[0]] == [r["ids"] for r in together], "a result depends on the batch")
            for a, b in zip(alone[0], together):
                require(abs(a.get("score", 0.0) - b.get("score", 0.0)) < 1e-12, "a score depends on the batch")
        if how["num_beams"] == 1:
            require(margin > (1e-2 if subject.chosen else 1e-7), f"greedy choices are too close: {margin}")
        found.append({"config": {key: value for key, value in how.items() if value is not None}, "results": results})
    require({how["config"]["num_beams"] for how in found} >= BEAM_COUNTS, "not every number of beams was tried")
    if subject.chosen:
        check_variety(subject, found)
    return found


def check_variety(subject, found: list) -> None:
    """The settings of a preset must show what they are for."""
    greedy = found[0]["results"]
    at_limit = {len(results[0]["ids"]) == subject.max_length - 2 for results in greedy}
    require(at_limit == {True, False}, "greedy sentences should end both by themselves and at the limit")
    best = {i: [sentence[0]["ids"] for sentence in generation["results"]] for i, generation in enumerate(found)}
    plain = best[3]
    require(best[2] != plain or best[4] != plain, "neither beams nor the length penalty matter")
    for i in (1, 5, 6, 7, 13, 14, 16, 17, 18, 19, 20, 21):
        require(best[i] != plain, f"setting {i} gives what the plain beam search gives")
    unfinished = [len(r["ids"]) == 5 for sentence in found[14]["results"] for r in sentence]
    require(any(unfinished) and not all(unfinished), "short results should be both finished and unfinished")
