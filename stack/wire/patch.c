/* Single fields of complete headers: see patch.h. */
#include "wire/patch.h"

#include "base/be.h"

uint8_t ip_get_version(const uint8_t *b, uint32_t len)
{
	return len ? b[0] >> 4 : 0;
}

uint16_t ip4_get_id(const uint8_t *b)
{
	return be16_load(b + 4);
}

void ip4_patch(uint8_t *b, uint16_t total_bytes, uint16_t id)
{
	be16_store(b + 2, total_bytes);
	be16_store(b + 4, id);
	be16_store(b + 10, 0);
	be16_store(b + 10, csum_finish(csum_add_scalar(b, (b[0] & 15u) * 4u, 0)));
}

bool ip4_mark_ce(uint8_t *b)
{
	if (!(b[1] & 3)) /* [3168 5] not ECT */
		return false;
	b[1] |= 3;
	ip4_patch(b, be16_load(b + 2), be16_load(b + 4));
	return true;
}

uint16_t csum_field_get(const uint8_t *b)
{
	return be16_load(b);
}

void csum_field_set(uint8_t *b, uint16_t v)
{
	be16_store(b, v);
}

uint32_t tcp_get_seq(const uint8_t *b)
{
	return be32_load(b + 4);
}

uint8_t tcp_get_flags(const uint8_t *b)
{
	return b[13];
}

void udp_set_bytes(uint8_t *b, uint16_t bytes)
{
	be16_store(b + 4, bytes);
}

void ports_get(const uint8_t *b, uint16_t *src, uint16_t *dst)
{
	*src = be16_load(b);
	*dst = be16_load(b + 2);
}
