/* Step 7 of SEGMENT ARRIVES: the text (RFC 9293 3.10.7.4). Trimming to the window, the queue of
 * what is in order, and ranges of what is not, from which SACK blocks are made (RFC 2018 4, RFC
 * 2883 4).
 *
 * Text that has been received here is never given up before the user took it. What is held stays
 * within twice the receive buffer: a block less than half full is copied, small pieces share
 * blocks. */
#include "tcp/tcp.h"

/* ---- Queues of packets ---- */

static void pktq_push(struct pktq *q, struct tg_pkt *p)
{
	p->next = NULL;
	if (q->tail)
		q->tail->next = p;
	else
		q->head = p;
	q->tail = p;
	q->bytes += p->len;
	q->charge += pkt_charge(p);
}

/* Copies n bytes behind the queue's last byte, into its tail block and new ones. False: no memory;
 * then nothing was added. */
static bool pktq_copy(struct tg *s, struct pktq *q, const uint8_t *data, uint32_t n)
{
	uint32_t room = q->tail ? min_u32(pkt_tailroom(q->tail), n) : 0;
	struct pktq add = {0};

	for (uint32_t at = room; at < n;) {
		struct tg_pkt *p = pkt_alloc(s, TG_PKT_SMALL);

		if (!p) {
			pktq_free(s, &add);
			return false;
		}
		p->len = min_u32(n - at, p->room);
		memcpy(p->data, data + at, p->len);
		at += p->len;
		pktq_push(&add, p);
	}
	if (room) {
		memcpy(q->tail->data + q->tail->len, data, room);
		q->tail->len += room;
		q->bytes += room;
	}
	while (add.head) {
		struct tg_pkt *p = add.head;

		add.head = p->next;
		pktq_push(q, p);
	}
	return true;
}

/* Takes p (its data: text only) unless it returns false. A block at least half full is kept, else
 * its bytes are copied. */
bool pktq_append(struct tg *s, struct pktq *q, struct tg_pkt *p)
{
	bool keep = !(p->flags & PKT_RESERVE) && p->len >= pkt_charge(p) / 2;

	if (keep && !(q->tail && pkt_tailroom(q->tail) >= p->len)) {
		pktq_push(q, p);
		return true;
	}
	if (!pktq_copy(s, q, p->data, p->len))
		return false;
	tg_pkt_free(s, p);
	return true;
}

void pktq_free(struct tg *s, struct pktq *q)
{
	while (q->head) {
		struct tg_pkt *p = q->head;

		q->head = p->next;
		tg_pkt_free(s, p);
	}
	memset(q, 0, sizeof(*q));
}

void pktq_consume(struct tg *s, struct pktq *q, uint32_t n)
{
	q->bytes -= n;
	while (n > 0) {
		struct tg_pkt *p = q->head;

		if (n < p->len) {
			pkt_pull(p, n);
			return;
		}
		n -= p->len;
		q->charge -= pkt_charge(p);
		q->head = p->next;
		if (!q->head)
			q->tail = NULL;
		tg_pkt_free(s, p);
	}
}

uint32_t pktq_read(struct tg *s, struct pktq *q, void *dst, uint32_t n, bool peek)
{
	uint8_t *to = dst;
	uint32_t got = 0;

	for (const struct tg_pkt *p = q->head; p && got < n; p = p->next) {
		uint32_t part = min_u32(n - got, p->len);

		memcpy(to + got, p->data, part);
		got += part;
	}
	if (!peek)
		pktq_consume(s, q, got);
	return got;
}

/* Puts `more` behind q. Small pieces go into q's last block as long as they fit: text that arrived
 * in bits and out of order must not hold many times its size. */
static void pktq_join(struct tg *s, struct pktq *q, struct pktq *more)
{
	while (more->head && q->tail && more->head->len <= pkt_tailroom(q->tail)) {
		struct tg_pkt *p = more->head;

		memcpy(q->tail->data + q->tail->len, p->data, p->len);
		q->tail->len += p->len;
		q->bytes += p->len;
		more->bytes -= p->len;
		more->charge -= pkt_charge(p);
		more->head = p->next;
		tg_pkt_free(s, p);
	}
	if (!more->head) {
		memset(more, 0, sizeof(*more));
		return;
	}
	if (q->tail)
		q->tail->next = more->head;
	else
		q->head = more->head;
	q->tail = more->tail;
	q->bytes += more->bytes;
	q->charge += more->charge;
	memset(more, 0, sizeof(*more));
}

