/* Buffers that find their size, as long as their user has not said one.
 *
 * Receiving: what the user takes in a round trip is what the window let through; so that the window
 * is never what limits a sender that doubles each round trip, the buffer is kept at twice as much
 * and more while it rises (dynamic right-sizing, as Linux's tcp_moderate_rcvbuf). The round trip is
 * measured by the echo of our timestamps on full segments, else by how long a window's worth of
 * text takes, else as the handshake's. A user who reads slowly keeps a small buffer. Sending: twice
 * the congestion window. The window never shrinks [9293 SHLD-14]: a buffer that does takes effect
 * as text is read.
 *
 * The memory of the whole instance: above mem_pressure_bytes nothing grows, above mem_high_bytes
 * buffers shrink, at each round trip or acknowledgment, to a half, down to the least. Each of these
 * is counted: tcp_rcvbuf_grown, tcp_sndbuf_grown, tcp_growth_refused, tcp_buffers_shrunk. */
#include "tcp/tcp.h"

#define SLACK_SEGS  16u     /* beyond twice the text of a round trip */
#define ECHO_MAX_MS 600000u /* an older echo is none of ours */
#define LEAST_UNITS 4u      /* a buffer of fewer units of the window's scale would be closed */

enum tcp_memory tcp_memory_level(const struct tg *s)
{
	uint64_t high = s->cfg.tcp.mem_high_bytes, pressure = s->cfg.tcp.mem_pressure_bytes;
	uint64_t pages = arena_pages_bytes(s->arena);

	if (!high)
		high = arena_budget_bytes(s->arena) / 4 * 3;
	if (!pressure)
		pressure = arena_budget_bytes(s->arena) / 2;
	if (pages > high)
		return TCP_MEMORY_SHORT;
	return pages > pressure ? TCP_MEMORY_PRESSURE : TCP_MEMORY_PLENTY;
}

/* ---- Receiving ---- */

static bool may_move(const struct tg *s, const struct tcp_conn *c)
{
	return s->cfg.tcp.moderate_rcvbuf && !c->rcvbuf_locked;
}

static uint32_t most_rcvbuf(const struct tg *s, const struct tcp_conn *c)
{
	return may_move(s, c) ? max_u32(c->rcvbuf, s->cfg.tcp.rcvbuf_max_bytes) : c->rcvbuf;
}

uint8_t tcp_rcv_wscale(const struct tg *s, const struct tcp_conn *c)
{
	uint8_t now = tcp_wscale_for(c->rcvbuf), shift = tcp_wscale_for(most_rcvbuf(s, c));

	while (shift > now && LEAST_UNITS << shift > c->rcvbuf)
		shift--;
	return shift;
}

static uint32_t now_us(const struct tg *s)
{
	return (uint32_t)(s->now_ns / NS_PER_US);
}

static struct seq taken_up_to(const struct tcp_conn *c)
{
	return seq_sub(c->rcv.nxt, c->rcvq.bytes);
}

void tcp_buf_established(const struct tg *s, struct tcp_conn *c)
{
	c->rounds = (struct tcp_rcv_rounds){.edge = c->rcv.adv,
		.edge_us = now_us(s),
		.taken = taken_up_to(c),
		.taken_us = now_us(s),
		.most_bytes = min_u32(c->rcvbuf, 10u * c->rmss)};
}

static void by_echo(struct tcp_conn *c, const struct tcp_rx *r)
{
	struct tcp_rcv_rounds *o = &c->rounds;
	uint32_t ms = tcp_ts_now(r->s, c->ts_offset) - r->g.opts.tsecr, us;

	/* a short segment may have waited for the sender's user */
	if (!(r->g.opts.has & TCP_HAS_TS) || ms > ECHO_MAX_MS || r->g.text_bytes < c->mss_rcv)
		return;
	us = max_u32(ms, 1) * 1000; /* the clock's grain */
	if (o->rtt_us == 0 || us < o->rtt_us)
		o->rtt_us = us;
	else
		o->rtt_us += (us - o->rtt_us) / 8;
}

