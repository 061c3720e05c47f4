/* chain_hash: four lanes of xor, multiply, rotate over eight bytes each, then a finish.
 *
 * Left out: resistance against collisions on purpose, and the same value on machines of another
 * byte order. */
#include "base/chain.h"

#define LANES 4u
#define ODD1  0x9e3779b97f4a7c15ull
#define ODD2  0xd6e8feb86659fd93ull

static inline uint64_t lane_mix(uint64_t lane, uint64_t v)
{
	lane = (lane ^ v) * ODD1;
	return lane << 29 | lane >> 35;
}

static inline uint64_t finish(uint64_t h)
{
	h = (h ^ h >> 32) * ODD2;
	h = (h ^ h >> 29) * ODD1;
	return h ^ h >> 32;
}

uint64_t chain_hash(uint64_t h, const void *data, size_t n)
{
	const uint8_t *b = data;
	uint64_t lane[LANES] = {h, h ^ ODD1, h ^ ODD2, h ^ n * ODD2}, v[LANES];

	for (; n >= sizeof(v); n -= sizeof(v), b += sizeof(v)) {
		memcpy(v, b, sizeof(v));
		for (unsigned i = 0; i < LANES; i++)
			lane[i] = lane_mix(lane[i], v[i]);
	}
	memset(v, 0, sizeof(v));
	if (n)
		memcpy(v, b, n);
	for (unsigned i = 0; i < LANES; i++)
		lane[i] = lane_mix(lane[i], v[i]);
	h = finish(lane[0]);
	for (unsigned i = 1; i < LANES; i++)
		h = finish(h ^ lane[i]) + i;
	return h;
}
