/* IPv4 header (RFC 791, RFC 1122 3.2.1) <-> host-order struct, options walked but not interpreted.
 * Pure functions. */
#ifndef TG_WIRE_IP4_H
#define TG_WIRE_IP4_H

#include "base/csum.h"
#include "tapglass_inspect.h"

#define IP4_HDR_BYTES     20u
#define IP4_HDR_MAX_BYTES 60u
#define IP4_MAX_BYTES     65535u

#define IP_PROTO_ICMP 1
#define IP_PROTO_TCP  6
#define IP_PROTO_UDP  17

struct ip4_hdr {
	uint32_t src, dst; /* host order */
	uint16_t total_bytes;
	uint16_t id;
	uint16_t frag_off; /* bytes */
	uint8_t hdr_bytes; /* options included */
	uint8_t tos, ttl, proto;
	bool df, mf;
	const uint8_t *options; /* hdr_bytes - 20 of them, inside the packet parsed; NULL: none,
				   hdr_bytes is 20 */
};

/* Checks version, header length, header checksum, total length against len (len may be longer: link
 * padding), and that the options walk to an end (RFC 1122 3.2.1.8; an option whose length is 0, 1
 * or past the header is TG_DROP_IP_OPTIONS). TG_DROP_NONE or the reason. */
enum tg_drop ip4_parse(const uint8_t *b, uint32_t len, struct ip4_hdr *h);
/* Only what can be known from a quoted header of an ICMP error: checksum and options are not looked
 * at, total_bytes may be anything (routers have been seen to change it). False if version or header
 * length are impossible within len. */
bool ip4_parse_quoted(const uint8_t *b, uint32_t len, struct ip4_hdr *h);
/* Writes h->hdr_bytes bytes (20 + options padded by the caller) with the checksum filled in. */
void ip4_emit(uint8_t *b, const struct ip4_hdr *h);
/* Partial sum of the pseudo-header (RFC 793 style): src, dst, zero+proto, len. */
uint32_t ip4_pseudo_sum(uint32_t src, uint32_t dst, uint8_t proto, uint32_t len);
/* Options to copy into every fragment (copied flag set); writes at most 40 bytes to out, padded to
 * a multiple of 4, returns their number. */
uint32_t ip4_options_for_fragments(const uint8_t *opt, uint32_t n, uint8_t out[40]);

#endif
