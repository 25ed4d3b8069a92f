#include "core/version.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>

BOOST_AUTO_TEST_CASE(has_three_numbers) {
  const std::string version = maas::version();
  BOOST_TEST(std::count(version.begin(), version.end(), '.') == 2);
}
