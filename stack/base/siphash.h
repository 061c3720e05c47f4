/* SipHash-2-4: a keyed 64-bit hash for tables an adversary may fill, and the PRF behind ISNs
 * (RFC 6528), ports (RFC 6056), timestamps and cookies. */
#ifndef TG_SIPHASH_H
#define TG_SIPHASH_H

#include "base/base.h"

struct sipkey {
	uint64_t k0, k1;
};

uint64_t siphash(const struct sipkey *k, const void *data, size_t len);

/* Derives the key number `purpose` from a 32-byte seed: keys of different purposes tell nothing
 * about one another. */
struct sipkey sipkey_derive(const uint8_t seed[32], uint32_t purpose);

/* Generator of keyed random numbers: SipHash in counter mode. Its state is part of the instance. */
struct rng {
	struct sipkey key;
	uint64_t counter;
};

void rng_init(struct rng *r, const uint8_t seed[32], uint32_t purpose);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, n), n > 0, without modulo bias. */
uint32_t rng_below(struct rng *r, uint32_t n);

#endif
