/* A fast hash over bytes, to notice damage and differences; no defence against who means harm. */
#ifndef TG_BASE_CHAIN_H
#define TG_BASE_CHAIN_H

#include "base/base.h"

/* The hash of data, begun with h: hashes chain. Each step is a bijection of what it works on, so
 * that data that differ in one aligned eight bytes alone never give the same hash. */
uint64_t chain_hash(uint64_t h, const void *data, size_t n);

#endif
