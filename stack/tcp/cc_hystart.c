/* Slow start for every algorithm: growth by what an ACK acknowledges (RFC 5681 3.1, RFC 3465 2.2)
 * and its end before queues overflow (HyStart++, RFC 9406).
 *
 * How much one ACK may open: RFC 5681 (2) recommends one SMSS, RFC 3465 two, RFC 9406 4.2 eight
 * without pacing and any number with it. All of them mean bursts, and count on an ACK for every
 * second segment. A receiver that takes in large frames (GRO, ours too) acknowledges a whole one,
 * up to 64 KB, at once, and what is sent leaves in frames as large. Here the limit is eight
 * segments or one such frame, whichever is more: what goes beyond it tells of lost ACKs, and its
 * burst is what the limit is for. As bytes are counted, splitting ACKs gains nothing. */
#include "tcp/tcp_cc.h"

#define SLOW_START_SEGS  8u     /* [9406 4.2] L */
#define SLOW_START_FRAME 65535u /* what a receiver may take in as one */
#define MIN_THRESH_US    4000u  /* [9406 4.2] MIN_RTT_THRESH */
#define MAX_THRESH_US    16000u /* MAX_RTT_THRESH */
#define THRESH_DIVISOR   8u     /* MIN_RTT_DIVISOR */
#define RTT_SAMPLES      8u     /* N_RTT_SAMPLE */
#define CSS_DIVISOR      4u     /* CSS_GROWTH_DIVISOR */
#define CSS_ROUNDS       5u
#define SAMPLE_MAX_US    0x7fffffffu

static bool is_first_slow_start(const struct tcp_cc *c)
{
	return c->ssthresh == CC_SSTHRESH_NONE;
}

/* The delay has risen since the last round, by more than its eighth [9406 4.2]. */
static bool delay_rose(const struct cc_hystart *h)
{
	uint32_t thresh_us = h->last_min_us / THRESH_DIVISOR;

	thresh_us = max_u32(MIN_THRESH_US, min_u32(thresh_us, MAX_THRESH_US));
	return h->cur_min_us >= h->last_min_us + thresh_us;
}

/* windowEnd is acknowledged [9406 4.2]: a round begins. */
static void next_round(struct tcp_cc *c, const struct cc_ack *a)
{
	struct cc_hystart *h = &c->hystart;

	if (h->css_min_us && ++h->css_rounds >= CSS_ROUNDS) {
		c->ssthresh = c->cwnd; /* [9406 4.2, 9438-10] it did not come down again */
		memset(&c->cubic, 0, sizeof(c->cubic));
		return;
	}
	h->last_min_us = h->cur_min_us;
	h->cur_min_us = 0;
	h->samples = 0;
	h->round_bytes = a->outstanding_bytes;
}

static void take_sample(struct cc_hystart *h, uint64_t rtt_ns)
{
	uint32_t us = (uint32_t)min_u64(rtt_ns / NS_PER_US + 1, SAMPLE_MAX_US);

	h->cur_min_us = h->cur_min_us ? min_u32(h->cur_min_us, us) : us;
	if (h->samples < UINT8_MAX)
		h->samples++;
}

static void hystart(struct tcp_cc *c, const struct cc_ack *a)
{
	struct cc_hystart *h = &c->hystart;

	if (a->rtt_ns)
		take_sample(h, a->rtt_ns);
	if (h->samples >= RTT_SAMPLES && !h->css_min_us && h->last_min_us && delay_rose(h)) {
		h->css_min_us = h->cur_min_us;
		h->css_rounds = 0;
	} else if (h->samples >= RTT_SAMPLES && h->cur_min_us < h->css_min_us) {
		h->css_min_us = 0; /* [9406 4.2] jitter it was: slow start goes on */
	}
	if (h->round_bytes == 0) /* the first: windowEnd = SND.NXT */
		h->round_bytes = a->acked_bytes + a->outstanding_bytes;
	if (a->acked_bytes < h->round_bytes)
		h->round_bytes -= a->acked_bytes;
	else
		next_round(c, a);
}

uint32_t cc_slow_start(struct tcp_cc *c, const struct cc_ack *a)
{
	uint32_t n = a->acked_bytes, most = max_u32(SLOW_START_SEGS * c->mss, SLOW_START_FRAME);
	uint32_t room = c->ssthresh - c->cwnd;
	bool watch = is_first_slow_start(c) && (c->flags & CC_HYSTART);

	if (!(c->flags & CC_PACED)) /* [9406 4.2] L is infinite when paced */
		n = min_u32(n, most);
	/* [9406 4.2] conservative slow start: a quarter */
	if (watch && c->hystart.css_min_us)
		n = (n + CSS_DIVISOR - 1) / CSS_DIVISOR;
	if (n <= room) {
		cc_grow(c, n); /* [5681-4] */
		if (watch)
			hystart(c, a);
		return 0;
	}
	cc_grow(c, room);
	return n - room;
}
