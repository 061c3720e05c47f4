/* UDP headers (RFC 768). Left out: verifying the checksum, which needs the pseudo-header and the
 * data; udp/ does it. */
#include "wire/udp.h"

#include "base/be.h"

enum tg_drop udp_parse(const uint8_t *b, uint32_t len, struct udp_hdr *h)
{
	if (len < UDP_HDR_BYTES)
		return TG_DROP_UDP_SHORT;
	h->src_port = be16_load(b);
	h->dst_port = be16_load(b + 2);
	h->bytes = be16_load(b + 4);
	h->csum = be16_load(b + 6);
	/* [768] the header counts, so 8 is the least */
	if (h->bytes < UDP_HDR_BYTES || h->bytes > len)
		return TG_DROP_UDP_LENGTH;
	return TG_DROP_NONE;
}

void udp_emit(uint8_t *b, const struct udp_hdr *h)
{
	be16_store(b, h->src_port);
	be16_store(b + 2, h->dst_port);
	be16_store(b + 4, h->bytes);
	be16_store(b + 6, h->csum);
}

uint16_t udp_csum_field(uint32_t sum)
{
	uint16_t field = csum_finish(sum);

	/* [1122-U4] [768] zero on the wire would mean that there is none */
	return field ? field : 0xffff;
}

void udp_set_csum(uint8_t *b, uint16_t field)
{
	be16_store(b + 6, field);
}
