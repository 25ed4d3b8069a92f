#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <thread>
#include <vector>

// With MAAS_PLANTED set, a race and a read behind a block: shows that a sanitizer's build finds what it is for.
BOOST_AUTO_TEST_CASE(faults_on_request) {
  if (!std::getenv("MAAS_PLANTED")) return;
  int count = 0;
  std::thread other([&] {
    for (int i = 0; i < 100000; ++i) ++count;
  });
  for (int i = 0; i < 100000; ++i) ++count;
  other.join();
  const std::vector<int> block(static_cast<size_t>(count > 0 ? 8 : 9));
  BOOST_TEST(block.data()[static_cast<std::ptrdiff_t>(block.size())] != count);
}
