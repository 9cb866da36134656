#!/usr/bin/env python3
"""Writes tests/golden/bleu.json: what sacreBLEU 2.4.3 says about cases that are hard to get right.

    pip install sacrebleu==2.4.3
    python tests/reference/bleu.py [--data DIR]

DIR holds multi30k/test_2016_flickr.{de,en}.gz. Of that corpus only scores are stored, never text; without DIR the scores
already in the file are kept. The random cases are drawn with the library's own generator (Philox4x32-10, written here a
second time), so that the test makes the same ones and only digests and scores need storing.
"""
import argparse
import gzip
import json
import pathlib

import sacrebleu
from sacrebleu.metrics import BLEU

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "bleu.json"
U32 = 0xFFFFFFFF


class Stream:
    """RandomStream(RandomKey{seed}) of core/random.hpp."""

    def __init__(self, seed):
        self.seed, self.position, self.block = seed, 0, None

    def word(self):
        if self.position % 4 == 0:
            index = self.position // 4
            c, k = [index >> 32, index & U32, 0, 0], [self.seed & U32, self.seed >> 32]
            for _ in range(10):
                a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [(b >> 32) ^ c[1] ^ k[0], b & U32, (a >> 32) ^ c[3] ^ k[1], a & U32]
                k = [(k[0] + 0x9E3779B9) & U32, (k[1] + 0xBB67AE85) & U32]
            self.block = c
        self.position += 1
        return self.block[(self.position - 1) % 4]

    def below(self, bound):
        threshold = (1 << 32) % bound
        while True:
            product = self.word() * bound
            if product & U32 >= threshold:
                return product >> 32


SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) \
    + "\u2028\u2029\u202f\u205f\u3000"
NOT_SPACES = "\x00\x08\x0e\x1b\x7f\x80\x84\x86\x9f\xa1\xad\u167f\u180e\u200b\u200c\u200d\u2027\u202a\u202e\u2060\u2fff\u3001\ufeff"

TOKENIZER_CASES = [
    "", " ", "   \t  ", ".", ",", "-", "1", "1.", ".1", "1.1", "a.", ".a", "a.b", "a.1", "1.a",
    "1,000.5", "1,000.5,", ",1,000.5", "1.000.000,00 Euro", "3.14.", "3.14..", "3..14", "3...14", "3....14", "a..5", "a...5",
    "a....5", "..5", "...5", "5..", "5...", ".,5", "5.,", "5,.5", ",.,.5", "5.,.,5", "a.,5 b,.5", "!.5", "!..5", "!...5",
    ".-5", "5.-", "5-.5", "5-5", "5--5", "5---", "-5", "--5", "a-5", "5-a", "a-b", "a--b", "A-1-B-2", "1-2-3", "1.5-2.5",
    "2016-10-31", "10.05.2017", "1:0", "1/2", "50%", "$5.00", "\u20ac5,00", "5,00\u20ac", "\u00a35.50-\u00a36.50", "1\u00b2.5", "\u0661.\u0662", "\u0663-\u0664",
    "Hello, world!", "It's John's dog; isn't it?", "'quoted'", "``double''", "\"quoted\"", "(a) [b] {c} <d>", "a_b __init__ _",
    "e-mail: first.last@example.com", "http://www.example.com/a?b=c&d=e#f", "C:\\Temp\\x.txt", "#hash @user ^caret ~tilde `tick` |pipe|",
    "a*b+c=d", "U.S.A.", "Dr. No, Mr. X.", "etc...", "wait\u2026", "no.5", "No. 5", "p.m.", "a.m., p.m.", "end .", "end.  ", "end.\n",
    "&quot;x&quot;", "&amp;", "&lt;b&gt;", "&amp;lt;", "&amp;gt;", "&amp;amp;", "&amp;amp;lt;", "&amp;quot;", "&quot", "&quot;amp;", "&&lt;gt;",
    "&lt;skipped&gt;", "&apos;", "&#39;", "& amp;", "&amp;&lt;", "R&amp;D", "&a<skipped>mp;", "&am-\np;",
    "<skipped>", "a<skipped>b", "<skip<skipped>ped>", "<skip-\nped>", "<Skipped>", "< skipped >", "1<skipped>.5", "5-<skipped>\n5",
    "hyphen-\nated", "--\n\n", "-\n", "-\n-\n", "5-\n5", "a-\r\nb", "line\nbreak", "1\n.5", "1.\n5", "a\rb", "\n", "\n\n.",
    "Die B\u00fcrgerin \u00fcberquert die Stra\u00dfe.", "\u201eZitat\u201c, sagt er.", "\u00abGuillemets\u00bb", "\u2013 dash \u2014 long", "\u0394\u03b5\u03bd, \u03be\u03ad\u03c1\u03c9.", "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u65e5.5 \u65e5..5",
    "\U0001f600.", "\U0001f600,5", "\U0001f468\u200d\U0001f469\u200d\U0001f467!", "caf\u00e9.", "cafe\u0301.", "\u00e9..5", "z\u0306-1", "\x00.\x00", "a\x7fb", "a\u00adb",
] + [f"a{c}b" for c in SPACES + NOT_SPACES] + [f"1{c}.{c}5,{c}" for c in SPACES] + [
    "".join(map(chr, range(0x20, 0x7F))), "".join(f"1{chr(c)}2" for c in range(0x20, 0x7F)), "".join(f"{chr(c)}.5" for c in range(0x20, 0x7F)),
]

