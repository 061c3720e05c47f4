/* ICMP messages (RFC 792; RFC 1191 4 for the next hop's MTU): the common header and the one word
 * behind it that each type uses in its own way. Left out: the gateway of a redirect and the times
 * of a timestamp message, which nobody here looks at; RFC 4884 extensions stay part of the body. */
#include "wire/icmp.h"

#include "base/be.h"

/* Types whose second word is identifier and sequence number. */
static bool icmp_has_id(uint8_t type)
{
	return type == ICMP_ECHO || type == ICMP_ECHO_REPLY || type == ICMP_TIMESTAMP;
}

enum tg_drop icmp_parse(
	const uint8_t *b, uint32_t len, bool csum_ok, csum_fn *sum, struct icmp_msg *m)
{
	if (len < ICMP_HDR_BYTES)
		return TG_DROP_ICMP_SHORT;
	/* [792] over the whole message */
	if (!csum_ok && csum_fold(sum(b, len, 0)) != 0xffff)
		return TG_DROP_ICMP_CSUM;
	*m = (struct icmp_msg){.type = b[0], .code = b[1]};
	if (icmp_has_id(m->type)) {
		m->id = be16_load(b + 4);
		m->seq = be16_load(b + 6);
	}
	/* [1191 4] next hop's MTU in the low half of the word, 0 from old routers */
	if (m->type == ICMP_UNREACHABLE && m->code == ICMP_UNREACH_FRAG)
		m->mtu = be16_load(b + 6);
	if (m->type == ICMP_PARAM_PROBLEM)
		m->pointer = b[4];
	m->body = b + ICMP_HDR_BYTES;
	m->body_bytes = len - ICMP_HDR_BYTES;
	return TG_DROP_NONE;
}

void icmp_emit(uint8_t *b, const struct icmp_msg *m, uint32_t body_sum)
{
	b[0] = m->type;
	b[1] = m->code;
	memset(b + 2, 0, 6); /* [792] unused fields are zero */
	if (icmp_has_id(m->type)) {
		be16_store(b + 4, m->id);
		be16_store(b + 6, m->seq);
	}
	if (m->type == ICMP_UNREACHABLE && m->code == ICMP_UNREACH_FRAG)
		be16_store(b + 6, m->mtu);
	if (m->type == ICMP_PARAM_PROBLEM)
		b[4] = m->pointer;
	be16_store(b + 2, csum_finish(csum_add_wide(b, ICMP_HDR_BYTES, body_sum)));
}

bool icmp_is_error(uint8_t type)
{
	/* [1122-C5] [1122 3.2.2] error messages, as opposed to queries */
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
	       type == ICMP_TIME_EXCEEDED || type == ICMP_PARAM_PROBLEM;
}
