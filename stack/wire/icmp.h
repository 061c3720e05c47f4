/* ICMP for IPv4 (RFC 792, RFC 1122 3.2.2, RFC 1191 4) <-> host-order struct. Pure functions. */
#ifndef TG_WIRE_ICMP_H
#define TG_WIRE_ICMP_H

#include "base/csum.h"
#include "tapglass_inspect.h"

#define ICMP_HDR_BYTES 8u

#define ICMP_ECHO_REPLY    0
#define ICMP_UNREACHABLE   3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT      5
#define ICMP_ECHO          8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAM_PROBLEM 12
#define ICMP_TIMESTAMP     13

#define ICMP_UNREACH_NET      0
#define ICMP_UNREACH_HOST     1
#define ICMP_UNREACH_PROTOCOL 2
#define ICMP_UNREACH_PORT     3
#define ICMP_UNREACH_FRAG     4
#define ICMP_UNREACH_SRCROUTE 5
#define ICMP_TIMXCEED_TRANSIT 0
#define ICMP_TIMXCEED_REASM   1

struct icmp_msg {
	uint8_t type, code;
	uint16_t id, seq;    /* echo, echo reply, timestamp; else 0 */
	uint16_t mtu;        /* unreachable 4: MTU of the next hop (RFC 1191 4); else 0 */
	uint8_t pointer;     /* parameter problem; else 0 */
	const uint8_t *body; /* echo data, or the quoted datagram */
	uint32_t body_bytes;
};

/* Verifies the checksum over len bytes unless csum_ok. TG_DROP_NONE, TG_DROP_ICMP_SHORT or
 * TG_DROP_ICMP_CSUM. */
enum tg_drop icmp_parse(
	const uint8_t *b, uint32_t len, bool csum_ok, csum_fn *sum, struct icmp_msg *m);
/* Writes the 8 bytes of the header; the checksum covers them and `body_sum`, the partial sum of the
 * body that the caller places behind. */
void icmp_emit(uint8_t *b, const struct icmp_msg *m, uint32_t body_sum);
/* True for types that report an error (3, 4, 5, 11, 12): never answered by an error. */
bool icmp_is_error(uint8_t type);

#endif