/* [2883 4] text that was received before is reported, once, in the next ACK */
void tcp_note_duplicate(const struct tg *s, struct tcp_conn *c, struct seq start, struct seq end)
{
	if (!c->sack_ok || !s->cfg.tcp.dsack || c->dsack || !seq_lt(start, end))
		return;
	c->dsack = true;
	c->dsack_start = start;
	c->dsack_end = end;
}

/* ---- Out of order ---- */

static struct tcp_ooo *ooo_need(struct tg *s, struct tcp_conn *c)
{
	if (!c->ooo) {
		c->ooo = core_alloc(s, sizeof(*c->ooo));
		if (!c->ooo)
			return NULL;
		list_init(&c->ooo->ranges);
		list_init(&c->ooo->mru);
		c->ooo->n_ranges = 0;
		c->ooo->charge = 0;
		c->ooo->conn = c;
		list_push_back(&s->tcp->ooo, &c->ooo->all);
	}
	return c->ooo;
}

static void ooo_range_free(struct tg *s, struct tcp_conn *c, struct tcp_ooo_range *o)
{
	c->ooo->charge -= o->q.charge;
	c->ooo->n_ranges--;
	pktq_free(s, &o->q);
	list_del(&o->node);
	list_del(&o->mru);
	core_free(s, o, sizeof(*o));
}

void tcp_ooo_free(struct tg *s, struct tcp_conn *c)
{
	if (!c->ooo)
		return;
	while (!list_empty(&c->ooo->ranges))
		ooo_range_free(s, c, list_entry(c->ooo->ranges.next, struct tcp_ooo_range, node));
	list_del(&c->ooo->all);
	core_free(s, c->ooo, sizeof(*c->ooo));
	c->ooo = NULL;
}

static void ooo_free_if_empty(struct tg *s, struct tcp_conn *c)
{
	if (c->ooo && list_empty(&c->ooo->ranges))
		tcp_ooo_free(s, c);
}

/* The last range that begins at or before `at`, or the head. Ranges grow at the end as a rule, and
 * what is sent again comes near what came last: searched from the one or the other. */
static struct list *ooo_before(const struct tcp_ooo *x, struct seq at)
{
	struct list *n = x->ranges.prev, *near = x->mru.next;

	if (n != &x->ranges && seq_le(list_entry(n, struct tcp_ooo_range, node)->start, at))
		return n;
	if (near != &x->mru) {
		n = &list_entry(near, struct tcp_ooo_range, mru)->node;
		while (n->next != &x->ranges &&
			seq_le(list_entry(n->next, struct tcp_ooo_range, node)->start, at))
			n = n->next;
	}
	while (n != &x->ranges && seq_gt(list_entry(n, struct tcp_ooo_range, node)->start, at))
		n = n->prev;
	return n;
}

static struct tcp_ooo_range *ooo_new(
	struct tg *s, struct tcp_conn *c, struct list *after, struct seq at)
{
	struct tcp_ooo_range *o;

	if (c->ooo->n_ranges >= tcp_ooo_ranges_max(c))
		return NULL;
	o = core_alloc(s, sizeof(*o));
	if (!o)
		return NULL;
	memset(o, 0, sizeof(*o));
	o->start = at;
	o->end = at;
	list_insert_after(after, &o->node);
	list_push_front(&c->ooo->mru, &o->mru);
	c->ooo->n_ranges++;
	return o;
}

/* Adds [from, from + n) of p, which touches no range but perhaps the end of the one at `before`.
 * whole: p may be kept. Returns the range it is in now, NULL without memory. */
static struct tcp_ooo_range *ooo_add_piece(struct tg *s, struct tcp_conn *c, struct list *before,
	struct seq from, struct tg_pkt *p, uint32_t off, uint32_t n, bool whole, bool *kept)
{
	struct tcp_ooo_range *o = NULL;
	uint32_t charge;
	bool ok, made = false;

	if (before != &c->ooo->ranges) {
		o = list_entry(before, struct tcp_ooo_range, node);
		if (!seq_eq(o->end, from))
			o = NULL;
	}
	if (!o) {
		o = ooo_new(s, c, before, from);
		made = true;
	}
	if (!o)
		return NULL;
	charge = o->q.charge;
	if (whole) {
		ok = pktq_append(s, &o->q, p);
		*kept = ok;
	} else {
		ok = pktq_copy(s, &o->q, p->data + off, n);
	}
	if (!ok) {
		if (made)
			ooo_range_free(s, c, o);
		return NULL;
	}
	c->ooo->charge += o->q.charge - charge;
	o->end = seq_add(from, n);
	return o;
}

