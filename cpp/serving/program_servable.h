// A compiled Program behind the server: no Python while it answers.
#pragma once

#include <memory>

#include "runtime/program.h"
#include "serving/servable.h"

namespace maas::serving {

class ProgramServable final : public Servable {
 public:
  // Names are given in the order of the program's inputs and outputs.
  // Throws Error(value) if their number differs, Error(type) for a dtype that no protocol carries.
  ProgramServable(std::shared_ptr<Program> program, std::string name, std::string version,
                  const std::vector<std::string>& input_names, const std::vector<std::string>& output_names);

  const ModelInfo& info() const override { return info_; }
  std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>& input_row_shapes) override;
  void run(Batch& batch, int64_t rows) override;
  int64_t memory_bytes() const override { return weights_bytes_ + program_->held_bytes(); }
  bool may_run_inline() const override { return true; }

 private:
  std::shared_ptr<Program> program_;
  ModelInfo info_;
  int64_t weights_bytes_ = 0;  // of state and constants
};

}  // namespace maas::serving
