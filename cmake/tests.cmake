# One Boost.Test program per file in cpp/tests. They link the objects, not libmaas, to reach hidden functions.
add_custom_target(cpp_tests)
# An archive, so that a program which holds Boost.Test and `main` itself takes nothing from it.
add_library(boost_test_main STATIC EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/cpp/tests/boost_test_main.cc)
target_link_libraries(boost_test_main PUBLIC boost_headers)
foreach(source IN LISTS MAAS_TEST_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  if(name MATCHES "^cuda_" AND NOT MAAS_CUDA_HEADERS)
    continue()
  endif()
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(${name} PRIVATE maas_objects boost_test_main)
  if(name MATCHES "^cuda_")  # kernels, in the emulator
    target_link_libraries(${name} PRIVATE maas_cuda_emulated)
    target_compile_options(${name} PRIVATE -fsanitize=alignment,bounds)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/cpp_tests)
  add_dependencies(cpp_tests ${name})
endforeach()
