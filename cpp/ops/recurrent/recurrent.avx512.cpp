#include "ops/recurrent/recurrent_simd.h"

namespace maas {

void recurrence_f32_avx512(const RecurrenceArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  recurrence(args, begin, end, exec);
}
void recurrence_gradient_f32_avx512(const RecurrenceGradientArgs& args, int64_t begin, int64_t end, const Exec& exec) {
  recurrence_gradient(args, begin, end, exec);
}

}  // namespace maas
