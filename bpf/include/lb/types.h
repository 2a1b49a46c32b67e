/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the shared headers need of each side. */
#ifndef LB_TYPES_H
#define LB_TYPES_H

#ifdef __bpf__
#include "vmlinux.h"
#define LB_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#else
#include <linux/types.h>
#define LB_ASSERT_SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#endif

#define LB_INLINE static inline __attribute__((always_inline))

#endif /* LB_TYPES_H */
