/* Congestion control behind one interface (RFC 5681, RFC 6582): plain values in, cwnd and ssthresh
 * out. An algorithm knows no connection, no segment and no clock but the time it is told. */
#ifndef TG_TCP_CC_H
#define TG_TCP_CC_H

#include "base/base.h"
#include "tapglass.h"

struct tcp_cc_ops;

/* HyStart++ [9406 4.2]: of the first slow start, 0 where nothing is known. Times in microseconds.
 */
struct cc_hystart {
	uint32_t last_min_us; /* lastRoundMinRTT */
	uint32_t cur_min_us;  /* currentRoundMinRTT */
	uint32_t css_min_us;  /* cssBaselineMinRtt; 0: not in conservative slow start */
	uint32_t round_bytes; /* until the round ends: windowEnd - SND.UNA */
	uint8_t samples;      /* rttSampleCount */
	uint8_t css_rounds;
};

/* CUBIC [9438 4.1.2]: from the first reduction on. Windows in bytes. */
struct cc_cubic {
	uint64_t t_ns;          /* time in this stage of congestion avoidance, limited by cwnd */
	uint64_t last_ns;       /* the last ACK that counted towards t_ns; 0: the clock stands */
	uint32_t k_us;          /* K */
	uint32_t w_max;         /* 0: none is known */
	uint32_t w_est;         /* W_est */
	uint32_t cwnd_max;      /* cwnd_prior: cwnd before the last reduction */
	uint32_t w_before;      /* w_max before the last reduction, for on_undo */
	uint32_t est_left : 31; /* acknowledged, not yet in w_est, bytes */
	uint32_t epoch : 1;     /* a stage has begun: K and t are valid */
};

/* Use of cwnd [7661 4.2]: how much is acknowledged in a round trip, its maximum over two spans of
 * time, bytes. */
struct cc_usage {
	uint32_t now_bytes, before_bytes;
	uint32_t span_ms;  /* when `now` began, milliseconds modulo 2^32 */
	uint32_t valid_ms; /* when at least half of cwnd was last used */
};

#define CC_HYSTART 0x01 /* HyStart++ in the first slow start */
#define CC_PACED   0x02 /* sent at a rate: no limit to what one ACK may open */
#define CC_USAGE   0x04 /* `usage` holds a measurement: pipeACK is defined [7661 4.2] */

struct tcp_cc {
	const struct tcp_cc_ops *ops;
	uint32_t cwnd, ssthresh; /* bytes */
	uint32_t mss;            /* SMSS, bytes */
	uint32_t acked; /* counted towards the next segment of congestion avoidance, bytes */
	uint32_t prior_cwnd, prior_ssthresh; /* before the last reduction: for on_undo; 0 none */
	uint64_t pacing_rate;                /* bytes a second; 0: as fast as the window allows */
	union {                              /* all zero: nothing known */
		struct cc_hystart hystart;   /* while ssthresh is CC_SSTHRESH_NONE */
		struct cc_cubic cubic;       /* after that */
	};
	struct cc_usage usage;
	uint8_t flags; /* CC_* */
};

#define CC_SSTHRESH_NONE UINT32_MAX        /* [5681-3] arbitrarily high */
#define CC_CWND_MAX      (UINT32_MAX / 4u) /* the largest window that a peer can offer is 2^30 */

/* What an acknowledgment told. */
struct cc_ack {
	uint32_t acked_bytes;       /* newly, cumulatively or by SACK */
	uint32_t flight_bytes;      /* in the network before this ACK */
	uint32_t outstanding_bytes; /* SND.NXT - SND.UNA after it */
	uint64_t now_ns, srtt_ns;
	uint64_t rtt_ns;   /* measured by this ACK; 0: none */
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
	/* Something is to be sent, and nothing was in flight. NULL: no time is counted. */
	void (*on_pause)(struct tcp_cc *c, uint64_t now_ns);
	/* Nothing was sent for more than one RTO [5681 4.1]. */
	void (*on_idle)(struct tcp_cc *c, uint32_t iw_segs);
	/* The segment size changed: cwnd stays in segments. */
	void (*on_mss)(struct tcp_cc *c, uint32_t mss);
};

extern const struct tcp_cc_ops cc_newreno, cc_cubic;

/* By enum tg_cc; NULL: there is none such. */
const struct tcp_cc_ops *cc_algorithm(unsigned which);

/* ---- Shared by the algorithms ---- */

/* Slow start (cwnd < ssthresh), HyStart++ in the first one. Returns what of acked_bytes is left for
 * congestion avoidance, which may begin with this ACK. */
uint32_t cc_slow_start(struct tcp_cc *c, const struct cc_ack *a);
/* cwnd grows by n, within CC_CWND_MAX. */
static inline void cc_grow(struct tcp_cc *c, uint32_t n)
{
	if (c->cwnd < CC_CWND_MAX)
		c->cwnd += min_u32(n, CC_CWND_MAX - c->cwnd);
}
/* v bytes in segments of `from` as many segments of `to`. */
static inline uint32_t cc_rescale(uint32_t v, uint32_t from, uint32_t to)
{
	return (uint32_t)min_u64((uint64_t)(v / from) * to, CC_CWND_MAX);
}

/* C * t^3 [9438 4.2] in bytes, and the cube root that undoes it: the largest t, microseconds, for
 * which it is not above `bytes`. */
uint64_t cubic_bytes(uint64_t t_us, uint32_t mss);
uint32_t cubic_root_us(uint32_t bytes, uint32_t mss);

/* ---- Validation of cwnd (cc_cwv.c) ---- */

/* What was acknowledged in the round trip that an ACK ends, bytes [7661 4.2]. */
void cwv_sample(struct tcp_cc *c, uint32_t bytes, uint64_t srtt_ns, uint64_t now_ns);
/* pipeACK; UINT32_MAX while undefined. */
uint32_t cwv_pipe_ack(const struct tcp_cc *c);
/* At least half of cwnd is in use: the validated phase [7661 4.3]. */
bool cwv_validated(const struct tcp_cc *c);
/* Something is about to be sent: what was not validated for 5 minutes is given up by half
 * [7661 4.4.3]. */
void cwv_before_send(struct tcp_cc *c, uint32_t iw_segs, uint64_t now_ns);
/* A loss: the window that on_loss left is cut to half of what was really in use [7661 4.4.2].
 * validated: what cwv_validated said before on_loss. */
void cwv_on_loss(struct tcp_cc *c, bool validated, uint32_t flight_bytes);
/* Idle for several RTOs: cwnd halves for each [2861 3.1]. */
void cwv_decay(struct tcp_cc *c, uint32_t iw_segs, uint64_t idle_ns, uint64_t rto_ns);

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
