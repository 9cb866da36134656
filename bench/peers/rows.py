"""What is compared: one Row for each line of the table in docs/benchmarks.md."""

from dataclasses import dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """One way to run a peer: what it adds to the command and to the environment."""
    name: str
    arguments: tuple = ()
    environment: dict = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Choice:
    """Settings of which one is chosen by trying, the usual first."""
    settings: tuple
    once: bool = False  # for all rows: it does not depend on what is computed


ATTENTION = Choice((Setting("sdpa"), Setting("eager", ("--attention", "eager"))))
ADAMW = Choice((Setting("fused AdamW"), Setting("foreach AdamW", ("--adamw", "foreach"))), once=True)
ALLOCATOR = Choice((
    Setting("malloc"),
    Setting("malloc that keeps memory", (), {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000000",
                                             "MALLOC_TOP_PAD_": "268435456"}),
    Setting("malloc with huge pages", (), {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "THP_MEM_ALLOC_ENABLE": "1"}),
), once=True)
COMPILE = Choice((Setting("not compiled"), Setting("torch.compile", ("--compile",))))
GEMM = Choice((Setting("its own choice of gemm"), Setting("MKL", (), {"CT2_USE_MKL": "1"}),
               Setting("oneDNN", (), {"CT2_USE_MKL": "0"}),
               Setting("packed weights", (), {"CT2_USE_MKL": "1", "CT2_USE_EXPERIMENTAL_PACKED_GEMM": "1"})))

INT8_GEMM = Choice(tuple(replace(one, name=one.name + " for int8") for one in GEMM.settings), once=True)
THREADS = Choice((Setting("2 threads"), Setting("1 thread", ("--threads", "1"))))
WORKERS = Choice((*THREADS.settings, Setting("2 workers of 1 thread", ("--workers", "2", "--threads", "1"))))

# A cache of fixed size is there to be compiled.
CACHE = Choice((Setting("growing cache"), Setting("growing cache and torch.compile", ("--compile",)),
                Setting("fixed cache", ("--cache", "static")),
                Setting("fixed cache and torch.compile", ("--cache", "static", "--compile"))))

PARTS = Choice(tuple(Setting(f"{count} parts" if count > 1 else "undivided", ("--parts", str(count)))
                     for count in (1, 2, 4, 8)))

TRAINING = (ADAMW, ALLOCATOR, ATTENTION, COMPILE)
GENERATION = (ALLOCATOR, ATTENTION, COMPILE)
CONTINUATION = (ALLOCATOR, ATTENTION, CACHE)


EXACT = 1e-4
ROUNDINGS = {"int8", "bfloat16"}


@dataclass(frozen=True)
class Row:
    work: str
    short: str  # in the chart
    against: str
    program: str  # of ours
    script: str  # of the peer
    model: str
    batches: str
    target: float
    choices: tuple
    options: list = field(default_factory=list)  # of both sides
    check: list = field(default_factory=list)  # of both sides, when results are compared
    peer_check: list = field(default_factory=list)
    tolerance: float = EXACT  # between losses, gradient norms or scores, relative
    exact_options: list = field(default_factory=list)  # with which both sides must agree within EXACT first
    memory: bool = False  # is measured too
    float_target: float = 0.0  # of translations with rounded numbers: how many times as fast as this library's own float
    parts: int = 0  # of the batches, of which each repetition takes the next; 0: each takes all
    needs: str = "NEURAL_ATTENTION_DATA_DIR names no folder with iwslt17"  # said where its batches are missing

    @property
    def training(self) -> bool:
        return self.program == "ours_training"

    @property
    def rounded(self) -> bool:
        """A translation in int8 or bfloat16, which may differ from float's."""
        return not self.training and not ROUNDINGS.isdisjoint(self.options)

    def in_float(self) -> "Row":
        return replace(self, options=["float32" if word in ROUNDINGS else word for word in self.options])


def _training(work, short, model, batches, target, **more) -> Row:
    return Row(work, short, "PyTorch", "ours_training", "hf_training.py", model, batches, target, TRAINING,
               check=["--no_dropout"], **more)


def _int8(work, short, against, script, batches, target, choices, float_target, **more) -> Row:
    return Row(f"Marian-base linear, {work}, int8", f"int8, {short}", against, "ours_translation", script,
               "translator_linear", batches, target, choices, float_target=float_target,
               options=["--dtype", "int8", *more.pop("options", [])], **more)


def _bfloat16(work, short, target, float_target, **more) -> Row:
    return Row(f"Marian-base linear, {work}, bf16", f"bf16, {short}", "Hugging Face generate, bfloat16", "ours_translation",
               "hf_translation.py", "translator_linear", "sentences.json", target, (ALLOCATOR,), float_target=float_target,
               options=["--dtype", "bfloat16", *more.pop("options", [])], parts=10, **more)


