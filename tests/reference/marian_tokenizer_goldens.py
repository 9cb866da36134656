"""Golden files for tests/text/test_marian_tokenizer.cpp from HF's own MarianTokenizer (see requirements.txt).

    python tests/reference/marian_tokenizer_goldens.py tests/golden/marian_tokenizer

Writes two small SentencePiece models that differ from each other (so that a mix-up shows), a shared vocab.json that
lacks some of their pieces and has others of its own, and cases.json: texts with HF's ids, ids with HF's texts.
"""
import io
import json
import pathlib
import sys

import sentencepiece
from transformers import MarianTokenizer

NOUNS = [("Hund", "dog"), ("Mann", "man"), ("Ball", "ball"), ("Baum", "tree"), ("Tisch", "table"), ("Fluss", "river"),
         ("Vogel", "bird"), ("Garten", "garden"), ("Stein", "stone"), ("Wagen", "car")]
VERBS = [("sieht", "sees"), ("findet", "finds"), ("malt", "paints"), ("trägt", "carries"), ("mag", "likes")]


def corpus():
    german, english = [], []
    for i, (subject_de, subject_en) in enumerate(NOUNS):
        for j, (verb_de, verb_en) in enumerate(VERBS):
            object_de, object_en = NOUNS[(3 * i + j + 1) % len(NOUNS)]
            german.append(f"Der {subject_de} {verb_de} einen {object_de}, aber {i + j} nicht!")
            english.append(f"The {subject_en} {verb_en} a {object_en}, but {i + j} isn't one's.")
    return german, english


def train(lines, path, size):
    model = io.BytesIO()
    # The identity normalisation keeps the models small: nmt_nfkc alone adds 230 kB to a file.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=size, model_type="unigram", num_threads=1,
        normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=3)
    path.write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [processor.id_to_piece(i) for i in range(processor.get_piece_size())]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    german, english = corpus()
    source = train(german, folder / "source.spm", 120)
    target = train(english, folder / "target.spm", 110)
    shared = [p for p in dict.fromkeys(source + target) if p not in ("<unk>", "<s>", "</s>", "m")]
    # ü, é are in neither model, so they are looked up by their surface; <s> is an ordinary piece of the vocabulary.
    pieces = ["</s>", "<unk>"] + shared + [">>de<<", ">>a<< b <<", "ü", "\u2581é", "<s>", "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({p: i for i, p in enumerate(pieces)}, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"separate_vocabs": False}) + "\n")
    tokenizer = MarianTokenizer(str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"))

    texts = german[:6] + english[:6] + [
        "", " ", "   ", "Der  Hund   sieht", " Der Hund ", "\tDer\tHund", "m", "Hund m Mann", "ü", "Der üü Mann é", "é",
        "Der Hund \U0001F600 malt", "\U0001F468\u200D\U0001F469\u200D\U0001F467", "tra\u0308gt trägt", "日本語 Hund",
        ">>de<< Der Hund", ">>de<<Der Hund", " >>de<< Der Hund", "Der >>de<< Hund", ">>fr<< Der Hund", ">><< Hund",
        ">>de<< Der >>fr<< Hund", ">>a<< b << Hund", ">>>>de<<<< Hund", ">>de Hund", "de<< >> Hund", "<< a >>",
        "<< x >>de<< y", "Der\n>>de<< Hund", ">>de\n<< Hund", "Der\n>>x<< Hund\n>>y<< Mann",
        "</s>", "Der </s> Hund", "Der</s>Hund", "Der  </s>  Hund  ", "<pad>", "<unk>", "Der <unk> <pad></s> Hund",
        "</s> >>de<< Hund", ">>de<< </s> >>de<< Hund", ">>de</s><< Hund", "</s", "< /s>", "<</s>>", "<</s>", "<s> Hund </s>",
        "<unk><unk>", "Der \u00a0</s>\u3000 Hund", "Der\u00a0Hund", "a\u0001b\u007f\u200b", "Der\rHund", "\u2581Hund",
        "Der\u2581Hund", "\u2581 \u2581", "\ufeffHund", "\u0085Hund\u2028", "it isn't one's .",
        "\0", "Der\0Hund", "\u001bDer Hund", "Der\u200dHund", "\u2060Hund", "Der\vHund\f", "\r\n", "u\u0308ü", "か\u3099",
        "中文句子。", "العربية Hund", "\U0001F1E9\U0001F1EA", "\u2764\ufe0f Hund", "\ue000\ufffd", "x" * 300,
        ">>\u00e4<<Hund", ">> << Hund", ">>de<<\tHund", "\t>>de<< Hund", ">>de<<", "Hund >>de<<", ">>de<< >>de<< Hund",
        "</s></s>", "<pad>>>de<< Hund", "Hund <unk>", "\t</s>\t", "<PAD> <0x41>", "\uff1c/s\uff1e",
    ]
    encoded = []
    for text in texts:
        encoded.append({"text": text, "source": tokenizer(text).input_ids,
                        "target": tokenizer(text_target=text).input_ids,
                        "source_8": tokenizer(text, truncation=True, max_length=8).input_ids})

    sequences = [case["target"] for case in encoded] + [case["source"] for case in encoded]
    sequences += [[], [0], [1, 0], [len(pieces) - 1] * 3 + [0], [len(pieces) - 1, 5, 6, 7, 0, len(pieces) - 1, 8]]
    sequences += [[(7 * i + 3 * j) % len(pieces) for j in range(12)] for i in range(40)]
    decoded = []
    for ids in sequences:
        decoded.append({"ids": ids,
                        "clean": tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=True),
                        "exact": tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)})
    cleaned = [{"text": t, "clean": tokenizer.clean_up_tokenization(t)} for t in [
        "It is n't a dog .", "a ' b ' c", "I 'm , you 're , he 's , we 've ! ?", " . . .", "a  .", "' n't", "it 's 's"]]
    (folder / "cases.json").write_text(
        json.dumps({"vocab_size": len(pieces), "encoded": encoded, "decoded": decoded, "cleaned": cleaned},
                   separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
