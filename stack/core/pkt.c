/* Packets: blocks in two sizes, the one that the next frame is read into, the reader's reserve, and
 * the verdicts that every received frame ends with. Frames in = delivered + dropped, always.
 *
 * The reserve: tg_pkt_alloc falls back to it when memory is short; nothing of it may be kept past
 * tg_input (pkt_keep makes a copy), so that reading never stops on account of what is held. */
#include "core/core_impl.h"

#define SMALL_BYTES ARENA_BLOCK_2K
#define LARGE_BYTES ARENA_BLOCK_68K

_Static_assert(sizeof(struct tg_pkt) == 64, "a packet's header is one cache line");
_Static_assert(TG_PKT_SMALL + sizeof(struct tg_pkt) == SMALL_BYTES, "small block");
_Static_assert(TG_PKT_LARGE + sizeof(struct tg_pkt) == LARGE_BYTES, "large block");

static struct tg_pkt *block_begin(struct tg_pkt *p, uint32_t block_bytes)
{
	memset(p, 0, sizeof(*p));
	p->room = block_bytes - (uint32_t)sizeof(*p);
	p->data = tg_pkt_block(p);
	return p;
}

static struct tg_pkt *block_alloc(struct tg *s, uint32_t block_bytes)
{
	struct tg_pkt *p = core_alloc(s, block_bytes);

	return p ? block_begin(p, block_bytes) : NULL;
}

struct tg_pkt *pkt_alloc(struct tg *s, uint32_t bytes)
{
	if (bytes > TG_PKT_LARGE)
		return NULL;
	return block_alloc(s, bytes <= TG_PKT_SMALL ? SMALL_BYTES : LARGE_BYTES);
}

bool pkt_reserve_init(struct tg *s)
{
	for (unsigned i = 0; i < CORE_RESERVE_PKTS; i++) {
		struct tg_pkt *p = block_alloc(s, LARGE_BYTES);

		if (!p)
			return false;
		p->flags = PKT_RESERVE;
		p->next = s->reserve;
		s->reserve = p;
	}
	s->warm = block_alloc(s, LARGE_BYTES);
	return s->warm != NULL;
}

static struct tg_pkt *reader_alloc(struct tg *s, uint32_t bytes)
{
	struct tg_pkt *p = s->warm;

	if (p && bytes > TG_PKT_SMALL && bytes <= TG_PKT_LARGE) {
		s->warm = NULL;
		return block_begin(p, LARGE_BYTES);
	}
	p = pkt_alloc(s, bytes);
	if (p || bytes > TG_PKT_LARGE || !s->reserve)
		return p;
	p = s->reserve;
	s->reserve = p->next;
	block_begin(p, LARGE_BYTES);
	p->flags = PKT_RESERVE;
	return p;
}

struct tg_pkt *tg_pkt_alloc(struct tg *s, uint32_t bytes)
{
	struct tg_pkt *p = reader_alloc(s, bytes);

	if (s->recorder)
		record_pkt_alloc(s, p, bytes);
	return p;
}

void tg_pkt_free(struct tg *s, struct tg_pkt *p)
{
	if (!p)
		return;
	if (s->recorder && !s->recorder->inside)
		record_pkt_free(s, p);
	if (p->flags & PKT_RESERVE) {
		p->next = s->reserve;
		s->reserve = p;
		return;
	}
	if (!s->warm && p->room == TG_PKT_LARGE) {
		s->warm = p;
		return;
	}
	core_free(s, p, pkt_charge(p));
}

struct tg_pkt *pkt_keep(struct tg *s, struct tg_pkt *p)
{
	bool reserve = p->flags & PKT_RESERVE;
	struct tg_pkt *q;

	if (!reserve && (p->room == TG_PKT_SMALL || p->len > TG_PKT_SMALL))
		return p;
	q = pkt_alloc(s, p->len);
	if (!q && !reserve)
		return p;
	if (q) {
		memcpy(q->data, p->data, p->len);
		q->len = p->len;
		q->gso = p->gso;
		q->merged = p->merged;
		q->gso_size = p->gso_size;
		q->csum = p->csum;
		q->flags = (uint8_t)(p->flags & ~PKT_RESERVE);
		q->frame = p->frame;
		q->mark = p->mark;
		q->passed = p->passed;
	}
	tg_pkt_free(s, p);
	return q;
}

/* ---- Verdicts ---- */

static struct tg_trace *record_drop(struct tg *s, const struct tg_pkt *p, enum tg_drop why)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_DROP);

	ASSERT(why > TG_DROP_NONE && why < TG_DROP_COUNT);
	if (!t)
		return NULL;
	t->reason = (uint16_t)why;
	if (p)
		t->len = p->len;
	return t;
}

static void set_verdict(struct tg *s, enum core_verdict v)
{
	ASSERT(s->cur_frame != 0 && s->verdict == VERDICT_OPEN);
	s->verdict = (uint8_t)v;
}

struct tg_trace *pkt_drop_record(struct tg *s, struct tg_pkt *p, enum tg_drop why)
{
	struct tg_trace *t = record_drop(s, p, why);

	if (s->cur_frame) {
		set_verdict(s, VERDICT_DROPPED);
		s->counters.frames_dropped += s->cur_frames;
		s->counters.drops[why] += s->cur_frames; /* [1122-I10] */
	} else {
		s->counters.discards[why]++;
	}
	tg_pkt_free(s, p);
	return t;
}

void pkt_drop(struct tg *s, struct tg_pkt *p, enum tg_drop why)
{
	pkt_drop_record(s, p, why);
}

void pkt_discard(struct tg *s, struct tg_pkt *p, enum tg_drop why)
{
	record_drop(s, p, why);
	s->counters.discards[why]++;
	tg_pkt_free(s, p);
}

void pkt_delivered(struct tg *s)
{
	set_verdict(s, VERDICT_DELIVERED);
	s->counters.frames_delivered += s->cur_frames;
}

void pkt_deliver(struct tg *s, struct tg_pkt *p)
{
	pkt_delivered(s);
	tg_pkt_free(s, p);
}
