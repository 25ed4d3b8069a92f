# Sources are found by suffix: a new op needs no edit here. ISA files get their flags from one rule.
file(GLOB_RECURSE MAAS_LIBRARY_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cpp/*.cpp)
file(GLOB_RECURSE MAAS_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cpp/*.cu)

set(MAAS_BINDING_SOURCES ${MAAS_LIBRARY_SOURCES})
list(FILTER MAAS_BINDING_SOURCES INCLUDE REGEX "/cpp/bindings/")
set(MAAS_TEST_SOURCES ${MAAS_LIBRARY_SOURCES})
list(FILTER MAAS_TEST_SOURCES INCLUDE REGEX "/cpp/tests/[^/]*_test\\.cpp$")

list(FILTER MAAS_LIBRARY_SOURCES EXCLUDE REGEX "/cpp/(bindings|tests)/")
if(NOT MAAS_SERVING)
  list(FILTER MAAS_LIBRARY_SOURCES EXCLUDE REGEX "/cpp/serving/")
endif()

set(maas_avx2 -mavx2 -mfma -mf16c)
set(maas_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mfma -mf16c)
set(maas_avx512vnni ${maas_avx512} -mavx512vnni)
set(maas_avx512bf16 ${maas_avx512} -mavx512bf16)
set(maas_amx ${maas_avx512} -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)
foreach(isa avx2 avx512 avx512vnni avx512bf16 amx)
  set(files ${MAAS_LIBRARY_SOURCES})
  list(FILTER files INCLUDE REGEX "\\.${isa}\\.cpp$")
  set_source_files_properties(${files} PROPERTIES COMPILE_OPTIONS "${maas_${isa}}")
endforeach()