# For the tokenizers that look beyond ASCII.
UNICODE_CASES = [
    "你好，世界。Hello, world!", "我有3.5个苹果，花了1,000.5元。", "5。", "5.", "5.,", ".5", "..5", "中.5", "5中", "5.中", "5-中-5", "-5", "- 5", "  中  a  ",
    "“引号”和‘单引号’", "«Guillemets» — dash – 5–6", "…", "a…b", "①②③ ½ ⅷ 二〇", "１，２３４．５", "ａｂｃ，ｄｅｆ", "カタカナ・ひらがな、漢字。", "ｶﾀｶﾅ", "한국어 문장입니다.",
    "\U00020000\U0002a6d6\u3007", "\u2000x\u2001x\u2a6d\u2a6e", "\u4db5\u4db6\u9fbb\u9fbc", "Ωραία; ναι·", "مرحبا، كيف حالك؟ ٣٫١٤", "नमस्ते। ५,६", "१.२", "€5,00 $5.00 5%", "5€.", "x²+y²=z²",
    "1.5-2.5", "2016-10-31", "10:30", "a.b.c", "3,", "3, ", ",3", "3,.4", "3,,4", "a,,4", "a,4", "3،4", "don't \"quote\" <skipped> &amp;", "\U0001f600.5\U0001f600", "👨\u200d👩\u200d👧!", "a\u0301.", "№5 ™",
    "¿Qué? ¡No!", "_a_ ^ ` ~ |", "１.2", "1．2", "٣.٤", "\u0e3f5.00 ๕", "", " ", "\u3000", ".", "5", "中",
]
TOKENIZERS = ["intl", "char", "zh", "none"]

# name, hypotheses, reference streams; scored with each tokenizer
UNICODE_CORPORA = [
    ("Chinese", ["这是一个测试。", "我有3.5个苹果，花了1,000元！"], [["这是一次测试。", "我有3.5个苹果，花了1000元！"], ["这只是测试。", "我买了3.5个苹果；花了1,000元。"]]),
    ("quotation marks and dashes", ["„Zitat“ – sagt er … 5–6", "«No», dijo."], [["„Zitat“, sagt er … 5 – 6", "«No» , dijo ."]]),
    ("Japanese", ["猫はマットの上に座った。"], [["猫がマットの上に座りました。"]]),
]

