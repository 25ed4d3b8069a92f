// Which vector instructions kernels may use: found by CPUID, lowered by MAAS_ISA.
#pragma once

#include <cstdint>
#include <string>

namespace maas {

// A bit set. avx2 stands for avx2+fma+f16c, avx512 for f+bw+dq+vl+cd, amx for tile+int8+bf16. No CPU has `cuda`: rows
// of the CUDA library carry it, whatever GPU they are for.
enum class Isa : uint32_t { none = 0, avx2 = 1, avx512 = 2, avx512_vnni = 4, avx512_bf16 = 8, amx = 16, cuda = 32 };

constexpr Isa operator|(Isa a, Isa b) { return Isa(uint32_t(a) | uint32_t(b)); }
constexpr Isa operator&(Isa a, Isa b) { return Isa(uint32_t(a) & uint32_t(b)); }
// True when every bit of `need` is in `set`. Isa::none is in every set.
constexpr bool has(Isa set, Isa need) { return (set & need) == need; }

// What CPU and operating system offer. Asks the kernel for AMX tile state once.
Isa machine_isa();

// What kernels may use: machine_isa(), or the level that MAAS_ISA names (read once).
// Throws Error(value) for an unknown level and for one above the machine's.
Isa active_isa();

// Overrides active_isa(), for tests. Throws Error(value) if the machine lacks a bit.
void set_active_isa(Isa isa);

// The mask of a level: "ref", "avx2", "avx512", "avx512_vnni", "avx512_bf16" or "amx"; each holds the lower ones.
// Throws Error(value) for another word.
Isa isa_level(const std::string& name);

// "avx2+avx512", or "ref" for none.
std::string to_string(Isa isa);

struct CpuInfo {
  std::string brand;                                  // e.g. "AMD EPYC 9454P 48-Core Processor"
  int64_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;  // as one core sees them; 0 where unknown
  int logical_cpus = 0;
};
const CpuInfo& cpu_info();

}  // namespace maas
