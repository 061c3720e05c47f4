/* SHA-1: RFC 3174 sections 4 (padding), 5 (functions and constants), 6.1 (method 1). */
#include "sha1.h"

#include <string.h>

#define BLOCK 64u

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void schedule(const uint8_t *p, uint32_t w[80])
{
	for (size_t t = 0; t < 16; t++) {
		w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 |
		       (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
	}
	for (size_t t = 16; t < 80; t++) {
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	}
}

static void block(uint32_t h[5], const uint8_t *p)
{
	static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	schedule(p, w);
	for (size_t t = 0; t < 80; t++) {
		uint32_t f, sum;

		if (t < 20) {
			f = (b & c) | (~b & d);
		} else if (t >= 40 && t < 60) {
			f = (b & c) | (b & d) | (c & d);
		} else {
			f = b ^ c ^ d;
		}
		sum = rotate(a, 5) + f + e + w[t] + k[t / 20];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = sum;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

void sha1(const void *data, size_t n, uint8_t out[SHA1_BYTES])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	uint8_t last[2 * BLOCK] = {0x80};
	const uint8_t *p = data;
	uint64_t bits = (uint64_t)n * 8;
	size_t rest = n % BLOCK, end = rest < BLOCK - 8 ? BLOCK : 2 * BLOCK;

	for (size_t i = 0; i + BLOCK <= n; i += BLOCK) {
		block(h, p + i);
	}
	if (rest > 0) {
		memcpy(last, p + n - rest, rest);
		last[rest] = 0x80;
	}
	for (size_t i = 0; i < 8; i++) {
		last[end - 1 - i] = (uint8_t)(bits >> (8 * i));
	}
	block(h, last);
	if (end > BLOCK) {
		block(h, last + BLOCK);
	}
	for (size_t i = 0; i < SHA1_BYTES; i++) {
		out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
	}
}
