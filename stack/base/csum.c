/* The Internet checksum in portable C (RFC 1071 sections 1, 2 and 4.1): a reference that reads like
 * the definition, and one that takes 32 bytes a turn. The sum is the same whatever the byte order
 * of the machine, up to a swap of the result (RFC 1071 section 2 (B)); both return it for
 * big-endian words. */
#include "base/csum.h"

uint32_t csum_add_scalar(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *b = data;
	uint64_t acc = sum;

	for (; len >= 2; len -= 2, b += 2)
		acc += (uint32_t)b[0] << 8 | b[1];
	if (len)
		acc += (uint32_t)b[0] << 8;
	acc = (acc & 0xffffffff) + (acc >> 32);
	acc = (acc & 0xffffffff) + (acc >> 32);
	return (uint32_t)acc;
}

/* A word in the machine's own order, from any address. */
static inline uint64_t word_load(const uint8_t *b)
{
	uint64_t v;

	memcpy(&v, b, sizeof(v));
	return v;
}

/* One's complement addition of 64-bit words: the carry comes back in at the bottom. */
static inline uint64_t add64(uint64_t a, uint64_t b)
{
	a += b;
	return a + (a < b);
}

/* The last bytes, fewer than 8. Where a 16-bit word lies in a wider one does not matter to the sum.
 */
static inline uint64_t tail_load(const uint8_t *b, size_t len)
{
	uint64_t sum = 0;
	uint32_t w32;
	uint16_t w16;

	if (len & 4) {
		memcpy(&w32, b, sizeof(w32));
		sum += w32;
		b += 4;
	}
	if (len & 2) {
		memcpy(&w16, b, sizeof(w16));
		sum += w16;
		b += 2;
	}
	if (len & 1)
		sum += csum_word_of_memory((uint16_t)(b[0] << 8));
	return sum;
}

uint32_t csum_add_wide(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *b = data;
	uint64_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;

	for (; len >= 32; len -= 32, b += 32) {
		s0 = add64(s0, word_load(b));
		s1 = add64(s1, word_load(b + 8));
		s2 = add64(s2, word_load(b + 16));
		s3 = add64(s3, word_load(b + 24));
	}
	for (; len >= 8; len -= 8, b += 8)
		s0 = add64(s0, word_load(b));
	s1 = add64(s1, tail_load(b, len));
	s0 = add64(add64(s0, s1), add64(s2, s3));
	s0 = (s0 & 0xffffffff) + (s0 >> 32);
	s0 = (s0 & 0xffffffff) + (s0 >> 32);
	return csum_join(sum, csum_word_of_memory(csum_fold((uint32_t)s0)));
}