# name, hypotheses, reference streams
CORPORA = [
    ("identical", ["A man rides a bicycle.", "Two dogs play in the snow."], [["A man rides a bicycle.", "Two dogs play in the snow."]]),
    ("ordinary", ["The cat sat on a mat.", "He bought 1,000.5 litres - cheap!", "It's raining cats and dogs again."],
     [["The cat is sitting on the mat.", "He bought 1,000.5 liters; cheap!", "It is raining cats and dogs again."]]),
    ("no match at all", ["alpha beta gamma delta epsilon"], [["one two three four five"]]),
    ("only unigrams match", ["d c b a e"], [["a b c d f"]]),
    ("unigrams and bigrams match", ["a b x c d y"], [["a b z c d w"]]),
    ("one match in many words", ["x1 x2 x3 x4 x5 x6 x7 same"], [["same y1 y2 y3 y4 y5 y6 y7"]]),
    ("trigrams missing between matches", ["a b q c d q e f"], [["a b r c d r e f"]]),
    ("single words equal", ["yes", "no"], [["yes", "no"]]),
    ("single words partly equal", ["yes", "no", "maybe"], [["yes", "yes", "maybe"]]),
    ("two words", ["good morning"], [["good morning"]]),
    ("three words", ["good morning ."], [["good morning ."]]),
    ("four words", ["good morning all ."], [["good morning all."]]),
    ("short among long", ["yes", "the quick brown fox jumps over the lazy dog"], [["yes", "the quick brown fox jumped over the lazy dogs"]]),
    ("all hypotheses empty", ["", ""], [["something here", "and there"]]),
    ("blank hypotheses", ["  ", "\u00a0\u3000"], [["something here", "and there"]]),
    ("one hypothesis empty", ["", "and there it was ."], [["something here", "and there it was."]]),
    ("all references empty", ["something here and there", "more"], [["", ""]]),
    ("one reference empty", ["something", "and there it was ."], [["", "and there it was."]]),
    ("everything empty", ["", ""], [["", ""]]),
    ("hypothesis too long", ["the the the the the the the the the the"], [["the cat"]]),
    ("repeated n-grams are clipped", ["the cat the cat the cat the cat"], [["the cat saw the cat"]]),
    ("hypothesis too short", ["the cat"], [["the cat sat on the mat and looked at the dog for a very long time"]]),
    ("case matters", ["The Cat Sat On The Mat"], [["the cat sat on the mat"]]),
    ("punctuation only", ["... , !", "-"], [["...,!", "-"]]),
    ("entities and markup", ["&quot;R&amp;D&quot; &lt;x&gt;<skipped>", "hyphen-\nated words stay here"], [["\"R&D\" <x>", "hyphenated words stay here"]]),
    ("trailing hyphen and line break", ["one two three four-\n"], [["one two three four-"]]),
    ("spaces of all kinds", ["a\u00a0b\u2003c\u3000d\u2028e"], [["a b c d e"]]),
    ("unicode words", ["\u4f60\u597d \u4e16\u754c \U0001f600 caf\u00e9 \u00fcber ."], [["\u4f60\u597d \u4e16\u754c \U0001f600 cafe\u0301 \u00fcber."]]),
    ("two references", ["the cat sat on the mat", "a dog barks loudly"],
     [["a cat sat on a mat", "the dog barks loudly"], ["the cat is on the mat", "a dog is barking"]]),
    ("two references, equally far", ["a b c d e"], [["a b c d e f g"], ["a b c"]]),
    ("two references, equally far, shorter first", ["a b c d e"], [["a b c"], ["a b c d e f g"]]),
    ("three references, one empty", ["a b c d e", "x y z x y z"], [["a b c d", "x y"], ["", ""], ["c d e a b c", "y z x y z x y z"]]),
    ("largest count of several references", ["a a a a a b b b"], [["a a b b b c c c"], ["a a a c b c c c"]]),
]

# Pieces of random segments for the tokenizer, and words of random corpora.
PIECES = ["1", "0", "9", "a", "Z", ".", ",", "-", ".", ",", "-", ".", "5", "\n", " ", "\t", "\r", "'", "!", "_", "/", "\\", "~", "\x7f", "\x00", "\x1c",
          "&", ";", "amp;", "lt;", "gt;", "quot;", "&amp;", "&lt;", "&gt;", "&quot;", "<", ">", "<skip", "ped>", "<skipped>", "-\n",
          "\u00e4", "\u00df", "\u00a0", "\u0085", "\u2003", "\u2028", "\u3000", "\u200b", "\u2009", "\u202f", "\u205f", "\u1680", "\u00b2", "\u0664", "\u20ac", "\U0001f600", "\ufeff"]