/* Joins o with the range behind it if they touch. */
static void ooo_merge(struct tg *s, struct tcp_conn *c, struct tcp_ooo_range *o)
{
	struct tcp_ooo_range *b;

	if (o->node.next == &c->ooo->ranges)
		return;
	b = list_entry(o->node.next, struct tcp_ooo_range, node);
	if (!seq_eq(o->end, b->start))
		return;
	o->end = b->end;
	c->ooo->charge -= o->q.charge + b->q.charge;
	pktq_join(s, &o->q, &b->q); /* leaves b's queue empty */
	c->ooo->charge += o->q.charge;
	ooo_range_free(s, c, b);
}

static bool ooo_holds(const struct tcp_ooo *x, const struct list *range, struct seq at)
{
	return range != &x->ranges &&
	       seq_lt(at, list_entry(range, const struct tcp_ooo_range, node)->end);
}

/* Keeps text beyond RCV.NXT: fills the gaps between ranges, cut by cut. Marks what was there
 * already for D-SACK. False: refused (limits, no memory). *kept: p was taken. */
static bool ooo_insert(struct tcp_conn *c, struct tcp_rx *r, bool *kept)
{
	struct tg *s = r->s;
	struct seq at = r->text_seq, end = seq_add(at, r->text_bytes);
	struct tcp_ooo_range *last;

	do {
		struct list *before = ooo_before(c->ooo, at), *next = before->next;
		struct seq stop = end;
		uint32_t off;

		if (ooo_holds(c->ooo, before, at)) { /* here already */
			last = list_entry(before, struct tcp_ooo_range, node);
			stop = seq_min(end, last->end);
			tcp_note_duplicate(s, c, at, stop);
			at = stop;
			continue;
		}
		if (next != &c->ooo->ranges)
			stop = seq_min(end, list_entry(next, struct tcp_ooo_range, node)->start);
		off = seq_dist(at, r->text_seq);
		last = ooo_add_piece(s, c, before, at, r->p, off, seq_dist(stop, at),
			off == 0 && seq_eq(stop, end), kept);
		if (!last)
			return false;
		ooo_merge(s, c, last);
		at = stop;
	} while (seq_lt(at, end));
	/* [2018-3] the block with the newest segment comes first */
	list_del(&last->mru);
	list_push_front(&c->ooo->mru, &last->mru);
	return true;
}

/* [2018 4, 2883 4] D-SACK first, then the ranges, most recently changed first. Returns the number
 * of blocks. */
uint32_t tcp_ooo_sack_blocks(const struct tcp_conn *c, struct tcp_sack_block *out, uint32_t max)
{
	uint32_t n = 0;

	if (!c->sack_ok)
		return 0;
	if (c->dsack && n < max)
		out[n++] = (struct tcp_sack_block){c->dsack_start, c->dsack_end};
	if (!c->ooo)
		return n;
	list_for_each (it, &c->ooo->mru) {
		const struct tcp_ooo_range *o = list_entry(it, struct tcp_ooo_range, mru);

		if (n == max)
			break;
		out[n++] = (struct tcp_sack_block){o->start, o->end};
	}
	return n;
}

/* ---- Step 7 ---- */

/* From here on only what lies in the window counts. RST, SYN and ACK have been judged by the raw
 * numbers. */
void tcp_trim_to_window(struct tcp_conn *c, struct tcp_rx *r)
{
	struct seq end = seq_add(r->text_seq, r->text_bytes);
	uint32_t hdr = r->g.hdr_bytes;

	pkt_pull(r->p, hdr);
	r->p->len = r->text_bytes; /* text of a SYN in SYN-RECEIVED is left out */
	if (seq_lt(r->text_seq, c->rcv.nxt)) {
		uint32_t old = min_u32(seq_dist(c->rcv.nxt, r->text_seq), r->text_bytes);

		if (old) {
			RULE(r->s, c, TEXT_TRIMMED, old, c->rcv.nxt.v);
			tcp_note_duplicate(r->s, c, r->text_seq, seq_add(r->text_seq, old));
			c->ack_now = true;
		}
		pkt_pull(r->p, old);
		r->text_seq = seq_add(r->text_seq, old);
		r->text_bytes -= old;
	}
	if (r->text_bytes && seq_gt(end, c->rcv.adv)) {
		uint32_t over = min_u32(seq_dist(end, c->rcv.adv), r->text_bytes);

		r->text_bytes -= over;
		r->p->len -= over;
		r->fin = false; /* the FIN lies beyond what was cut */
		c->ack_now = true;
	} else if (r->fin && seq_ge(end, c->rcv.adv) && !seq_eq(end, c->rcv.nxt)) {
		r->fin = false;
	}
}

