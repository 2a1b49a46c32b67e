/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The constants of one loaded program. The loader sets them before the verifier sees the code. */
#ifndef LB_BPF_CONFIG_H
#define LB_BPF_CONFIG_H

#include "lb/abi.h"

const volatile struct lb_config lb_config = {};

#endif /* LB_BPF_CONFIG_H */
