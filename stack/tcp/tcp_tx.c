/* What a connection has queued and in flight: the ring of bytes and the range records over it.
 * Counters of SACKed, lost and retransmitted bytes follow every change of a record's marks, so that
 * the amount in the network (RFC 6675 4, "pipe") is known without a walk. */
#include "tcp/tcp.h"

#define FRAME_HEADERS (65535u - TCP_FRAME_MAX) /* of IP and TCP, at most */

/* ---- The record itself ---- */

/* A sending half exists while something is queued or in flight, so one is made and freed for each
 * answer. The few that the instance sets aside, each with its ring's first block, make that cheap.
 */
bool tcp_tx_init(struct tg *s)
{
	struct tcp_state *t = s->tcp;

	for (; t->n_tx_own < TCP_TX_OWN; t->n_tx_own++) {
		struct tcp_tx *x = core_alloc(s, sizeof(*x));
		uint8_t *home = core_alloc(s, ARENA_BLOCK_4K);

		if (!x || !home)
			return false;
		bring_init(&x->ring, home);
		t->tx_own[t->n_tx_own] = x;
	}
	return true;
}

/* All zero, its ring empty. */
static struct tcp_tx *tx_alloc(struct tg *s)
{
	struct tcp_state *t = s->tcp;
	struct tcp_tx *x;
	uint8_t *home;

	if (t->n_tx_own) {
		x = t->tx_own[--t->n_tx_own];
		home = x->ring.home;
		memset(x, 0, sizeof(*x));
	} else {
		x = core_alloc(s, sizeof(*x));
		home = NULL;
	}
	if (x)
		bring_init(&x->ring, home);
	return x;
}

bool tcp_tx_need(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x;

	if (c->tx)
		return true;
	x = tx_alloc(s);
	if (!x)
		return false;
	list_init(&x->ranges);
	list_init(&x->by_time);
	x->pto_at_ns = x->reo_at_ns = NEVER_NS;
	x->rto_at_ns = c->rexmit_mode == RM_RTO ? c->deadline[CT_REXMIT] : NEVER_NS; /* SYN's */
	/* Before the SYN is acknowledged text begins behind it. */
	x->ring_seq = c->syn_acked ? c->snd.una : seq_add(c->iss, 1);
	x->high_sacked = c->snd.una;
	x->fack = c->snd.una;
	x->rack_end = c->snd.una;
	x->rack_rtt_ns = c->srtt_ns; /* until something of this flight is delivered */
	c->tx = x;
	return true;
}

void tcp_tx_free(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;

	if (!x)
		return;
	while (!list_empty(&x->ranges))
		range_free(s, c, list_entry(x->ranges.next, struct tcp_range, node));
	bring_free(&x->ring, s->arena);
	if (x->ring.home)
		s->tcp->tx_own[s->tcp->n_tx_own++] = x;
	else
		core_free(s, x, sizeof(*x));
	c->tx = NULL;
}

/* ---- How much ---- */

uint32_t tcp_pipe(const struct tcp_conn *c)
{
	uint32_t flight = seq_dist(c->snd.nxt, c->snd.una);
	uint32_t out;

	if (!c->tx)
		return flight;
	out = flight - c->tx->sacked_bytes - c->tx->lost_bytes + c->tx->retrans_bytes;
	if (!c->sack_ok && c->dup_acks) {
		/* [5681-11] without SACK each duplicate ACK tells that one segment has left
		 * the network; before the third, that is limited transmit [5681-9] */
		uint32_t left = (uint32_t)c->dup_acks * c->mss;

		out -= min_u32(left, out > c->mss ? out - c->mss : 0);
	}
	return out;
}

/* ---- Range records ---- */

