#include "core/json.h"

#include <boost/test/unit_test.hpp>

#include "core/dim.h"
#include "core/error.h"

using namespace maas;

namespace {
bool refused(std::string_view text) {
  try {
    json::parse(text);
    return false;
  } catch (const Error& e) {
    return e.kind() == ErrorKind::value;
  }
}
}  // namespace

BOOST_AUTO_TEST_CASE(values) {
  const json::Value v = json::parse(R"( {"a": [1, -2.5, 1e3, true, null], "b": {"\u00e9\ud83d\ude00\n": "x\/\\"}} )");
  const auto& list = *v.find("a")->get<json::List>();
  BOOST_TEST(*list[0].get<int64_t>() == 1);
  BOOST_TEST(*list[1].get<double>() == -2.5);
  BOOST_TEST(*list[2].get<double>() == 1000);
  BOOST_TEST(*list[3].get<bool>());
  BOOST_TEST(list[4].get<std::nullptr_t>());
  const auto& member = v.find("b")->get<json::Object>()->at(0);
  BOOST_TEST(member.first == "\xc3\xa9\xf0\x9f\x98\x80\n");
  BOOST_TEST(*member.second.get<std::string>() == "x/\\");
  BOOST_TEST(!v.find("c"));
  BOOST_TEST(*json::parse("9223372036854775807").get<int64_t>() == INT64_MAX);
  BOOST_TEST(*json::parse("9223372036854775808").get<double>() == 9223372036854775808.0);
}

BOOST_AUTO_TEST_CASE(anything_else_is_refused) {
  for (const char* text : {"",
                           " ",
                           "{",
                           "[1,]",
                           "[1 2]",
                           "{\"a\":1,}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "01",
                           "1.",
                           ".5",
                           "-",
                           "1e",
                           "+1",
                           "nan",
                           "Infinity",
                           "tru",
                           "\"",
                           "\"\\x\"",
                           "\"\\u12\"",
                           "\"\\ud800\"",
                           "\"\\udc00\"",
                           "\"\\ud800\\u0041\"",
                           "\"\n\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "1 1",
                           "[1]]",
                           "{\"a\":1,\"a\":2}",
                           "1e999",
                           "'a'",
                           "[1}",
                           "\"\\"})
    BOOST_TEST(refused(text), text);
  BOOST_TEST(refused(std::string_view("1\0", 2)));
  BOOST_TEST(refused(std::string(65, '[') + std::string(65, ']')));
  BOOST_TEST(!refused(std::string(64, '[') + std::string(64, ']')));
}

BOOST_AUTO_TEST_CASE(text_reads_back) {
  std::string out;
  json::write_string(out, "a\"b\\c\n\x01\xc3\xa9");
  BOOST_TEST(*json::parse(out).get<std::string>() == "a\"b\\c\n\x01\xc3\xa9");
  for (double d : {0.1, 1e-300, 123456789.25, -3.0}) {
    out.clear();
    json::write_number(out, d);
    const json::Value v = json::parse(out);
    BOOST_TEST((v.get<double>() ? *v.get<double>() : static_cast<double>(*v.get<int64_t>())) == d);
  }
}

BOOST_AUTO_TEST_CASE(sizes_read_back) {
  const Dim a = Dim::symbol("a"), b = Dim::symbol("b");
  const SymbolNames names = {{*a.as_symbol(), "a"}, {*b.as_symbol(), "b"}};
  for (const Dim& d : {Dim(7), a, a * b * 2 + 3, floordiv(a + 1, 2) * b, max(a, b) - 4, min(a * a, floordiv(b, a))})
    BOOST_TEST((parse_dim(d.str(names), names) == d), d.str(names));
  for (const char* text : {"", "c", "a+", "a**b", "min(a)", "min(a,b", "f(a,b)", "a b", "2a", "(a)"})
    BOOST_CHECK_THROW(parse_dim(text, names), Error);
}
