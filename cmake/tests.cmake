# One Boost.Test program per file in cpp/tests. They link the objects, not libmaas, to reach hidden functions.
add_custom_target(cpp_tests)
foreach(source IN LISTS MAAS_TEST_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(${name} PRIVATE maas_objects boost_headers)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/cpp_tests)
  add_dependencies(cpp_tests ${name})
endforeach()
