/* The data of an iperf3 test. Octets received are counted in place and never copied; of a datagram
 * only its header is. What is sent is one block of pseudorandom octets, again and again. A datagram
 * begins with the time it was sent, seconds and microseconds, and its number, from 1, of four or
 * eight octets. Loss and jitter: RFC 3550 6.4.1. */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <string.h>

#define UDP_HDR_32     12u
#define UDP_HDR_64     16u
#define UDP_TRIES      4
#define GREET_AGAIN_NS (2 * NS_PER_S)

static const struct iperf_params *params(const struct iperf_stream *st)
{
	return &st->test->p;
}

static bool passes(int64_t result)
{
	return result == -TG_EAGAIN || result == -TG_ENOMEM || result == -TG_ENOBUFS;
}

static void broken(
	struct iperf_stream *st, unsigned error, const char *what, int64_t result, uint64_t now_ns)
{
	if (st->test->running && !st->test->counting) {
		st->phase = IPERF_ENDED; /* the test is over, the other end closes */
		return;
	}
	iperf_test_fail(
		st->test, error, now_ns, "stream %u: %s: %s", st->id, what, errno_text(result));
}

/* ---- Numbers that arrive --------------------------------------------------------------------- */

void iperf_arrive(struct iperf_arrivals *a, uint64_t number, int64_t sent_ns, int64_t now_ns)
{
	int64_t transit = now_ns - sent_ns, d;

	if (number > a->packets) {
		a->lost += number - a->packets - 1;
		a->packets = number;
	} else {
		a->disorder++; /* it was taken for lost */
		a->lost -= a->lost > 0;
	}
	d = a->has_transit ? transit - a->transit_ns : 0;
	d = d < 0 ? -d : d;
	a->jitter_s += ((double)d / 1e9 - a->jitter_s) / 16;
	a->transit_ns = transit;
	a->has_transit = true;
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static void received(struct iperf_stream *st, uint64_t bytes, uint64_t now_ns)
{
	struct iperf_test *t = st->test;

	if (t->counting) {
		st->now.bytes += bytes;
		t->received_bytes += bytes;
		t->moved_ns = now_ns;
	}
}

static void tcp_receive(struct iperf_stream *st, uint64_t now_ns)
{
	struct tg *s = st->test->s;
	int64_t n;

	while ((n = svc_readable(s, st->conn.sock)) > 0) {
		tg_sock_consume(s, st->conn.sock, (size_t)n, now_ns);
		received(st, (uint64_t)n, now_ns);
	}
	if (n == 0) {
		st->phase = IPERF_ENDED;
	} else if (!passes(n)) {
		broken(st, IPERF_E_READ, "cannot receive", n, now_ns);
	}
}

static void datagram(
	struct iperf_stream *st, const uint8_t *hdr, const struct tg_dgram *d, uint64_t now_ns)
{
	const bool wide = params(st)->udp_64bit;
	struct iperf_test *t = st->test;
	uint64_t number;

	if (d->bytes == 4 && t->server) { /* our answer to it was lost */
		tg_sock_send(t->s, st->conn.sock, IPERF_UDP_REPLY, 4, 0, now_ns);
		return;
	}
	if (d->bytes < (wide ? UDP_HDR_64 : UDP_HDR_32) || !t->counting) {
		return;
	}
	number = wide ? (uint64_t)get32(hdr + 8) << 32 | get32(hdr + 12) : get32(hdr + 8);
	if (number == 0 || number > INT64_MAX) {
		return; /* there is no such number */
	}
	iperf_arrive(&st->arrivals, number,
		(int64_t)get32(hdr) * (int64_t)NS_PER_S +
			(int64_t)get32(hdr + 4) * (int64_t)NS_PER_US,
		(int64_t)tg_host_now());
	t->received_blocks++;
	received(st, d->bytes, now_ns);
}

static void udp_receive(struct iperf_stream *st, uint64_t now_ns)
{
	uint8_t hdr[UDP_HDR_64];
	struct tg_dgram d;
	int64_t n;

	for (int tries = 0; tries < UDP_TRIES;) {
		n = tg_sock_recvfrom(st->test->s, st->conn.sock, hdr, sizeof hdr, 0, &d, now_ns);
		if (n >= 0) {
			datagram(st, hdr, &d, now_ns);
		} else if (passes(n)) {
			return;
		} else {
			tries++; /* an error that ICMP reported: datagrams may wait behind it */
		}
	}
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* May another block begin? */
static bool may_begin(struct iperf_stream *st, uint64_t now_ns)
{
	const struct iperf_test *t = st->test;
	const struct iperf_params *p = &t->p;

	if (!t->counting ||
		(!t->omitting && ((p->bytes != 0 && t->sent_bytes >= p->bytes) ||
					 (p->blocks != 0 && t->sent_blocks >= p->blocks)))) {
		return false;
	}
	if (p->rate_bps == 0 || st->burst_left > 0) {
		st->burst_left -= st->burst_left > 0;
		return true;
	}
	st->due_ns = t->begin_ns + (uint64_t)((double)st->now.blocks * p->block_bytes * 8e9 /
					      (double)p->rate_bps);
	if (now_ns < st->due_ns) {
		return false;
	}
	st->burst_left = p->burst_blocks > 1 ? p->burst_blocks - 1 : 0;
	return true;
}

static void sent(struct iperf_stream *st, uint64_t bytes, bool whole_block, uint64_t now_ns)
{
	struct iperf_test *t = st->test;

	if (!t->counting) {
		return;
	}
	st->now.bytes += bytes;
	st->now.blocks += whole_block;
	t->sent_bytes += bytes;
	t->sent_blocks += whole_block;
	t->moved_ns = now_ns;
}

/* A block that was begun is sent to its end, also when the test is over: some wait for all of it.
 */
static void tcp_send(struct iperf_stream *st, uint64_t now_ns)
{
	struct iperf_test *t = st->test;
	const uint32_t block = t->p.block_bytes;
	int64_t n;

	do {
		if (st->block_left == 0) {
			if (!may_begin(st, now_ns)) {
				return;
			}
			st->block_left = block;
		}
		n = tg_sock_send(t->s, st->conn.sock, t->payload + (block - st->block_left),
			st->block_left, 0, now_ns);
		if (n > 0) {
			st->block_left -= (uint32_t)n;
			sent(st, (uint64_t)n, st->block_left == 0, now_ns);
		}
	} while (n >= 0);
	st->retry = n != -TG_EAGAIN;
	if (!passes(n)) {
		broken(st, IPERF_E_WRITE, "cannot send", n, now_ns);
	}
}

static void udp_header(const struct iperf_stream *st, uint8_t *hdr, uint64_t number)
{
	uint64_t now = tg_host_now();

	put32(hdr, (uint32_t)(now / NS_PER_S));
	put32(hdr + 4, (uint32_t)(now % NS_PER_S / NS_PER_US));
	if (params(st)->udp_64bit) {
		put32(hdr + 8, (uint32_t)(number >> 32));
		put32(hdr + 12, (uint32_t)number);
	} else {
		put32(hdr + 8, (uint32_t)number);
	}
}

static void udp_send(struct iperf_stream *st, uint64_t now_ns)
{
	struct iperf_test *t = st->test;
	int tries = 0;
	int64_t n;

	while (tries < UDP_TRIES) {
		if (st->block_left == 0 && !may_begin(st, now_ns)) {
			return;
		}
		st->block_left = t->p.block_bytes;
		udp_header(st, (uint8_t *)t->payload, st->now.packets + 1);
		n = tg_sock_send(t->s, st->conn.sock, t->payload, t->p.block_bytes, 0, now_ns);
		if (n == -TG_EMSGSIZE) {
			broken(st, IPERF_E_WRITE, "cannot send", n, now_ns);
			return;
		}
		if (passes(n)) {
			st->retry = n != -TG_EAGAIN;
			return;
		}
		if (n < 0) {
			tries++; /* what ICMP reported of earlier ones */
			continue;
		}
		st->block_left = 0;
		st->now.packets++;
		sent(st, t->p.block_bytes, true, now_ns);
	}
	st->retry = true;
}

void iperf_stream_send(struct iperf_stream *st, uint64_t now_ns)
{
	st->retry = false;
	if (!st->test->running || st->test->failed) {
		return;
	}
	if (params(st)->udp) {
		udp_send(st, now_ns);
	} else {
		tcp_send(st, now_ns);
	}
	/* the round that follows looks when to try again, or what failed */
	st->test->heard = st->test->heard || st->retry || st->test->failed;
}

/* ---- Opening, as the client ------------------------------------------------------------------ */

int iperf_stream_options(struct iperf_stream *st, bool before_syn, uint64_t now_ns)
{
	const struct iperf_params *p = params(st);
	struct tg *s = st->test->s;
	tg_sock k = st->conn.sock;
	unsigned cc = 0;
	int rc = 0;

	if (p->window_bytes != 0) {
		rc = tg_sock_setopt(s, k, TG_SO_SNDBUF, p->window_bytes, now_ns);
		rc = rc < 0 ? rc : tg_sock_setopt(s, k, TG_SO_RCVBUF, p->window_bytes, now_ns);
	}
	if (rc == 0 && p->tos != 0) {
		rc = tg_sock_setopt(s, k, TG_IP_TOS, p->tos, now_ns);
	}
	if (p->udp || rc < 0) {
		return rc;
	}
	if (p->mss != 0) {
		rc = tg_sock_setopt(s, k, TG_TCP_MAXSEG, p->mss, now_ns);
		rc = before_syn ? rc
				: 0; /* too late for what was agreed: the other end has said it */
	}
	if (rc == 0 && p->nodelay) {
		rc = tg_sock_setopt(s, k, TG_TCP_NODELAY, 1, now_ns);
	}
	if (rc == 0) {
		rc = tg_sock_setopt(s, k, TG_TCP_NOTSENT_LOWAT, SVC_NOTSENT_BYTES, now_ns);
	}
	while (p->congestion[0] != '\0' && tg_cc_name(cc) != NULL &&
		strcmp(tg_cc_name(cc), p->congestion) != 0) {
		cc++;
	}
	if (rc == 0 && p->congestion[0] != '\0') {
		rc = tg_sock_setopt(s, k, TG_TCP_CONGESTION, cc, now_ns);
	}
	return rc;
}

void iperf_stream_ready(struct iperf_stream *st)
{
	st->phase = IPERF_READY;
	tg_sock_local_addr(st->test->s, st->conn.sock, &st->local);
	tg_sock_peer_addr(st->test->s, st->conn.sock, &st->peer);
}

int iperf_stream_connect(struct iperf_stream *st, const struct tg_addr *to, uint64_t now_ns)
{
	struct iperf_test *t = st->test;
	int rc = tg_sock_open(t->s, t->p.udp ? TG_DGRAM : TG_STREAM, 0,
		(uint64_t)(uintptr_t)&st->conn, &st->conn.sock);

	if (rc < 0) {
		st->conn.sock = 0;
		return rc;
	}
	rc = iperf_stream_options(st, true, now_ns);
	if (rc == 0) {
		rc = tg_sock_connect(t->s, st->conn.sock, to, now_ns);
	}
	if (rc == 0) { /* UDP */
		st->phase = IPERF_GREETING;
		st->greet_ns = now_ns + GREET_AGAIN_NS;
		tg_sock_send(t->s, st->conn.sock, IPERF_UDP_HELLO, 4, 0, now_ns);
	}
	return rc == -TG_EINPROGRESS ? 0 : rc;
}

static void connecting(struct iperf_stream *st, uint64_t now_ns)
{
	int64_t error = 0;

	if ((tg_sock_ready(st->test->s, st->conn.sock) & (TG_OUT | TG_ERR | TG_HUP)) == 0) {
		return;
	}
	tg_sock_getopt(st->test->s, st->conn.sock, TG_SO_ERROR, &error);
	if (error != 0) {
		broken(st, IPERF_E_STREAM, "cannot connect", -error, now_ns);
		return;
	}
	st->phase = IPERF_GREETING;
}

/* The cookie goes first. */
static void tcp_greet(struct iperf_stream *st, uint64_t now_ns)
{
	struct iperf_test *t = st->test;
	int64_t n = tg_sock_send(t->s, st->conn.sock, t->cookie + st->greeting_bytes,
		IPERF_COOKIE_BYTES - st->greeting_bytes, 0, now_ns);

	if (n < 0 && !passes(n)) {
		broken(st, IPERF_E_STREAM, "cannot send the cookie", n, now_ns);
		return;
	}
	st->greeting_bytes += n > 0 ? (uint32_t)n : 0;
	if (st->greeting_bytes == IPERF_COOKIE_BYTES) {
		iperf_stream_ready(st);
	}
}

/* Any datagram of four octets is the answer: there are two sorts of them about. */
static void udp_greet(struct iperf_stream *st, uint64_t now_ns)
{
	struct iperf_test *t = st->test;
	uint8_t buf[8];
	int64_t n;

	while ((n = tg_sock_recv(t->s, st->conn.sock, buf, sizeof buf, 0, now_ns)) >= 0) {
		if (n == 4) {
			iperf_stream_ready(st);
			return;
		}
	}
	if (now_ns >= st->greet_ns) {
		st->greet_ns = now_ns + GREET_AGAIN_NS;
		tg_sock_send(t->s, st->conn.sock, IPERF_UDP_HELLO, 4, 0, now_ns);
	}
}

/* ---- Events ---------------------------------------------------------------------------------- */

void iperf_stream_event(struct svc_conn *c, unsigned events, uint64_t now_ns)
{
	struct iperf_stream *st = (struct iperf_stream *)(void *)c;
	struct iperf_test *t = st->test;
	int64_t error = 0;

	if (t->failed || st->phase == IPERF_ENDED) {
		return;
	}
	if (st->phase == IPERF_CONNECTING) {
		connecting(st, now_ns);
	}
	if (st->phase == IPERF_GREETING) {
		if (t->p.udp) {
			udp_greet(st, now_ns);
		} else {
			tcp_greet(st, now_ns);
		}
	}
	if (st->phase == IPERF_READY && !t->running && !t->p.udp && (events & TG_ERR) != 0) {
		tg_sock_getopt(t->s, st->conn.sock, TG_SO_ERROR, &error);
		broken(st, IPERF_E_READ, "was lost", error != 0 ? -error : -TG_ECONNRESET, now_ns);
	}
	if (st->phase != IPERF_READY || !t->running || t->failed) {
		return; /* what has come already waits */
	}
	if (st->sender) {
		iperf_stream_send(st, now_ns);
		if (t->p.udp && (events & (TG_IN | TG_ERR)) != 0) {
			udp_receive(st, now_ns);
		} else if ((events & (TG_IN | TG_RDHUP)) != 0 && !t->failed) {
			tcp_receive(st, now_ns);
		}
	} else if (t->p.udp) {
		udp_receive(st, now_ns);
	} else {
		tcp_receive(st, now_ns);
	}
}

void iperf_stream_look(struct iperf_stream *st)
{
	struct tg_tcp_info i;
	uint32_t rtt;

	if (!st->sender || params(st)->udp || tg_tcp_status(st->test->s, st->conn.sock, &i) < 0) {
		return;
	}
	rtt = (uint32_t)(i.srtt_ns / NS_PER_US);
	st->now.retransmits = i.retransmits;
	st->cwnd_bytes = i.cwnd_bytes;
	st->snd_wnd_bytes = i.snd_wnd;
	st->rtt_us = rtt;
	st->rttvar_us = (uint32_t)(i.rttvar_ns / NS_PER_US);
	st->pmtu = i.pmtu;
	st->max_cwnd_bytes = i.cwnd_bytes > st->max_cwnd_bytes ? i.cwnd_bytes : st->max_cwnd_bytes;
	st->max_wnd_bytes = i.snd_wnd > st->max_wnd_bytes ? i.snd_wnd : st->max_wnd_bytes;
	st->max_rtt_us = rtt > st->max_rtt_us ? rtt : st->max_rtt_us;
	st->min_rtt_us = st->rtt_samples == 0 || rtt < st->min_rtt_us ? rtt : st->min_rtt_us;
	st->rtt_sum_us += rtt;
	st->rtt_samples++;
}
