# SPDX-License-Identifier: Apache-2.0

find_program(LB_BPF_CLANG NAMES clang-14 clang REQUIRED)
find_program(LB_BPFTOOL bpftool HINTS /usr/sbin /sbin REQUIRED)

# lb_bpf_object(NAME SOURCE [OPTION...]): compiles the BPF program SOURCE and makes its skeleton. Targets that
# link `lb_bpf_NAME` can include "NAME.skel.h". A change of any header that SOURCE includes rebuilds
# both.
function(lb_bpf_object name source)
  set(dir ${PROJECT_BINARY_DIR}/bpf/${name})
  set(object ${dir}/${name}.bpf.o)
  set(skeleton ${dir}/${name}.skel.h)
  cmake_path(ABSOLUTE_PATH source)
  file(MAKE_DIRECTORY ${dir})

  add_custom_command(
    OUTPUT ${object}
    COMMAND ${LB_BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror
      -I ${PROJECT_SOURCE_DIR}/bpf/include -I ${PROJECT_SOURCE_DIR}/bpf
      ${ARGN} -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "BPF object ${name}.bpf.o"
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${PROJECT_SOURCE_DIR}/bpf/make_skeleton ${LB_BPFTOOL} ${object} ${name}_bpf ${skeleton}
    DEPENDS ${object} ${PROJECT_SOURCE_DIR}/bpf/make_skeleton
    COMMENT "BPF skeleton ${name}.skel.h"
    VERBATIM)

  add_custom_target(lb_bpf_${name}_skeleton ALL DEPENDS ${skeleton})
  add_library(lb_bpf_${name} INTERFACE)
  add_dependencies(lb_bpf_${name} lb_bpf_${name}_skeleton)
  target_include_directories(lb_bpf_${name} SYSTEM INTERFACE ${dir})
  target_link_libraries(lb_bpf_${name} INTERFACE PkgConfig::LIBBPF)
endfunction()
