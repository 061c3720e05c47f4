/* Ethernet II headers (RFC 894), and IEEE 802.3 frames with LLC and SNAP on receipt (RFC 1042,
 * [1122 2.3.3]). Left out: sending RFC 1042 frames, VLAN tags (their type is one we do not speak).
 */
#include "wire/eth.h"

#include "base/be.h"

#define ETH_LEN_MAX    1500u /* up to here the type field is a length [802.3] */
#define ETH_SNAP_BYTES 8u

/* DSAP, SSAP: SNAP; unnumbered information; organization code 0: an EtherType follows [1042]. */
static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0x00, 0x00, 0x00};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* len: of the whole frame. The length field has to hold the SNAP header and to lie in the frame. */
static bool eth_is_snap(const uint8_t *b, uint32_t len, uint32_t llc_bytes)
{
	return llc_bytes >= ETH_SNAP_BYTES && llc_bytes <= len - ETH_HDR_BYTES &&
	       !memcmp(b + ETH_HDR_BYTES, snap, sizeof(snap));
}

enum tg_drop eth_parse(const uint8_t *b, uint32_t len, struct eth_hdr *h)
{
	uint16_t type;

	if (len < ETH_HDR_BYTES)
		return TG_DROP_ETH_SHORT;
	memcpy(h->dst, b, 6);
	memcpy(h->src, b + 6, 6);
	/* [802.3] no station has a group address */
	if (eth_is_group(h->src))
		return TG_DROP_ETH_SOURCE;
	type = be16_load(b + 12);
	h->type = type;
	h->hdr_bytes = ETH_HDR_BYTES;
	if (type > ETH_LEN_MAX)
		return TG_DROP_NONE;
	/* [1122-L5] [1122 2.3.3] RFC 1042 frames are received */
	if (!eth_is_snap(b, len, type))
		return TG_DROP_ETH_LLC;
	h->type = be16_load(b + ETH_HDR_BYTES + sizeof(snap));
	h->hdr_bytes = ETH_HDR_BYTES + ETH_SNAP_BYTES;
	return TG_DROP_NONE;
}

void eth_emit(uint8_t *b, const uint8_t dst[6], const uint8_t src[6], uint16_t type)
{
	uint8_t to[6], from[6];

	/* A reply may be built over the frame that it answers. */
	memcpy(to, dst, 6);
	memcpy(from, src, 6);
	memcpy(b, to, 6);
	memcpy(b + 6, from, 6);
	be16_store(b + 12, type);
}

bool eth_is_broadcast(const uint8_t mac[6])
{
	return !memcmp(mac, broadcast, sizeof(broadcast));
}
