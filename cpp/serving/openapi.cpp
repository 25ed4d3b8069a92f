// Written from the table of routes, so that no route is missing and none is invented.
#include "serving/openapi.h"

#include <string_view>

#include "serving/router.h"

namespace maas::serving {
namespace {

struct OperationRow {
  RouteId id;
  const char* summary;
  const char* request;   // schema of the body, null: none
  const char* response;  // schema of the answer, null: it has none of its own
};
constexpr OperationRow kOperations[] = {
    {RouteId::alive, "Whether the process answers", nullptr, "Alive"},
    {RouteId::server, "Name, version and extensions of the server", nullptr, "Server"},
    {RouteId::live, "Whether the process answers", nullptr, "Live"},
    {RouteId::ready, "Whether inference requests are taken", nullptr, "Ready"},
    {RouteId::models, "Names of the models", nullptr, "Models"},
    {RouteId::model, "Inputs and outputs of a model", nullptr, "Model"},
    {RouteId::model_ready, "Whether a model takes requests", nullptr, "ModelReady"},
    {RouteId::model_config, "Configuration of a model", nullptr, "ModelConfig"},
    {RouteId::model_stats, "Statistics of a model", nullptr, "Statistics"},
    {RouteId::all_stats, "Statistics of all models", nullptr, "Statistics"},
    {RouteId::infer, "Runs a model (Open Inference Protocol v2)", "InferRequest", "InferResponse"},
    {RouteId::metrics, "Prometheus metrics", nullptr, nullptr},
    {RouteId::repository_index, "Models of the repository", "IndexRequest", "Index"},
    {RouteId::repository_load, "Loads a model", "RepositoryRequest", "Nothing"},
    {RouteId::repository_unload, "Unloads a model", "RepositoryRequest", "Nothing"},
    {RouteId::tfs_models, "Names of the models", nullptr, "ModelList"},
    {RouteId::tfs_status, "State of a model (TensorFlow Serving)", nullptr, "TfsStatus"},
    {RouteId::tfs_metadata, "Signature of a model (TensorFlow Serving)", nullptr, "TfsMetadata"},
    {RouteId::tfs_predict, "Runs a model (TensorFlow Serving)", "PredictRequest", "PredictResponse"},
    {RouteId::tfs_classify, "Scores of examples (TensorFlow Serving)", "ExamplesRequest", "Results"},
    {RouteId::tfs_regress, "Values of examples (TensorFlow Serving)", "ExamplesRequest", "Results"},
    {RouteId::openapi, "This document", nullptr, "Document"},
};

constexpr std::string_view kSchemas = R"json(
"Error":{"type":"object","required":["error"],"properties":{"error":{"type":"string"}},"additionalProperties":false},
"Nothing":{"type":"object"},
"Document":{"type":"object","required":["openapi","info","paths"]},
"Alive":{"type":"object","required":["status"],"properties":{"status":{"const":"alive"}}},
"Live":{"type":"object","required":["live"],"properties":{"live":{"type":"boolean"}}},
"Ready":{"type":"object","required":["ready","live"],"properties":{"ready":{"type":"boolean"},"live":{"type":"boolean"},"error":{"type":"string"}}},
"Server":{"type":"object","required":["name","version","extensions"],"properties":{"name":{"const":"maas"},"version":{"type":"string"},"extensions":{"type":"array","items":{"type":"string"}}}},
"Models":{"type":"object","required":["models"],"properties":{"models":{"type":"array","items":{"$ref":"#/components/schemas/Name"}}}},
"Name":{"type":"string","pattern":"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$"},
"Datatype":{"enum":["BOOL","UINT8","UINT16","UINT32","UINT64","INT8","INT16","INT32","INT64","FP16","BF16","FP32","FP64","BYTES"]},
"Shape":{"type":"array","maxItems":32,"items":{"type":"integer","minimum":1}},
"TensorMetadata":{"type":"object","required":["name","datatype","shape"],"properties":{"name":{"type":"string"},"datatype":{"$ref":"#/components/schemas/Datatype"},"shape":{"type":"array","items":{"type":"integer","minimum":-1}}}},
"Model":{"type":"object","required":["name","versions","platform","inputs","outputs"],"properties":{"name":{"$ref":"#/components/schemas/Name"},"versions":{"type":"array","items":{"type":"string"}},"platform":{"type":"string"},"inputs":{"type":"array","items":{"$ref":"#/components/schemas/TensorMetadata"}},"outputs":{"type":"array","items":{"$ref":"#/components/schemas/TensorMetadata"}}}},
"ModelReady":{"type":"object","required":["name","ready"],"properties":{"name":{"$ref":"#/components/schemas/Name"},"ready":{"type":"boolean"}}},
"ModelConfig":{"type":"object","required":["name","platform","max_batch_size","input","output"],"properties":{"max_batch_size":{"type":"integer","minimum":0,"description":"Most rows of one request; 0: the model has no batch"}}},
"Duration":{"type":"object","required":["count","ns"],"properties":{"count":{"type":"integer","minimum":0},"ns":{"type":"integer","minimum":0}}},
"Statistics":{"type":"object","required":["model_stats"],"properties":{"model_stats":{"type":"array","items":{"type":"object","required":["name","version","last_inference","inference_count","execution_count","inference_stats","batch_stats"],"properties":{"inference_stats":{"type":"object","additionalProperties":{"$ref":"#/components/schemas/Duration"}}}}}}},
"Parameters":{"type":"object","description":"Unknown parameters are ignored","properties":{"priority":{"type":"integer","minimum":0,"maximum":9223372036854775807},"timeout":{"type":"integer","minimum":0,"maximum":9223372036854775807,"description":"Microseconds"},"binary_data_output":{"type":"boolean"},"sequence_id":{"oneOf":[{"type":"string"},{"type":"integer","minimum":0,"maximum":9223372036854775807}]},"sequence_start":{"type":"boolean"},"sequence_end":{"type":"boolean"}}},
"InputTensor":{"type":"object","required":["name","shape","datatype"],"properties":{"name":{"type":"string","minLength":1,"maxLength":256},"shape":{"$ref":"#/components/schemas/Shape"},"datatype":{"$ref":"#/components/schemas/Datatype"},"parameters":{"type":"object","properties":{"binary_data_size":{"type":"integer","minimum":0}}},"data":{"type":"array","description":"Flat, or nested as the shape says"}}},
"RequestedOutput":{"type":"object","required":["name"],"properties":{"name":{"type":"string","minLength":1,"maxLength":256},"parameters":{"type":"object","properties":{"binary_data":{"type":"boolean"},"classification":{"type":"integer","minimum":0,"maximum":9223372036854775807}}}}},
"InferRequest":{"type":"object","required":["inputs"],"properties":{"id":{"type":"string","maxLength":256},"parameters":{"$ref":"#/components/schemas/Parameters"},"inputs":{"type":"array","items":{"$ref":"#/components/schemas/InputTensor"}},"outputs":{"type":"array","maxItems":256,"items":{"$ref":"#/components/schemas/RequestedOutput"}}}},
"OutputTensor":{"type":"object","required":["name","shape","datatype"],"properties":{"name":{"type":"string"},"shape":{"type":"array","items":{"type":"integer","minimum":0}},"datatype":{"$ref":"#/components/schemas/Datatype"},"parameters":{"type":"object","properties":{"binary_data_size":{"type":"integer","minimum":0}}},"data":{"type":"array"}}},
"InferResponse":{"type":"object","required":["model_name","model_version","outputs"],"properties":{"model_name":{"$ref":"#/components/schemas/Name"},"model_version":{"$ref":"#/components/schemas/Name"},"id":{"type":"string"},"outputs":{"type":"array","items":{"$ref":"#/components/schemas/OutputTensor"}}}},
"IndexRequest":{"type":"object","properties":{"ready":{"type":"boolean"}}},
"Index":{"type":"array","items":{"type":"object","required":["name","version","state","reason"],"properties":{"name":{"type":"string"},"version":{"type":"string"},"state":{"enum":["READY","UNAVAILABLE","LOADING"]},"reason":{"type":"string"}}}},
"RepositoryRequest":{"type":"object","properties":{"parameters":{"type":"object","additionalProperties":{"type":["string","number","boolean"]}}}},
"ModelList":{"type":"object","required":["object","data","models"],"properties":{"object":{"const":"list"},"data":{"type":"array","items":{"type":"object","required":["id","object"]}},"models":{"type":"array","items":{"type":"string"}}}},
"TfsStatus":{"type":"object","required":["name","ready","model_version_status"],"properties":{"model_version_status":{"type":"array","items":{"type":"object","required":["version","state","status"]}}}},
"TfsMetadata":{"type":"object","required":["model_spec","metadata"]},
"Signature":{"enum":["","serving_default"]},
"PredictRequest":{"type":"object","properties":{"signature_name":{"$ref":"#/components/schemas/Signature"},"instances":{"type":"array","minItems":1,"description":"One entry per row: a value, or an object of values by input"},"inputs":{"description":"One value, or an object of values by input; all rows at once"}},"oneOf":[{"required":["instances"]},{"required":["inputs"]}]},
"PredictResponse":{"type":"object","oneOf":[{"required":["predictions"]},{"required":["outputs"]}]},
"ExamplesRequest":{"type":"object","required":["examples"],"properties":{"signature_name":{"$ref":"#/components/schemas/Signature"},"context":{"type":"object"},"examples":{"type":"array","minItems":1,"items":{"type":"object"}}}},
"Results":{"type":"object","required":["results"],"properties":{"results":{"type":"array"}}}
)json";

struct ErrorRow {
  int status;
  const char* text;
  bool of_post;
};
constexpr ErrorRow kErrors[] = {{400, "The request is not valid", false},
                                {401, "A key is needed", false},
                                {403, "The key does not allow this", false},
                                {404, "There is no such model, version or route", false},
                                {405, "The method is not allowed here", false},
                                {408, "The request came too slowly", false},
                                {413, "The body is too large", false},
                                {414, "The URL is too long", false},
                                {415, "The content coding is not known", true},
                                {429, "Too many requests", false},
                                {431, "The header is too large", false},
                                {500, "The server or the model failed", false},
                                {501, "The model or the server cannot do this", true},
                                {503, "Not ready, shutting down or out of memory", false},
                                {504, "The request took longer than its timeout", true}};

std::string schema(const std::string& name) { return "{\"$ref\":\"#/components/schemas/" + name + "\"}"; }

std::string content(const char* type, const std::string& schema_text) {
  return std::string("\"") + type + "\":{\"schema\":" + schema_text + "}";
}

constexpr const char* kBinary = "{\"type\":\"string\",\"format\":\"binary\"}";

std::string path_of(const char* pattern, std::string& parameters) {
  std::string out;
  parameters.clear();
  for (const char* p = pattern; *p != 0; ++p) {
    out += *p;
    if (*p != '{') continue;
    const char* name = p[1] == 'm' ? "model" : p[1] == 'v' ? "version" : "label";
    out += name;
    ++p;
    parameters += parameters.empty() ? "" : ",";
    parameters += std::string("{\"name\":\"") + name +
                  "\",\"in\":\"path\",\"required\":true,\"schema\":{\"$ref\":\"#/components/schemas/Name\"}}";
  }
  return out;
}

void write_operation(std::string& out, const OperationRow& op, const char* method, const std::string& parameters,
                     const std::string& id) {
  const bool post = method[0] == 'p';
  const bool infer = op.id == RouteId::infer;
  out += std::string("\"") + method + "\":{\"operationId\":\"" + id + "\",\"summary\":\"" + op.summary + "\"";
  std::string header;
  if (infer) {
    header =
        "{\"name\":\"Inference-Header-Content-Length\",\"in\":\"header\",\"required\":false,\"description\":\"Bytes of "
        "JSON before the binary tensors; 0: the body is the raw bytes of the only "
        "input\",\"schema\":{\"type\":\"string\",\"pattern\":\"^[0-9]{1,18}$\"}}";
  }
  const std::string separator = parameters.empty() || header.empty() ? "" : ",";
  if (!parameters.empty() || !header.empty()) out += ",\"parameters\":[" + parameters + separator + header + "]";
  if (op.request != nullptr) {
    const bool needed =
        op.id != RouteId::repository_index && op.id != RouteId::repository_load && op.id != RouteId::repository_unload;
    out += std::string(",\"requestBody\":{\"required\":") + (needed ? "true" : "false") + ",\"content\":{" +
           content("application/json", schema(op.request));
    if (infer) out += "," + content("application/octet-stream", kBinary);
    out += "}}";
  }
  out += ",\"responses\":{\"200\":{\"description\":\"The answer\",\"content\":{";
  out += op.response != nullptr ? content("application/json", schema(op.response))
                                : content("text/plain", "{\"type\":\"string\"}");
  if (infer) out += "," + content("application/octet-stream", kBinary);
  out += "}}";
  for (const ErrorRow& e : kErrors) {
    if (e.of_post && !post) continue;
    const bool own = e.status == 503 && (op.id == RouteId::ready || op.id == RouteId::model_ready);
    out += ",\"" + std::to_string(e.status) + "\":{\"description\":\"" + e.text + "\",\"content\":{" +
           content("application/json", schema(own ? op.response : "Error")) + "}}";
  }
  out += "}}";
}

std::string write_document() {
  std::string out = "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"maas\",\"version\":\"" MAAS_VERSION
                    "\",\"description\":\"Open Inference Protocol v2 and TensorFlow Serving REST. Bodies may be gzip "
                    "or deflate, both "
                    "ways. NaN, Infinity and -Infinity stand for themselves in JSON.\"},\"paths\":{";
  int number = 0;
  for (const RouteRow& row : kRoutes) {
    for (const OperationRow& op : kOperations) {
      if (op.id != row.id) continue;
      std::string parameters;
      if (out.back() != '{') out += ',';
      out += "\"" + path_of(row.pattern, parameters) + "\":{";
      write_operation(out, op, row.methods & kPost ? "post" : "get", parameters, "route" + std::to_string(++number));
      out += '}';
    }
  }
  out += "},\"components\":{\"schemas\":{";
  for (const char c : kSchemas) {
    if (c != '\n') out += c;
  }
  return out +
         "},\"securitySchemes\":{\"key\":{\"type\":\"http\",\"scheme\":\"bearer\"}}},\"security\":[{},{\"key\":[]}]}";
}

}  // namespace

const std::string& openapi_json() {
  static const std::string document = write_document();
  return document;
}

}  // namespace maas::serving
