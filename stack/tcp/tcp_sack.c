/* The SACK scoreboard (RFC 2018, RFC 2883 as the sender sees it, RFC 6675 4): what the blocks of an
 * ACK say is entered into the range records, and the next record to send again is found. What is
 * lost is told by DupThresh here (RFC 6675), by time in tcp_rack.c. */
#include "tcp/tcp.h"

/* ---- SACK blocks ---- */

/* The record that holds `at`, searched from where the last block was found. */
static struct tcp_range *find_range(struct tcp_tx *x, struct seq at)
{
	struct tcp_range *r = x->hint ? x->hint : range_first(x);

	while (r && seq_gt(r->start, at))
		r = r->node.prev == &x->ranges ? NULL
					       : list_entry(r->node.prev, struct tcp_range, node);
	if (!r)
		r = range_first(x);
	while (r && seq_le(r->end, at))
		r = range_next(x, r);
	return r;
}

static void mark_block(
	struct tg *s, struct tcp_conn *c, struct seq start, struct seq end, struct loss_ack *a)
{
	struct tcp_tx *x = c->tx;
	struct tcp_range *r = find_range(x, start);

	while (r && seq_lt(r->start, end)) {
		if (r->flags & RANGE_SACKED) {
			r = range_next(x, r);
			continue;
		}
		if (x->n_ranges + 2 > tcp_ranges_max(c))
			return; /* the block will be reported again */
		if (seq_lt(r->start, start)) {
			r = range_split(s, c, r, start);
			if (!r)
				return; /* no memory: the block will be reported again */
		}
		if (seq_gt(r->end, end) && !range_split(s, c, r, end))
			return;
		tcp_rack_delivered(s, c, r, r->end, a);
		a->high_sacked = a->newly_sacked ? seq_max(a->high_sacked, r->end) : r->end;
		a->newly_sacked += range_bytes(r);
		range_mark(c, r, RANGE_SACKED, RANGE_LOST | RANGE_RETRANS);
		x->high_sacked = seq_max(x->high_sacked, r->end);
		r = range_merge_back(s, c, r);
		x->hint = r;
		r = range_next(x, r);
	}
}

/* [2883 4] the first block is a D-SACK if it lies below SEG.ACK or within the second block */
static bool is_dsack(const struct tcp_rx *r)
{
	const struct tcp_opts *o = &r->g.opts;

	if (seq_lt(o->sack[0].start, r->g.ack))
		return true;
	return o->n_sack > 1 && seq_ge(o->sack[0].start, o->sack[1].start) &&
	       seq_le(o->sack[0].end, o->sack[1].end);
}

/* What no receiver of our text could report [2883 5]: reaches beyond what was sent, or lies further
 * back than the largest window ever offered. */
static bool dsack_is_plausible(const struct tcp_conn *c, const struct tcp_sack_block *b)
{
	return seq_lt(b->start, b->end) && seq_le(b->start, c->snd.max) &&
	       seq_le(b->end, c->snd.max) && seq_ge(b->start, seq_sub(c->snd.una, c->snd.max_wnd));
}

/* Enters the segment's SACK blocks into the scoreboard; blocks outside of what is in flight are not
 * believed. */
void tcp_sack_blocks(struct tcp_conn *c, struct tcp_rx *r, struct loss_ack *a)
{
	const struct tcp_opts *o = &r->g.opts;
	uint8_t first = 0;

	if (!c->sack_ok || !(o->has & TCP_HAS_SACK))
		return;
	a->sack_present = true;
	if (is_dsack(r)) {
		first = 1;
		if (dsack_is_plausible(c, &o->sack[0])) {
			a->dsack = true;
			a->dsack_start = o->sack[0].start;
			a->dsack_end = o->sack[0].end;
			c->dsacks_in++;
		}
	}
	if (!c->tx)
		return;
	for (uint8_t i = first; i < o->n_sack; i++) {
		struct seq start = seq_max(o->sack[i].start, c->snd.una);

		if (!seq_lt(o->sack[i].start, o->sack[i].end) || seq_gt(o->sack[i].end, c->snd.nxt))
			continue;
		mark_block(r->s, c, start, o->sack[i].end, a);
	}
	c->delivered += a->newly_sacked;
}

