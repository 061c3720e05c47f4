/* SipHash-2-4 with 64-bit results, after Aumasson and Bernstein, "SipHash: a fast short-input PRF";
 * key derivation and the keyed generator on top of it. Needed as the F() of RFC 6528 section 3 and
 * RFC 6056 section 3.3, and for every table that a peer can fill. Leaves out the 128-bit variant.
 */
#include "base/siphash.h"

static uint64_t rotl(uint64_t x, unsigned n)
{
	return x << n | x >> (64 - n);
}

/* SipHash reads its input as little-endian words, on any machine. In a form that compilers see
 * through: one load where that is the machine's order. */
static inline uint64_t word_load_8(const uint8_t *b)
{
	return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
	       (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 |
	       (uint64_t)b[7] << 56;
}

/* Less than 8 bytes. Of tuples 4 are left, which are one load. */
static inline uint64_t word_load(const uint8_t *b, size_t n)
{
	uint64_t v = 0, low = 0;

	if (n & 4) {
		low = (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 |
		      (uint64_t)b[3] << 24;
		b += 4;
	}
	for (size_t i = n & 3; i > 0; i--)
		v = v << 8 | b[i - 1];
	return n & 4 ? low | v << 32 : v;
}

static void word_store(uint8_t *b, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

uint64_t siphash(const struct sipkey *k, const void *data, size_t len)
{
	struct sip s = {
		k->k0 ^ 0x736f6d6570736575ull,
		k->k1 ^ 0x646f72616e646f6dull,
		k->k0 ^ 0x6c7967656e657261ull,
		k->k1 ^ 0x7465646279746573ull,
	};
	const uint8_t *b = data;
	size_t left = len;

	for (; left >= 8; left -= 8, b += 8)
		sip_word(&s, word_load_8(b));
	sip_word(&s, word_load(b, left) | (uint64_t)len << 56);
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

static uint64_t labelled(const struct sipkey *k, uint32_t purpose, uint32_t part)
{
	uint8_t label[16] = {'t', 'g', ' ', 'k', 'e', 'y'};

	word_store(label + 8, (uint64_t)purpose << 32 | part);
	return siphash(k, label, sizeof(label));
}

struct sipkey sipkey_derive(const uint8_t seed[32], uint32_t purpose)
{
	const struct sipkey lo = {word_load_8(seed), word_load_8(seed + 8)};
	const struct sipkey hi = {word_load_8(seed + 16), word_load_8(seed + 24)};
	struct sipkey out;

	/* Each half of the key is the sum of two functions with independent keys, so it depends on
	 * all 256 bits of the seed; their labels differ, or equal halves of a seed would cancel
	 * out. */
	out.k0 = labelled(&lo, purpose, 0) ^ labelled(&hi, purpose, 1);
	out.k1 = labelled(&lo, purpose, 2) ^ labelled(&hi, purpose, 3);
	return out;
}

void rng_init(struct rng *r, const uint8_t seed[32], uint32_t purpose)
{
	r->key = sipkey_derive(seed, purpose);
	r->counter = 0;
}

uint64_t rng_u64(struct rng *r)
{
	uint8_t b[8];

	word_store(b, r->counter++);
	return siphash(&r->key, b, sizeof(b));
}

uint32_t rng_below(struct rng *r, uint32_t n)
{
	/* x * n / 2^32 is uniform over the x whose product's low half is at least 2^32 mod n. */
	uint32_t reject_below = (0u - n) % n;

	for (;;) {
		uint64_t product = (rng_u64(r) >> 32) * n;

		if ((uint32_t)product >= reject_below)
			return (uint32_t)(product >> 32);
	}
}
