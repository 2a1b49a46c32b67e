# SPDX-License-Identifier: Apache-2.0

find_program(LB_BPF_CLANG NAMES clang-14 clang REQUIRED)
find_program(LB_BPFTOOL bpftool HINTS /usr/sbin /sbin REQUIRED)

# lb_bpf_object(NAME SOURCE [OPTION...]): compiles the BPF program SOURCE and makes its skeleton. Targets that
# link `lb_bpf_NAME` can include "NAME.skel.h". A change of any header that SOURCE includes rebuilds
# both.
# lb_bpf_object(NAME SOURCE VARIANT variant HEADERS dir DEPENDS target [OPTION...]): likewise with the
# headers in `dir`, which `target` makes, before all others; the library is lb_bpf_NAME_VARIANT.
function(lb_bpf_object name source)
  cmake_parse_arguments(arg "" "VARIANT;HEADERS;DEPENDS" "" ${ARGN})
  set(library lb_bpf_${name})
  set(dir ${PROJECT_BINARY_DIR}/bpf/${name})
  set(headers)
  if(arg_VARIANT)
    set(library ${library}_${arg_VARIANT})
    set(dir ${dir}_${arg_VARIANT})
    set(headers -I ${arg_HEADERS})
  endif()
  set(object ${dir}/${name}.bpf.o)
  set(skeleton ${dir}/${name}.skel.h)
  cmake_path(ABSOLUTE_PATH source)
  file(MAKE_DIRECTORY ${dir})

  add_custom_command(
    OUTPUT ${object}
    COMMAND ${LB_BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror
      ${headers} -I ${PROJECT_SOURCE_DIR}/bpf/include -I ${PROJECT_SOURCE_DIR}/bpf
      ${arg_UNPARSED_ARGUMENTS} -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    DEPENDS ${source} ${arg_DEPENDS}
    DEPFILE ${object}.d
    COMMENT "BPF object ${name}.bpf.o"
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${PROJECT_SOURCE_DIR}/bpf/make_skeleton ${LB_BPFTOOL} ${object} ${name}_bpf ${skeleton}
    DEPENDS ${object} ${PROJECT_SOURCE_DIR}/bpf/make_skeleton
    COMMENT "BPF skeleton ${name}.skel.h"
    VERBATIM)

  add_custom_target(${library}_skeleton ALL DEPENDS ${skeleton})
  add_library(${library} INTERFACE)
  add_dependencies(${library} ${library}_skeleton)
  target_include_directories(${library} SYSTEM INTERFACE ${dir})
  target_link_libraries(${library} INTERFACE PkgConfig::LIBBPF)
endfunction()
