/* Which of several equals a flow belongs to: a keyed hash of two addresses and two numbers, made of
 * steps that a program in the kernel can do as well (port/steer.c), and not so weak that somebody
 * who does not know the key could pick flows of one owner. Nothing but the balance depends on it.
 */
#ifndef TG_BASE_FLOW_H
#define TG_BASE_FLOW_H

#include <stdint.h>

#define FLOW_MIX_1 UINT64_C(0x9e3779b97f4a7c15)
#define FLOW_MIX_2 UINT64_C(0xbf58476d1ce4e5b9)

struct flow_key {
	uint64_t a, b;
};

/* Remote address and port, local address and port, IPv4, host order. */
static inline uint32_t flow_hash(
	const struct flow_key *k, uint32_t raddr, uint16_t rport, uint32_t laddr, uint16_t lport)
{
	uint64_t h = ((uint64_t)raddr << 16 | rport) ^ k->a;

	h *= FLOW_MIX_1;
	h ^= h >> 32;
	h ^= ((uint64_t)laddr << 16 | lport) ^ k->b;
	h *= FLOW_MIX_2;
	return (uint32_t)(h >> 32);
}

#endif