ROWS = [  # the first is where choices for all rows are made
    _training("Marian-base neural, training step, 32 tokens each", "training, 32 tokens", "marian", "uniform.json",
              1.25, memory=True),
    _training("Marian-base neural, training step, real sentences", "training, real", "marian", "real.json", 2.5,
              memory=True),
    _training("Marian-base neural, training step, 32 tokens each, bf16", "training, bf16", "marian", "uniform.json",
              1.1, options=["--dtype", "bfloat16"], tolerance=2e-2),
    _training("Marian-base neural, training step, real sentences, bf16", "training, real, bf16", "marian", "real.json",
              2.3, options=["--dtype", "bfloat16"], tolerance=2e-2),
    _training("RoBERTa-base plain neural, training step, 8 × 512 tokens", "masked LM", "roberta", "masked.json", 1.4),
    _training("RoBERTa-base plain neural, training step, 8 × 512 tokens, bf16", "masked LM, bf16", "roberta",
              "masked.json", 1.3, options=["--dtype", "bfloat16"], tolerance=2e-2),
    Row("Marian-base neural, translation, beam 4", "translation", "Hugging Face generate", "ours_translation",
        "hf_translation.py", "translator_neural", "translate.json", 3.0, GENERATION, peer_check=["--scores"]),
    Row("Marian-base linear, translation, beam 4", "linear translation", "CTranslate2 float32", "ours_translation",
        "ct2_translation.py", "translator_linear", "translate.json", 0.9, (GEMM,)),
    _int8("translation, beam 4", "beam 4", "CTranslate2 int8", "ct2_translation.py", "translate.json", 1.1,
          (INT8_GEMM, WORKERS), 1.6),
    _int8("the same translation, beam 4", "HF, beam 4", "Hugging Face generate, dynamic int8", "hf_translation.py",
          "translate.json", 3.0, (ALLOCATOR,), 1.6),
    _int8("one sentence at a time, beam 4", "1 sentence", "CTranslate2 int8", "ct2_translation.py", "sentences.json", 2.0,
          (INT8_GEMM, THREADS), 2.0, parts=10),
    _int8("one sentence at a time, greedy", "greedy, 1 sentence", "CTranslate2 int8", "ct2_translation.py",
          "sentences.json", 2.0, (INT8_GEMM, THREADS), 2.0, options=["--num_beams", "1", "--max_length", "26"], parts=10),
    _int8("one sentence at a time, beam 4, 1 thread", "1 sentence, 1 thread", "CTranslate2 int8", "ct2_translation.py",
          "sentences.json", 2.0, (INT8_GEMM,), 2.0, options=["--threads", "1"], parts=10),
    _int8("one sentence at a time, greedy, 1 thread", "greedy, 1 sentence, 1 thread", "CTranslate2 int8",
          "ct2_translation.py", "sentences.json", 2.0, (INT8_GEMM,), 2.0,
          options=["--num_beams", "1", "--max_length", "26", "--threads", "1"], parts=10),
    _bfloat16("one sentence at a time, beam 4", "1 sentence", 1.0, 1.0),
    _bfloat16("one sentence at a time, beam 4, 1 thread", "1 sentence, 1 thread", 1.0, 1.0, options=["--threads", "1"]),
    _training("GPT-2 small, training step, 8 × 256 tokens", "GPT-2, 8 × 256", "gpt2", "windows.json", 1.15, memory=True),
    _training("GPT-2 small, training step, 2 × 1,024 tokens of WikiText-2", "GPT-2, real", "gpt2", "real_windows.json",
              1.15, needs="NEURAL_ATTENTION_DATA_DIR names no folder with wikitext-2, or NEURAL_ATTENTION_MODELS_DIR "
                          "none with gpt2-tokenizer"),
    _training("nanoGPT's 4 layers, training step, 12 × 64 characters", "nanoGPT", "nanogpt", "characters.json", 2.0),
    Row("GPT-2 small, 128 tokens after a prompt of 128", "GPT-2, 1 text", "Hugging Face generate", "ours_generation",
        "hf_generation.py", "generator", "prompt.json", 2.0, CONTINUATION, check=["--scores"]),
    Row("GPT-2 small, 128 tokens after each of 32 prompts of 128", "GPT-2, 32 texts", "Hugging Face generate",
        "ours_generation", "hf_generation.py", "generator", "prompts.json", 2.0, CONTINUATION, check=["--scores"]),
]

# bfloat16 has eight bits: storing a number changes it by half a unit of the last, 2⁻⁹ of it. These changes are
# independent, so those of some hundred results that stand one after another on the way from the tokens to a loss add up
# to √100 of one.
ROUNDED = 100 ** 0.5 * 2.0 ** -9

ON_GPU = ["--device", "cuda", "--dtype"]
GPU_ROWS = [
    Row("Marian-base neural, training step, 16k target tokens", "translation, bf16", "PyTorch", "ours_training",
        "hf_training.py", "marian", "step16k.json", 1.5, (PARTS, ATTENTION, COMPILE), ON_GPU + ["bfloat16"],
        ["--no_dropout"], ["--parts", "8"], ROUNDED, ON_GPU + ["float32"]),
    Row("RoBERTa-base plain neural, training step, 64 × 512 tokens", "masked LM, bf16", "PyTorch", "ours_training",
        "hf_training.py", "roberta", "masked64.json", 1.0, (PARTS, ATTENTION, COMPILE), ON_GPU + ["bfloat16"],
        ["--no_dropout"], ["--parts", "8"], ROUNDED, ON_GPU + ["float32"]),
]

BUILD_TARGET = 0.97  # of a build without -march: its speed as a multiple of -march=native's
MEMORY_TARGET = 0.6  # of the peer's
BANDWIDTH_TARGET = 0.8  # of what the cores read from memory, in the steps behind the prompt
PEAK_TARGET = 0.7  # of the multiply-adds that the cores can do, over a whole step without padding
PEAK_BATCHES = "uniform.json"


def ours(row: Row, bin: Path, work: Path) -> list:
    return [bin / row.program, work / row.model, work / row.batches, *row.options, *_parts(row)]


def peer(row: Row, python: str, work: Path) -> list:
    return [python, Path(__file__).with_name(row.script), work / row.model, work / row.batches, *row.options,
            *_parts(row)]


def _parts(row: Row) -> list:
    return ["--parts", str(row.parts)] if row.parts else []
