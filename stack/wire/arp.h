/* ARP for Ethernet and IPv4 (RFC 826) <-> host-order struct. Pure functions. */
#ifndef TG_WIRE_ARP_H
#define TG_WIRE_ARP_H

#include "base/base.h"
#include "tapglass_inspect.h"

#define ARP_BYTES   28u
#define ARP_REQUEST 1
#define ARP_REPLY   2

struct arp_msg {
	uint16_t op;
	uint8_t sha[6], tha[6]; /* sender's and target's hardware address */
	uint32_t spa, tpa;      /* sender's and target's protocol address, host order */
};

/* TG_DROP_NONE, TG_DROP_ARP_SHORT or TG_DROP_ARP_FORMAT (hardware or protocol type and lengths that
 * are not Ethernet and IPv4, opcode neither request nor reply). Trailing padding is allowed. */
enum tg_drop arp_parse(const uint8_t *b, uint32_t len, struct arp_msg *m);
/* Writes ARP_BYTES. */
void arp_emit(uint8_t *b, const struct arp_msg *m);

#endif