bool tcp_at_eof(const struct tcp_conn *c)
{
	return c->rcvq.bytes == 0 && (c->fin_seen || c->rd_shut || c->state == TG_CLOSED);
}

static bool over_memory(const struct tcp_conn *c, const struct tg_pkt *p)
{
	uint64_t held = (uint64_t)c->rcvq.charge + (c->ooo ? c->ooo->charge : 0);
	/* a buffer that was shrunk still has to hold what was offered before */
	uint32_t offered = seq_dist(c->rcv.adv, c->rcv.nxt) + c->rcvq.bytes;

	return held + p->len >
	       2ull * max_u32(max_u32(c->rcvbuf, offered), TG_PKT_LARGE) + TG_PKT_LARGE;
}

/* Ranges that RCV.NXT has reached move to the queue. */
static void take_ranges(struct tg *s, struct tcp_conn *c)
{
	while (c->ooo && !list_empty(&c->ooo->ranges)) {
		struct tcp_ooo_range *o =
			list_entry(c->ooo->ranges.next, struct tcp_ooo_range, node);
		uint32_t n = seq_dist(o->end, o->start);

		if (seq_gt(o->start, c->rcv.nxt))
			return;
		if (seq_eq(o->start, c->rcv.nxt)) {
			RULE(s, c, GAP_FILLED, o->start.v, o->end.v);
			c->rcv.nxt = o->end;
			c->bytes_received += n;
			s->counters.tcp_in_bytes += n;
			c->ooo->charge -= o->q.charge;
			pktq_join(s, &c->rcvq, &o->q);
		}
		ooo_range_free(s, c, o); /* empty now, or the text that was queued covers it */
		ooo_free_if_empty(s, c);
	}
}

/* Overlap of new in-order text [RCV.NXT, end) with ranges held: the text is cut where it runs into
 * a range that reaches as far as it does or further; ranges that it covers stay until it is queued.
 */
static void cut_at_ranges(struct tcp_conn *c, struct tcp_rx *r)
{
	struct seq end = seq_add(r->text_seq, r->text_bytes);
	bool first = true;

	if (!c->ooo)
		return;
	list_for_each (it, &c->ooo->ranges) {
		struct tcp_ooo_range *o = list_entry(it, struct tcp_ooo_range, node);

		if (seq_ge(o->start, end))
			return;
		if (first)
			tcp_note_duplicate(r->s, c, o->start, seq_min(end, o->end));
		first = false;
		if (seq_lt(o->end, end))
			continue;
		r->text_bytes = seq_dist(o->start, r->text_seq);
		r->p->len = r->text_bytes;
		return;
	}
}

/* Room for text that is next in line: the range that is furthest away goes, SACKed or not [2018 8].
 * Kept, they could hold all there is and keep out for ever what they wait for. False: there is
 * none. */
static bool give_up_last_range(struct tg *s, struct tcp_conn *c)
{
	if (!c->ooo)
		return false;
	ooo_range_free(s, c, list_entry(c->ooo->ranges.prev, struct tcp_ooo_range, node));
	ooo_free_if_empty(s, c);
	return true;
}

/* The same when the whole instance is short of memory: whoever has held out-of-order text for
 * longest. */
static bool give_up_oldest(struct tg *s)
{
	struct list *first = s->tcp->ooo.next;

	if (first == &s->tcp->ooo)
		return false;
	return give_up_last_range(s, list_entry(first, struct tcp_ooo, all)->conn);
}

