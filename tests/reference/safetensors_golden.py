"""Writes tests/golden/io/python.safetensors with the Python package: every element type that the library reads, a
scalar, an empty tensor, and names that need escaping. Needs only `safetensors`.

    python tests/reference/safetensors_golden.py            write the golden file
    python tests/reference/safetensors_golden.py --check F  compare F (written by the library) with it: content, bytes
"""

import ctypes
import pathlib
import struct
import sys

import safetensors

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden" / "io" / "python.safetensors"
METADATA = {"format": "pt"}


def pack(code, *values):
    return struct.pack(f"<{len(values)}{code}", *values)


TENSORS = {
    "f64": ("float64", [2, 2], pack("d", 1.0, -0.1, 1e300, 5e-324)),
    "f32": ("float32", [2, 3], pack("f", 0.5, -1.25, 3.0, 1e-45, 3.4e38, float("-inf"))),
    # 1, -2, largest, smallest normal, smallest subnormal, inf
    "f16": ("float16", [6], pack("H", 0x3C00, 0xC000, 0x7BFF, 0x0400, 0x8001, 0x7C00)),
    # 1, -2, 3.140625, largest, smallest subnormal, -inf
    "bf16": ("bfloat16", [3, 2], pack("H", 0x3F80, 0xC000, 0x4049, 0x7F7F, 0x0001, 0xFF80)),
    "i64": ("int64", [3], pack("q", -1, 2**53 + 1, -(2**63))),
    "i32": ("int32", [1, 2], pack("i", 2**31 - 1, -7)),
    "u8": ("uint8", [5], bytes([0, 1, 2, 254, 255])),
    "scalar": ("float32", [], pack("f", 42.0)),
    "empty": ("float32", [0, 4], b""),
    'quote " slash \\ tab \t bell \a Ä 字': ("float32", [1], pack("f", 7.0)),
}


def golden_bytes():
    buffers = {name: ctypes.create_string_buffer(data, max(len(data), 1)) for name, (_, _, data) in TENSORS.items()}
    tensors = {name: safetensors.TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[name]),
                                            data_len=len(data))
               for name, (dtype, shape, data) in TENSORS.items()}
    return safetensors.serialize(tensors, METADATA)


def check(path):
    written = pathlib.Path(path).read_bytes()
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
             "uint8": "U8"}
    found = {name: (entry["dtype"], list(entry["shape"]), bytes(entry["data"]))
             for name, entry in safetensors.deserialize(written)}
    expected = {name: (names[dtype], shape, data) for name, (dtype, shape, data) in TENSORS.items()}
    assert found == expected, (found, expected)
    assert written == GOLDEN.read_bytes(), "the contents agree, the bytes do not"
    print(f"{path}: {len(found)} tensors, {len(written)} bytes, identical to Python's")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_bytes(golden_bytes())
        print(f"{GOLDEN}: {GOLDEN.stat().st_size} bytes, safetensors {safetensors.__version__}")