WORDS = ["a", "b", "c", "the", "The", "cat", "1,5", "1.", "x-1", "1-x", ".", ",", "..5", "don't", "&amp;", "\u00fcber", "\u00a0", "\U0001f600"]
SEED = 2024


def random_text(stream, pieces, longest, separator):
    return separator.join(pieces[stream.below(len(pieces))] for _ in range(stream.below(longest + 1)))


def fnv(data, state):
    for byte in data:
        state = ((state ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return state


def described(bleu, score):
    return {"score": score.score, "precisions": list(score.precisions), "bp": score.bp, "sys_len": score.sys_len, "ref_len": score.ref_len,
            "counts": list(score.counts), "totals": list(score.totals), "format": score.format(), "signature": str(bleu.get_signature())}


def tokenizer(name):
    tokenize = BLEU(tokenize=name).tokenizer
    return lambda text: " ".join(tokenize(text.rstrip()).split())  # as BLEU does


def corpus(hypotheses, streams, effective_order=False, tokenize="13a"):
    bleu = BLEU(effective_order=effective_order, tokenize=tokenize)
    return described(bleu, bleu.corpus_score(hypotheses, streams))


def sentence(hypothesis, references):
    bleu = BLEU(effective_order=True)
    return described(bleu, bleu.sentence_score(hypothesis, references))


def random_tokenizer_digests(name, blocks=20, block=1000):
    tokenize, stream, digests = tokenizer(name), Stream(SEED), []
    for _ in range(blocks):
        state = 0xCBF29CE484222325
        for _ in range(block):
            state = fnv(tokenize(random_text(stream, PIECES, 24, "")).encode() + b"\xff", state)
        digests.append(f"{state:016x}")
    return {"block": block, "longest": 24, "digests": digests}


def every_character_digests(name, block=0x4000):
    """Of texts with each character between letters, digits and stops."""
    tokenize, digests = tokenizer(name), []
    for begin in [*range(0, 0x20000, block), 0xE0000]:
        state = 0xCBF29CE484222325
        for code in range(begin, begin + block):
            if not 0xD800 <= code < 0xE000:
                c = chr(code)
                state = fnv(tokenize(f"{c}a{c}1{c}2.{c}.3").encode() + b"\xff", state)
        digests.append(f"{state:016x}")
    return {"block": block, "digests": digests}


def by_tokenizer(name):
    tokenize = tokenizer(name)
    return {"unicode": [tokenize(text) for text in UNICODE_CASES], "hard": [tokenize(text) for text in TOKENIZER_CASES],
            "random": random_tokenizer_digests(name)["digests"], "every_character": every_character_digests(name),
            "corpora": [[score["score"], score["sys_len"], score["ref_len"], score["signature"]]
                        for score in (corpus(h, r, False, name) for _, h, r in CORPORA + UNICODE_CORPORA)]}


def random_corpora(corpora=100):
    stream, scores, sentences = Stream(SEED + 1), [], []
    for _ in range(corpora):
        segments, references = 1 + stream.below(6), 1 + stream.below(3)
        hypotheses = [random_text(stream, WORDS, 12, " ") for _ in range(segments)]
        streams = [[random_text(stream, WORDS, 12, " ") for _ in range(segments)] for _ in range(references)]
        scores.append(corpus(hypotheses, streams)["score"])
        sentences.append(sentence(hypotheses[0], [s[0] for s in streams])["score"])
    return {"scores": scores, "sentence_scores": sentences}


def interval(score, samples):
    tail, ordered = len(samples) // 40, sorted(samples)
    return {"score": score, "mean": sum(samples) / len(samples), "lower": ordered[tail], "upper": ordered[-1 - tail]}


def bootstrap(segments=60, samples=200, seed=7):
    """Paired bootstrap over sacreBLEU's statistics. The first system loses every third word, the second every fifth."""
    stream = Stream(SEED + 2)
    references = [random_text(stream, WORDS[:8], 14, " ") for _ in range(segments)]

    def lossy(every):
        return [" ".join(w for i, w in enumerate(line.split(" ")) if i % every != every - 1) for line in references]

    bleu = BLEU()
    statistics = [bleu._extract_corpus_statistics(lossy(every), [references]) for every in (3, 5)]

    def score(rows):
        return bleu._aggregate_and_compute(rows).score

    resampler, scores = Stream(seed), ([], [])
    for _ in range(samples):
        drawn = [resampler.below(segments) for _ in range(segments)]
        for kept, rows in zip(scores, statistics):
            kept.append(score([rows[i] for i in drawn]))
    whole = [score(rows) for rows in statistics]
    differences = [b - a for a, b in zip(*scores)]
    difference = interval(whole[1] - whole[0], differences)
    extreme = sum(abs(d - difference["mean"]) >= abs(difference["score"]) for d in differences)
    return {"segments": segments, "longest": 14, "words": 8, "samples": samples, "seed": seed, "first": interval(whole[0], scores[0]),
            "second": interval(whole[1], scores[1]), "difference": difference, "p_value": (extreme + 1) / (samples + 1)}


def multi30k(folder):
    def lines(language):
        with gzip.open(folder / "multi30k" / f"test_2016_flickr.{language}.gz", "rt", encoding="utf-8", newline="\n") as f:
            return f.read().rstrip("\n").split("\n")

    english, german = lines("en"), lines("de")

    def words(change):
        return [" ".join(change(line.split(" "))) for line in english]

    def swapped(w):
        w = list(w)
        for i in range(0, len(w) - 1, 5):
            w[i], w[i + 1] = w[i + 1], w[i]
        return w

    drop7 = words(lambda w: [x for i, x in enumerate(w) if i % 7 != 6])
    rotated = english[1:] + english[:1]
    return {
        "segments": len(english),
        "scores": {
            "identical": corpus(english, [english])["score"],
            "drop7": corpus(drop7, [english])["score"],
            "longer": corpus(english, [drop7])["score"],
            "swap5": corpus(words(swapped), [english])["score"],
            "hyphens": corpus([line.replace(" a ", "-1,5.") for line in english], [english])["score"],
            "blank10": corpus(["" if i % 10 == 0 else line for i, line in enumerate(english)], [english])["score"],
            "rotated": corpus(rotated, [english])["score"],
            "german": corpus(german, [english])["score"],
            "two_references": corpus(drop7, [rotated, words(swapped)])["score"],
        },
        "sentence_sum": sum(sentence(h, [r])["score"] for h, r in zip(drop7, english)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path)
    arguments = parser.parse_args()
    assert sacrebleu.__version__ == "2.4.3", f"the goldens belong to sacreBLEU 2.4.3, this is {sacrebleu.__version__}"
    tokenize = tokenizer("13a")
    golden = {
        "tokenizer": [[text, tokenize(text)] for text in TOKENIZER_CASES],
        "corpora": [{"name": name, "hypotheses": h, "references": r, "corpus": corpus(h, r), "effective": corpus(h, r, True),
                     "first_sentence": sentence(h[0], [stream[0] for stream in r])} for name, h, r in CORPORA],
        "random": {"seed": SEED, "pieces": PIECES, "words": WORDS, "tokenizer": random_tokenizer_digests("13a"), "corpora": random_corpora(),
                   "bootstrap": bootstrap()},
        "unicode": {"texts": UNICODE_CASES, "corpora": [{"name": name, "hypotheses": h, "references": r} for name, h, r in UNICODE_CORPORA],
                    "tokenizers": {name: by_tokenizer(name) for name in ["13a", *TOKENIZERS]}},
    }
    if arguments.data:
        golden["multi30k"] = multi30k(arguments.data)
    elif GOLDEN.exists():
        golden["multi30k"] = json.loads(GOLDEN.read_text())["multi30k"]
    GOLDEN.write_text(json.dumps(golden, indent=0, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
