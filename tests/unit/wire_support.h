/* For the tests of wire/: packets written in hex, and buffers of exactly the packet's size, so that
 * the address sanitizer sees a read of a single byte too many. */
#ifndef TG_WIRE_SUPPORT_H
#define TG_WIRE_SUPPORT_H

#include "unit.h"
#include "wire/tcp_wire.h"

struct wire_buf {
	uint8_t *b;
	uint32_t n;
};

/* A copy of n bytes in a buffer of its own; release it with free(x.b). */
static inline struct wire_buf wire_copy(const void *src, uint32_t n)
{
	struct wire_buf w = {malloc(n ? n : 1), n};

	ck_assert_ptr_nonnull(w.b);
	if (n)
		memcpy(w.b, src, n);
	return w;
}

static inline unsigned wire_nibble(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, c);

	ck_assert_msg(c && at, "no hex digit: '%c'", c);
	return (unsigned)(at - digits);
}

/* The bytes that hex says; blanks between bytes are skipped. */
static inline struct wire_buf wire_hex(const char *hex)
{
	uint8_t tmp[2048];
	uint32_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		ck_assert(n < sizeof(tmp));
		tmp[n] = (uint8_t)(wire_nibble(hex[0]) << 4);
		hex++;
		tmp[n] = (uint8_t)(tmp[n] | wire_nibble(hex[0]));
		n++;
	}
	return wire_copy(tmp, n);
}

static inline void wire_flip(struct wire_buf w, uint32_t bit)
{
	w.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* The same options with the same values. */
static inline bool wire_same_opts(const struct tcp_opts *a, const struct tcp_opts *b)
{
	if (a->has != b->has || a->wscale != b->wscale || a->mss != b->mss ||
		a->tsval != b->tsval || a->tsecr != b->tsecr || a->n_sack != b->n_sack)
		return false;
	for (unsigned i = 0; i < a->n_sack; i++) {
		if (!seq_eq(a->sack[i].start, b->sack[i].start) ||
			!seq_eq(a->sack[i].end, b->sack[i].end))
			return false;
	}
	return true;
}

#endif
