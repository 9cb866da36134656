"""The Python code that docs/interchange.md shows for loading our models into Hugging Face, executed from that page.

    from neural_projections import NeuralMarianMTModel, NeuralRobertaForMaskedLM, NeuralGPT2LMHeadModel

The page is the only place where the code stands, so what the tests run is what a reader copies.
"""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interchange.md"


def documented_code() -> str:
    """The page's Python block that defines the models, as it stands there."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found = [block for block in blocks if "class Neural" in block]
    if len(found) != 1:
        raise AssertionError(f"{PAGE} should define the models in one block, found {len(found)}")
    return found[0]


_defined: dict = {"__name__": __name__}
exec(compile(documented_code(), str(PAGE), "exec"), _defined)

NeuralMarianMTModel = _defined["NeuralMarianMTModel"]
NeuralRobertaForMaskedLM = _defined["NeuralRobertaForMaskedLM"]
NeuralGPT2LMHeadModel = _defined["NeuralGPT2LMHeadModel"]
projector = _defined["projector"]
widths = _defined["widths"]
fill_values = _defined["fill_values"]
add_options = _defined["add_options"]
attention_with_options = _defined["attention_with_options"]
share_values = _defined["share_values"]
