// safetensors: byte equality with Python, every conversion, and no trust in any byte of a file.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE safetensors
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>

#include "neural_attention/core/random.hpp"
#include "neural_attention/io/safetensors.hpp"
#include "scratch.hpp"

using namespace neural_attention::io;
using neural_attention::ConfigError;
using neural_attention::FileError;
using neural_attention::ShapeError;

namespace {

const std::string golden = std::string(NEURAL_ATTENTION_GOLDEN_DIR) + "/io/python.safetensors";
const std::string awkward_name = "quote \" slash \\ tab \t bell \a \u00c4 \u5b57";

std::string with_length(const std::string& header, const std::string& data = "") {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data;
}

/// The values of tests/reference/safetensors_golden.py.
struct GoldenTensors {
  std::vector<double> f64{1.0, -0.1, 1e300, 5e-324};
  std::vector<float> f32{0.5f, -1.25f, 3.0f, 0x1p-149f, 3.4e38f, -INFINITY};
  std::vector<std::uint16_t> f16{0x3C00, 0xC000, 0x7BFF, 0x0400, 0x8001, 0x7C00};
  std::vector<std::uint16_t> bf16{0x3F80, 0xC000, 0x4049, 0x7F7F, 0x0001, 0xFF80};
  std::vector<std::int64_t> i64{-1, (std::int64_t{1} << 53) + 1, INT64_MIN};
  std::vector<std::int32_t> i32{INT32_MAX, -7};
  std::vector<std::uint8_t> u8{0, 1, 2, 254, 255};
  float scalar = 42, seven = 7;

  std::vector<TensorToWrite> list() const {
    return {{"u8", DType::U8, {5}, u8.data()},       {"scalar", DType::F32, {}, &scalar},
            {"i32", DType::I32, {1, 2}, i32.data()}, {"f64", DType::F64, {2, 2}, f64.data()},
            {awkward_name, DType::F32, {1}, &seven}, {"bf16", DType::BF16, {3, 2}, bf16.data()},
            {"f32", DType::F32, {2, 3}, f32.data()}, {"i64", DType::I64, {3}, i64.data()},
            {"empty", DType::F32, {0, 4}, nullptr},  {"f16", DType::F16, {6}, f16.data()}};
  }
};

template <class T>
std::vector<T> values(const SafetensorsFile& file, std::string_view name) {
  const auto* tensor = file.find(name);
  BOOST_REQUIRE(tensor != nullptr);
  std::vector<T> result(tensor->bytes / dtype_bytes(tensor->dtype));
  file.read(*tensor, result.data());
  return result;
}

template <class T>
void check_equal(const std::vector<T>& found, const std::vector<T>& expected) {
  BOOST_REQUIRE(!expected.empty());
  BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), expected.begin(), expected.end());
}

/// Opens the file and reads every tensor: floats widened, integers as they are.
void read_all(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  std::vector<double> floats;
  std::vector<std::int64_t> integers;
  for (const auto& tensor : file.tensors()) {
    const auto count = tensor.bytes / dtype_bytes(tensor.dtype);
    const auto type = dtype_name(tensor.dtype);
    if (type == "BOOL" || type.starts_with("F8") || type == "U64") {
      BOOST_TEST(file.data(tensor).size() == tensor.bytes);
    } else if (type.starts_with('I') || type.starts_with('U')) {
      integers.resize(count);
      file.read(tensor, integers.data());
    } else {
      floats.resize(count);
      file.read(tensor, floats.data());
    }
  }
}