bool tcp_text_in_order(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	uint32_t n;

	if (c->ooo)
		c->ack_now = true; /* [5681-8] it fills a gap, or a part of one */
	cut_at_ranges(c, r);
	n = r->text_bytes;
	while (n && (over_memory(c, r->p) || !pktq_append(s, &c->rcvq, r->p))) {
		if (give_up_last_range(s, c) || (!over_memory(c, r->p) && give_up_oldest(s)))
			continue;
		c->ack_now = true;
		r->fin = false;
		tcp_discard(r, c, TG_DROP_TCP_RCV_MEMORY);
		return false;
	}
	if (n) {
		pkt_delivered(s);
		r->p = NULL;
		endpoint_again(s, &c->ep, TG_IN);
	}
	RULE(s, c, TEXT_IN_ORDER, n, c->rcv.nxt.v);
	c->rcv.nxt = seq_add(c->rcv.nxt, n);
	c->bytes_received += n;
	s->counters.tcp_in_bytes += n;
	take_ranges(s, c);
	return true;
}

/* [9293 SHLD-31] held until the gap fills */
static void text_out_of_order(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;
	bool kept = false;
	uint32_t owed = c->sack_ok ? 1 : pkt_frames(r->p); /* SACK tells in one what others count */
	s->counters.tcp_out_of_order++;
	/* the first of TCP's to be refused: what is next in line needs the rest of the memory */
	if (tcp_memory_level(s) == TCP_MEMORY_SHORT || !ooo_need(s, c) || over_memory(c, r->p) ||
		!ooo_insert(c, r, &kept)) {
		bool full = c->ooo && c->ooo->n_ranges >= tcp_ooo_ranges_max(c);

		r->fin = false;
		ooo_free_if_empty(s, c);
		tcp_send_ack_now(s, c);
		tcp_discard(r, c, full ? TG_DROP_TCP_OOO_LIMIT : TG_DROP_TCP_RCV_MEMORY);
		return;
	}
	if (kept) {
		pkt_delivered(s);
		r->p = NULL;
	}
	RULE(s, c, TEXT_OUT_OF_ORDER, r->text_seq.v, c->rcv.nxt.v);
	/* [5681-8, 2018-2] a duplicate ACK at once, each with its own SACK blocks */
	for (; owed; owed--)
		tcp_send_ack_now(s, c);
}

/* [9293 SHLD-3] the user has closed and will never read this: reset. */
static bool nobody_reads(struct tcp_conn *c)
{
	return c->ep.index == 0 && !c->in_accept_queue;
}

/* The size of the peer's full segments, for "every second full-sized segment" [9293 SHLD-19]. */
void tcp_note_segment_size(struct tcp_conn *c, const struct tcp_rx *r)
{
	uint32_t n = min_u32(r->p->gso_size ? r->p->gso_size : r->g.text_bytes, c->rmss);

	if (n > c->mss_rcv)
		c->mss_rcv = (uint16_t)n;
	tcp_buf_text_in(c, r);
}

void tcp_text_step(struct tcp_conn *c, struct tcp_rx *r)
{
	struct tg *s = r->s;

	switch ((enum tg_state)c->state) {
	case TG_ESTABLISHED:
	case TG_FIN_WAIT_1:
	case TG_FIN_WAIT_2: break;
	case TG_CLOSED:
	case TG_LISTEN:
	case TG_SYN_SENT:
	case TG_SYN_RECEIVED:
	case TG_CLOSE_WAIT: /* a FIN has been received: this should not occur */
	case TG_CLOSING:
	case TG_LAST_ACK:
	case TG_TIME_WAIT:
		if (r->text_bytes) {
			c->ack_now = true;
			tcp_discard(r, c, TG_DROP_TCP_TEXT_AFTER_FIN);
		}
		return;
	}
	if (r->text_bytes == 0) {
		if (r->g.text_bytes && seq_dist(c->rcv.adv, c->rcv.nxt) == 0) {
			c->ack_now = true; /* a probe of our closed window */
			tcp_discard(r, c, TG_DROP_TCP_BEYOND_WINDOW);
		}
		return;
	}
	if (nobody_reads(c)) {
		tcp_send_rst(s, c);
		tcp_discard(r, c, TG_DROP_TCP_TEXT_AFTER_CLOSE);
		tcp_conn_end(s, c, TG_CAUSE_UNREAD_DATA, 0);
		r->gone = true;
		return;
	}
	tcp_ecn_text_in(c, r);
	tcp_note_segment_size(c, r);
	if (!seq_eq(r->text_seq, c->rcv.nxt)) {
		text_out_of_order(c, r);
		return;
	}
	if (tcp_text_in_order(c, r))
		tcp_timers_text_received(s, c);
}
