/* The C interface of libmaas: load a `.maas` file, run it, serve it over HTTP. Needs no Python.
 *
 * Functions that can fail return NULL or a negative number; maas_error() then says why, for this thread. Nothing
 * aborts or throws. Any number of threads may use one model.
 */
#ifndef MAAS_H
#define MAAS_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct maas_model maas_model;
typedef struct maas_result maas_result;
typedef struct maas_server maas_server;

/* What goes in or comes out. A size of -1 is free, such as the batch. Lives as long as the model. */
typedef struct {
  const char* name;
  const char* dtype; /* "float32", "int64", ... */
  int64_t rank;
  const int64_t* shape;
} maas_spec;

/* A dense row-major array. */
typedef struct {
  const void* data;
  int64_t rank;
  const int64_t* shape;
} maas_tensor;

/* The text of this thread's last failure; "" before any. Valid until the next call on this thread. */
const char* maas_error(void);

/* Reads and checks the whole file, compiles its function "predict". */
maas_model* maas_model_load(const char* path);
void maas_model_free(maas_model* model); /* NULL is ignored; servers keep what they need */
int64_t maas_model_input_count(const maas_model* model);
int64_t maas_model_output_count(const maas_model* model);
maas_spec maas_model_input(const maas_model* model, int64_t i); /* i in [0, count) */
maas_spec maas_model_output(const maas_model* model, int64_t i);

/* Runs the model on `count` inputs, in the order and of the dtypes of maas_model_input. */
maas_result* maas_model_run(maas_model* model, const maas_tensor* inputs, int64_t count);
maas_tensor maas_result_output(const maas_result* result, int64_t i); /* valid until the result is freed */
void maas_result_free(maas_result* result);

/* Answers Open Inference Protocol v2 requests under /v2/models/<name>. port 0 takes a free one. */
maas_server* maas_serve(maas_model* model, const char* name, const char* host, int port);
int maas_server_port(const maas_server* server);
void maas_server_stop(maas_server* server); /* answers what is in flight, then frees the server */

#ifdef __cplusplus
}
#endif
#endif