/* ---- What is lost ---- */

/* [6675-2] IsLost: DupThresh separate ranges, or more than (DupThresh - 1) * SMSS bytes, SACKed
 * above. Walks down from the highest SACKed byte until that is met; everything unSACKed below is
 * lost. */
uint32_t tcp_sack_mark_lost(struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	uint32_t above_bytes = 0, above_blocks = 0, lost = 0;
	struct tcp_range *r = x->hint && (x->hint->flags & RANGE_SACKED) ? x->hint : range_first(x);
	bool in_block = false;

	while (r && seq_lt(r->end, x->high_sacked))
		r = range_next(x, r);
	for (; r; r = r->node.prev == &x->ranges
			      ? NULL
			      : list_entry(r->node.prev, struct tcp_range, node)) {
		if (r->flags & RANGE_SACKED) {
			above_bytes += range_bytes(r);
			above_blocks += in_block ? 0 : 1;
			in_block = true;
			continue;
		}
		in_block = false;
		if (above_bytes <= (c->reordering_segs - 1u) * c->cc.mss &&
			above_blocks < c->reordering_segs)
			continue;
		if (r->flags & RANGE_LOST)
			break; /* so is all below it that could be */
		if (r->flags & RANGE_RETRANS)
			continue;
		range_mark(c, r, RANGE_LOST, 0);
		lost += range_bytes(r);
	}
	return lost;
}

/* The first segment at SND.UNA, for NewReno and at the start of recovery [5681-10, 6582-4, 6675-6].
 */
uint32_t tcp_sack_mark_first(struct tg *s, struct tcp_conn *c)
{
	struct tcp_range *r = range_first(c->tx);

	if (r->flags & (RANGE_SACKED | RANGE_LOST | RANGE_RETRANS))
		return 0;
	if (range_bytes(r) > c->cc.mss)
		range_split(s, c, r,
			seq_add(r->start,
				c->cc.mss)); /* without memory the whole record goes again */
	range_mark(c, r, RANGE_LOST, 0);
	return range_bytes(r);
}

/* ---- What goes again ---- */

/* [6675 4] NextSeg (3): in recovery, with nothing lost left and nothing new to send, an unSACKed
 * record below the highest SACKed byte; (4): once, the last segment. */
static struct tcp_range *speculative(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;
	struct tcp_range *r;

	/* Where RACK and the loss probe tell what is lost nothing needs to be guessed. */
	if (c->recovery != REC_RECOVERY || !c->sack_ok || tcp_unsent(c) || tcp_rack_on(s, c))
		return NULL;
	for (r = range_first(x); r && seq_lt(r->start, x->high_sacked); r = range_next(x, r))
		if (!(r->flags & (RANGE_SACKED | RANGE_RETRANS)))
			return r;
	if (x->rescued)
		return NULL;
	r = range_last(x);
	if (r->flags & (RANGE_SACKED | RANGE_RETRANS))
		return NULL;
	x->rescued = true;
	if (range_bytes(r) > c->cc.mss)
		r = range_split(s, c, r, seq_sub(r->end, c->cc.mss));
	return r;
}

struct tcp_range *tcp_loss_next(struct tg *s, struct tcp_conn *c)
{
	struct tcp_tx *x = c->tx;

	if (!x)
		return NULL;
	/* (1) the lowest that is lost and not on its way again */
	if (x->lost_bytes) {
		struct tcp_range *r = x->rexmit ? x->rexmit : range_first(x);

		for (; r; r = range_next(x, r)) {
			if ((r->flags & (RANGE_LOST | RANGE_RETRANS)) != RANGE_LOST)
				continue;
			x->rexmit = r;
			return r;
		}
		x->rexmit = range_last(x);
	}
	return speculative(s, c);
}
