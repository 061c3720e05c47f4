/* IPv4 headers (RFC 791 3.1, RFC 1122 3.2.1) and the pseudo-header of the transports (RFC 9293 3.1,
 * RFC 768). Left out: what options mean, and whether addresses are acceptable; ip/ knows. */
#include "wire/ip4.h"

#include "base/be.h"

#define IP4_FLAG_DF  0x4000u
#define IP4_FLAG_MF  0x2000u
#define IP4_OFF_MASK 0x1fffu /* in units of 8 bytes */

#define IP4_OPT_EOL    0
#define IP4_OPT_NOP    1
#define IP4_OPT_COPIED 0x80u /* copied flag of an option's type [791 3.1] */

/* Bytes of the option at opt, n > 0 of them left; 0 if it is malformed. */
static uint32_t ip4_option_bytes(const uint8_t *opt, uint32_t n)
{
	if (opt[0] == IP4_OPT_EOL || opt[0] == IP4_OPT_NOP)
		return 1;
	/* [1122 3.2.1.8] [791 3.1] the length counts type and length byte, and lies in the header
	 */
	if (n < 2 || opt[1] < 2 || opt[1] > n)
		return 0;
	return opt[1];
}

static bool ip4_options_walk(const uint8_t *opt, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && opt[i] != IP4_OPT_EOL) {
		uint32_t step = ip4_option_bytes(opt + i, n - i);

		if (!step)
			return false;
		i += step;
	}
	return true;
}

/* Fields of a header of which h->hdr_bytes are there. */
static void ip4_fields(const uint8_t *b, struct ip4_hdr *h)
{
	uint16_t frag = be16_load(b + 6);

	h->tos = b[1];
	h->total_bytes = be16_load(b + 2);
	h->id = be16_load(b + 4);
	h->df = (frag & IP4_FLAG_DF) != 0;
	h->mf = (frag & IP4_FLAG_MF) != 0;
	h->frag_off = (uint16_t)((frag & IP4_OFF_MASK) * 8);
	h->ttl = b[8];
	h->proto = b[9];
	h->src = be32_load(b + 12);
	h->dst = be32_load(b + 16);
	h->options = h->hdr_bytes > IP4_HDR_BYTES ? b + IP4_HDR_BYTES : NULL;
}

enum tg_drop ip4_parse(const uint8_t *b, uint32_t len, struct ip4_hdr *h)
{
	if (len < IP4_HDR_BYTES)
		return TG_DROP_IP_SHORT;
	/* [1122-I1] [1122 3.2.1.1] version is not 4 */
	if (b[0] >> 4 != 4)
		return TG_DROP_IP_VERSION;
	h->hdr_bytes = (uint8_t)((b[0] & 15) * 4);
	/* [791 3.1] at least 5 words */
	if (h->hdr_bytes < IP4_HDR_BYTES || h->hdr_bytes > len)
		return TG_DROP_IP_HDR_LEN;
	/* [1122-I2] [1122 3.2.1.2] first of all the rest: no other field is to be believed before
	 */
	if (csum_of_words(b, h->hdr_bytes) != 0xffff)
		return TG_DROP_IP_CSUM;
	ip4_fields(b, h);
	/* [791 3.1] header and data, and no more than arrived (the link may have padded) */
	if (h->total_bytes < h->hdr_bytes || h->total_bytes > len)
		return TG_DROP_IP_TOTAL_LEN;
	/* [1122-I8] [9293 MUST-50] unknown ones are stepped over, so all must have sane lengths */
	if (h->options && !ip4_options_walk(h->options, h->hdr_bytes - IP4_HDR_BYTES))
		return TG_DROP_IP_OPTIONS;
	return TG_DROP_NONE;
}

bool ip4_parse_quoted(const uint8_t *b, uint32_t len, struct ip4_hdr *h)
{
	/* [1122-C3] [1122 3.2.2] the header that an ICMP error returns finds the transport */
	if (len < IP4_HDR_BYTES || b[0] >> 4 != 4)
		return false;
	h->hdr_bytes = (uint8_t)((b[0] & 15) * 4);
	if (h->hdr_bytes < IP4_HDR_BYTES || h->hdr_bytes > len)
		return false;
	ip4_fields(b, h);
	return true;
}

void ip4_emit(uint8_t *b, const struct ip4_hdr *h)
{
	uint32_t flags = (h->df ? IP4_FLAG_DF : 0) | (h->mf ? IP4_FLAG_MF : 0), sum;

	ASSERT(h->hdr_bytes >= IP4_HDR_BYTES && h->hdr_bytes <= IP4_HDR_MAX_BYTES);
	/* one by one: read together they would wait for what the caller has stored apart */
	ASSERT(h->hdr_bytes % 4 == 0);
	ASSERT(h->frag_off % 8 == 0);
	ASSERT(h->options || h->hdr_bytes == IP4_HDR_BYTES);
	/* First: they may lie where the header is being written. */
	if (h->options)
		memmove(b + IP4_HDR_BYTES, h->options, h->hdr_bytes - IP4_HDR_BYTES);
	b[0] = (uint8_t)(4 << 4 | h->hdr_bytes / 4);
	b[1] = h->tos;
	be16_store(b + 2, h->total_bytes);
	be16_store(b + 4, h->id);
	be16_store(b + 6, (uint16_t)(flags | h->frag_off / 8u));
	b[8] = h->ttl;
	b[9] = h->proto;
	be32_store(b + 12, h->src);
	be32_store(b + 16, h->dst);
	/* of the fields: to read back at once what has just been stored would wait for it */
	sum = (uint32_t)(b[0] << 8 | h->tos) + h->total_bytes + h->id + (flags | h->frag_off / 8u) +
	      (uint32_t)(h->ttl << 8) + ip4_pseudo_sum(h->src, h->dst, h->proto, 0);
	if (h->options)
		sum = csum_add_wide(b + IP4_HDR_BYTES, h->hdr_bytes - IP4_HDR_BYTES, sum);
	be16_store(b + 10, csum_finish(sum));
}

uint32_t ip4_pseudo_sum(uint32_t src, uint32_t dst, uint8_t proto, uint32_t len)
{
	return (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff) + proto + (len >> 16) +
	       (len & 0xffff);
}

uint32_t ip4_options_for_fragments(const uint8_t *opt, uint32_t n, uint8_t out[40])
{
	uint32_t i = 0, o = 0;

	ASSERT(n <= IP4_HDR_MAX_BYTES - IP4_HDR_BYTES);
	while (i < n && opt[i] != IP4_OPT_EOL) {
		uint32_t step = ip4_option_bytes(opt + i, n - i);

		if (!step)
			break;
		/* [791 3.1] the copied flag says whether it goes into every fragment */
		if (opt[i] & IP4_OPT_COPIED) {
			memcpy(out + o, opt + i, step);
			o += step;
		}
		i += step;
	}
	/* [791 3.1] the header ends on a 32-bit boundary, padded with zero */
	while (o % 4)
		out[o++] = IP4_OPT_EOL;
	return o;
}
