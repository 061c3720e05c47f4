/* The packet-script engine: TCP and UDP packets in the script's words, read and printed. ICMP is in
 * drill_icmp.c, fragments in drill_frag.c. Left out, and refused by name: tunnels, IPv6, AccECN,
 * the mutations of fuzzing. */
#include "sim/drill.h"

static const struct {
	char ch;
	uint8_t bit;
} flag_chars[] = {{'F', TCP_FIN}, {'S', TCP_SYN}, {'R', TCP_RST}, {'P', TCP_PSH}, {'U', TCP_URG},
	{'E', TCP_ECE}, {'W', TCP_CWR}, {'.', TCP_ACK}};

void drill_pkt_blanks(struct drill *d)
{
	struct cursor saved;
	char ch;

	cur_blanks(&d->c);
	saved = d->c;
	if (!cur_space(d))
		return;
	ch = cur_peek(&d->c);
	if (d->c.line != saved.line && !cur_at_word(&d->c) && ch != '<' && ch != '[' && ch != ',' &&
		ch != '>' && ch != '{')
		d->c = saved; /* the next event */
}

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
	drill_pkt_blanks(d);
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
	struct cursor ahead = d->c;
	uint32_t v;

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
	if (cur_take_word(&d->c, "tos")) {
		p->has |= PKT_HAS_TOS;
		if (!parse_u32(d, 255, &v))
			return false;
		p->tos = (uint8_t)v;
		return true;
	}
	if (cur_take_word(&d->c, "ttl")) {
		p->has |= PKT_HAS_TTL;
		if (!parse_u32(d, 255, &v))
			return false;
		p->ttl = (uint8_t)v;
		return true;
	}
	if (cur_take_word(&ahead, "flowlabel"))
		return drill_error_at(d, "a flow label belongs to IPv6, which is not supported");
	return drill_error_at(d, "expected noecn, ect0, ect1, ect01, ce, tos N or ttl N");
}

/* "[ect0]", "(tos 0x10)", "[tos 0x10, ttl 64]" */
static bool parse_ip_info(struct drill *d, struct drill_pkt *p)
{
	struct cursor ahead = d->c;
	const char *close = "]";
	struct drill_pos pos;

	if (cur_take(&ahead, "("))
		close = ")";
	else if (!cur_take(&ahead, "["))
		return true;
	cur_blanks(&ahead);
	if (!cur_at_word(&ahead) || cur_take_word(&ahead, "udp") || cur_take_word(&ahead, "raw"))
		return true; /* what an ICMP message quotes */
	cur_next(&d->c);
	do {
		cur_blanks(&d->c);
		pos = cur_pos(&d->c);
		if (!parse_ip_word(d, p))
			return false;
		if (p->inject && p->has & PKT_ECT01)
			return drill_error(d, pos, "what is injected is ect0 or ect1", "", 0);
		cur_blanks(&d->c);
	} while (cur_take(&d->c, ","));
	return expect(d, close);
}

