// A program without Python: loads a model, runs it on numbers from standard input, then serves it until the input ends.
//   serve MODEL.maas < numbers
#include <maas.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

int fail(const char* what) {
  std::fprintf(stderr, "%s: %s\n", what, maas_error());
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: serve MODEL.maas\n"), 2;
  maas_model* model = maas_model_load(argv[1]);
  if (!model) return fail("load");
  const maas_spec in = maas_model_input(model, 0);
  if (maas_model_input_count(model) != 1 || std::strcmp(in.dtype, "float32") != 0) return fail("one float32 input");

  // One row; free sizes are 1.
  std::vector<int64_t> shape(in.shape, in.shape + in.rank);
  int64_t elements = 1;
  for (int64_t& size : shape) elements *= size = size < 0 ? 1 : size;
  std::vector<float> row(static_cast<size_t>(elements));
  for (float& v : row)
    if (std::scanf("%f", &v) != 1) return fail("input");
  const maas_tensor x{row.data(), in.rank, shape.data()};
  maas_result* result = maas_model_run(model, &x, 1);
  if (!result) return fail("run");
  const maas_tensor y = maas_result_output(result, 0);
  int64_t count = 1;
  for (int64_t i = 0; i < y.rank; ++i) count *= y.shape[i];
  for (int64_t i = 0; i < count; ++i) std::printf("%.9g ", static_cast<const float*>(y.data)[i]);
  std::printf("\n");
  maas_result_free(result);

  maas_server* server = maas_serve(model, "model", "127.0.0.1", 0);
  if (!server) return fail("serve");
  maas_model_free(model);  // the server keeps what it needs
  std::printf("port %d\n", maas_server_port(server));
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  maas_server_stop(server);
}