static void by_window(const struct tg *s, struct tcp_conn *c)
{
	struct tcp_rcv_rounds *o = &c->rounds;
	uint32_t us = now_us(s) - o->edge_us;

	if (seq_lt(c->rcv.nxt, o->edge))
		return;
	if (o->rtt_us == 0 || us < o->rtt_us)
		o->rtt_us = max_u32(us, 1);
	o->edge = c->rcv.adv;
	o->edge_us = now_us(s);
}

void tcp_buf_text_in(struct tcp_conn *c, const struct tcp_rx *r)
{
	if (c->ts_ok)
		by_echo(c, r);
	else
		by_window(r->s, c);
}

static void shrink(struct tg *s, uint32_t *buf, uint32_t least)
{
	if (*buf <= least)
		return;
	*buf = max_u32(*buf / 2, least);
	s->counters.tcp_buffers_shrunk++;
}

/* The user took `bytes` in the round trip that ended, more than ever before: twice that, and as
 * much more as it may have risen by the next two. */
static void grow(struct tg *s, struct tcp_conn *c, uint32_t bytes)
{
	struct tcp_rcv_rounds *o = &c->rounds;
	uint64_t want = 2ull * bytes + SLACK_SEGS * (uint64_t)c->mss_rcv;

	want += 2 * (want * (bytes - o->most_bytes) / max_u32(o->most_bytes, 1));
	want = min_u64(want, min_u32(most_rcvbuf(s, c), 65535u << c->rcv_wscale));
	if (want <= c->rcvbuf) {
		o->most_bytes = bytes;
		return;
	}
	if (tcp_memory_level(s) != TCP_MEMORY_PLENTY) {
		s->counters.tcp_growth_refused++;
		return;
	}
	o->most_bytes = bytes;
	c->rcvbuf = (uint32_t)want;
	s->counters.tcp_rcvbuf_grown++;
}

void tcp_buf_text_taken(struct tg *s, struct tcp_conn *c)
{
	struct tcp_rcv_rounds *o = &c->rounds;
	uint32_t rtt_us =
		o->rtt_us ? o->rtt_us : (uint32_t)min_u64(c->srtt_ns / NS_PER_US, 1u << 30);
	uint32_t bytes;

	if (!may_move(s, c) || rtt_us == 0 || now_us(s) - o->taken_us < rtt_us)
		return;
	bytes = seq_dist(taken_up_to(c), o->taken);
	o->taken = taken_up_to(c);
	o->taken_us = now_us(s);
	if (tcp_memory_level(s) == TCP_MEMORY_SHORT) {
		shrink(s, &c->rcvbuf,
			max_u32(s->cfg.tcp.rcvbuf_min_bytes, LEAST_UNITS << c->rcv_wscale));
		o->most_bytes = min_u32(o->most_bytes, c->rcvbuf / 2);
	} else if (bytes > o->most_bytes) {
		grow(s, c, bytes);
	}
}

/* ---- Sending ---- */

void tcp_buf_acked(struct tg *s, struct tcp_conn *c)
{
	uint32_t most = max_u32(s->cfg.tcp.sndbuf_max_bytes, s->cfg.tcp.sndbuf_bytes);
	uint32_t want = (uint32_t)min_u64(2ull * c->cc.cwnd, most);
	enum tcp_memory level;

	if (c->sndbuf_locked)
		return;
	level = tcp_memory_level(s);
	if (level == TCP_MEMORY_SHORT) {
		shrink(s, &c->sndbuf, s->cfg.tcp.sndbuf_min_bytes);
	} else if (want > c->sndbuf && level == TCP_MEMORY_PRESSURE) {
		s->counters.tcp_growth_refused++;
	} else if (want > c->sndbuf) {
		c->sndbuf = want;
		s->counters.tcp_sndbuf_grown++;
	}
}