static void count_marks(struct tcp_tx *x, const struct tcp_range *r, bool add)
{
	uint32_t n = add ? range_bytes(r) : 0u - range_bytes(r);

	if (r->flags & RANGE_SACKED) {
		x->sacked_bytes += n;
		x->sacked_segs += add ? r->sacked_segs : 0u - r->sacked_segs;
	}
	if (r->flags & RANGE_LOST)
		x->lost_bytes += n;
	if (r->flags & RANGE_RETRANS)
		x->retrans_bytes += n;
}

/* Is a copy of r in flight, as far as is known? */
static bool in_flight(const struct tcp_range *r)
{
	return !(r->flags & RANGE_SACKED) &&
	       (r->flags & (RANGE_LOST | RANGE_RETRANS)) != RANGE_LOST;
}

static bool by_time_has(const struct tcp_range *r)
{
	return !list_empty(&r->sent);
}

/* Puts r where its time of transmission belongs. It was there before, and most such come in the
 * order of their numbers, so the search from the front is short. */
static void by_time_insert(struct tcp_tx *x, struct tcp_range *r)
{
	struct list *at = &x->by_time;

	while (at->next != &x->by_time) {
		const struct tcp_range *q = list_entry(at->next, struct tcp_range, sent);

		if (tcp_sent_after(q->sent_nth, q->end, r->sent_nth, r->end))
			break;
		at = at->next;
	}
	list_insert_after(at, &r->sent);
}

void range_sent(const struct tg *s, struct tcp_conn *c, struct tcp_range *r)
{
	struct tcp_tx *x = c->tx;

	list_del(&r->sent);
	x->last_nth = seq_add(x->last_nth, 1);
	r->sent_nth = x->last_nth;
	r->sent_ns = s->now_ns; /* [8985-2] in nanoseconds */
	r->delivered = c->delivered;
	list_push_back(&x->by_time, &r->sent);
}

static struct tcp_range *range_alloc(struct tg *s, struct tcp_tx *x)
{
	if (x->one_used)
		return core_alloc(s, sizeof(struct tcp_range));
	x->one_used = true;
	return &x->one;
}

struct tcp_range *range_new(struct tg *s, struct tcp_conn *c, struct seq start, struct seq end)
{
	struct tcp_range *r;

	if (c->tx->n_ranges >=
		2 * tcp_ranges_max(c)) /* what goes again may be cut beyond the limit */
		return NULL;
	r = range_alloc(s, c->tx);
	if (!r)
		return NULL;
	r->start = start;
	r->end = end;
	r->flags = 0;
	r->n_retrans = 0;
	r->sacked_segs = 0;
	list_init(&r->node);
	list_init(&r->sent);
	c->tx->n_ranges++;
	return r;
}

void range_free(struct tg *s, struct tcp_conn *c, struct tcp_range *r)
{
	count_marks(c->tx, r, false);
	if (c->tx->hint == r)
		c->tx->hint = NULL;
	if (c->tx->rexmit == r)
		c->tx->rexmit = NULL;
	c->tx->n_ranges--;
	list_del(&r->node);
	list_del(&r->sent);
	if (r == &c->tx->one)
		c->tx->one_used = false;
	else
		core_free(s, r, sizeof(*r));
}

struct tcp_range *range_split(struct tg *s, struct tcp_conn *c, struct tcp_range *r, struct seq at)
{
	struct tcp_range *b;

	ASSERT(seq_lt(r->start, at) && seq_lt(at, r->end));
	b = range_new(s, c, at, r->end);
	if (!b)
		return NULL;
	count_marks(c->tx, r, false);
	b->sent_nth = r->sent_nth;
	b->sent_ns = r->sent_ns;
	b->delivered = r->delivered;
	b->flags = r->flags;
	b->n_retrans = r->n_retrans;
	b->sacked_segs = r->sacked_segs; /* a SACKed record is not split but for the FIN */
	r->flags &= (uint8_t)~RANGE_FIN; /* the FIN is the last number of the second part */
	r->end = at;
	list_insert_after(&r->node, &b->node);
	if (by_time_has(r))
		list_insert_after(&r->sent, &b->sent);
	count_marks(c->tx, r, true);
	count_marks(c->tx, b, true);
	return b;
}

