// The one place where the code of Boost.JSON is compiled.
#include <boost/json/src.hpp>
