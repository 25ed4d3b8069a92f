// Names of kernels, from the symbol table of the library's own file; and where its shared variables are.
#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "cuda/emulator/emulator.h"

// All __shared__ variables, gathered by the linker (shared.ld). Absent in links without it.
extern "C" __attribute__((weak, visibility("hidden"))) unsigned char maas_static_shared_begin[];
extern "C" __attribute__((weak, visibility("hidden"))) unsigned char maas_static_shared_end[];

namespace maas::cuda::emulator {
namespace {

struct Module {
  uintptr_t address, base;
  std::string path;
};

int find_module(dl_phdr_info* info, size_t, void* out) {
  auto& m = *static_cast<Module*>(out);
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) & p = info->dlpi_phdr[i];
    const uintptr_t begin = info->dlpi_addr + p.p_vaddr;
    if (p.p_type == PT_LOAD && m.address >= begin && m.address < begin + p.p_memsz) {
      m.base = info->dlpi_addr;
      m.path = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
      return 1;
    }
  }
  return 0;
}

std::string find_symbol(const char* file, uintptr_t offset) {
  const auto* const head = reinterpret_cast<const Elf64_Ehdr*>(file);
  const auto* const sections = reinterpret_cast<const Elf64_Shdr*>(file + head->e_shoff);
  for (int i = 0; i < head->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const auto* const symbols = reinterpret_cast<const Elf64_Sym*>(file + sections[i].sh_offset);
    const char* const names = file + sections[sections[i].sh_link].sh_offset;
    for (size_t s = 0; s < sections[i].sh_size / sizeof(Elf64_Sym); ++s)
      if (ELF64_ST_TYPE(symbols[s].st_info) == STT_FUNC && symbols[s].st_value == offset)
        return names + symbols[s].st_name;
  }
  return {};
}

constexpr size_t kPage = 256;  // finer than memory's: less to fill
struct Learned {
  int looks = 0;
  std::vector<size_t> pages;
};
std::unordered_map<const void*, Learned>& learned() {
  static auto* const all = new std::unordered_map<const void*, Learned>;
  return *all;
}
size_t static_shared_bytes() {
  return maas_static_shared_begin ? static_cast<size_t>(maas_static_shared_end - maas_static_shared_begin) : 0;
}
bool is_poison(const unsigned char* p, size_t bytes) {
  return bytes == 0 || (p[0] == kPoison && std::memcmp(p, p + 1, bytes - 1) == 0);
}

}  // namespace

std::string kernel_name(const void* kernel) {
  static auto* const known = new std::map<const void*, std::string>;
  std::string& name = (*known)[kernel];
  if (!name.empty()) return name;
  name = "a kernel";
  Module m{reinterpret_cast<uintptr_t>(kernel), 0, {}};
  if (!dl_iterate_phdr(find_module, &m)) return name;
  const int fd = open(m.path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0) return name;
  const auto size = static_cast<size_t>(status.st_size);
  void* const file = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (file == MAP_FAILED) return name;
  const std::string symbol = find_symbol(static_cast<const char*>(file), m.address - m.base);
  munmap(file, size);
  if (symbol.empty()) return name;
  int status_of_name = 0;
  char* const plain = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status_of_name);
  name = plain ? plain : symbol;
  std::free(plain);
  return name;
}

// A kernel's variables lie anywhere between those of all kernels. Which parts it uses is seen from what its first
// blocks leave behind; only these are filled from then on.
void poison_static_shared(const void* kernel) {
  const size_t bytes = static_shared_bytes();
  if (!bytes) return;
  static bool first = [] {
    std::memset(maas_static_shared_begin, kPoison, static_shared_bytes());
    return true;
  }();
  (void)first;
  for (size_t page : learned()[kernel].pages)
    std::memset(maas_static_shared_begin + page * kPage, kPoison, std::min(kPage, bytes - page * kPage));
}

void learn_static_shared(const void* kernel) {
  const size_t bytes = static_shared_bytes();
  Learned& l = learned()[kernel];
  if (!bytes || l.looks >= 3) return;
  ++l.looks;
  for (size_t page = 0; page * kPage < bytes; ++page) {
    unsigned char* const p = maas_static_shared_begin + page * kPage;
    if (is_poison(p, std::min(kPage, bytes - page * kPage))) continue;
    if (std::find(l.pages.begin(), l.pages.end(), page) == l.pages.end()) l.pages.push_back(page);
  }
}

}  // namespace maas::cuda::emulator
