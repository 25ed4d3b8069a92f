#include "serving/failure.h"

#include <cstdio>
#include <new>

#include "core/error.h"

namespace maas::serving {
namespace {

void describe(const std::string& model, int& status, std::string& text) {
  try {
    throw;
  } catch (const Error& e) {
    switch (e.kind()) {
      case ErrorKind::value:
      case ErrorKind::type:
      case ErrorKind::index:
        status = 400;
        break;
      case ErrorKind::memory:
        status = 503;
        break;
      case ErrorKind::not_implemented:
        status = 501;
        break;
      default:
        status = 500;
        break;
    }
    text = status < 500 || status == 501 ? e.what()
           : status == 503               ? "not enough memory for model '" + model + "'"
                                         : "model '" + model + "' failed";
    if (status == 500) std::fprintf(stderr, "maas: model '%s' failed: %s\n", model.c_str(), e.what());
  } catch (const std::bad_alloc&) {
    status = 503;
    text = "not enough memory for model '" + model + "'";
  } catch (const std::exception& e) {
    status = 500;
    text = "model '" + model + "' failed";
    std::fprintf(stderr, "maas: model '%s' failed: %s\n", model.c_str(), e.what());
  } catch (...) {
    status = 500;
    text = "model '" + model + "' failed";
  }
}

}  // namespace

void describe_failure(const std::string& model, int& status, std::string& text) noexcept {
  try {
    describe(model, status, text);
  } catch (...) {
    status = 503;
    text.clear();
  }
}

}  // namespace maas::serving
