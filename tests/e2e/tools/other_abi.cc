// SPDX-License-Identifier: Apache-2.0
// What makes an lbd one of another version: it can read no maps but its own, and others cannot read
// these. Linked before lb_dataplane, this takes the place of the two files there.
#include "lb/abi.h"

#undef LB_ABI_VERSION
#define LB_ABI_VERSION 0x7fffffff

#include "lbd/dataplane/encode.cc"
#include "lbd/dataplane/image.cc"