struct tcp_range *range_merge_back(struct tg *s, struct tcp_conn *c, struct tcp_range *r)
{
	struct tcp_range *a;

	if (r->node.prev == &c->tx->ranges)
		return r;
	a = list_entry(r->node.prev, struct tcp_range, node);
	if (!(a->flags & RANGE_SACKED) || (r->flags & RANGE_FIN))
		return r;
	count_marks(c->tx, a, false);
	count_marks(c->tx, r, false);
	a->end = r->end;
	r->start = r->end;
	a->flags |= r->flags & RANGE_EVER;
	a->sent_nth = seq_max(a->sent_nth, r->sent_nth);
	a->sent_ns = max_u64(a->sent_ns, r->sent_ns);
	a->sacked_segs = (uint16_t)min_u32(a->sacked_segs + r->sacked_segs, UINT16_MAX);
	r->sacked_segs = 0;
	count_marks(c->tx, a, true);
	range_free(s, c, r);
	return a;
}

void range_trim(struct tcp_conn *c, struct tcp_range *r, struct seq at)
{
	ASSERT(seq_lt(r->start, at) && seq_lt(at, r->end));
	count_marks(c->tx, r, false);
	r->start = at;
	r->sacked_segs = (uint16_t)min_u32(r->sacked_segs, (range_bytes(r) + c->mss - 1) / c->mss);
	count_marks(c->tx, r, true);
}

void range_mark(struct tcp_conn *c, struct tcp_range *r, uint8_t set, uint8_t clear)
{
	count_marks(c->tx, r, false);
	r->flags = (uint8_t)((r->flags & ~clear) | set);
	if (r->flags & RANGE_SACKED)
		r->sacked_segs = (uint16_t)min_u32(
			max_u32(r->sacked_segs, (range_bytes(r) + c->mss - 1) / c->mss),
			UINT16_MAX);
	else
		r->sacked_segs = 0;
	count_marks(c->tx, r, true);
	if (!in_flight(r))
		list_del(&r->sent);
	else if (!by_time_has(r))
		by_time_insert(c->tx, r);
	if ((r->flags & (RANGE_LOST | RANGE_RETRANS)) == RANGE_LOST && c->tx->rexmit &&
		seq_lt(r->start, c->tx->rexmit->start))
		c->tx->rexmit = r;
}

uint32_t tcp_frame_text(const struct tg *s, const struct tcp_conn *c)
{
	/* [TG_CAP_BIG4] what is taken in as one is acknowledged as one: several have to fit both
	 * windows, so that ACKs keep coming */
	uint32_t big = min_u32(c->cc.cwnd, c->snd.max_wnd) / 4;
	uint32_t most =
		max_u32(TCP_FRAME_MAX, min_u32(big, ip_frame_most(s, &c->path) - FRAME_HEADERS));

	return most - most % c->mss;
}

/* How much may wait unsent under a mark. Whole frames, so that no small one goes out between two
 * writes; below that whole segments, so that one which is held back can be filled up. */
static uint64_t most_unsent(const struct tg *s, const struct tcp_conn *c, uint32_t mark)
{
	uint32_t frame = tcp_frame_text(s, c);

	if (mark >= frame)
		return mark - mark % frame; /* more than half of it: TG_OUT is off there */
	return (mark + (uint64_t)c->mss - 1) / c->mss * c->mss;
}

uint32_t tcp_send_space(const struct tg *s, const struct tcp_conn *c)
{
	uint32_t queued = tcp_queued(c), mark = tcp_notsent_lowat(s, c);
	uint32_t space = c->sndbuf > queued ? c->sndbuf - queued : 0;
	uint64_t most, unsent;

	if (!mark)
		return space;
	most = most_unsent(s, c, mark);
	unsent = tcp_unsent(c);
	return unsent < most ? (uint32_t)min_u64(space, most - unsent) : 0;
}
