#include "core/random.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <vector>

using namespace maas;

BOOST_AUTO_TEST_CASE(cipher_matches_the_published_vectors) {  // Random123 1.14, tests/kat_vectors, philox4x32 10
  BOOST_TEST((philox4x32({0, 0, 0, 0}, {0, 0}) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t f = 0xffffffff;
  BOOST_TEST((philox4x32({f, f, f, f}, {f, f}) == PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  BOOST_TEST((philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

BOOST_AUTO_TEST_CASE(an_element_depends_on_its_index_only) {
  const Philox random(1, 2, 3);
  std::vector<float> whole(101), parts(101);
  for (bool normal : {false, true}) {
    const auto fill = normal ? &Philox::fill_normal : &Philox::fill_uniform;
    (random.*fill)(whole.data(), 0, 101);
    for (uint64_t begin = 0, n = 1; begin < 101; begin += n, n = n % 7 + 1) {
      n = std::min<uint64_t>(n, 101 - begin);
      (random.*fill)(parts.data() + begin, begin, n);
    }
    BOOST_TEST(whole == parts);
  }
  for (uint64_t i = 0; i < 101; ++i) BOOST_TEST(normal_f32(Philox::bits(1, 2, 3, i)) == whole[i]);
}

BOOST_AUTO_TEST_CASE(every_coordinate_counts) {
  std::set<uint64_t> seen;
  const uint64_t high = uint64_t(1) << 40;  // the upper halves too
  for (uint64_t seed : {uint64_t(0), uint64_t(1), high})
    for (uint64_t stream : {uint64_t(0), uint64_t(1), high})
      for (uint64_t step : {uint64_t(0), uint64_t(1), high})
        for (uint64_t i : {uint64_t(0), uint64_t(1), uint64_t(2), high})
          seen.insert(Philox(seed, stream, step).bits64(i));
  BOOST_TEST(seen.size() == 3u * 3 * 3 * 4);
}

BOOST_AUTO_TEST_CASE(uniform_stays_in_its_interval) {
  BOOST_TEST(uniform_f32(0) == 0.f);
  BOOST_TEST(uniform_f32(~0u) == 1 - 0x1p-24f);
  BOOST_TEST(uniform_f32_above_0(0) == 0x1p-24f);
  BOOST_TEST(uniform_f32_above_0(~0u) == 1.f);
  BOOST_TEST(uniform_f64(~uint64_t(0)) == 1 - 0x1p-53);
}

BOOST_AUTO_TEST_CASE(bounded_covers_its_range_evenly) {
  BOOST_TEST(bounded(0, 10) == 0u);
  BOOST_TEST(bounded(~uint64_t(0), 10) == 9u);
  BOOST_TEST(bounded(~uint64_t(0), 1) == 0u);
  const Philox random(7, 0, 0);
  std::vector<int> count(10);
  for (uint64_t i = 0; i < 100000; ++i) ++count[bounded(random.bits64(i), 10)];
  double chi2 = 0;
  for (int c : count) chi2 += (c - 10000.) * (c - 10000.) / 10000;
  BOOST_TEST(chi2 < 27.9);  // 9 degrees of freedom, 0.1 %
}

BOOST_AUTO_TEST_CASE(quantile_inverts_the_distribution_function) {
  for (double p : {1e-10, 1e-6, 0.001, 0.0749, 0.0751, 0.3, 0.499}) {
    const double z = normal_quantile(p);
    BOOST_TEST(0.5 * std::erfc(-z / std::sqrt(2.)) == p, boost::test_tools::tolerance(5e-14));
    BOOST_TEST(normal_quantile(1 - p) == -normal_quantile(1 - (1 - p)));
  }
  BOOST_TEST(normal_quantile(0.5) == 0.);
  BOOST_TEST(normal_f64(0) == -normal_f64(~0u));
  BOOST_TEST(std::fabs(normal_f64(0)) < 6.34);
  for (uint32_t w = 0; w < 0xfff00000u; w += 0xfffff) BOOST_TEST(normal_f64(w) <= normal_f64(w + 1));
}

BOOST_AUTO_TEST_CASE(normal_has_its_moments) {
  const uint64_t n = 1 << 20;
  std::vector<float> y(n);
  Philox(3, 1, 4).fill_normal(y.data(), 0, n);
  double sum[5] = {};
  for (float v : y)
    for (int k = 1; k < 5; ++k) sum[k] += std::pow(double(v), k);
  BOOST_TEST(std::fabs(sum[1] / n) < 4 / 1024.);  // 4 standard errors each
  BOOST_TEST(std::fabs(sum[2] / n - 1) < 4 * std::sqrt(2.) / 1024);
  BOOST_TEST(std::fabs(sum[3] / n) < 4 * std::sqrt(15.) / 1024);
  BOOST_TEST(std::fabs(sum[4] / n - 3) < 4 * std::sqrt(96.) / 1024);
}
