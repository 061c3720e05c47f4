/* Ethernet II frames (RFC 894) <-> host-order structs. IEEE 802.3/LLC (RFC 1042) is received only
 * when its SNAP header carries an EtherType; it is never sent. Pure functions. */
#ifndef TG_WIRE_ETH_H
#define TG_WIRE_ETH_H

#include "base/base.h"
#include "tapglass_inspect.h"

#define ETH_HDR_BYTES 14u
#define ETH_TYPE_IP4  0x0800
#define ETH_TYPE_ARP  0x0806
#define ETH_TYPE_IP6  0x86dd

struct eth_hdr {
	uint8_t dst[6], src[6];
	uint16_t type;      /* EtherType, from the SNAP header if the frame is 802.3 */
	uint16_t hdr_bytes; /* 14, or 22 with LLC/SNAP */
};

/* TG_DROP_NONE, or why the frame is no Ethernet frame for us: TG_DROP_ETH_SHORT,
 * TG_DROP_ETH_LLC (802.3 without SNAP of RFC 1042, or a length that does not hold it or exceeds
 * len), TG_DROP_ETH_SOURCE (group bit in the source). h may then be half filled. */
enum tg_drop eth_parse(const uint8_t *b, uint32_t len, struct eth_hdr *h);
/* Writes 14 bytes. */
void eth_emit(uint8_t *b, const uint8_t dst[6], const uint8_t src[6], uint16_t type);

static inline bool eth_is_group(const uint8_t mac[6])
{
	return mac[0] & 1;
}
bool eth_is_broadcast(const uint8_t mac[6]);

#endif
