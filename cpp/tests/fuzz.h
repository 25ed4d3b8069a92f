// Seeded mutation of inputs, for tests of parsers; a sanitizer's build sees what it reaches.
//
// An input whose outcome is new is kept and changed further: another message means that it got to another check.
#pragma once

#include <cctype>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace maas::fuzz {

inline double environment_number(const char* name, double otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atof(text) : otherwise;
}

class Mutator {
 public:
  Mutator(std::vector<std::string> corpus, std::vector<std::string> words, uint64_t seed)
      : corpus_(std::move(corpus)), words_(std::move(words)), random_(seed) {}

  size_t below(size_t n) { return n ? static_cast<size_t>(random_() % n) : 0; }

  std::string next() {
    // New finds are tried as often as what the test began with.
    std::string s = corpus_[below(2) ? below(corpus_.size()) : corpus_.size() - 1 - below(corpus_.size() / 4 + 1)];
    for (size_t edits = 1 + below(4); edits; --edits) edit(s);
    if (s.size() > kMaxBytes) s.resize(kMaxBytes);
    return s;
  }

  void keep(std::string s) {
    if (corpus_.size() < kMaxCorpus) corpus_.push_back(std::move(s));
  }

 private:
  static constexpr size_t kMaxBytes = 1 << 16, kMaxCorpus = 4096;

  void edit(std::string& s) {
    static constexpr std::string_view kNumbers[] = {"0",
                                                    "-1",
                                                    "1",
                                                    "2147483647",
                                                    "4294967296",
                                                    "1e999",
                                                    "0.5",
                                                    "1000000",
                                                    "nan",
                                                    "-2147483648",
                                                    "4611686018427387904",
                                                    "9223372036854775807",
                                                    "-9223372036854775808"};
    const size_t at = below(s.size() + 1), length = std::min(s.size() - at, 1 + below(below(8) ? 8 : 300));
    switch (below(9)) {
      case 0:
        if (at < s.size()) s[at] = static_cast<char>(s[at] ^ (1 << below(8)));
        break;
      case 1:
        if (at < s.size()) s[at] = static_cast<char>(random_());
        break;
      case 2:
        s.erase(at, length);
        break;
      case 3:
        s.insert(below(s.size() + 1), std::string(s, at, length));
        break;
      case 4:
        s.insert(at, words_[below(words_.size())]);
        break;
      case 5: {  // part of another input
        const std::string& other = corpus_[below(corpus_.size())];
        const size_t from = below(other.size() + 1);
        s.replace(at, below(2) * length, other, from, 1 + below(200));
        break;
      }
      case 6:
        if (below(8) == 0) s.resize(at);
        break;
      default: {  // a number becomes another one
        size_t begin = at;
        while (begin < s.size() && !std::isdigit(static_cast<unsigned char>(s[begin]))) ++begin;
        size_t end = begin;
        while (end < s.size() && std::isdigit(static_cast<unsigned char>(s[end]))) ++end;
        const bool small = below(2) != 0;
        s.replace(begin, end - begin,
                  small ? std::to_string(below(40)) : std::string(kNumbers[below(std::size(kNumbers))]));
      }
    }
  }

  std::vector<std::string> corpus_, words_;
  std::mt19937_64 random_;
};

// Changes inputs of `corpus` for MAAS_STRESS_SECONDS (2) and gives each to `target`, which returns what came of it and
// must throw nothing. MAAS_FUZZ_SEED chooses other inputs. Returns the outcomes.
inline std::set<std::string> fuzz(std::vector<std::string> corpus, std::vector<std::string> words,
                                  const std::function<std::string(const std::string&)>& target) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(environment_number("MAAS_STRESS_SECONDS", 2));
  std::set<std::string> outcomes;
  for (const std::string& s : corpus) outcomes.insert(target(s));
  Mutator mutator(std::move(corpus), std::move(words), static_cast<uint64_t>(environment_number("MAAS_FUZZ_SEED", 1)));
  int64_t count = 0;
  for (; Clock::now() < end; ++count) {
    std::string input = mutator.next(), outcome = target(input);
    // Texts that differ in numbers or in what was received are one outcome.
    std::erase_if(outcome, [](unsigned char c) { return std::isdigit(c); });
    outcome = outcome.substr(0, outcome.find("received"));
    if (outcomes.insert(std::move(outcome)).second) mutator.keep(std::move(input));
  }
  std::printf("%lld inputs, %zu outcomes\n", static_cast<long long>(count), outcomes.size());
  return outcomes;
}

}  // namespace maas::fuzz
