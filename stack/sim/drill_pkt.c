/* The packet-script engine: TCP and UDP packets in the script's words, read and printed. ICMP is in
 * drill_icmp.c. Left out so far: fragments, tunnels, IPv6. */
#include "sim/drill.h"

static const struct {
	char ch;
	uint8_t bit;
} flag_chars[] = {{'F', TCP_FIN}, {'S', TCP_SYN}, {'R', TCP_RST}, {'P', TCP_PSH}, {'U', TCP_URG},
	{'E', TCP_ECE}, {'W', TCP_CWR}, {'.', TCP_ACK}};

static bool parse_u32(struct drill *d, uint64_t max, uint32_t *out)
{
	struct drill_pos pos;
	uint64_t v;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (!cur_uint(&d->c, max, &v))
		return drill_error(d, pos, "a number is expected here, or it is too large", "", 0);
	*out = (uint32_t)v;
	return true;
}

static bool parse_u16(struct drill *d, uint16_t *out)
{
	uint32_t v;

	if (!parse_u32(d, UINT16_MAX, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

/* One character. */
static bool expect(struct drill *d, const char *text)
{
	cur_blanks(&d->c);
	if (cur_take(&d->c, text))
		return true;
	return drill_error(d, cur_pos(&d->c), "'%S' is expected here", text, 1);
}

/* START:END(LENGTH) */
bool drill_parse_seq(struct drill *d, uint32_t *seq, uint32_t *bytes)
{
	struct drill_pos pos;
	uint32_t end;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (!parse_u32(d, UINT32_MAX, seq) || !expect(d, ":") || !parse_u32(d, UINT32_MAX, &end) ||
		!expect(d, "(") || !parse_u32(d, UINT32_MAX, bytes) || !expect(d, ")"))
		return false;
	if (*seq + *bytes != end)
		return drill_error(d, pos, "start, end and length do not add up", "", 0);
	return true;
}

/* ---- IP -------------------------------------------------------------------------------------- */

static bool parse_ip_word(struct drill *d, struct drill_pkt *p)
{
	static const char *const ecn[] = {"noecn", "ect1", "ect0", "ce"};
	uint32_t v;

	cur_blanks(&d->c);
	for (uint8_t i = 0; i < ARRAY_LEN(ecn); i++)
		if (cur_take_word(&d->c, ecn[i])) {
			p->ecn = i;
			p->has |= PKT_HAS_ECN;
			return true;
		}
	if (cur_take_word(&d->c, "ect01")) {
		p->ecn = 2;
		p->has |= PKT_HAS_ECN | PKT_ECT01;
		return true;
	}
	if (cur_take_word(&d->c, "tos") && parse_u32(d, 255, &v)) {
		p->tos = (uint8_t)v;
		p->has |= PKT_HAS_TOS;
		return true;
	}
	if (cur_take_word(&d->c, "ttl") && parse_u32(d, 255, &v)) {
		p->ttl = (uint8_t)v;
		p->has |= PKT_HAS_TTL;
		return true;
	}
	return drill_error_at(d, "expected noecn, ect0, ect1, ect01, ce, tos N or ttl N");
}

/* "[ect0]", "[tos 0x10, ttl 64]" */
static bool parse_ip_info(struct drill *d, struct drill_pkt *p)
{
	struct cursor ahead = d->c;

	if (!cur_take(&ahead, "["))
		return true;
	cur_blanks(&ahead);
	if (!cur_at_word(&ahead) || cur_take_word(&ahead, "udp"))
		return true; /* what an ICMP message quotes */
	expect(d, "[");
	do {
		if (!parse_ip_word(d, p))
			return false;
		cur_blanks(&d->c);
	} while (cur_take(&d->c, ","));
	return expect(d, "]");
}

/* "SRC > DST" */
static bool parse_ports(struct drill *d, struct drill_pkt *p)
{
	cur_blanks(&d->c);
	if (cur_peek(&d->c) < '0' || cur_peek(&d->c) > '9')
		return true;
	return parse_u16(d, &p->src_port) && expect(d, ">") && parse_u16(d, &p->dst_port);
}

/* ---- TCP ------------------------------------------------------------------------------------- */

static bool parse_flags(struct drill *d, struct drill_pkt *p)
{
	cur_blanks(&d->c);
	if (cur_take(&d->c, "-"))
		return true;
	while (cur_peek(&d->c) > ' ') {
		uint8_t bit = 0;

		for (size_t i = 0; i < ARRAY_LEN(flag_chars); i++)
			if (flag_chars[i].ch == cur_peek(&d->c))
				bit = flag_chars[i].bit;
		if (!bit || p->g.flags & bit)
			return drill_error_at(d, "flags are letters of FSRP.UEW, each once");
		p->g.flags |= bit;
		cur_next(&d->c);
	}
	return p->g.flags ? true : drill_error_at(d, "flags are expected here");
}

static bool parse_values(struct drill *d, struct tcp_item *o, const char *second)
{
	cur_blanks(&d->c);
	if (!parse_u32(d, UINT32_MAX, &o->v[0]))
		return false;
	o->n = 1;
	if (!second)
		return true;
	cur_blanks(&d->c);
	if (!cur_take_word(&d->c, second))
		return drill_error_at(d, "'ecr' is expected here");
	o->n = 2;
	return parse_u32(d, UINT32_MAX, &o->v[1]);
}

static bool parse_sack(struct drill *d, struct tcp_item *o)
{
	for (;;) {
		cur_blanks(&d->c);
		if (cur_peek(&d->c) < '0' || cur_peek(&d->c) > '9')
			return o->n ? true : drill_error_at(d, "LEFT:RIGHT is expected here");
		if (o->n == 2 * TCP_SACK_MAX)
			return drill_error_at(d, "a SACK option has at most 4 blocks");
		if (!parse_u32(d, UINT32_MAX, &o->v[o->n]) || !expect(d, ":") ||
			!parse_u32(d, UINT32_MAX, &o->v[o->n + 1]))
			return false;
		o->n = (uint8_t)(o->n + 2);
	}
}

static bool parse_option(struct drill *d, struct tcp_item *o)
{
	struct drill_pos pos;
	bool good = true;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (cur_take_word(&d->c, "mss")) {
		o->kind = TCP_KIND_MSS;
		good = parse_values(d, o, NULL);
	} else if (cur_take_word(&d->c, "wscale")) {
		o->kind = TCP_KIND_WSCALE;
		good = parse_values(d, o, NULL);
	} else if (cur_take_word(&d->c, "TS")) {
		o->kind = TCP_KIND_TS;
		cur_blanks(&d->c);
		if (!cur_take_word(&d->c, "val"))
			return drill_error_at(d, "'val' is expected here");
		good = parse_values(d, o, "ecr");
	} else if (cur_take_word(&d->c, "sack")) {
		o->kind = TCP_KIND_SACK;
		good = parse_sack(d, o);
	} else if (cur_take_word(&d->c, "sackOK")) {
		o->kind = TCP_KIND_SACK_PERM;
	} else if (cur_take_word(&d->c, "nop")) {
		o->kind = TCP_KIND_NOP;
	} else if (cur_take_word(&d->c, "eol")) {
		o->kind = TCP_KIND_EOL;
	} else {
		return drill_error(d, pos, "unknown TCP option", "", 0);
	}
	o->len = tcp_item_bytes(o->kind, o->n);
	if ((o->kind == TCP_KIND_MSS && o->v[0] > UINT16_MAX) ||
		(o->kind == TCP_KIND_WSCALE && o->v[0] > UINT8_MAX))
		return drill_error(d, pos, "this number is too large", "", 0);
	return good;
}

static bool parse_options(struct drill *d, struct drill_pkt *p)
{
	uint8_t bytes[TCP_OPTS_MAX_BYTES];
	struct drill_pos pos;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (!cur_take(&d->c, "<"))
		return true;
	cur_blanks(&d->c);
	if (cur_take(&d->c, "...")) {
		p->has |= PKT_ANY_OPTS;
		if (p->inject)
			return drill_error(d, pos, "an injected packet needs its options", "", 0);
		return expect(d, ">");
	}
	do {
		if (p->n_opts == TCP_LIST_MAX)
			return drill_error(d, pos, "too many options", "", 0);
		if (!parse_option(d, &p->opts[p->n_opts++]))
			return false;
		cur_blanks(&d->c);
	} while (cur_take(&d->c, ","));
	if (!tcp_list_emit(bytes, p->opts, p->n_opts))
		return drill_error(d, pos, "these options exceed 40 bytes", "", 0);
	return expect(d, ">");
}

static bool parse_tcp(struct drill *d, struct drill_pkt *p)
{
	bool has_ack = false;

	p->proto = IP_PROTO_TCP;
	if (!parse_flags(d, p) || !drill_parse_seq(d, &p->g.seq.v, &p->g.text_bytes))
		return false;
	cur_blanks(&d->c);
	if (cur_take_word(&d->c, "ack")) {
		has_ack = true;
		if (!parse_u32(d, UINT32_MAX, &p->g.ack.v))
			return false;
	}
	if (p->g.flags & TCP_ACK && !has_ack)
		return drill_error_at(d, "a packet with '.' needs 'ack N'");
	cur_blanks(&d->c);
	if (cur_take_word(&d->c, "win")) {
		p->has |= PKT_HAS_WIN;
		if (!parse_u16(d, &p->g.wnd))
			return false;
	} else if (p->inject) {
		return drill_error_at(d, "an injected packet needs 'win N'");
	}
	cur_blanks(&d->c);
	if (cur_take_word(&d->c, "urg") && !parse_u16(d, &p->g.up))
		return false;
	return parse_options(d, p);
}

static bool parse_udp(struct drill *d, struct drill_pkt *p)
{
	p->proto = IP_PROTO_UDP;
	return parse_ports(d, p) && expect(d, "(") && parse_u32(d, 65507, &p->g.text_bytes) &&
	       expect(d, ")");
}

bool drill_parse_pkt(struct drill *d, struct drill_pkt *p)
{
	struct drill_pos pos;

	cur_blanks(&d->c);
	if (!parse_ip_info(d, p) || !parse_ports(d, p))
		return false;
	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	if (cur_peek(&d->c) == '[' || cur_take_word(&d->c, "icmp"))
		return drill_parse_icmp(d, p);
	if (cur_take_word(&d->c, "udp"))
		return parse_udp(d, p);
	if (!parse_tcp(d, p))
		return false;
	if (p->inject && p->g.text_bytes > IP4_MAX_BYTES - IP4_HDR_BYTES - TCP_HDR_MAX_BYTES)
		return drill_error(d, pos, "this packet is longer than IP allows", "", 0);
	return true;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void print_option(struct text *t, const struct tcp_item *o)
{
	switch (o->kind) {
	case TCP_KIND_EOL: text_add(t, "eol"); return;
	case TCP_KIND_NOP: text_add(t, "nop"); return;
	case TCP_KIND_MSS: text_add(t, "mss %u", o->v[0]); return;
	case TCP_KIND_WSCALE: text_add(t, "wscale %u", o->v[0]); return;
	case TCP_KIND_SACK_PERM: text_add(t, "sackOK"); return;
	case TCP_KIND_TS: text_add(t, "TS val %u ecr %u", o->v[0], o->v[1]); return;
	case TCP_KIND_SACK:
		text_add(t, "sack");
		for (uint32_t i = 0; i + 1 < o->n; i += 2)
			text_add(t, " %u:%u", o->v[i], o->v[i + 1]);
		return;
	default: text_add(t, "option %u of %u bytes", (uint32_t)o->kind, (uint32_t)o->len); return;
	}
}

static void print_tcp(struct text *t, const struct drill_pkt *p)
{
	for (size_t i = 0; i < ARRAY_LEN(flag_chars); i++)
		if (p->g.flags & flag_chars[i].bit)
			text_add(t, "%S", &flag_chars[i].ch, (uint32_t)1);
	text_add(t, "%s %u:%u(%u)", p->g.flags ? "" : "-", p->g.seq.v, p->g.seq.v + p->g.text_bytes,
		p->g.text_bytes);
	if (p->g.flags & TCP_ACK)
		text_add(t, " ack %u", p->g.ack.v);
	if (p->has & PKT_HAS_WIN)
		text_add(t, " win %u", (uint32_t)p->g.wnd);
	if (p->g.flags & TCP_URG)
		text_add(t, " urg %u", (uint32_t)p->g.up);
	if (p->has & PKT_ANY_OPTS)
		text_add(t, " <...>");
	for (uint32_t i = 0; i < p->n_opts; i++) {
		text_add(t, i ? "," : " <");
		print_option(t, &p->opts[i]);
	}
	if (p->n_opts)
		text_add(t, ">");
}

void drill_print_pkt(struct text *t, const struct drill_pkt *p)
{
	static const char *const ecn[] = {"noecn", "ect1", "ect0", "ce"};

	if (p->has & PKT_HAS_ECN)
		text_add(t, "[%s] ", p->has & PKT_ECT01 ? "ect01" : ecn[p->ecn & 3]);
	if (p->has & PKT_HAS_TOS)
		text_add(t, "[tos %x] ", (uint32_t)p->tos);
	if (p->has & PKT_HAS_TTL)
		text_add(t, "[ttl %u] ", (uint32_t)p->ttl);
	if (p->src_port)
		text_add(t, "%u > %u ", (uint32_t)p->src_port, (uint32_t)p->dst_port);
	if (p->proto == IP_PROTO_TCP)
		print_tcp(t, p);
	else if (p->proto == IP_PROTO_UDP)
		text_add(t, "udp (%u)", p->g.text_bytes);
	else if (p->proto == IP_PROTO_ICMP)
		drill_print_icmp(t, p);
	else
		text_add(t, "IP protocol %u", (uint32_t)p->proto);
	if (p->fault)
		text_add(t, " [%s]", p->fault);
}
