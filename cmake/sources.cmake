# Sources are found by suffix: a new op needs no edit here. ISA files get their flags from one rule.
file(GLOB_RECURSE MAAS_LIBRARY_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cpp/*.cpp)
file(GLOB_RECURSE MAAS_CUDA_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cpp/*.cu ${PROJECT_SOURCE_DIR}/cpp/cuda/*.cpp)
set(MAAS_EMULATOR_SOURCES ${MAAS_CUDA_SOURCES})
list(FILTER MAAS_EMULATOR_SOURCES INCLUDE REGEX "/cpp/cuda/emulator/")
list(FILTER MAAS_CUDA_SOURCES EXCLUDE REGEX "/cpp/cuda/emulator/")

set(MAAS_BINDING_SOURCES ${MAAS_LIBRARY_SOURCES})
list(FILTER MAAS_BINDING_SOURCES INCLUDE REGEX "/cpp/bindings/")
set(MAAS_TEST_SOURCES ${MAAS_LIBRARY_SOURCES})
list(FILTER MAAS_TEST_SOURCES INCLUDE REGEX "/cpp/tests/[^/]*_test\\.cpp$")

list(FILTER MAAS_LIBRARY_SOURCES EXCLUDE REGEX "/cpp/(bindings|tests|cuda|serving/tls)/")
if(NOT MAAS_SERVING)
  list(FILTER MAAS_LIBRARY_SOURCES EXCLUDE REGEX "/cpp/(serving|bench)/")
  list(FILTER MAAS_BINDING_SOURCES EXCLUDE REGEX "/cpp/bindings/(serving|bench)")
  list(FILTER MAAS_TEST_SOURCES EXCLUDE REGEX "/cpp/tests/serving")
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

# With MAAS_UNITY each folder's files compile as one, which parses headers once: its files must not give one name
# to two things. Files with flags of their own stay alone.
foreach(source IN LISTS MAAS_LIBRARY_SOURCES)
  get_filename_component(folder ${source} DIRECTORY)
  string(MAKE_C_IDENTIFIER "${folder}" folder)
  set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder})
endforeach()
