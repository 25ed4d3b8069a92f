#include "core/isa.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "core/error.h"

namespace maas {
namespace {

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero when the CPU has no such leaf.
Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Registers r;
  if (!__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx)) return {};
  return r;
}

constexpr bool bit(uint32_t word, int i) { return word >> i & 1; }

// Which register states the operating system saves; only valid with OSXSAVE.
uint64_t xcr0() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t(high) << 32 | low;
}

// Linux hands out tile state on request only.
bool request_amx_permission() {
  constexpr long kReqXcompPerm = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kReqXcompPerm, kTileData) == 0;
}

Isa detect() {
  const Registers one = cpuid(1), seven = cpuid(7, 0), seven1 = seven.eax >= 1 ? cpuid(7, 1) : Registers{};
  if (!bit(one.ecx, 27)) return Isa::none;  // OSXSAVE
  const uint64_t saved = xcr0();
  Isa isa = Isa::none;
  const bool avx2 = bit(one.ecx, 28) && bit(one.ecx, 12) && bit(one.ecx, 29) && bit(seven.ebx, 5);  // avx fma f16c avx2
  if ((saved & 0x6) != 0x6 || !avx2) return isa;                                                    // xmm, ymm
  isa = isa | Isa::avx2;
  const bool avx512 = bit(seven.ebx, 16) && bit(seven.ebx, 17) && bit(seven.ebx, 28) && bit(seven.ebx, 30) &&
                      bit(seven.ebx, 31);             // f dq cd bw vl
  if ((saved & 0xe6) != 0xe6 || !avx512) return isa;  // and opmask, both halves of zmm
  isa = isa | Isa::avx512;
  if (bit(seven.ecx, 11)) isa = isa | Isa::avx512_vnni;
  if (bit(seven1.eax, 5)) isa = isa | Isa::avx512_bf16;
  const bool amx = bit(seven.edx, 24) && bit(seven.edx, 25) && bit(seven.edx, 22);  // tile int8 bf16
  if (amx && (saved & 0x60000) == 0x60000 && request_amx_permission()) isa = isa | Isa::amx;
  return isa;
}

struct Level {
  const char* name;
  Isa bit;
};
constexpr Level kLevels[] = {{"avx2", Isa::avx2},
                             {"avx512", Isa::avx512},
                             {"avx512_vnni", Isa::avx512_vnni},
                             {"avx512_bf16", Isa::avx512_bf16},
                             {"amx", Isa::amx}};

void require(Isa wanted, const std::string& who) {
  if (has(machine_isa(), wanted)) return;
  throw Error(ErrorKind::value,
              who + ": this machine has " + to_string(machine_isa()) + ", received " + to_string(wanted));
}

Isa from_environment() {
  const char* name = std::getenv("MAAS_ISA");
  if (!name || !*name) return machine_isa();
  const Isa isa = isa_level(name);
  require(isa, "MAAS_ISA=" + std::string(name));
  return isa;
}

constexpr uint32_t kUnset = ~0u;
std::atomic<uint32_t> active{kUnset};

std::string cpu_brand() {
  if (cpuid(0x80000000).eax < 0x80000004) return "unknown";
  char text[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002 + i);
    std::memcpy(text + 16 * i, &r, 16);
  }
  const std::string brand(text);
  const size_t first = brand.find_first_not_of(' ');
  if (first == std::string::npos) return "unknown";
  return brand.substr(first, brand.find_last_not_of(' ') + 1 - first);
}

// Deterministic cache parameters: leaf 4 on Intel, 0x8000001d on AMD, the same layout.
void read_caches(CpuInfo& info) {
  const Registers vendor = cpuid(0);
  const bool amd = vendor.ebx == 0x68747541 || vendor.ebx == 0x6f677948;  // "Auth", "Hygo"
  const uint32_t leaf = amd ? 0x8000001d : 4;
  if (amd && (cpuid(0x80000000).eax < leaf || !bit(cpuid(0x80000001).ecx, 22))) return;
  for (uint32_t i = 0; i < 16; ++i) {
    const Registers r = cpuid(leaf, i);
    const uint32_t type = r.eax & 31, level = r.eax >> 5 & 7;
    if (type == 0) return;    // no more caches
    if (type == 2) continue;  // instructions
    const int64_t ways = (r.ebx >> 22) + 1, partitions = (r.ebx >> 12 & 0x3ff) + 1, line = (r.ebx & 0xfff) + 1;
    const int64_t bytes = ways * partitions * line * (int64_t(r.ecx) + 1);
    if (level == 1) info.l1d_bytes = bytes;
    if (level == 2) info.l2_bytes = bytes;
    if (level == 3) info.l3_bytes = bytes;
  }
}

}  // namespace

Isa machine_isa() {
  static const Isa isa = detect();
  return isa;
}

Isa active_isa() {
  uint32_t isa = active.load(std::memory_order_relaxed);
  if (isa == kUnset) {
    isa = uint32_t(from_environment());  // two threads at once find the same
    active.store(isa, std::memory_order_relaxed);
  }
  return Isa(isa);
}

void set_active_isa(Isa isa) {
  require(isa, "set_active_isa");
  active.store(uint32_t(isa), std::memory_order_relaxed);
}

Isa isa_level(const std::string& name) {
  if (name == "ref") return Isa::none;
  Isa isa = Isa::none;
  for (const Level& level : kLevels) {
    isa = isa | level.bit;
    if (name == level.name) return isa;
  }
  throw Error(ErrorKind::value,
              "MAAS_ISA must be one of ref, avx2, avx512, avx512_vnni, avx512_bf16, amx; this machine has " +
                  to_string(machine_isa()) + ", received '" + name + "'");
}

std::string to_string(Isa isa) {
  std::string text;
  for (const Level& level : kLevels) {
    if (has(isa, level.bit)) text += (text.empty() ? "" : "+") + std::string(level.name);
  }
  return text.empty() ? "ref" : text;
}

const CpuInfo& cpu_info() {
  static const CpuInfo info = [] {
    CpuInfo i;
    i.brand = cpu_brand();
    read_caches(i);
    i.logical_cpus = int(sysconf(_SC_NPROCESSORS_ONLN));
    return i;
  }();
  return info;
}

}  // namespace maas
