#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "core/sha256.h"
#include "cuda/launch.h"
#include "cuda/nvrtc.h"

#ifdef MAAS_CUDA_EMULATE
#include <dlfcn.h>
#include <spawn.h>
#include <sys/wait.h>
extern char** environ;
#else
#include <nvrtc.h>
#endif

namespace maas::cuda {
namespace {

// ---- files

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  if (in) bytes << in.rdbuf();
  return bytes.str();
}

// Readers see the whole file or none. False if it cannot be written, which nobody needs to know.
bool write_file(const std::string& path, const std::string& bytes) {
  std::string temporary = path + ".XXXXXX";
  const int file = mkstemp(temporary.data());
  if (file < 0) return false;
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(file, bytes.data() + done, bytes.size() - done);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  const bool closed = close(file) == 0;
  if (done == bytes.size() && closed && rename(temporary.c_str(), path.c_str()) == 0) return true;
  unlink(temporary.c_str());
  return false;
}

// A folder that only this user writes; empty if there is none.
std::string find_cache_folder() {
  std::string path;
  if (const char* own = std::getenv("MAAS_CACHE_DIR")) {
    if (!*own) return "";
    path = own;
  } else if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg) {
    path = std::string(xdg) + "/maas";
  } else if (const char* home = std::getenv("HOME"); home && *home) {
    mkdir((std::string(home) + "/.cache").c_str(), 0700);
    path = std::string(home) + "/.cache/maas";
  } else {
    return "";
  }
  mkdir(path.c_str(), 0700);
  path += "/kernels";
  mkdir(path.c_str(), 0700);
  struct stat facts;
  const bool ours = stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid() &&
                    !(facts.st_mode & (S_IWGRP | S_IWOTH));
  return ours ? path : "";
}
const std::string& cache_folder() {
  static const std::string path = find_cache_folder();
  return path;
}

[[noreturn]] void does_not_compile(const char* what, const std::string& log) {
  fail(ErrorKind::runtime, "a kernel from text does not compile, received from ", what, ": ", log);
}

}  // namespace

#ifdef MAAS_CUDA_EMULATE

namespace {

const char* const kBefore = R"text(
#include <math.h>
#include <string.h>
static inline float bf16_to_f32(unsigned short v) { return __builtin_bit_cast(float, (unsigned)v << 16); }
static inline unsigned short f32_to_bf16(float f) {
  const unsigned u = __builtin_bit_cast(unsigned, f);
  return f != f ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
}
static inline float f16_to_f32(unsigned short v) { return __builtin_bit_cast(_Float16, v); }
static inline unsigned short f32_to_f16(float f) { return __builtin_bit_cast(unsigned short, (_Float16)f); }
#define __device__
#define __global__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct EmulatedIndex { unsigned x, y, z; };
static thread_local EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;
)text";

// Every thread of every block, one after the other.
std::string emulated(const std::string& source, const char* name) {
  return text(kBefore, source, R"text(
template <class P> static const P& params_of(void (*)(P), const void* p) { return *static_cast<const P*>(p); }
extern "C" void maas_run(const unsigned* grid, const unsigned* block, const void* params) {
  const unsigned mode = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(mode | 0x8040);  // denormals are 0
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  for (unsigned z = 0; z < grid[2]; ++z)
    for (unsigned y = 0; y < grid[1]; ++y)
      for (unsigned x = 0; x < grid[0]; ++x)
        for (unsigned k = 0; k < block[2]; ++k)
          for (unsigned j = 0; j < block[1]; ++j)
            for (unsigned i = 0; i < block[0]; ++i) {
              blockIdx = {x, y, z};
              threadIdx = {i, j, k};
              )text",
              name, "(params_of(&", name, R"text(, params));
            }
  __builtin_ia32_ldmxcsr(mode);
}
)text");
}

// A shared object of the text, as bytes, by the host's compiler.
std::string build(const std::string& source) {
  char folder[] = "/tmp/maas-kernel-XXXXXX";
  if (!mkdtemp(folder)) fail(ErrorKind::runtime, "no temporary folder for a kernel from text, received ", folder);
  const std::string at = folder, from = at + "/kernel.cpp", to = at + "/kernel.so", log = at + "/log";
  std::ofstream(from) << source;
  const char* compiler = std::getenv("CXX");
  std::string words[] = {compiler && *compiler ? compiler : "c++",
                         "-std=c++20",
                         "-O1",
                         "-w",
                         "-ffp-contract=off",
                         "-fno-strict-aliasing",
                         "-shared",
                         "-fPIC",
                         "-o",
                         to,
                         from};
  std::vector<char*> arguments;
  for (std::string& w : words) arguments.push_back(w.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t child;
  int status = -1;
  if (posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ) == 0)
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  posix_spawn_file_actions_destroy(&actions);
  const std::string result = read_file(to), words_of_compiler = read_file(log);
  for (const std::string& path : {from, to, log}) unlink(path.c_str());
  rmdir(folder);
  if (status != 0 || result.empty()) does_not_compile(arguments[0], words_of_compiler);
  return result;
}

const char* const kCompiler = "emulator 1";
std::string current_architecture() { return "host"; }
std::string compiled(const std::string& source, const char* name, const std::string&) {
  return build(emulated(source, name));
}

// Null if these are not the bytes of a kernel.
const void* loaded(const std::string& code, const char*) {
  char path[] = "/tmp/maas-kernel-XXXXXX";
  const int file = mkstemp(path);
  if (file < 0) return nullptr;
  const bool written = write(file, code.data(), code.size()) == static_cast<ssize_t>(code.size());
  close(file);
  void* library = written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  unlink(path);
  return library ? dlsym(library, "maas_run") : nullptr;
}

}  // namespace

