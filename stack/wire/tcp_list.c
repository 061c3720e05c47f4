/* TCP options as a list in the order of the wire (RFC 9293 3.2, RFC 7323 2 and 3, RFC 2018 2 and
 * 3). Left out: the meaning of options, which is tcp_wire.c's and TCP's affair. */
#include "wire/tcp_list.h"

#include "base/be.h"

uint8_t tcp_item_bytes(uint8_t kind, uint32_t n)
{
	switch (kind) {
	case TCP_KIND_EOL:
	case TCP_KIND_NOP: return 1;
	case TCP_KIND_MSS: return 4;
	case TCP_KIND_WSCALE: return 3;
	case TCP_KIND_SACK_PERM: return 2;
	case TCP_KIND_SACK: return (uint8_t)(2 + 4 * n);
	case TCP_KIND_TS: return 10;
	default: return 0;
	}
}

/* The bytes of an option that has no values of its own. */
static void emit_bytes(uint8_t *b, const struct tcp_item *o)
{
	for (uint32_t i = 0; i + 2 < o->len; i++)
		b[i] = (uint8_t)(o->v[i / 4] >> (24 - 8 * (i % 4)));
}

static void emit_values(uint8_t *b, const struct tcp_item *o)
{
	if (!o->n) {
		emit_bytes(b, o);
		return;
	}
	switch (o->kind) {
	case TCP_KIND_MSS: be16_store(b, (uint16_t)o->v[0]); break;
	case TCP_KIND_WSCALE: b[0] = (uint8_t)o->v[0]; break;
	case TCP_KIND_SACK:
	case TCP_KIND_TS:
		for (uint32_t i = 0; i < o->n; i++)
			be32_store(b + (size_t)4 * i, o->v[i]);
		break;
	default: break;
	}
}

uint32_t tcp_list_emit(uint8_t out[TCP_OPTS_MAX_BYTES], const struct tcp_item *o, uint32_t n)
{
	uint32_t at = 0;

	memset(out, 0, TCP_OPTS_MAX_BYTES);
	for (uint32_t i = 0; i < n; i++) {
		if (at + o[i].len > TCP_OPTS_MAX_BYTES)
			return 0;
		out[at] = o[i].kind;
		if (o[i].len >= 2) {
			out[at + 1] = o[i].len;
			emit_values(out + at + 2, &o[i]);
		}
		at += o[i].len;
	}
	return (at + 3) / 4 * 4;
}

static void parse_values(const uint8_t *b, struct tcp_item *o)
{
	o->n = 0;
	switch (o->kind) {
	case TCP_KIND_MSS:
		o->n = o->len == 4;
		o->v[0] = o->n ? be16_load(b) : 0;
		break;
	case TCP_KIND_WSCALE:
		o->n = o->len == 3;
		o->v[0] = o->n ? b[0] : 0;
		break;
	case TCP_KIND_TS: o->n = o->len == 10 ? 2 : 0; break;
	case TCP_KIND_SACK:
		if ((o->len - 2) % 8 == 0 && o->len <= 2 + 8 * TCP_SACK_MAX)
			o->n = (uint8_t)((o->len - 2) / 4);
		break;
	default: break;
	}
	for (uint32_t i = 0; i < o->n && o->kind >= TCP_KIND_SACK; i++)
		o->v[i] = be32_load(b + (size_t)4 * i);
	for (uint32_t i = 0; !o->n && i + 2 < o->len; i++)
		o->v[i / 4] |= (uint32_t)b[i] << (24 - 8 * (i % 4));
}

int tcp_list_parse(const uint8_t *b, uint32_t n, struct tcp_item *out, uint32_t cap)
{
	uint32_t count = 0;

	for (uint32_t at = 0; at < n; at += out[count++].len) {
		struct tcp_item *o = &out[count];

		if (count == cap)
			return -1;
		*o = (struct tcp_item){.kind = b[at], .len = 1};
		/* [9293 3.2] the end of the list: padding follows */
		if (o->kind == TCP_KIND_EOL)
			return (int)count + 1;
		if (o->kind == TCP_KIND_NOP)
			continue;
		/* [9293 MUST-7] */
		if (at + 1 >= n || b[at + 1] < 2 || b[at + 1] > n - at)
			return -1;
		o->len = b[at + 1];
		parse_values(b + at + 2, o);
	}
	return (int)count;
}

uint32_t tcp_emit_raw(uint8_t *b, const struct tcp_seg *g, const uint8_t *opts, uint32_t n)
{
	struct tcp_seg bare = *g;

	ASSERT(n <= TCP_OPTS_MAX_BYTES && n % 4 == 0);
	bare.opts = (struct tcp_opts){0};
	tcp_emit(b, &bare);
	memcpy(b + TCP_HDR_BYTES, opts, n);
	tcp_set_offset(b, (uint8_t)((TCP_HDR_BYTES + n) / 4));
	return TCP_HDR_BYTES + n;
}

void tcp_set_offset(uint8_t *b, uint8_t words)
{
	b[12] = (uint8_t)(words << 4);
}
