/* ARP messages for Ethernet and IPv4 (RFC 826). Left out: every other hardware and protocol, and
 * reverse ARP. */
#include "wire/arp.h"

#include "base/be.h"

#define ARP_HTYPE_ETH 1
#define ARP_PTYPE_IP4 0x0800
#define ARP_HLEN_ETH  6
#define ARP_PLEN_IP4  4

enum tg_drop arp_parse(const uint8_t *b, uint32_t len, struct arp_msg *m)
{
	if (len < ARP_BYTES)
		return TG_DROP_ARP_SHORT;
	/* [826] "do I have the hardware type, do I speak the protocol", and the lengths */
	if (be16_load(b) != ARP_HTYPE_ETH || be16_load(b + 2) != ARP_PTYPE_IP4 ||
		b[4] != ARP_HLEN_ETH || b[5] != ARP_PLEN_IP4)
		return TG_DROP_ARP_FORMAT;
	m->op = be16_load(b + 6);
	/* [826] opcodes are request and reply */
	if (m->op != ARP_REQUEST && m->op != ARP_REPLY)
		return TG_DROP_ARP_FORMAT;
	memcpy(m->sha, b + 8, 6);
	m->spa = be32_load(b + 14);
	memcpy(m->tha, b + 18, 6);
	m->tpa = be32_load(b + 24);
	return TG_DROP_NONE;
}

void arp_emit(uint8_t *b, const struct arp_msg *m)
{
	be16_store(b, ARP_HTYPE_ETH);
	be16_store(b + 2, ARP_PTYPE_IP4);
	b[4] = ARP_HLEN_ETH;
	b[5] = ARP_PLEN_IP4;
	be16_store(b + 6, m->op);
	memcpy(b + 8, m->sha, 6);
	be32_store(b + 14, m->spa);
	memcpy(b + 18, m->tha, 6);
	be32_store(b + 24, m->tpa);
}
