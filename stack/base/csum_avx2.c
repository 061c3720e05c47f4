/* The Internet checksum (RFC 1071) with 256-bit vectors, for x86-64 processors that have AVX2. The
 * instruction set is asked for per function, so that the rest of the library runs anywhere; the
 * vectors are those of the compiler (gcc, clang). */
#include "base/csum.h"

#if defined(__x86_64__)

#define TURN_BYTES 128u

typedef uint64_t vec __attribute__((vector_size(32)));

__attribute__((target("avx2"))) uint32_t csum_add_avx2(const void *data, size_t len, uint32_t sum)
{
	const vec low = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
	vec s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
	const uint8_t *b = data;
	uint64_t acc, half;

	if (len < 2 * TURN_BYTES)
		return csum_add_wide(data, len, sum);
	/* 32-bit words summed in 64-bit lanes: no carry is lost below 2^32 turns. */
	for (; len >= TURN_BYTES; len -= TURN_BYTES, b += TURN_BYTES) {
		vec v0, v1, v2, v3;

		memcpy(&v0, b, sizeof(v0));
		memcpy(&v1, b + 32, sizeof(v1));
		memcpy(&v2, b + 64, sizeof(v2));
		memcpy(&v3, b + 96, sizeof(v3));
		s0 += (v0 & low) + (v0 >> 32);
		s1 += (v1 & low) + (v1 >> 32);
		s2 += (v2 & low) + (v2 >> 32);
		s3 += (v3 & low) + (v3 >> 32);
	}
	s0 = (s0 & low) + (s0 >> 32) + (s1 & low) + (s1 >> 32) + (s2 & low) + (s2 >> 32) +
	     (s3 & low) + (s3 >> 32);
	acc = 0;
	for (unsigned i = 0; i < 4; i++)
		acc += (s0[i] & 0xffffffff) + (s0[i] >> 32);
	half = (acc & 0xffffffff) + (acc >> 32);
	half = (half & 0xffffffff) + (half >> 32);
	sum = csum_join(sum, csum_word_of_memory(csum_fold((uint32_t)half)));
	return csum_add_wide(b, len, sum);
}

#endif
