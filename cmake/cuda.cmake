# libmaas_cuda, beside libmaas. It links no libcuda, so it loads anywhere.
#   AUTO     built where nvcc and a driver are found
#   ON       built with nvcc; needs no GPU
#   EMULATE  the same sources for the CPU (cpp/cuda/emulator); needs the toolkit's headers only
if(NOT MAAS_CUDA MATCHES "^(AUTO|ON|OFF|EMULATE)$")
  message(FATAL_ERROR "MAAS_CUDA must be AUTO, ON, OFF or EMULATE, received ${MAAS_CUDA}")
endif()
set(MAAS_CUDA_ARCHITECTURES 90a-real CACHE STRING "GPU architectures, in CMake's words")
option(MAAS_CUDA_COMPRESS "Smaller GPU code in the library; loading takes a little longer" ON)

find_program(MAAS_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
find_file(MAAS_LIBCUDA libcuda.so.1 PATHS ENV LD_LIBRARY_PATH /usr/lib/x86_64-linux-gnu /usr/lib64 /usr/lib
          /usr/local/nvidia/lib64 /usr/lib/wsl/lib NO_DEFAULT_PATH)
find_path(MAAS_CUDA_HEADERS cuda_runtime_api.h HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
          PATH_SUFFIXES include)

function(maas_cuda_link target)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME maas_cuda LINKER_LANGUAGE CXX LINK_DEPENDS
                        ${PROJECT_SOURCE_DIR}/cmake/cuda_exports.map)
  target_link_options(${target} PRIVATE LINKER:-z,defs LINKER:--as-needed
                      LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/cuda_exports.map)
endfunction()

# Every kernel as plain C++, for MAAS_CUDA=EMULATE and for the C++ tests: each .cu through a .cpp that includes it.
# gcc's checks call handlers of the emulator.
if(MAAS_CUDA_HEADERS)
  add_library(maas_cuda_emulated OBJECT EXCLUDE_FROM_ALL ${MAAS_EMULATOR_SOURCES})
  foreach(source IN LISTS MAAS_CUDA_SOURCES)
    if(source MATCHES "\\.cu$")
      file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR}/cpp ${source})
      set(source ${PROJECT_BINARY_DIR}/emulated/${path}.cpp)
      file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${path}\"\n" @ONLY)
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS -fsanitize=alignment,bounds)
    endif()
    target_sources(maas_cuda_emulated PRIVATE ${source})
  endforeach()
  target_compile_definitions(maas_cuda_emulated PUBLIC MAAS_CUDA_EMULATE)
  target_compile_options(maas_cuda_emulated PUBLIC -Wno-unknown-pragmas -Wno-unused-parameter -fdata-sections
                                                   -fno-gnu-unique)
  target_include_directories(maas_cuda_emulated SYSTEM PUBLIC ${MAAS_CUDA_HEADERS})
  target_link_libraries(maas_cuda_emulated PUBLIC maas_flags)
  target_link_options(maas_cuda_emulated INTERFACE LINKER:-T,${PROJECT_SOURCE_DIR}/cpp/cuda/emulator/shared.ld)
  # For tests of builds that have no emulator: MAAS_CUDA_LIBRARY names it.
  add_library(libmaas_cuda_emulated SHARED EXCLUDE_FROM_ALL)
  target_link_libraries(libmaas_cuda_emulated PRIVATE maas_cuda_emulated libmaas)
  set_target_properties(libmaas_cuda_emulated PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/emulated)
  maas_cuda_link(libmaas_cuda_emulated)
endif()

if(MAAS_CUDA STREQUAL "AUTO" AND NOT (MAAS_NVCC AND MAAS_LIBCUDA))
  message(STATUS "CUDA: off (nvcc: ${MAAS_NVCC}, driver: ${MAAS_LIBCUDA})")
  return()
endif()
if(MAAS_CUDA STREQUAL "OFF")
  return()
endif()

if(MAAS_CUDA STREQUAL "EMULATE")
  if(NOT MAAS_CUDA_HEADERS)
    message(FATAL_ERROR "MAAS_CUDA=EMULATE needs the headers of a CUDA toolkit, cuda_runtime_api.h was not found")
  endif()
  add_library(libmaas_cuda SHARED)
  target_link_libraries(libmaas_cuda PRIVATE maas_cuda_emulated libmaas)
  set_target_properties(libmaas_cuda PROPERTIES INSTALL_RPATH "$ORIGIN")
else()
  if(NOT MAAS_NVCC)
    message(FATAL_ERROR "MAAS_CUDA=ON, but nvcc was not found")
  endif()
  set(CMAKE_CUDA_COMPILER ${MAAS_NVCC})
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_ARCHITECTURES ${MAAS_CUDA_ARCHITECTURES})
  set(CMAKE_CUDA_FLAGS_RELEASE "-O3 -DNDEBUG")
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  add_library(maas_cuda_objects OBJECT ${MAAS_CUDA_SOURCES})
  target_link_libraries(maas_cuda_objects PUBLIC maas_flags CUDA::cudart_static CUDA::cublasLt CUDA::nvrtc)
  target_compile_options(maas_cuda_objects PRIVATE
                         $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo $<$<BOOL:${MAAS_CUDA_COMPRESS}>:-Xfatbin=-compress-all> -Xcompiler=-Wall,-Wextra,-Wno-unused-parameter>)
  add_library(libmaas_cuda SHARED)
  target_link_libraries(libmaas_cuda PRIVATE maas_cuda_objects libmaas)
  set_target_properties(libmaas_cuda PROPERTIES INSTALL_RPATH "$ORIGIN;${CUDAToolkit_LIBRARY_DIR}")
endif()
maas_cuda_link(libmaas_cuda)
install(TARGETS libmaas_cuda LIBRARY DESTINATION maas)
add_dependencies(develop libmaas_cuda)
