/* The packet-script engine: ICMP messages in the script's words (RFC 792), with what they quote.
 * A quoted packet is the one last sent on the current flow: `[udp (N)]`, or `[SEQ:END(LEN)]` for
 * TCP; `[raw (N)]`: N bytes of ICMP in all, quoting nothing. A redirect's gateway is 0.0.0.0: there
 * is no word for it. */
#include "sim/drill.h"
#include "wire/icmp.h"

struct name {
	const char *text;
	uint8_t value;
};

static const struct name types[] = {{"unreachable", ICMP_UNREACHABLE},
	{"time_exceeded", ICMP_TIME_EXCEEDED}, {"source_quench", ICMP_SOURCE_QUENCH},
	{"parameter_problem", ICMP_PARAM_PROBLEM}, {"echo_request", ICMP_ECHO},
	{"echo_reply", ICMP_ECHO_REPLY}, {"redirect", ICMP_REDIRECT},
	{"timestamp_request", ICMP_TIMESTAMP}, {"timestamp_reply", 14}, {"information_request", 15},
	{"information_reply", 16}, {"address_mask_request", 17}, {"address_mask_reply", 18}};

static const struct name unreach_codes[] = {{"net_unreachable", ICMP_UNREACH_NET},
	{"host_unreachable", ICMP_UNREACH_HOST}, {"protocol_unreachable", ICMP_UNREACH_PROTOCOL},
	{"port_unreachable", ICMP_UNREACH_PORT}, {"frag_needed", ICMP_UNREACH_FRAG},
	{"source_route_failed", ICMP_UNREACH_SRCROUTE}, {"net_unknown", 6}, {"host_unknown", 7},
	{"source_host_isolated", 8}, {"net_prohibited", 9}, {"host_prohibited", 10},
	{"net_unreachable_for_tos", 11}, {"host_unreachable_for_tos", 12}, {"packet_filtered", 13},
	{"precedence_violation", 14}, {"precedence_cutoff", 15}};

static const struct name exceeded_codes[] = {
	{"ttl", ICMP_TIMXCEED_TRANSIT}, {"reassembly", ICMP_TIMXCEED_REASM}};

static const struct name *name_find(
	const struct name *table, size_t n, const char *w, uint32_t bytes)
{
	for (size_t i = 0; i < n; i++)
		if (word_is(w, bytes, table[i].text))
			return &table[i];
	return NULL;
}

static bool name_find_value(uint8_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].value == type)
			return true;
	return false;
}

static const char *name_of(const struct name *table, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (table[i].value == value)
			return table[i].text;
	return "?";
}

/* "type_N", "code_N". */
static bool parse_numbered(const char *w, uint32_t n, const char *prefix, uint8_t *out)
{
	struct cursor c = {w, w + n, w, 1};
	uint64_t v;

	if (!cur_take(&c, prefix) || !cur_uint(&c, UINT8_MAX, &v) || c.at != c.end)
		return false;
	*out = (uint8_t)v;
	return true;
}

static bool parse_code(struct drill *d, struct drill_pkt *p)
{
	const struct name *found = NULL;
	struct drill_pos pos;
	struct cursor saved;
	const char *w;
	uint64_t v;
	uint32_t n;

	drill_pkt_blanks(d);
	pos = cur_pos(&d->c);
	if (cur_uint(&d->c, UINT8_MAX, &v)) {
		p->icmp_code = (uint8_t)v;
		return true;
	}
	saved = d->c;
	n = cur_word(&d->c, &w);
	if (n == 0 || word_is(w, n, "mtu") || word_is(w, n, "id")) {
		d->c = saved;
		return true;
	}
	if (parse_numbered(w, n, "code_", &p->icmp_code))
		return true;
	if (p->icmp_type == ICMP_UNREACHABLE)
		found = name_find(unreach_codes, ARRAY_LEN(unreach_codes), w, n);
	else if (p->icmp_type == ICMP_TIME_EXCEEDED)
		found = name_find(exceeded_codes, ARRAY_LEN(exceeded_codes), w, n);
	if (!found)
		return drill_error(d, pos, "unknown ICMP code '%S'", w, n);
	p->icmp_code = found->value;
	return true;
}

/* "(N)" */
static bool parse_bytes(struct drill *d, uint64_t least, uint32_t *out)
{
	uint64_t v;

	drill_pkt_blanks(d);
	if (!cur_take(&d->c, "("))
		return drill_error_at(d, "'(N)' is expected here");
	drill_pkt_blanks(d);
	if (!cur_uint(&d->c, 65507, &v) || v < least)
		return drill_error_at(d, "a number of bytes is expected here, or it is too large");
	*out = (uint32_t)v;
	drill_pkt_blanks(d);
	return cur_take(&d->c, ")") ? true : drill_error_at(d, "')' is expected here");
}

