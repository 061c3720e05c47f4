/* The packet-script engine: IP fragments (RFC 791 3.2). packetdrill has no words for them, so they
 * are told by a directive before the packet's line, "//@ next fragments 0-24 24-40 40-": byte
 * ranges behind the IP header, the last of them up to the end. An injected packet is cut into
 * these, gaps, overlaps and odd orders included; an expected one has to come in exactly these. Left
 * out: IP options of fragments. */
#include "sim/drill.h"

/* The datagram that is being put together: pieces of one do not mix with those of another. */
struct drill_gather {
	struct ip4_hdr first; /* header of the piece at offset 0 */
	bool open, has_first, has_end;
	uint16_t id;
	uint32_t have_bytes, end; /* behind the header */
	uint32_t n_pieces;
	uint8_t bytes[IP4_MAX_BYTES];
};

/* ---- Read and printed ------------------------------------------------------------------------ */

static bool parse_range(struct drill *d, struct drill_range *r)
{
	struct drill_pos pos = cur_pos(&d->c);
	uint64_t from, to = UINT16_MAX;

	if (!cur_uint(&d->c, UINT16_MAX - 7, &from) || !cur_take(&d->c, "-"))
		return drill_error(
			d, pos, "a range of bytes such as 0-1480 is expected here", "", 0);
	if (cur_peek(&d->c) >= '0' && cur_peek(&d->c) <= '9' && !cur_uint(&d->c, UINT16_MAX, &to))
		return drill_error(d, pos, "a packet has no more than 65535 bytes", "", 0);
	if (from % 8)
		return drill_error(d, pos, "a fragment begins at a multiple of 8", "", 0);
	if (to <= from)
		return drill_error(d, pos, "this range is empty", "", 0);
	r->from = (uint16_t)from;
	r->to = (uint16_t)to;
	return true;
}

bool drill_parse_ranges(struct drill *d, struct drill_check *k)
{
	k->frags = drill_alloc(d, sizeof(*k->frags) * DRILL_FRAGS);
	if (!k->frags)
		return false;
	do {
		if (k->n_frags == DRILL_FRAGS)
			return drill_error_at(d, "a packet has at most 48 fragments");
		if (!parse_range(d, &k->frags[k->n_frags++]))
			return false;
		cur_blanks(&d->c);
	} while (cur_peek(&d->c) >= '0' && cur_peek(&d->c) <= '9');
	return true;
}

void drill_print_ranges(struct text *t, const struct drill_range *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (r[i].to == UINT16_MAX)
			text_add(t, i ? " %u-" : "%u-", (uint32_t)r[i].from);
		else
			text_add(t, i ? " %u-%u" : "%u-%u", (uint32_t)r[i].from, (uint32_t)r[i].to);
}

/* ---- In -------------------------------------------------------------------------------------- */

bool drill_inject_ranges(
	struct drill *d, const struct drill_event *e, uint32_t n, const struct drill_check *k)
{
	const uint32_t body = n - IP4_HDR_BYTES;
	struct ip4_hdr h;

	if (ip4_parse(d->frame, n, &h) != TG_DROP_NONE)
		return drill_error(d, e->pos, "this packet cannot be cut", "", 0);
	h.df = false;
	for (uint32_t i = 0; i < k->n_frags && !d->failed; i++) {
		uint32_t to = min_u32(k->frags[i].to, body), from = k->frags[i].from;

		if (from >= to)
			return drill_error(d, k->pos, "the packet ends before a fragment", "", 0);
		if (to < body && (to - from) % 8)
			return drill_error(d, k->pos,
				"a fragment that is not the last has a multiple of 8 bytes", "", 0);
		h.frag_off = (uint16_t)from;
		h.mf = to < body;
		h.total_bytes = (uint16_t)(IP4_HDR_BYTES + to - from);
		memcpy(d->piece + IP4_HDR_BYTES, d->frame + IP4_HDR_BYTES + from, to - from);
		ip4_emit(d->piece, &h);
		if (!drill_input(d, e, d->piece, h.total_bytes))
			return false;
	}
	return !d->failed;
}

/* ---- Out ------------------------------------------------------------------------------------- */

bool drill_gathering(const struct drill *d)
{
	return d->gather && d->gather->open;
}

static uint32_t fault(struct drill_gather *a, struct drill_pkt *p, const char *why)
{
	a->open = false;
	p->fault = why;
	return 0;
}

/* All of it is there: header and body into d->frame. */
static uint32_t whole(struct drill *d, struct drill_pkt *p)
{
	struct drill_gather *a = d->gather;
	const uint32_t total = IP4_HDR_BYTES + a->end;

	a->open = false;
	if (total > IP4_MAX_BYTES)
		return fault(a, p, "fragments of more than a packet holds");
	a->first.mf = false;
	a->first.total_bytes = (uint16_t)total;
	ip4_emit(d->frame, &a->first);
	memcpy(d->frame + IP4_HDR_BYTES, a->bytes, a->end);
	p->n_frags = (uint16_t)a->n_pieces;
	p->frag_at = (uint16_t)((d->n_pieces - a->n_pieces) % DRILL_PIECES);
	return total;
}

uint32_t drill_gather(struct drill *d, uint32_t n, struct drill_pkt *p)
{
	struct drill_gather *a = d->gather;
	struct ip4_hdr h;
	uint32_t body, end;

	if (!a)
		a = d->gather = drill_alloc(d, sizeof(*a));
	if (!a || ip4_parse(d->frame, n, &h) != TG_DROP_NONE || h.total_bytes != n)
		return 0;
	if (a->open && h.id != a->id)
		return fault(a, p, "a fragment of another packet in between");
	if (!a->open)
		*a = (struct drill_gather){.open = true, .id = h.id};
	body = n - h.hdr_bytes;
	end = h.frag_off + body;
	if (h.hdr_bytes != IP4_HDR_BYTES || end > sizeof(a->bytes) || (h.mf && body % 8) ||
		a->n_pieces == DRILL_FRAGS)
		return fault(a, p, "a fragment that cannot be");
	memcpy(a->bytes + h.frag_off, d->frame + IP4_HDR_BYTES, body);
	d->pieces[d->n_pieces++ % DRILL_PIECES] = (struct drill_range){h.frag_off, (uint16_t)end};
	a->n_pieces++;
	a->have_bytes += body;
	if (!h.frag_off) {
		a->first = h;
		a->has_first = true;
	}
	if (!h.mf) {
		a->end = end;
		a->has_end = true;
	}
	return a->has_first && a->has_end && a->have_bytes == a->end ? whole(d, p) : 0;
}
