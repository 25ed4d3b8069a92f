#include "core/isa.h"

#include <boost/test/unit_test.hpp>

#include "core/error.h"

using namespace maas;

BOOST_AUTO_TEST_CASE(levels_are_masks_that_hold_the_lower_ones) {
  BOOST_TEST(has(isa_level("avx512"), isa_level("avx2")));
  BOOST_TEST(has(isa_level("amx"), Isa::avx512_bf16 | Isa::avx512_vnni | Isa::avx512 | Isa::avx2));
  BOOST_TEST(!has(isa_level("avx2"), Isa::avx512));
  BOOST_TEST(has(Isa::none, Isa::none));
  BOOST_TEST((isa_level("ref") == Isa::none));
  BOOST_TEST(to_string(isa_level("avx512")) == "avx2+avx512");
  BOOST_TEST(to_string(Isa::none) == "ref");
}

BOOST_AUTO_TEST_CASE(unknown_level_says_what_the_cpu_has) {
  BOOST_CHECK_EXCEPTION(isa_level("avx9"), Error, [](const Error& e) {
    const std::string text = e.what();
    return e.kind() == ErrorKind::value && text.find(to_string(machine_isa())) != text.npos &&
           text.ends_with("received 'avx9'");
  });
}

BOOST_AUTO_TEST_CASE(environment_lowers_and_never_raises) {
  setenv("MAAS_ISA", "avx9", 1);
  BOOST_CHECK_THROW(active_isa(), Error);
  for (const char* level : {"avx2", "avx512", "avx512_vnni", "avx512_bf16", "amx"}) {
    setenv("MAAS_ISA", level, 1);
    if (!has(machine_isa(), isa_level(level))) BOOST_CHECK_THROW(active_isa(), Error);
  }
  setenv("MAAS_ISA", "ref", 1);
  BOOST_TEST((active_isa() == Isa::none));
  set_active_isa(machine_isa());
  BOOST_TEST((active_isa() == machine_isa()));
  const Isa missing = Isa(~uint32_t(machine_isa()));
  BOOST_CHECK_THROW(set_active_isa(missing), Error);
}

BOOST_AUTO_TEST_CASE(compiler_builtins_agree) {
  BOOST_TEST(has(machine_isa(), Isa::avx2) == bool(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")));
  BOOST_TEST(has(machine_isa(), Isa::avx512) == bool(__builtin_cpu_supports("avx512bw")));
  BOOST_TEST(has(machine_isa(), Isa::avx512_vnni) == bool(__builtin_cpu_supports("avx512vnni")));
  BOOST_TEST(has(machine_isa(), Isa::avx512_bf16) == bool(__builtin_cpu_supports("avx512bf16")));
}

BOOST_AUTO_TEST_CASE(cpu_info_is_plausible) {
  const CpuInfo& info = cpu_info();
  BOOST_TEST_MESSAGE(info.brand << ": L1d " << info.l1d_bytes << " L2 " << info.l2_bytes << " L3 " << info.l3_bytes);
  BOOST_TEST(!info.brand.empty());
  BOOST_TEST(info.logical_cpus >= 1);
  if (info.l1d_bytes && info.l2_bytes) BOOST_TEST(info.l1d_bytes <= info.l2_bytes);
}