/* What packetdrill has and we have not. */
static bool refuse_tunnel(struct drill *d)
{
	static const char *const names[] = {"ipv4", "ipv6", "gre", "GREv0", "mpls"};
	struct cursor ahead = d->c;
	const char *w;
	uint32_t n = cur_word(&ahead, &w);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (word_is(w, n, names[i]))
			return drill_error_at(d, "tunnels are not supported: packets are TCP, UDP "
						 "or ICMP over IPv4");
	return true;
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

		if (cur_peek(&d->c) == 'A' || (cur_peek(&d->c) >= '0' && cur_peek(&d->c) <= '9'))
			return drill_error_at(d, "AccECN's flags are not supported");

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

static int hex_value(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'a' && ch <= 'f')
		return ch - 'a' + 10;
	return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

static void put_byte(struct tcp_item *o, uint32_t byte)
{
	uint32_t at = o->len - 2u;

	o->v[at / 4] |= byte << (24 - 8 * (at % 4));
	o->len++;
}

/* Hexadecimal digits, or a word that -D defines so: bytes behind those that o has. */
static bool parse_hex(struct drill *d, struct tcp_item *o, uint32_t most)
{
	struct drill_pos pos;
	const char *at, *defined;
	uint32_t n = 0, bytes;

	cur_blanks(&d->c);
	pos = cur_pos(&d->c);
	for (at = d->c.at; hex_value(cur_peek(&d->c)) >= 0 || cur_at_word(&d->c); n++)
		cur_next(&d->c);
	defined = drill_define(d, at, n, &bytes);
	if (defined) {
		at = defined;
		n = bytes;
	}
	if (n % 2 || n / 2 > most)
		return drill_error(d, pos, "two digits a byte, at most 16 bytes", "", 0);
	for (uint32_t i = 0; i < n; i += 2) {
		int high = hex_value(at[i]), low = hex_value(at[i + 1]);

		if (high < 0 || low < 0)
			return drill_error(d, pos, "'%S' is not hexadecimal", at, n);
		put_byte(o, (uint32_t)(high << 4 | low));
	}
	return true;
}

/* Options that are bytes to us. */
static bool parse_blob(struct drill *d, struct tcp_item *o, uint8_t kind)
{
	o->kind = kind;
	o->len = 2;
	if (kind == TCP_KIND_EXP) {
		put_byte(o, 0xf9); /* [7413 4.1.1] the experiment's number */
		put_byte(o, 0x89);
	}
	return parse_hex(d, o, 16);
}

static bool parse_ts(struct drill *d, struct tcp_item *o)
{
	cur_blanks(&d->c);
	if (!cur_take_word(&d->c, "val"))
		return drill_error_at(d, "'val' is expected here");
	return parse_values(d, o, "ecr");
}

static bool parse_option(struct drill *d, struct tcp_item *o)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} kinds[] = {{"mss", TCP_KIND_MSS}, {"wscale", TCP_KIND_WSCALE}, {"TS", TCP_KIND_TS},
		{"sack", TCP_KIND_SACK}, {"sackOK", TCP_KIND_SACK_PERM}, {"nop", TCP_KIND_NOP},
		{"eol", TCP_KIND_EOL}, {"md5", TCP_KIND_MD5}, {"FO", TCP_KIND_FASTOPEN},
		{"FOEXP", TCP_KIND_EXP}};
	struct drill_pos pos;
	bool good = true;
	const char *w;
	uint32_t n;
	size_t i = 0;

	drill_pkt_blanks(d);
	pos = cur_pos(&d->c);
	n = cur_word(&d->c, &w);
	while (i < ARRAY_LEN(kinds) && !word_is(w, n, kinds[i].name))
		i++;
	if (word_is(w, n, "ECN"))
		return drill_error(d, pos, "AccECN's options are not supported", "", 0);
	if (i == ARRAY_LEN(kinds))
		return drill_error(d, pos, "unknown TCP option '%S'", w, n);
	o->kind = kinds[i].kind;
	if (o->kind == TCP_KIND_MSS || o->kind == TCP_KIND_WSCALE)
		good = parse_values(d, o, NULL);
	else if (o->kind == TCP_KIND_TS)
		good = parse_ts(d, o);
	else if (o->kind == TCP_KIND_SACK)
		good = parse_sack(d, o);
	else if (i >= 7)
		return parse_blob(d, o, kinds[i].kind);
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

	drill_pkt_blanks(d);
	pos = cur_pos(&d->c);
	if (cur_peek(&d->c) == '{')
		return drill_error_at(d, "mutations of packets are not supported");
	if (!cur_take(&d->c, "<"))
		return true;
	drill_pkt_blanks(d);
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
		drill_pkt_blanks(d);
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
	drill_pkt_blanks(d);
	if (cur_take_word(&d->c, "ack")) {
		has_ack = true;
		if (!parse_u32(d, UINT32_MAX, &p->g.ack.v))
			return false;
	}
	if (p->g.flags & TCP_ACK && !has_ack)
		return drill_error_at(d, "a packet with '.' needs 'ack N'");
	drill_pkt_blanks(d);
	if (cur_take_word(&d->c, "win")) {
		p->has |= PKT_HAS_WIN;
		if (!parse_u16(d, &p->g.wnd))
			return false;
	} else if (p->inject) {
		return drill_error_at(d, "an injected packet needs 'win N'");
	}
	drill_pkt_blanks(d);
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
	if (!refuse_tunnel(d) || !parse_ip_info(d, p) || !parse_ports(d, p))
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
	static const char hex[] = "0123456789abcdef";

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
	case TCP_KIND_MD5: text_add(t, "md5"); break;
	case TCP_KIND_FASTOPEN: text_add(t, "FO"); break;
	default: text_add(t, "option %u", (uint32_t)o->kind); break;
	}
	for (uint32_t i = 0; i + 2 < o->len; i++)
		text_add(t, i ? "%S%S" : " %S%S", &hex[o->v[i / 4] >> (28 - 8 * (i % 4)) & 15], 1u,
			&hex[o->v[i / 4] >> (24 - 8 * (i % 4)) & 15], 1u);
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
	if (p->n_frags)
		text_add(t, " in %u fragments", (uint32_t)p->n_frags);
	if (p->fault)
		text_add(t, " [%s]", p->fault);
}
