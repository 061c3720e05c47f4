/* Urgent data as the user sees them (RFC 9293 3.8.5, RFC 6093), with the socket interface of
 * Linux: the octet before the urgent pointer is out of line, to be had once by TG_MSG_OOB, unless
 * TG_SO_OOBINLINE leaves it in the stream. Reading stops in front of it, and passes over it when it
 * begins there. What the pointer is on the wire is in tcp_in.c and tcp_out.c. */
#include "tcp/tcp.h"

/* Sequence number of what the user reads next. */
static struct seq read_seq(const struct tcp_conn *c)
{
	return seq_sub(c->rcv.nxt, c->rcvq.bytes + (c->fin_seen ? 1 : 0));
}

/* Is there an urgent octet at or ahead of what the user reads next? *ahead: how many octets. */
static bool urgent_ahead(const struct tcp_conn *c, uint32_t *ahead)
{
	if (!c->urg_in || !seq_gt(c->rcv.up, read_seq(c)))
		return false;
	*ahead = seq_dist(c->rcv.up, read_seq(c)) - 1;
	return true;
}

/* [9293 MUST-33] */
bool tcp_urg_at_mark(const struct tcp_conn *c)
{
	uint32_t ahead;

	return urgent_ahead(c, &ahead) && ahead == 0;
}

/* [9293 MUST-32] */
bool tcp_urg_waits(const struct tcp_conn *c)
{
	uint32_t ahead;

	return urgent_ahead(c, &ahead) && !c->urg_read;
}

uint32_t tcp_urg_readable(const struct tcp_conn *c)
{
	uint32_t ahead;

	if (!c->oobinline && urgent_ahead(c, &ahead) && ahead == 0 && c->rcvq.bytes)
		return c->rcvq.bytes - 1;
	return c->rcvq.bytes;
}

uint32_t tcp_urg_inq(const struct tcp_conn *c)
{
	uint32_t ahead;

	if (!c->oobinline && urgent_ahead(c, &ahead) && ahead < c->rcvq.bytes)
		return ahead;
	return c->rcvq.bytes;
}

/* Copies n octets that begin off into the queue. */
static uint32_t copy_at(const struct pktq *q, uint32_t off, uint8_t *to, uint32_t n)
{
	uint32_t got = 0;

	for (const struct tg_pkt *p = q->head; p && got < n; p = p->next) {
		uint32_t part;

		if (off >= p->len) {
			off -= p->len;
			continue;
		}
		part = min_u32(n - got, p->len - off);
		memcpy(to + got, p->data + off, part);
		got += part;
		off = 0;
	}
	return got;
}

/* [9293 MUST-32] as of Linux: once, without waiting. */
int64_t tcp_urg_recv(struct tcp_conn *c, void *data, size_t n, unsigned flags)
{
	uint32_t ahead;

	if (c->oobinline || c->urg_read || !urgent_ahead(c, &ahead))
		return -TG_EINVAL;
	if (ahead >= c->rcvq.bytes)
		return tcp_at_eof(c) ? 0 : -TG_EAGAIN; /* announced, not here yet */
	if (n)
		copy_at(&c->rcvq, ahead, data, 1);
	if (!(flags & TG_MSG_PEEK))
		c->urg_read = true;
	return n ? 1 : 0;
}

uint32_t tcp_urg_read(struct tg *s, struct tcp_conn *c, void *data, uint32_t n, unsigned flags)
{
	uint32_t ahead, skip = 0, got;

	if (urgent_ahead(c, &ahead)) {
		if (ahead == 0 && !c->oobinline && c->rcvq.bytes && n)
			skip = 1;
		else if (ahead > 0)
			n = min_u32(n, ahead);
	}
	got = min_u32(n, c->rcvq.bytes - skip);
	if (!(flags & TG_MSG_TRUNC) || flags & TG_MSG_PEEK)
		copy_at(&c->rcvq, skip, data, got);
	if (!(flags & TG_MSG_PEEK))
		pktq_consume(s, &c->rcvq, skip + got);
	if (c->urg_in && !urgent_ahead(c, &ahead))
		c->urg_in = false;
	return got;
}
