// Boost.Test itself and `main`, compiled once for all programs: it takes longer than most tests.
#define BOOST_TEST_MODULE maas
#include <boost/test/included/unit_test.hpp>
