/* UDP header (RFC 768) <-> host-order struct. Pure functions. */
#ifndef TG_WIRE_UDP_H
#define TG_WIRE_UDP_H

#include "base/csum.h"
#include "tapglass_inspect.h"

#define UDP_HDR_BYTES 8u

struct udp_hdr {
	uint16_t src_port, dst_port;
	uint16_t bytes; /* header and data */
	uint16_t csum;  /* as on the wire; 0: the sender computed none */
};

/* TG_DROP_NONE, TG_DROP_UDP_SHORT or TG_DROP_UDP_LENGTH (length field below 8 or beyond len). A
 * length shorter than len is padding and allowed. The checksum is not verified here. */
enum tg_drop udp_parse(const uint8_t *b, uint32_t len, struct udp_hdr *h);
/* Writes 8 bytes; the checksum field as in h (0xffff for a computed 0 is the caller's affair: see
 * udp_csum_field). */
void udp_emit(uint8_t *b, const struct udp_hdr *h);
/* The field for a finished checksum: 0 becomes 0xffff. */
uint16_t udp_csum_field(uint32_t sum);
/* Overwrites the checksum field of an emitted header. */
void udp_set_csum(uint8_t *b, uint16_t field);

#endif
