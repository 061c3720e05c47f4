/* The Internet checksum (RFC 1071), as a running 32-bit partial sum of big-endian 16-bit words that
 * is folded at the end. Every function here works on partial sums, so pieces can be added up; an
 * odd piece has to be the last one, or be followed by csum_shift. */
#ifndef TG_CSUM_H
#define TG_CSUM_H

#include "base/base.h"

/* sum + the words of [data, data + len), an odd last byte padded with zero. All implementations
 * give sums that fold to the same value (0xffff and 0 told apart). */
typedef uint32_t csum_fn(const void *data, size_t len, uint32_t sum);

/* Portable reference. */
uint32_t csum_add_scalar(const void *data, size_t len, uint32_t sum);
/* 64-bit words with carry; portable, several times faster. The default. */
uint32_t csum_add_wide(const void *data, size_t len, uint32_t sum);
#if defined(__x86_64__)
/* Needs AVX2: port/ asks the processor before it puts this into a configuration. */
uint32_t csum_add_avx2(const void *data, size_t len, uint32_t sum);
#endif

/* The 16-bit one's complement sum, carries folded in. Not yet inverted. */
static inline uint16_t csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}
/* What goes into a header field: the inverted folded sum. */
static inline uint16_t csum_finish(uint32_t sum)
{
	return (uint16_t)~csum_fold(sum);
}
/* Sum of two partial sums. */
static inline uint32_t csum_join(uint32_t a, uint32_t b)
{
	uint64_t s = (uint64_t)a + b;

	return (uint32_t)((s & 0xffffffff) + (s >> 32));
}
/* A sum of words loaded in the machine's order, as one of big-endian words: the bytes of the one
 * lie in memory like those of the other (RFC 1071 section 2 (B)). Its own inverse. */
static inline uint16_t csum_word_of_memory(uint16_t native)
{
	uint8_t b[2];

	memcpy(b, &native, sizeof(b));
	return (uint16_t)((unsigned)b[0] << 8 | b[1]);
}
/* The sum of a few whole 32-bit words, as IP headers are. */
static inline uint16_t csum_of_words(const uint8_t *b, uint32_t len)
{
	uint64_t acc = 0;

	for (uint32_t i = 0; i < len; i += 4) {
		uint32_t word;

		memcpy(&word, b + i, sizeof(word));
		acc += word;
	}
	return csum_word_of_memory(csum_fold(csum_join((uint32_t)acc, (uint32_t)(acc >> 32))));
}
/* The sum of a piece that starts at an odd offset of the whole. */
static inline uint32_t csum_shift(uint32_t sum)
{
	uint16_t f = csum_fold(sum);

	return (uint32_t)(uint16_t)(f << 8 | f >> 8);
}

#endif
