// y = x a + b, 16 -> 4: the smallest model that still shows mixed up rows.
#pragma once

#include "serving/servable.h"

namespace maas::serving {

class AffineServable final : public Servable {
 public:
  explicit AffineServable(std::string name = "affine") {
    info_.name = std::move(name);
    info_.inputs = {{"x", Datatype::fp32, {-1, 16}}};
    info_.outputs = {{"y", Datatype::fp32, {-1, 4}}};
  }
  static float expected(const float* x, int64_t j) {
    float sum = static_cast<float>(j);
    for (int64_t k = 0; k < 16; ++k) sum += x[k] * (0.25f * static_cast<float>(k) - static_cast<float>(j));
    return sum;
  }
  const ModelInfo& info() const override { return info_; }
  bool may_run_inline() const override { return inline_; }
  void allow_inline(bool yes) { inline_ = yes; }

  std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>&) override {
    auto b = std::make_unique<Memory>();
    b->x.resize(static_cast<size_t>(capacity) * 16);
    b->y.resize(static_cast<size_t>(capacity) * 4);
    return b;
  }
  void run(Batch& batch, int64_t rows) override {
    auto& b = static_cast<Memory&>(batch);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < 4; ++j)
        b.y[static_cast<size_t>(i * 4 + j)] = expected(&b.x[static_cast<size_t>(i) * 16], j);
    }
  }

 private:
  struct Memory final : Batch {
    std::vector<float> x, y;
    void* input(size_t) override { return x.data(); }
    const void* output(size_t) const override { return y.data(); }
    Shape output_row_shape(size_t) const override { return {4}; }
  };
  ModelInfo info_;
  bool inline_ = true;
};

}  // namespace maas::serving
