/* Congestion control behind one interface (RFC 5681, RFC 6582): plain values in, cwnd and ssthresh
 * out. An algorithm knows no connection, no segment and no clock but the time it is told. */
#ifndef TG_TCP_CC_H
#define TG_TCP_CC_H

#include "base/base.h"

struct tcp_cc_ops;

struct tcp_cc {
	const struct tcp_cc_ops *ops;
	uint32_t cwnd, ssthresh; /* bytes */
	uint32_t mss;            /* SMSS, bytes */
	uint32_t acked; /* counted towards the next segment of congestion avoidance, bytes */
	uint32_t prior_cwnd, prior_ssthresh; /* before the last reduction: for on_undo; 0 none */
};

/* What an acknowledgment told. */
struct cc_ack {
	uint32_t acked_bytes;  /* newly, cumulatively or by SACK */
	uint32_t flight_bytes; /* in the network before this ACK */
	uint64_t now_ns, srtt_ns;
	bool cwnd_limited; /* the sender was held back by cwnd: it may grow [7661 4.1] */
};

struct tcp_cc_ops {
	const char *name;
	/* After the handshake: IW [6928 2], `syn_lost` more than once: one segment. */
	void (*init)(struct tcp_cc *c, uint32_t mss, uint32_t iw_segs, bool syn_lost);
	/* New data were acknowledged outside of fast recovery. */
	void (*on_ack)(struct tcp_cc *c, const struct cc_ack *a);
	/* Loss noticed by duplicate ACKs or SACK: sets ssthresh and cwnd [5681 3.2, 6675 5]. */
	void (*on_loss)(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns);
	/* Recovery is complete [6582 3.2 (3)]. */
	void (*on_recovered)(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns);
	/* Retransmission timeout; `first`: of this data [5681 3.1]. */
	void (*on_timeout)(struct tcp_cc *c, uint32_t flight_bytes, bool first, uint64_t now_ns);
	/* The last on_loss or on_timeout was needless (F-RTO, D-SACK, timestamps): what it took is
	 * given back, never to less than there is now [5682 3.1, 4015 3, 9438 4.9]. Once for each
	 * reduction; without one it does nothing. */
	void (*on_undo)(struct tcp_cc *c);
	/* The peer reports a mark of congestion (ECE), at most once in a round trip: a reduction as
	 * for a loss, though nothing is to be sent again [3168 6.1.2, 9438 4.6]. Cannot be undone.
	 */
	void (*on_ecn)(struct tcp_cc *c, uint32_t flight_bytes, uint64_t now_ns);
	/* Nothing was sent for more than one RTO [5681 4.1]. */
	void (*on_idle)(struct tcp_cc *c, uint32_t iw_segs);
	/* The segment size changed: cwnd stays in segments. */
	void (*on_mss)(struct tcp_cc *c, uint32_t mss);
};

extern const struct tcp_cc_ops cc_newreno;

/* What on_undo gives back: called first thing in a reduction. */
static inline void cc_remember(struct tcp_cc *c)
{
	c->prior_cwnd = c->cwnd;
	c->prior_ssthresh = c->ssthresh;
}

static inline void cc_forget(struct tcp_cc *c)
{
	c->prior_cwnd = 0;
	c->prior_ssthresh = 0;
}

/* IW of RFC 6928 for a segment size, bytes. */
uint32_t cc_initial_window(uint32_t mss, uint32_t iw_segs);

#endif