/* "[udp (N)]", "[raw (N)]" or "[1:1001(1000)]". */
static bool parse_quote(struct drill *d, struct drill_pkt *p)
{
	drill_pkt_blanks(d);
	if (!cur_take(&d->c, "["))
		return true;
	drill_pkt_blanks(d);
	if (cur_take_word(&d->c, "raw")) {
		p->has |= PKT_RAW;
		if (!parse_bytes(d, ICMP_HDR_BYTES, &p->g.text_bytes))
			return false;
		p->g.text_bytes -= ICMP_HDR_BYTES;
	} else if (cur_take_word(&d->c, "udp")) {
		p->has |= PKT_HAS_QUOTE;
		p->quote_proto = IP_PROTO_UDP;
		if (!parse_bytes(d, 0, &p->quote_bytes))
			return false;
	} else {
		p->has |= PKT_HAS_QUOTE;
		p->quote_proto = IP_PROTO_TCP;
		if (!drill_parse_seq(d, &p->quote_seq, &p->quote_bytes))
			return false;
	}
	drill_pkt_blanks(d);
	return cur_take(&d->c, "]") ? true : drill_error_at(d, "']' is expected here");
}

static bool parse_number(
	struct drill *d, const char *word, uint16_t bit, struct drill_pkt *p, uint16_t *out)
{
	uint64_t v;

	drill_pkt_blanks(d);
	if (!cur_take_word(&d->c, word))
		return true;
	drill_pkt_blanks(d);
	if (!cur_uint(&d->c, UINT16_MAX, &v))
		return drill_error_at(d, "a number up to 65535 is expected here");
	*out = (uint16_t)v;
	p->has |= bit;
	return true;
}

bool drill_parse_icmp(struct drill *d, struct drill_pkt *p)
{
	const struct name *type;
	struct drill_pos pos;
	const char *w;
	uint32_t n;

	p->proto = IP_PROTO_ICMP;
	if (cur_peek(&d->c) == '[') {
		if (!parse_quote(d, p))
			return false;
		drill_pkt_blanks(d);
		if (!cur_take_word(&d->c, "icmp"))
			return drill_error_at(d, "'icmp' is expected here");
	}
	drill_pkt_blanks(d);
	pos = cur_pos(&d->c);
	n = cur_word(&d->c, &w);
	type = name_find(types, ARRAY_LEN(types), w, n);
	if (type)
		p->icmp_type = type->value;
	else if (!parse_numbered(w, n, "type_", &p->icmp_type))
		return drill_error(d, pos, "unknown ICMP type '%S'", w, n);
	if (!parse_code(d, p) || !parse_number(d, "mtu", PKT_HAS_MTU, p, &p->icmp_mtu) ||
		!parse_number(d, "id", PKT_HAS_ID, p, &p->icmp_id) || !parse_quote(d, p))
		return false;
	if (p->has & PKT_HAS_MTU &&
		(p->icmp_type != ICMP_UNREACHABLE || p->icmp_code != ICMP_UNREACH_FRAG))
		return drill_error(d, pos, "only unreachable frag_needed has an mtu", "", 0);
	if (p->inject && icmp_is_error(p->icmp_type) && !(p->has & (PKT_HAS_QUOTE | PKT_RAW)))
		return drill_error(d, pos, "an ICMP error needs what it quotes", "", 0);
	return true;
}

void drill_print_icmp(struct text *t, const struct drill_pkt *p)
{
	if (name_find_value(p->icmp_type))
		text_add(t, "icmp %s", name_of(types, ARRAY_LEN(types), p->icmp_type));
	else
		text_add(t, "icmp type_%u", (uint32_t)p->icmp_type);
	if (p->icmp_type == ICMP_UNREACHABLE)
		text_add(t, " %s", name_of(unreach_codes, ARRAY_LEN(unreach_codes), p->icmp_code));
	else if (p->icmp_type == ICMP_TIME_EXCEEDED)
		text_add(
			t, " %s", name_of(exceeded_codes, ARRAY_LEN(exceeded_codes), p->icmp_code));
	else if (p->icmp_code)
		text_add(t, " %u", (uint32_t)p->icmp_code);
	if (p->has & PKT_HAS_MTU)
		text_add(t, " mtu %u", (uint32_t)p->icmp_mtu);
	if (p->has & PKT_HAS_ID)
		text_add(t, " id %u", (uint32_t)p->icmp_id);
	if (p->has & PKT_RAW)
		text_add(t, " [raw (%u)]", ICMP_HDR_BYTES + p->g.text_bytes);
	if (!(p->has & PKT_HAS_QUOTE))
		return;
	if (p->quote_proto == IP_PROTO_UDP)
		text_add(t, " [udp (%u)]", p->quote_bytes);
	else
		text_add(t, " [%u:%u(%u)]", p->quote_seq, p->quote_seq + p->quote_bytes,
			p->quote_bytes);
}