void refuse(const std::string& bytes, std::initializer_list<std::string> parts) {
  const Scratch scratch;
  put(scratch / "bad.safetensors", bytes);
  BOOST_CHECK_EXCEPTION(SafetensorsFile(scratch / "bad.safetensors"), FileError, says(parts));
  BOOST_CHECK_EXCEPTION(SafetensorsFile(scratch / "bad.safetensors"), FileError, says({"bad.safetensors: "}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(python_golden)

BOOST_AUTO_TEST_CASE(reads_what_python_wrote) {
  const SafetensorsFile file(golden);
  const GoldenTensors expected;
  BOOST_TEST(file.tensors().size() == 10u);
  BOOST_TEST((file.metadata() == std::map<std::string, std::string>{{"format", "pt"}}));
  check_equal(values<double>(file, "f64"), expected.f64);
  check_equal(values<float>(file, "f32"), expected.f32);
  check_equal(values<float>(file, "f16"), {1.0f, -2.0f, 65504.0f, 0x1p-14f, -0x1p-24f, INFINITY});
  check_equal(values<double>(file, "f16"), {1.0, -2.0, 65504.0, 0x1p-14, -0x1p-24, INFINITY});
  check_equal(values<float>(file, "bf16"), {1.0f, -2.0f, 3.140625f, 0x1.FEp127f, 0x1p-133f, -INFINITY});
  check_equal(values<std::int64_t>(file, "i64"), expected.i64);
  check_equal(values<std::int32_t>(file, "i32"), expected.i32);
  check_equal(values<std::int64_t>(file, "i32"), {INT32_MAX, -7});
  check_equal(values<float>(file, "scalar"), {42.0f});
  check_equal(values<float>(file, awkward_name), {7.0f});
  check_equal(values<int>(file, "u8"), {0, 1, 2, 254, 255});
  BOOST_TEST(file.find("scalar")->shape.empty());
  BOOST_TEST((file.find("empty")->shape == std::vector<std::int64_t>{0, 4}));
  BOOST_TEST(file.find("empty")->bytes == 0u);
  BOOST_TEST(file.find("nothing") == nullptr);
  std::size_t end = 0;
  for (const auto& tensor : file.tensors()) {
    BOOST_TEST(tensor.offset == end);
    end += tensor.bytes;
    BOOST_TEST(file.data(tensor).size() == tensor.bytes);
  }
}

BOOST_AUTO_TEST_CASE(writes_the_bytes_that_python_writes) {
  const Scratch scratch;
  const GoldenTensors tensors;
  const auto list = tensors.list();
  write_safetensors(scratch / "ours.safetensors", list, {{"format", "pt"}});
  BOOST_TEST((contents(scratch / "ours.safetensors") == contents(golden)));
  BOOST_TEST(scratch.entries() == 1u);
  // For a comparison with a live Python: tests/reference/safetensors_golden.py --check FILE
  if (const char* keep = std::getenv("NEURAL_ATTENTION_KEEP_SAFETENSORS"))
    write_safetensors(keep, list, {{"format", "pt"}});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(conversion)

BOOST_AUTO_TEST_CASE(every_half_is_exact) {
  int checked = 0;
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    const float found = neural_attention::io::detail::half_to_float(static_cast<std::uint16_t>(bits));
    BOOST_REQUIRE(std::signbit(found) == (bits >= 0x8000));
    if (exponent == 31) {
      BOOST_REQUIRE((mantissa == 0 ? std::isinf(found) : std::isnan(found)));
    } else {
      const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      BOOST_REQUIRE(std::abs(static_cast<double>(found)) == magnitude);
    }
    ++checked;
  }
  BOOST_TEST(checked == 65536);
}

BOOST_AUTO_TEST_CASE(numbers_do_not_change_silently) {
  const Scratch scratch;
  const std::vector<std::int64_t> integers{INT64_MAX, 16777217, -5, 300};
  const std::vector<double> floats{1e300, 0.1, -1e-300};
  const auto path = scratch / "a.safetensors";
  const std::vector<TensorToWrite> list{{"max", DType::I64, {1}, &integers[0]},
                                        {"odd", DType::I64, {1}, &integers[1]},
                                        {"negative", DType::I64, {1}, &integers[2]},
                                        {"byte", DType::I64, {1}, &integers[3]},
                                        {"floats", DType::F64, {3}, floats.data()}};
  write_safetensors(path, list);
  const SafetensorsFile file(path);
  BOOST_TEST(file.metadata().empty());
  check_equal(values<std::int64_t>(file, "max"), {INT64_MAX});
  BOOST_CHECK_EXCEPTION(values<double>(file, "max"), FileError, says({"a.safetensors", "\"max\"", "integer"}));
  BOOST_CHECK_EXCEPTION(values<float>(file, "max"), FileError, says({"\"max\""}));
  BOOST_CHECK_EXCEPTION(values<int>(file, "max"), FileError, says({"\"max\""}));
  check_equal(values<double>(file, "odd"), {16777217.0});
  BOOST_CHECK_EXCEPTION(values<float>(file, "odd"), FileError, says({"\"odd\""}));
  check_equal(values<float>(file, "negative"), {-5.0f});
  BOOST_CHECK_EXCEPTION(values<std::uint8_t>(file, "negative"), FileError, says({"\"negative\""}));
  BOOST_CHECK_EXCEPTION(values<std::uint8_t>(file, "byte"), FileError, says({"\"byte\""}));
  BOOST_CHECK_EXCEPTION(values<int>(file, "floats"), FileError, says({"\"floats\"", "F64", "integers"}));
  check_equal(values<float>(file, "floats"), {INFINITY, 0.1f, -0.0f});
  check_equal(values<double>(file, "floats"), floats);
}

// In the order in which the Python package writes element types.
BOOST_AUTO_TEST_CASE(every_element_type) {
  const Scratch scratch;
  const auto path = scratch / "a.safetensors";
  const std::vector<std::string> order{"U64", "I64", "F64",     "F32",     "U32", "I32", "BF16", "F16",
                                       "U16", "I16", "F8_E4M3", "F8_E5M2", "I8",  "U8",  "BOOL"};
  const std::string ones(8, '\xff');  // -1, or the largest number of its type
  std::vector<TensorToWrite> list;
  for (auto name = order.rbegin(); name != order.rend(); ++name)
    list.push_back({"the " + *name, dtype_from_name(*name).value(), {1}, ones.data()});
  write_safetensors(path, list);
  const SafetensorsFile file(path);
  std::vector<std::string> found;
  for (const auto& tensor : file.tensors()) found.emplace_back(dtype_name(tensor.dtype));
  check_equal(found, order);
  check_equal(values<double>(file, "the I8"), {-1.0});
  check_equal(values<float>(file, "the U8"), {255.0f});
  check_equal(values<int>(file, "the I16"), {-1});
  check_equal(values<int>(file, "the U16"), {65535});
  check_equal(values<std::int64_t>(file, "the U32"), {4294967295});
  BOOST_CHECK_EXCEPTION(values<int>(file, "the U32"), FileError, says({"\"the U32\"", "integer"}));
  check_equal(values<std::uint64_t>(file, "the U64"), {UINT64_MAX});
  BOOST_CHECK_EXCEPTION(values<std::int64_t>(file, "the U64"), FileError, says({"\"the U64\"", "integer"}));
  BOOST_CHECK_EXCEPTION(values<double>(file, "the U64"), FileError, says({"\"the U64\"", "integer"}));
  for (const std::string opaque : {"BOOL", "F8_E4M3", "F8_E5M2"}) {
    const auto& tensor = *file.find("the " + opaque);
    BOOST_TEST(file.data(tensor).size() == 1u);
    float number = 0;
    BOOST_CHECK_EXCEPTION(file.read(tensor, &number), FileError, says({"a.safetensors", opaque, "not read"}));
  }
}

BOOST_AUTO_TEST_CASE(large_and_unaligned) {
  const Scratch scratch;
  const auto path = scratch / "a.safetensors";
  std::vector<float> numbers((std::size_t{1} << 21) + 77);  // more than two chunks
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i) * 0.37f;
  const std::vector<TensorToWrite> list{{"x", DType::F32, {static_cast<std::int64_t>(numbers.size())}, numbers.data()}};
  write_safetensors(path, list);
  BOOST_TEST((values<float>(SafetensorsFile(path), "x") == numbers));
  BOOST_TEST((values<double>(SafetensorsFile(path), "x") == std::vector<double>(numbers.begin(), numbers.end())));
  auto bytes = contents(path);  // one more space: a header as older writers left it, the data at an odd address
  bytes.insert(8 + static_cast<unsigned char>(bytes[0]), 1, ' ');
  ++bytes[0];
  put(path, bytes);
  BOOST_TEST((values<float>(SafetensorsFile(path), "x") == numbers));
  BOOST_TEST((values<double>(SafetensorsFile(path), "x") == std::vector<double>(numbers.begin(), numbers.end())));
}

BOOST_AUTO_TEST_CASE(find_survives_moves) {
  SafetensorsFile file(golden);
  const auto* before = file.find("f64");
  const SafetensorsFile moved(std::move(file));
  BOOST_TEST(moved.find("f64") == before);
  check_equal(values<double>(moved, "f64"), GoldenTensors().f64);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(writing)

BOOST_AUTO_TEST_CASE(no_tensors) {
  const Scratch scratch;
  write_safetensors(scratch / "a", {});
  BOOST_TEST((contents(scratch / "a") == with_length("{}      ")));
  BOOST_TEST(SafetensorsFile(scratch / "a").tensors().empty());
  write_safetensors(scratch / "b", {}, {{"z", "1"}, {"a", "\u00e4\n"}});
  BOOST_TEST(
      (SafetensorsFile(scratch / "b").metadata() == std::map<std::string, std::string>{{"a", "\u00e4\n"}, {"z", "1"}}));
}

BOOST_AUTO_TEST_CASE(what_makes_no_file) {
  const Scratch scratch;
  const float x = 1;
  const auto path = scratch / "a.safetensors";
  const auto write = [&](const std::vector<TensorToWrite>& list) { write_safetensors(path, list); };
  BOOST_CHECK_EXCEPTION(write({{"a", DType::F32, {1}, &x}, {"a", DType::F32, {}, &x}}), ConfigError,
                        says({"\"a\" is given twice"}));
  BOOST_CHECK_EXCEPTION(write({{"__metadata__", DType::F32, {1}, &x}}), ConfigError, says({"__metadata__"}));
  BOOST_CHECK_EXCEPTION(write({{"a", DType::F32, {-1}, &x}}), ShapeError, says({"\"a\"", "[-1]"}));
  BOOST_CHECK_EXCEPTION(write({{"a", DType::F32, {1ll << 40, 1ll << 40}, &x}}), ShapeError,
                        says({"\"a\"", "impossible"}));
  BOOST_CHECK_EXCEPTION(write({{"a", DType::F32, {1}, nullptr}}), ConfigError, says({"\"a\"", "no data"}));
  BOOST_CHECK_EXCEPTION(write({{"\xff", DType::F32, {1}, &x}}), FileError, says({"UTF-8"}));
  BOOST_TEST(scratch.entries() == 0u);
}

BOOST_AUTO_TEST_CASE(a_full_disk_keeps_the_old_file) {
  const Scratch scratch;
  const auto path = scratch / "model.safetensors";
  const std::vector<float> numbers(10'000, 1.5f);
  const std::vector<TensorToWrite> small{{"a", DType::F32, {10}, numbers.data()}};
  const std::vector<TensorToWrite> large{{"a", DType::F32, {10}, numbers.data()},
                                         {"b", DType::F32, {10'000}, numbers.data()}};
  write_safetensors(path, small);
  const auto before = contents(path);
  for (const rlim_t size : {0u, 5u, 100u, 150u, 5000u, 40'000u}) {
    const FileSizeLimit limit(size);
    BOOST_CHECK_EXCEPTION(write_safetensors(path, large), FileError, says({"model.safetensors", "File too large"}));
  }
  BOOST_TEST((contents(path) == before));
  BOOST_TEST(scratch.entries() == 1u);
  write_safetensors(path, large);
  BOOST_TEST(SafetensorsFile(path).tensors().size() == 2u);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(distrust)

BOOST_AUTO_TEST_CASE(lengths) {
  refuse("", {"0 bytes"});
  refuse("1234567", {"7 bytes"});
  refuse(std::string(8, '\0'), {"not a JSON object"});
  refuse(std::string(8, '\xff') + "{}", {"claims a header of 18446744073709551615"});
  const auto claim = [](std::uint64_t length) { return std::string(reinterpret_cast<const char*>(&length), 8) + "{}"; };
  refuse(claim(100'000'001), {"claims a header of 100000001 bytes", "at most 100000000"});
  refuse(claim(100'000'000), {"truncated", "100000000", "only 2"});
  refuse(claim(3), {"truncated", "3 bytes"});
}

BOOST_AUTO_TEST_CASE(headers_that_are_no_header) {
  refuse(with_length("[]"), {"not a JSON object"});
  refuse(with_length(" {}"), {"not a JSON object"});
  refuse(with_length("{} x"), {"not valid JSON at line 1, column 4"});
  refuse(with_length(std::string("{}\0\0", 4)), {"zero byte"});
  refuse(with_length("{}{}"), {"not valid JSON"});
  refuse(with_length("{\"a\":1}"), {"\"a\" must be an object"});
  refuse(with_length("{\"a\":[]}"), {"\"a\" must be an object"});
  refuse(with_length("{\"a\":{}}"), {"\"a\" lacks the field \"dtype\""});
  refuse(with_length("{\"__metadata__\":3}"), {"metadata must be an object"});
  refuse(with_length("{\"__metadata__\":{\"a\":3}}"), {"metadata must hold strings only", "\"a\""});
  refuse(with_length("{\"__metadata__\":{\"a\":{}}}"), {"metadata must hold strings only", "\"a\""});
  refuse(with_length("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}"), {"metadata", "\"a\" twice"});
  refuse(with_length("{\"__metadata__\":{},\"__metadata__\":{}}"), {"\"__metadata__\" twice"});
  refuse(with_length("{\"\xff\":{}}"), {"not valid JSON"});
  refuse(with_length("{\"a\":" + std::string(1'000'000, '[')), {"\"a\" must be an object"});
  refuse(with_length("{\"a\":{\"shape\":" + std::string(1'000'000, '[')), {"\"shape\""});
}

BOOST_AUTO_TEST_CASE(tensors_that_make_no_sense) {
  const auto tensor = [](const std::string& fields) { return with_length("{\"a\":{" + fields + "}}", "12345678"); };
  const std::string dtype = "\"dtype\":\"F32\",", shape = "\"shape\":[2],", offsets = "\"data_offsets\":[0,8]";
  {
    const Scratch scratch;  // the file that the others are spoilt copies of
    put(scratch / "good", tensor(dtype + shape + offsets));
    BOOST_CHECK_NO_THROW(read_all(scratch / "good"));
    put(scratch / "good", tensor(offsets + ',' + shape + "\"dtype\":\"F32\""));  // the order of fields is free
    BOOST_CHECK_NO_THROW(read_all(scratch / "good"));
  }
  refuse(tensor("\"dtype\":\"F33\"," + shape + offsets), {"tensor \"a\"", "\"F33\""});
  refuse(tensor("\"dtype\":\"f32\"," + shape + offsets), {"tensor \"a\"", "\"f32\""});
  refuse(tensor("\"dtype\":3," + shape + offsets), {"tensor \"a\"", "\"dtype\"", "wrong type"});
  refuse(tensor("\"dtype\":[]," + shape + offsets), {"tensor \"a\"", "\"dtype\"", "wrong type"});
  refuse(tensor(shape + offsets), {"tensor \"a\"", "lacks", "dtype"});
  refuse(tensor(dtype + offsets), {"tensor \"a\"", "lacks", "shape"});
  refuse(tensor(dtype + "\"shape\":[2]"), {"tensor \"a\"", "lacks", "data_offsets"});
  refuse(tensor(dtype + shape + offsets + ",\"more\":1"), {"tensor \"a\"", "unknown field \"more\""});
  refuse(tensor(dtype + dtype + shape + offsets), {"tensor \"a\"", "\"dtype\" twice"});
  refuse(tensor(dtype + shape + shape + offsets), {"tensor \"a\"", "\"shape\" twice"});
  refuse(tensor(dtype + shape + offsets + "," + offsets), {"tensor \"a\"", "\"data_offsets\" twice"});
  refuse(tensor(dtype + "\"shape\":[-2]," + offsets), {"tensor \"a\"", "\"shape\"", "-2"});
  refuse(tensor(dtype + "\"shape\":[-2,-1]," + offsets), {"tensor \"a\"", "\"shape\"", "-2"});
  refuse(tensor(dtype + "\"shape\":[2.0]," + offsets), {"tensor \"a\"", "\"shape\"", "2.0"});
  refuse(tensor(dtype + "\"shape\":[\"2\"]," + offsets), {"tensor \"a\"", "\"shape\""});
  refuse(tensor(dtype + "\"shape\":2," + offsets), {"tensor \"a\"", "\"shape\""});
  refuse(tensor(dtype + "\"shape\":[[2]]," + offsets), {"tensor \"a\"", "\"shape\"", "a list"});
  refuse(tensor(dtype + "\"shape\":null," + offsets), {"tensor \"a\"", "\"shape\"", "null"});
  refuse(tensor(dtype + "\"shape\":[9223372036854775808]," + offsets), {"tensor \"a\"", "63 bits"});
  refuse(tensor(dtype + "\"shape\":[99999999999999999999]," + offsets), {"tensor \"a\"", "99999999999999999999"});
  refuse(tensor(dtype + "\"shape\":[9223372036854775807]," + offsets), {"tensor \"a\"", "impossible size"});
  refuse(tensor(dtype + "\"shape\":[4294967296,4294967296]," + offsets), {"tensor \"a\"", "impossible size"});
  refuse(tensor(dtype + "\"shape\":[4611686018427387906]," + offsets), {"tensor \"a\"", "impossible size"});
  refuse(tensor(dtype + "\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]"), {"impossible size"});
  refuse(tensor(dtype + "\"shape\":[3]," + offsets), {"tensor \"a\"", "F32[3] needs 12 bytes", "0 to 8"});
  refuse(tensor(dtype + "\"shape\":[]," + offsets), {"tensor \"a\"", "needs 4 bytes"});
  std::string ones = "1";
  for (int i = 0; i < 40; ++i) ones += ",1";
  refuse(tensor(dtype + "\"shape\":[" + ones + "]," + offsets), {"tensor \"a\"", "32 dimensions"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[8,0]"), {"tensor \"a\"", "ends before it begins"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[0]"), {"tensor \"a\"", "has 1"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[]"), {"tensor \"a\"", "has 0"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[0,4,8]"), {"tensor \"a\"", "more than two"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[-8,0]"), {"tensor \"a\"", "data_offsets", "-8"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[8,16]"), {"tensor \"a\"", "ends at byte 16", "8 bytes"});
  refuse(tensor(dtype + shape + "\"data_offsets\":[9223372036854775799,9223372036854775807]"), {"tensor \"a\""});
}

BOOST_AUTO_TEST_CASE(overlaps_holes_and_duplicates) {
  const auto entry = [](const std::string& name, int begin, int end) {
    return "\"" + name + "\":{\"dtype\":\"U8\",\"shape\":[" + std::to_string(end - begin) + "],\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  const auto file = [](const std::string& first, const std::string& second) {
    return with_length("{" + first + "," + second + "}", "12345678");
  };
  {
    const Scratch scratch;
    put(scratch / "good", file(entry("b", 3, 8), entry("a", 0, 3)));
    const SafetensorsFile good(scratch / "good");
    BOOST_TEST(good.tensors()[0].name == "a");
    check_equal(values<std::uint8_t>(good, "b"), {'4', '5', '6', '7', '8'});
    put(scratch / "good", file(entry("b", 0, 8), entry("a", 0, 0)));
    BOOST_CHECK_NO_THROW(read_all(scratch / "good"));
  }
  refuse(file(entry("a", 0, 4), entry("b", 3, 8)), {"tensor \"b\" overlaps tensor \"a\""});
  refuse(file(entry("a", 0, 8), entry("b", 0, 8)), {"overlaps"});
  refuse(file(entry("a", 0, 8), entry("b", 2, 4)), {"tensor \"b\" overlaps tensor \"a\""});
  refuse(file(entry("a", 0, 8), entry("b", 4, 4)), {"tensor \"b\" overlaps tensor \"a\""});
  refuse(file(entry("a", 0, 3), entry("b", 4, 8)), {"1 unused bytes between tensor \"a\" and tensor \"b\""});
  refuse(file(entry("a", 1, 3), entry("b", 3, 8)), {"1 unused bytes between the header and tensor \"a\""});
  refuse(file(entry("a", 0, 3), entry("b", 3, 7)), {"1 unused bytes at its end", "tensor \"b\""});
  refuse(file(entry("a", 0, 3), entry("b", 3, 9)), {"tensor \"b\"", "ends at byte 9"});
  refuse(file(entry("a", 0, 8), entry("a", 0, 8)), {"\"a\" twice"});
  refuse(file(entry("a", 0, 4), entry("\\u0061", 4, 8)), {"\"a\" twice"});
  refuse(with_length("{}", "x"), {"1 unused bytes at its end, after the header"});
}

BOOST_AUTO_TEST_CASE(truncated_at_every_byte) {
  const Scratch scratch;
  const auto whole = contents(golden);
  const auto path = scratch / "cut.safetensors";
  BOOST_REQUIRE_NO_THROW(read_all(golden));
  std::size_t refused = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    put(path, std::string_view(whole).substr(0, length));
    BOOST_CHECK_EXCEPTION(read_all(path), FileError, says({"cut.safetensors"}));
    ++refused;
  }
  BOOST_TEST(refused == whole.size());
  BOOST_TEST(refused > 500u);
}

BOOST_AUTO_TEST_CASE(random_damage) {
  const Scratch scratch;
  const auto whole = contents(golden);
  const auto path = scratch / "damaged.safetensors";
  neural_attention::RandomStream random({.seed = 20231017, .step = 0, .site = 0});
  int refused = 0, read = 0;
  for (int round = 0; round < 5000; ++round) {
    auto bytes = whole;
    const auto flips = 1 + random.below(4);
    for (std::uint32_t i = 0; i < flips; ++i) {
      auto& byte = bytes[random.below(static_cast<std::uint32_t>(bytes.size()))];
      // Either any byte, or a digit or a bracket: those lead deeper than the JSON parser.
      constexpr std::string_view likely = "0123456789-.[]{},:\"e ";
      const auto value = random.word();
      byte = value % 2 == 0 ? static_cast<char>(value >> 8) : likely[(value >> 8) % likely.size()];
    }
    if (random.below(8) == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size())));
    put(path, bytes);
    try {
      read_all(path);
      ++read;
    } catch (const FileError&) {
      ++refused;
    }
  }
  BOOST_TEST_MESSAGE(refused << " refused, " << read << " read");
  BOOST_TEST(refused + read == 5000);
  BOOST_TEST(refused > 1000);
  BOOST_TEST(read > 100);
}

BOOST_AUTO_TEST_SUITE_END()
