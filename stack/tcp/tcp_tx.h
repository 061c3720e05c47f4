/* What a connection has queued and in flight: tcp_tx.c. Part of tcp.h, which includes it. */
#ifndef TG_TCP_TX_H
#define TG_TCP_TX_H

bool tcp_tx_init(struct tg *s); /* false: no memory */
bool tcp_tx_need(struct tg *s, struct tcp_conn *c);
void tcp_tx_free(struct tg *s, struct tcp_conn *c);
uint32_t tcp_send_space(const struct tg *s, const struct tcp_conn *c); /* what SEND takes now */
/* Most text that goes in one frame now: whole segments. */
uint32_t tcp_frame_text(const struct tg *s, const struct tcp_conn *c);
uint32_t tcp_pipe(const struct tcp_conn *c); /* [6675-3] bytes in the network */
/* Text bytes not acknowledged, sent or not. */
static inline uint32_t tcp_queued(const struct tcp_conn *c)
{
	return c->tx ? (uint32_t)bring_len(&c->tx->ring) : 0;
}

/* Text bytes not sent yet. */
static inline uint32_t tcp_unsent(const struct tcp_conn *c)
{
	struct seq end;

	if (!c->tx)
		return 0;
	end = seq_add(c->tx->ring_seq, (uint32_t)bring_len(&c->tx->ring));
	return seq_lt(c->snd.nxt, end) ? seq_dist(end, seq_max(c->snd.nxt, c->tx->ring_seq)) : 0;
}

struct tcp_range *range_new(struct tg *s, struct tcp_conn *c, struct seq start, struct seq end);
void range_free(struct tg *s, struct tcp_conn *c, struct tcp_range *r);
/* Cuts r at `at`; the new record is the second part. NULL: no memory or too many. */
struct tcp_range *range_split(struct tg *s, struct tcp_conn *c, struct tcp_range *r, struct seq at);
/* Joins r with the record before it; both SACKed. Returns what is left. */
struct tcp_range *range_merge_back(struct tg *s, struct tcp_conn *c, struct tcp_range *r);
/* Takes the part before `at` off r. */
void range_trim(struct tcp_conn *c, struct tcp_range *r, struct seq at);
void range_mark(struct tcp_conn *c, struct tcp_range *r, uint8_t set, uint8_t clear);
static inline uint32_t range_bytes(const struct tcp_range *r)
{
	return seq_dist(r->end, r->start);
}

/* [8985 6.2 step 2] RACK_sent_after. The clause compares times of transmission and, where they are
 * equal, sequence numbers: new text goes in their order. A retransmission does not; so what the
 * clock does not tell apart is told apart by counting, and by number only what went in one frame.
 */
static inline bool tcp_sent_after(
	struct seq a_nth, struct seq a_end, struct seq b_nth, struct seq b_end)
{
	return seq_gt(a_nth, b_nth) || (seq_eq(a_nth, b_nth) && seq_gt(a_end, b_end));
}

/* Puts r, just (re)transmitted, at the end of what is in flight. */
void range_sent(const struct tg *s, struct tcp_conn *c, struct tcp_range *r);
static inline struct tcp_range *range_first(const struct tcp_tx *x)
{
	return list_empty(&x->ranges) ? NULL : list_entry(x->ranges.next, struct tcp_range, node);
}
static inline struct tcp_range *range_next(const struct tcp_tx *x, const struct tcp_range *r)
{
	return r->node.next == &x->ranges ? NULL : list_entry(r->node.next, struct tcp_range, node);
}
static inline struct tcp_range *range_last(const struct tcp_tx *x)
{
	return list_empty(&x->ranges) ? NULL : list_entry(x->ranges.prev, struct tcp_range, node);
}

#endif
