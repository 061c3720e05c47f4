/* What a link shows to its captures. A frame's bytes are copied before input, because input takes
 * the packet; it is written when the next one is seen or the loop is about to sleep, with the trace
 * records that came in between: those with its number if it was received, the one of its emission
 * if it was sent. Records that explain what is still to be sent (timers, calls) are kept. */
#define _GNU_SOURCE
#include "port/capture_hub.h"
#include "port/capture_note.h"
#include "port/host.h"
#include "sim/segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sub {
	struct tg_capture *c;
	int point_link, point_stack;  /* the same without impairments */
	uint64_t drops_in, drops_out; /* at its start */
};

struct capture_hub {
	const struct tg *s;
	enum tg_link link;
	char name[40];
	bool impaired;
	struct sub sub[HUB_CAPTURES_MAX];
	unsigned n_subs;
	uint64_t drops_in, drops_out;
	uint64_t cursor; /* in the trace */
	struct capture_why why;
	/* The frame that is held back. */
	bool held;
	enum hub_place at;
	bool out;
	struct tg_frame f;
	uint64_t first_id, time_ns, packets;
	uint32_t frame; /* number that it gets when it is input: the first of so many */
	uint32_t frames;
	struct capture_notes notes;
	uint8_t bytes[TG_BIG_BYTES + ETH_HDR_BYTES];
};

struct capture_hub *hub_new(const struct tg *s, enum tg_link link, const char *name, bool impaired)
{
	struct capture_hub *h = calloc(1, sizeof(*h));
	struct tg_trace t;

	if (!h)
		return NULL;
	h->s = s;
	h->link = link;
	h->impaired = impaired;
	memcpy(h->name, name, strnlen(name, sizeof(h->name) - 1));
	while (tg_trace_next(s, &h->cursor, &t, NULL)) {
		/* what has been is of no interest */
	}
	return h;
}

bool hub_is_empty(const struct capture_hub *h)
{
	return h->n_subs == 0;
}

