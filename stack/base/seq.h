/* Sequence numbers of TCP: 32 bits, compared modulo 2^32 (RFC 9293 3.4). A struct, so that a
 * plain `<` between two of them does not compile. */
#ifndef TG_SEQ_H
#define TG_SEQ_H

#include "base/base.h"

struct seq {
	uint32_t v;
};

static inline struct seq seq_of(uint32_t v)
{
	return (struct seq){v};
}
static inline struct seq seq_add(struct seq a, uint32_t n)
{
	return (struct seq){a.v + n};
}
static inline struct seq seq_sub(struct seq a, uint32_t n)
{
	return (struct seq){a.v - n};
}
/* a - b as a signed distance; meaningful while |a - b| < 2^31. */
static inline int32_t seq_diff(struct seq a, struct seq b)
{
	return (int32_t)(a.v - b.v);
}
/* Bytes from b up to a, where the caller knows that b <= a. */
static inline uint32_t seq_dist(struct seq a, struct seq b)
{
	return a.v - b.v;
}
static inline bool seq_eq(struct seq a, struct seq b)
{
	return a.v == b.v;
}
static inline bool seq_lt(struct seq a, struct seq b)
{
	return seq_diff(a, b) < 0;
}
static inline bool seq_le(struct seq a, struct seq b)
{
	return seq_diff(a, b) <= 0;
}
static inline bool seq_gt(struct seq a, struct seq b)
{
	return seq_diff(a, b) > 0;
}
static inline bool seq_ge(struct seq a, struct seq b)
{
	return seq_diff(a, b) >= 0;
}
static inline struct seq seq_min(struct seq a, struct seq b)
{
	return seq_lt(a, b) ? a : b;
}
static inline struct seq seq_max(struct seq a, struct seq b)
{
	return seq_gt(a, b) ? a : b;
}
/* lo <= x < hi, on the circle: right for any window below 2^31 and for an empty one. */
static inline bool seq_in(struct seq x, struct seq lo, uint32_t window)
{
	return x.v - lo.v < window;
}

#endif