std::string compile_text(const std::string&, const std::string& architecture, bool) {
  fail(ErrorKind::not_implemented, "the emulator compiles for no GPU, received ", architecture);
}

void launch(const Launch& l, TextKernel kernel, dim3 grid, dim3 block, const void* params, size_t bytes) {
  const auto* from = static_cast<const unsigned char*>(params);
  // One thread of the emulator's runs them all.
  auto run = [kernel, grid, block, copy = std::vector<unsigned char>(from, from + bytes)] {
    const unsigned blocks[] = {grid.x, grid.y, grid.z}, threads[] = {block.x, block.y, block.z};
    reinterpret_cast<void (*)(const unsigned*, const unsigned*, const void*)>(const_cast<void*>(kernel.function))(
        blocks, threads, copy.data());
  };
  check(emulator::launch({kernel.function, 1, 1, 0, stream(l), run}), "launch");
}

#else

#define MAAS_TEXT_OF_(x) #x
#define MAAS_TEXT_OF(x) MAAS_TEXT_OF_(x)

std::string compile_text(const std::string& source, const std::string& architecture, bool ptx) {
  auto need = [](nvrtcResult result) {
    if (result != NVRTC_SUCCESS)
      fail(ErrorKind::runtime, "NVRTC does not work, received: ", nvrtcGetErrorString(result));
  };
  nvrtcProgram program;
  need(nvrtcCreateProgram(&program, source.c_str(), "maas_kernel.cu", 0, nullptr, nullptr));
  std::unique_ptr<nvrtcProgram, void (*)(nvrtcProgram*)> keep(&program,
                                                              [](nvrtcProgram* p) { nvrtcDestroyProgram(p); });
  const std::string target = "--gpu-architecture=" + architecture;
  std::vector<const char*> options{target.c_str()};
  options.insert(options.end(), std::begin(kTextOptions), std::end(kTextOptions));
  const nvrtcResult result = nvrtcCompileProgram(program, static_cast<int>(options.size()), options.data());
  if (result == NVRTC_ERROR_COMPILATION) {
    size_t size = 0;
    need(nvrtcGetProgramLogSize(program, &size));
    std::string log(size, '\0');
    need(nvrtcGetProgramLog(program, log.data()));
    does_not_compile("NVRTC", log);
  }
  need(result);
  size_t size = 0;
  need(ptx ? nvrtcGetPTXSize(program, &size) : nvrtcGetCUBINSize(program, &size));
  std::string code(size, '\0');
  need(ptx ? nvrtcGetPTX(program, code.data()) : nvrtcGetCUBIN(program, code.data()));
  return code;
}

namespace {

const char* const kCompiler = "NVRTC " MAAS_TEXT_OF(CUDART_VERSION);
std::string current_architecture() {
  int device = 0, major = 0, minor = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "compute capability");
  return text("sm_", major, minor);
}
std::string compiled(const std::string& source, const char*, const std::string& architecture) {
  return compile_text(source, architecture);
}

// Null if these are not the bytes of a kernel. Loads at once, not at the first launch, which a graph may capture.
const void* loaded(const std::string& code, const char* name) {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  check(cudaThreadExchangeStreamCaptureMode(&mode), "capture mode");
  cudaLibrary_t library;
  cudaKernel_t kernel = nullptr;
  cudaFuncAttributes facts;
  const bool ok = cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0) == cudaSuccess &&
                  cudaLibraryGetKernel(&kernel, library, name) == cudaSuccess &&
                  cudaFuncGetAttributes(&facts, reinterpret_cast<const void*>(kernel)) == cudaSuccess;
  if (!ok) cudaGetLastError();
  check(cudaThreadExchangeStreamCaptureMode(&mode), "capture mode");
  return ok ? reinterpret_cast<const void*>(kernel) : nullptr;
}

}  // namespace

void launch(const Launch& l, TextKernel kernel, dim3 grid, dim3 block, const void* params, size_t) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream(l);
  void* arguments[] = {const_cast<void*>(params)};
  check(cudaLaunchKernelExC(&config, kernel.function, arguments), "launch");
}

#endif

TextKernel compile_kernel(const std::string& source, const char* name) {
  struct Kept {
    std::mutex mutex;  // held while it is compiled, so that others wait for this one alone
    TextKernel kernel;
  };
  static std::mutex mutex;
  static auto* const all = new std::unordered_map<std::string, std::unique_ptr<Kept>>;

  const std::string architecture = current_architecture();
  Sha256 hash;
  for (const std::string& part : {std::string(kCompiler), architecture, std::string(name), source})
    hash.add(part.data(), part.size() + 1);
  const std::string key = hash.hex();
  Kept* kept;
  {
    std::lock_guard guard(mutex);
    auto& slot = (*all)[key];
    if (!slot) slot = std::make_unique<Kept>();
    kept = slot.get();
  }
  std::lock_guard guard(kept->mutex);
  if (kept->kernel.function) return kept->kernel;
  const std::string file = cache_folder().empty() ? "" : cache_folder() + "/" + key;
  std::string code = file.empty() ? "" : read_file(file);
  const bool found = !code.empty();
  const void* function = found ? loaded(code, name) : nullptr;
  if (!function) {
    code = compiled(source, name, architecture);
    function = loaded(code, name);
    if (!function) fail(ErrorKind::runtime, "a kernel from text does not load, received ", architecture);
    if (!file.empty()) write_file(file, code);
  }
  return kept->kernel = {function};
}

}  // namespace maas::cuda