int hub_add(struct capture_hub *h, struct tg_capture *c)
{
	struct sub *b = &h->sub[h->n_subs];

	if (h->n_subs == HUB_CAPTURES_MAX)
		return -EBUSY;
	b->point_link = capture_add_point(c, h->name,
		h->impaired ? "the link: what arrived, and what left" : "the link", h->link);
	if (b->point_link < 0)
		return b->point_link;
	b->point_stack = b->point_link;
	if (h->impaired)
		b->point_stack = capture_add_point(c, "stack",
			"behind the impairments: what TCP was given, and what it sent", h->link);
	if (b->point_stack < 0)
		return b->point_stack;
	b->c = c;
	b->drops_in = h->drops_in;
	b->drops_out = h->drops_out;
	capture_hold(c);
	h->n_subs++;
	return 0;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Is t the record of the held frame's emission? */
static bool tells_of(const struct capture_hub *h, const struct tg_trace *t)
{
	uint32_t off = h->link == TG_LINK_ETHERNET ? 14 : 0, l4;

	if (t->kind != TG_TRACE_SEGMENT_OUT || !h->out || h->f.bytes < off + 20)
		return false;
	l4 = off + (h->bytes[off] & 15u) * 4;
	return h->bytes[off + 9] == IP_PROTO_TCP && h->f.bytes >= l4 + 20 &&
	       memcmp(h->bytes + off + 16, t->raddr + 12, 4) == 0 &&
	       load32(h->bytes + l4) == ((uint32_t)t->lport << 16 | t->rport) &&
	       load32(h->bytes + l4 + 4) == t->seq &&
	       (h->bytes[l4 + 13] & 0x3f) == (t->tcp_flags & 0x3f);
}

/* Reads the trace up to now. */
static void read_trace(struct capture_hub *h)
{
	struct tg_trace t;

	while (tg_trace_next(h->s, &h->cursor, &t, NULL)) {
		bool behind = h->held && (h->at & HUB_STACK);

		if (behind && !h->out && t.frame - h->frame < h->frames)
			note_received(&h->notes, &t);
		else if (behind && tells_of(h, &t))
			note_sent(&h->notes, &h->why, &t);
		why_take(&h->why, &t);
	}
}

static void write_frame(const struct capture_hub *h, const struct sub *b)
{
	const struct capture_notes *n = h->notes.n ? &h->notes : NULL;

	if (h->at & HUB_LINK)
		capture_frame(b->c, b->point_link, h->out, &h->f, h->first_id, h->time_ns, n);
	if ((h->at & HUB_STACK) && (b->point_stack != b->point_link || !(h->at & HUB_LINK)))
		capture_frame(b->c, b->point_stack, h->out, &h->f, h->first_id, h->time_ns, n);
}

static void commit(struct capture_hub *h)
{
	read_trace(h);
	if (!h->held)
		return;
	for (unsigned i = 0; i < h->n_subs; i++)
		write_frame(h, &h->sub[i]);
	h->held = false;
}

static uint64_t count_packets(const struct capture_hub *h)
{
	struct segmenter g;
	uint64_t n = 0;

	segment_begin(&g, h->link, &h->f, NULL);
	for (; segment_next_bytes(&g) > 0; n++)
		segment_skip(&g);
	return n;
}

void hub_merged(struct capture_hub *h, uint32_t frames)
{
	h->frames = frames;
}

uint64_t hub_seen(struct capture_hub *h, enum hub_place at, bool out, const struct tg_frame *f,
	uint64_t first_id, uint64_t now_ns)
{
	commit(h);
	if (f->bytes > sizeof(h->bytes))
		return 1; /* no device hands it over */
	segment_gather(f, 0, f->bytes, h->bytes);
	h->f = *f;
	h->f.n_spans = 1;
	h->f.span[0] = (struct tg_span){h->bytes, f->bytes};
	h->held = true;
	h->at = at;
	h->out = out;
	h->first_id = first_id;
	h->time_ns = now_ns;
	h->frame = (uint32_t)(tg_counters(h->s)->frames_in + 1);
	h->frames = 1;
	h->notes.n = 0;
	h->packets = count_packets(h);
	return h->packets;
}

void hub_impaired(struct capture_hub *h, enum tg_impair_what what, uint64_t id)
{
	if (h->held && id - h->first_id < h->packets)
		note_impaired(&h->notes, (uint32_t)(id - h->first_id), what);
}

bool hub_flush(struct capture_hub *h)
{
	bool left = false;

	commit(h);
	for (unsigned i = 0; i < h->n_subs; i++)
		left |= capture_flush(h->sub[i].c);
	return left;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

void hub_drops(struct capture_hub *h, uint64_t in, uint64_t out)
{
	h->drops_in = in;
	h->drops_out = out;
}

static void let_go(struct capture_hub *h, const struct sub *b)
{
	uint64_t in = h->drops_in - b->drops_in, out = h->drops_out - b->drops_out;

	/* What came in was seen on the link and is missing at the instance, and the other way. */
	capture_set_drops(b->c, b->point_stack, out);
	capture_set_drops(b->c, b->point_link, b->point_stack == b->point_link ? in + out : in);
	capture_release(b->c);
}

bool hub_remove(struct capture_hub *h, const struct tg_capture *c)
{
	commit(h);
	for (unsigned i = 0; i < h->n_subs; i++) {
		struct sub b = h->sub[i];

		if (b.c != c)
			continue;
		h->sub[i] = h->sub[--h->n_subs];
		let_go(h, &b);
		return true;
	}
	return false;
}

void hub_free(struct capture_hub *h)
{
	if (!h)
		return;
	commit(h);
	for (unsigned i = 0; i < h->n_subs; i++)
		let_go(h, &h->sub[i]);
	free(h);
}
