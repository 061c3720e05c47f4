/* TCP's own header: the connection, field by field, and what the files of tcp/ offer one another.
 * Names are those of RFC 9293 3.3.1. Nothing outside tcp/ includes this; sock/ uses tcp_user.h. */
#ifndef TG_TCP_H
#define TG_TCP_H

#include "base/bring.h"
#include "base/seq.h"
#include "core/rule.h"
#include "ip/ip.h"
#include "tcp/tcp_buf.h"
#include "tcp/tcp_cc.h"
#include "tcp/tcp_cookie.h"
#include "tcp/tcp_demux.h"
#include "tcp/tcp_mini.h"
#include "tcp/tcp_queue.h"
#include "tcp/tcp_user.h"
#include "wire/tcp_wire.h"

#define TCP_MSS_DEFAULT 536u /* [9293 MUST-15] no MSS option, IPv4 */
#define TCP_MSS_MIN                                                                                \
	48u /* a peer that offers less gets this: keeps a hostile MSS from costing a frame a byte  \
	     */
/* Range records and out-of-order ranges of one connection: see tcp_ranges_max. */
#define TCP_RANGES_MIN     4096u
#define TCP_RANGES_MAX     65536u
#define TCP_OOO_RANGES_MIN 256u
#define TCP_OOO_RANGES_MAX 8192u
#define TCP_DUPTHRESH      3u /* [5681 3.2, 6675 2] */
#define TCP_WINDOW_MAX     (65535u << TCP_WSCALE_MAX)
#define TCP_BACKLOG_MAX    65535u
#define TCP_PORT_TRIES     256u /* ports that one connect looks at when all are in use */
#define TCP_FRAME_MAX      (65535u - 60u - TCP_HDR_MAX_BYTES) /* text of one frame */
#define TCP_NO_MEMORY_RETRY_NS                                                                     \
	(10 * NS_PER_MS) /* what could not be sent for lack of memory is tried again */
#define TCP_PERSIST_MAX_NS  (60 * NS_PER_SEC)
#define CHALLENGE_PERIOD_MS 5000u
#define TCP_SWS_OVERRIDE_NS (200 * NS_PER_MS) /* [9293 MUST-38] 0.1 to 1 s */

/* ---- What was sent and is not yet acknowledged ---- */

#define RANGE_SACKED  0x01 /* the receiver holds it */
#define RANGE_LOST    0x02 /* taken for lost */
#define RANGE_RETRANS 0x04 /* sent again, and that copy is taken to be in flight */
#define RANGE_EVER    0x08 /* was ever sent again: no RTT sample [6298 3] */
#define RANGE_FIN     0x10 /* the last sequence number is the FIN */

/* [6675-1, 2018-4] One emission, [start of the record before it's end, end). Split where SACK or
 * loss cuts through; freed by the cumulative ACK alone. */
struct tcp_range {
	struct list node;
	struct list sent; /* in tcp_tx.by_time while this copy is in flight; else by itself */
	struct seq start, end;
	struct seq sent_nth; /* last (re)transmission: which it was, by tcp_tx.last_nth */
	uint8_t flags;       /* RANGE_* */
	uint8_t n_retrans;
	uint16_t sacked_segs; /* segments in it, once it is SACKed */
	uint64_t sent_ns;
	uint64_t delivered; /* c->delivered when it was sent: delivery-rate samples */
};

/* The sending half's memory; exists only while something is queued or unacknowledged. */
struct tcp_tx {
	struct bring ring;   /* text from ring_seq on */
	struct seq ring_seq; /* sequence number of the ring's first byte */
	uint32_t n_ranges;
	struct list ranges;     /* SND.UNA to SND.NXT, contiguous, in order */
	struct seq high_sacked; /* highest sequence number SACKed, SND.UNA if none */
	bool rescued; /* [6675 4 (4)] the rescue retransmission of this recovery is spent */
	uint32_t sacked_bytes, lost_bytes, retrans_bytes;
	bool ecn_reduced;       /* cwnd was reduced for ECE: once until ecn_high is acknowledged */
	struct seq ecn_high;    /* SND.NXT at that time [3168 6.1.2] */
	uint32_t sacked_segs;   /* RACK.segs_sacked [8985 5.3] */
	uint32_t limited_bytes; /* new text sent on duplicate ACKs [5681-10] */
	struct list by_time;    /* what is in flight, the oldest transmission first [8985 6.2] */
	struct seq last_nth;    /* transmissions, counted: no two at one time are equal */
	/* Of the most recently sent of what was delivered [8985 5.3]: RACK.xmit_ts, by its place in
	 * the order, RACK.end_seq, RACK.rtt; RACK.fack: the highest delivered. */
	struct seq rack_nth, rack_end, fack;
	uint64_t rack_rtt_ns;
	/* What CT_REXMIT is armed for is the earliest of these. NEVER_NS: none. */
	uint64_t rto_at_ns, pto_at_ns, reo_at_ns;
	uint32_t prr_delivered, prr_out, prr_recover_fs; /* bytes [9937 6] */
	uint32_t prr_dup_bytes; /* counted as delivered for duplicates without SACK [9937 6] */
	struct tcp_range one;   /* a record that needs no memory of its own: most need no other */
	bool one_used;
	struct tcp_range *hint;   /* where the last SACK block was found, or NULL */
	struct tcp_range *rexmit; /* no record below this one waits to be sent again; NULL: look
				     from the start */
};

/* Search for the path's MTU by probes; exists once one is under way (tcp_mtu.c). Sizes are those
 * of whole datagrams, bytes. */
struct tcp_mtu {
	uint16_t low, high;    /* fits; the largest that may fit */
	uint16_t probe;        /* of the probe in flight, 0: none */
	uint8_t tries;         /* probes of that size that got lost */
	bool halve;            /* the largest did not fit: between the two */
	struct seq start, end; /* the probe's text */
	uint64_t begun_ns;     /* this search */
};

/* ---- Connection ---- */

/* What a listening socket has more. */
struct tcp_listener {
	struct list queue;        /* tcp_conn.link: established, not accepted yet */
	struct list deferred;     /* the same, waiting for their peer's first text */
	uint32_t queued, backlog; /* queued: of both */
};

/* A local port in use. */
struct tcp_port {
	struct hnode h;
	uint16_t port;
	uint32_t users;       /* connections, half-open and TIME-WAIT entries, bound sockets */
	uint32_t half_open;   /* half-open entries among them */
	uint32_t cookie_tick; /* when the last SYN cookie was sent, plus 1: see tcp_cookie.c */
	struct list
		bound; /* tcp_conn.link: listeners and sockets that were bound or opened actively */
};

enum conn_timer { CT_REXMIT, CT_DELACK, CT_KEEPALIVE, CT_STATE, CT_PACE, CT_REST, CT_COUNT };
/* RM_PTO: the loss probe's, RM_REO: RACK's reordering timer; after both the RTO goes on. */
enum rexmit_mode { RM_NONE, RM_RTO, RM_PERSIST, RM_RETRY, RM_PTO, RM_REO };
enum recovery_state { REC_OPEN, REC_RECOVERY, REC_LOSS };
/* After a timeout the first, then the second ACK is waited for [5682 2.1]. */
enum frto_step { FRTO_NONE, FRTO_FIRST, FRTO_SECOND };

/* What a challenge ACK answers: each kind has a budget of its own, so that what anybody can send
 * who knows the addresses uses up nothing that others need. */
enum challenge {
	CHALLENGE_IN_WINDOW, /* a reset, SYN or ACK whose number lies in the window */
	CHALLENGE_OUTSIDE,   /* a bare ACK or SYN whose number does not: blind guesses */
	CHALLENGE_PROBE,     /* a bare ACK of just below RCV.NXT: keepalive, probe of a window */
	CHALLENGE_KINDS
};

struct tcp_conn {
	struct endpoint ep; /* first: an endpoint pointer is a connection pointer */
	struct list link;   /* listener's accept queue (passive) or port's bound list (others) */
	struct tcp_port *port;
	/* What a lookup reads is one cache line: tcp_ahead.c. */
	struct hnode hash; /* in tcp_state.conns, keyed by the 4-tuple */
	struct tg_ip laddr, raddr;
	uint16_t lport, rport;
	uint32_t serial; /* in trace records */
	union {
		struct tcp_listener *listener; /* in LISTEN */
		struct tcp_conn *parent;       /* passive, not accepted yet: the listening socket */
		struct tcp_mini *tw;           /* in TIME-WAIT: the entry that answers for it */
	};
	struct timer timer;
	struct ip_path path;
	uint32_t notsent_lowat; /* TG_TCP_NOTSENT_LOWAT, bytes; 0: the configuration's */

	uint8_t state;       /* enum tg_state; set by tcp_set_state alone */
	uint8_t rexmit_mode; /* enum rexmit_mode: what CT_REXMIT stands for */
	uint8_t recovery;    /* enum recovery_state */
	uint8_t backoff;     /* consecutive timeouts of CT_REXMIT */
	uint8_t frto;        /* enum frto_step */
	/* How it began and what was agreed. */
	bool passive : 1;    /* [9293 MUST-11] */
	bool bound : 1;      /* the user chose the port */
	bool addr_bound : 1; /* ... and the address */
	bool hashed : 1;     /* in tcp_state.conns */
	bool in_accept_queue : 1;
	bool deferred : 1; /* in listener.deferred */
	bool ws_ok : 1, ts_ok : 1, sack_ok : 1;
	/* Options of the user. */
	bool nodelay : 1, cork : 1, keepalive : 1, reuseaddr : 1, quickack : 1;
	/* Sending. */
	bool syn_acked : 1;  /* SND.UNA is beyond ISS */
	bool syn_due : 1;    /* SYN (or SYN-ACK) is to be (re)sent */
	bool fin_queued : 1; /* the user closed: FIN follows the text */
	bool fin_sent : 1;   /* SND.NXT is behind the FIN */
	bool push_all : 1;   /* override of silly-window avoidance and Nagle: send what fits, now */
	bool more : 1;       /* TG_MSG_MORE on the last send */
	bool no_memory : 1;  /* this turn ended for want of memory */
	bool rexmit_now : 1; /* one retransmission is allowed beyond cwnd */
	bool probe_due : 1;  /* zero-window probe */
	bool keep_due : 1;   /* keepalive probe */
	bool mtu_waits : 1;  /* new text waits for room for a probe of the path's MTU */
	bool cwnd_limited : 1; /* the last turn ended for want of cwnd: it may grow [7661 4.1] */
	bool pace_capped : 1;  /* the user's rate is lower than the window's */
	bool urg_out : 1;      /* SND.UP is valid */
	/* Loss detection. */
	bool reordering_seen : 1; /* RACK.reordering_seen */
	bool dsack_round_on : 1;  /* dsack_round is valid */
	bool tlp_due : 1;         /* a loss probe is to be sent */
	bool tlp_out : 1;         /* TLP.end_seq is valid: a probe is unanswered */
	bool tlp_again : 1;       /* TLP.is_retrans: it repeated text */
	bool tlp_sampled : 1;     /* an RTT was measured since the last probe [8985 7.3] */
	bool tlp_patient : 1;     /* a probe was needless: this peer's ACKs are given more time */
	bool undo_rto : 1;        /* the reduction was a timeout's */
	bool undo_armed : 1;      /* cwnd was reduced and may be given back [4015 3] */
	bool undo_sent : 1;       /* something was sent again since: undo_start and undo_ts hold */
	bool undo_asked : 1; /* the first ACK beyond undo_start has been looked at [3522 3.2] */
	/* Receiving. */
	bool ack_now : 1;    /* an ACK is owed at the end of the batch */
	bool fin_seen : 1;   /* peer's FIN is in order and counted in RCV.NXT */
	bool fin_parked : 1; /* peer's FIN is known at fin_seq but text before it is missing */
	bool rd_shut : 1, wr_shut : 1;
	bool urg_in : 1;                           /* RCV.UP is valid */
	bool urg_read : 1;                         /* the user has had the urgent octet */
	bool rcvbuf_locked : 1, sndbuf_locked : 1; /* the user chose their size */
	bool oobinline : 1, reuseport : 1, broadcast : 1;
	bool recverr : 1; /* ICMP errors are told at once */
	bool dsack : 1;   /* dsack_start/end wait to be reported [2883] */
	/* Explicit congestion notification [3168]: see tcp_ecn.c. */
	bool ecn_offered : 1;  /* our last SYN was an ECN-setup one [3168 6.1.1] */
	bool ecn_sent : 1;     /* some SYN or SYN-ACK of ours was */
	bool ecn_ok : 1;       /* agreed: ECT on new text, ECE is believed */
	bool ecn_reflects : 1; /* the peer may take us for agreed: CE marks are reported */
	bool ecn_echo : 1;     /* every ACK carries ECE until the peer's CWR [3168 6.1.3] */
	bool ecn_cwr_due : 1;  /* the next new text carries CWR [3168 6.1.2] */
	bool ecn_seen : 1;     /* some text came with ECT or CE */
	bool reset_seen : 1;   /* ended by the peer's RST or an error: EPIPE/ECONNRESET semantics */
	bool was_connected : 1;
	bool resting : 1; /* only what is kept at rest is there: tcp_rest.c */

	struct seq iss, irs;
	uint8_t snd_wscale, rcv_wscale;
	uint8_t dup_acks;
	uint8_t syn_retrans; /* retransmissions of the SYN */
	uint16_t mss_peer;   /* MSS option received, or the default */
	uint16_t mss_user;   /* TG_TCP_MAXSEG, 0 none */
	uint16_t mss;        /* payload of a full segment: Eff.snd.MSS, options deducted */
	uint16_t rmss;       /* MSS that we offered: RMSS */
	uint16_t mss_rcv;    /* largest segment received, 536 at least: for delayed ACKs */
	uint32_t ts_recent;
	/* RACK's window for reordering [8985 5.3]: reo_wnd_mult, reo_wnd_persist, dsack_round. */
	uint8_t reo_wnd_mult, reo_wnd_persist;
	uint16_t reordering_segs; /* how far text was seen to be overtaken, DupThresh at least */
	uint32_t reorderings;     /* how often */
	struct seq dsack_round;
	uint32_t rcvbuf, sndbuf, rcvlowat;
	uint32_t keep_idle_s, keep_intvl_s;
	uint8_t keep_cnt, keep_sent;
	uint8_t ttl, tos;
	uint8_t pmtu;       /* enum tg_pmtu */
	int16_t soft_error; /* errno of an ICMP error that may pass [9293 MUST-56]; told when R2 is
			       reached */
	uint32_t min_rtt_epoch;
	uint64_t pace_max;   /* TG_SO_MAX_PACING_RATE, bytes a second; 0: no cap */
	struct tcp_mtu *mtu; /* NULL: segments are as large as the path is thought to allow */
	uint64_t bytes_received, bytes_retrans;
	uint64_t bytes_acked;
	uint32_t segs_in, segs_out, retransmits, dsacks_in;

	/* What is above is kept as it is while a connection rests, of what is below only what
	 * tcp_rest.c notes down. */

	struct sender tx_node;
	/* Send sequence space [9293 3.3.1]. */
	struct {
		struct seq una, nxt, wl1, wl2, up, max; /* max: highest ever sent + 1 */
		uint32_t wnd;                           /* scaled, bytes [9293 REC-1] */
		uint32_t max_wnd;                       /* largest ever offered, bytes */
	} snd;
	struct seq fin_seq; /* of the peer's FIN while fin_parked */
	uint32_t ts_offset;

	/* Together in a cache line: with very many connections each one more is felt. */
	uint64_t deadline[CT_COUNT]; /* ns, NEVER_NS */
	uint64_t stalled_ns;  /* when the first unanswered (re)transmission happened; NEVER_NS: none
			       */
	uint64_t last_rcv_ns; /* last segment received: keepalive */

	/* Receive sequence space. */
	struct {
		struct seq nxt, up;
		struct seq adv;      /* right edge advertised: RCV.NXT + RCV.WND */
		struct seq last_ack; /* Last.ACK.sent [7323 4.3] */
	} rcv;
	struct seq dsack_start, dsack_end;
	uint64_t ts_recent_ns; /* when ts_recent was set [7323 5.5] */
	uint64_t last_snd_ns;  /* last data sent: idle restart [5681 4.1] */

	/* Round-trip time [6298], ns. */
	uint64_t srtt_ns, rttvar_ns, rto_ns, min_rtt_ns;
	uint64_t min_rtt_next_ns; /* least of the epoch that runs: see tcp_rtt.c */

	struct tcp_cc cc;
	uint64_t pace_ns;   /* the next release is due */
	struct seq recover; /* [6582 3.2], RecoveryPoint [6675 5] */
	struct seq tlp_end; /* TLP.end_seq */
	/* The first text sent again in this recovery, what of all of it has not been reported as a
	 * duplicate, and the first copy's timestamp. */
	struct seq undo_start;
	uint32_t undo_bytes, undo_ts;

	struct tcp_tx *tx;
	struct tcp_ooo *ooo;
	struct pktq rcvq; /* in order, unread */
	struct tcp_rcv_rounds rounds;
	uint8_t challenges[CHALLENGE_KINDS]; /* sent in the period that began at challenge_ms */
	uint32_t challenge_ms;               /* modulo 2^32 */
	uint64_t user_timeout_ns;            /* 0: configuration */
	int64_t linger_ns;                   /* -1: off */
	uint64_t defer_ns;                   /* of a listener: TG_TCP_DEFER_ACCEPT */
	uint64_t delivered;                  /* bytes known to have arrived, SACKed included */
};

/* ---- Module state ---- */

/* Sending halves that the instance keeps (tcp_tx.c): one for each of the connections that one turn
 * of a server serves. 4.4 KB each. */
#define TCP_TX_OWN 4u

struct tcp_state {
	struct tcp_flow last; /* the last segment's: the next one is likely to be of the same */
	struct htab conns;    /* by 4-tuple */
	struct htab ports;    /* struct tcp_port */
	struct mini_table half_open, time_wait;
	struct timer syn_timer, tw_timer;
	struct sipkey key_demux, key_isn, key_port, key_ts;
	struct tcp_cookies cookies;
	struct list ooo; /* struct tcp_ooo of all connections, oldest first: what gives way when
			    memory is short */
	uint32_t port_counter;
	uint64_t *ports_used; /* a bit for each port of the ephemeral range */
	uint32_t n_conns;
	uint32_t n_tx_own;
	struct tcp_tx *tx_own[TCP_TX_OWN]; /* those that no connection has */
	uint64_t born_ns;
};

/* ---- A segment being processed ---- */

struct tcp_rx {
	struct tg *s;
	const struct ip_info *ip;
	struct tg_pkt *p; /* NULL once it was taken or discarded */
	uint32_t hash;    /* of the 4-tuple */
	uint32_t wnd;     /* SEG.WND, scaled */
	/* Text and FIN after trimming to the window (step 5 on). */
	struct seq text_seq;
	uint32_t text_bytes;
	bool fin;
	bool has_iss_min; /* a TIME-WAIT entry made way: our ISS must be beyond its numbers */
	bool gone;        /* the connection has ended: its record may be freed */
	struct seq iss_min;
	struct tcp_seg g; /* as received: SEG.*; the options last, see tcp_input */
};

/* tcp_state.c: the one door. Asserts that the move is legal and may have this cause, traces it,
 * keeps the counters. */
void tcp_set_state(struct tg *s, struct tcp_conn *c, enum tg_state to, enum tg_cause why);
/* State of a record that is created in it: a socket (CLOSED), or a half-open entry grown up
 * (SYN-RECEIVED). */
void tcp_init_state(struct tcp_conn *c, enum tg_state st);
/* A state change of something that has no connection record (half-open, TIME-WAIT). */
void tcp_trace_mini(struct tg *s, const struct tcp_mini *m, enum tg_state from, enum tg_state to,
	enum tg_cause why);

/* tcp_in.c */
void tcp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i);
/* The one way to discard a segment: counts, traces, frees. */
void tcp_discard(struct tcp_rx *r, const struct tcp_conn *c, enum tg_drop why);
/* Steps 1 to 8 of 3.10.7.4 for a connection that just grew out of a half-open entry. */
void tcp_process(struct tcp_conn *c, struct tcp_rx *r);

/* tcp_ack.c: step 5. False: the segment is done with. */
bool tcp_ack_step(struct tcp_conn *c, struct tcp_rx *r);
void tcp_ack_advance(struct tcp_conn *c, struct tcp_rx *r);
void tcp_window_update(struct tcp_conn *c, const struct tcp_rx *r);

/* tcp_text.c: steps 7 and the receive queue. */
void tcp_trim_to_window(struct tcp_conn *c, struct tcp_rx *r);
void tcp_text_step(struct tcp_conn *c, struct tcp_rx *r);
/* Queues text that is exactly at RCV.NXT. False: no memory, discarded. */
bool tcp_text_in_order(struct tcp_conn *c, struct tcp_rx *r);
void tcp_note_duplicate(const struct tg *s, struct tcp_conn *c, struct seq start, struct seq end);
void tcp_note_segment_size(struct tcp_conn *c, const struct tcp_rx *r);
bool pktq_append(struct tg *s, struct pktq *q, struct tg_pkt *p);
void pktq_free(struct tg *s, struct pktq *q);
uint32_t pktq_read(struct tg *s, struct pktq *q, void *dst, uint32_t n, bool peek);
void pktq_consume(struct tg *s, struct pktq *q, uint32_t n);
uint32_t tcp_ooo_sack_blocks(const struct tcp_conn *c, struct tcp_sack_block *out, uint32_t max);
void tcp_ooo_free(struct tg *s, struct tcp_conn *c);
bool tcp_at_eof(const struct tcp_conn *c);

/* tcp_fast.c: header prediction. True: done. */
bool tcp_fast(struct tcp_conn *c, struct tcp_rx *r);

/* How many range records c may have for what is in flight: what fills a large send buffer goes out
 * a few segments at a time, and where a queue overflows every second of them may be lost. Records
 * that cannot be made are SACKs that are not heard. */
static inline uint32_t tcp_ranges_max(const struct tcp_conn *c)
{
	return min_u32(max_u32(c->sndbuf / 1024, TCP_RANGES_MIN), TCP_RANGES_MAX);
}

/* How many ranges c may hold out of order; what would be one more is refused. */
static inline uint32_t tcp_ooo_ranges_max(const struct tcp_conn *c)
{
	return min_u32(max_u32(c->rcvbuf / 4096, TCP_OOO_RANGES_MIN), TCP_OOO_RANGES_MAX);
}

/* How much text may wait to be sent, bytes; 0: whatever the send buffer takes. */
static inline uint32_t tcp_notsent_lowat(const struct tg *s, const struct tcp_conn *c)
{
	return c->notsent_lowat ? c->notsent_lowat : s->cfg.tcp.notsent_lowat_bytes;
}

/* tcp_out.c */
enum tx_result tcp_sender_turn(struct tg *s, struct sender *x, uint32_t budget_bytes);
/* Something may have become sendable: gives the connection a turn. */
void tcp_want_output(struct tg *s, struct tcp_conn *c);
/* What keeps the sender from sending now. */
enum tg_wait tcp_out_waits(const struct tg *s, const struct tcp_conn *c);
/* Window to offer now, bytes; moves rcv.adv when `commit`. */
uint32_t tcp_window_offer(struct tg *s, struct tcp_conn *c, bool commit);
/* The user took bytes out: is a window update due? */
void tcp_window_opened(struct tg *s, struct tcp_conn *c);
/* An ACK at once, as a control frame (out of order, duplicate, challenge). */
void tcp_send_ack_now(struct tg *s, struct tcp_conn *c);
struct seq tcp_control_seq(const struct tcp_conn *c);
/* The same, in answer to what is not acceptable: <SEQ=SND.NXT> whatever the window. */
void tcp_send_answer(struct tg *s, struct tcp_conn *c);
void tcp_send_challenge_ack(struct tg *s, struct tcp_conn *c, enum challenge kind);
/* RST for a connection of ours (ABORT). */
void tcp_send_rst(struct tg *s, struct tcp_conn *c);
/* RST in answer to a segment that belongs to nothing [9293 3.10.7.1]. */
void tcp_send_rst_for(struct tcp_rx *r);
/* What tcp_send_control needs: ACKs and resets of compact records go the same way. */
struct tcp_control {
	struct tg_ip src, dst;
	struct tcp_seg g;
	uint8_t ttl, tos;
	struct ip_path *path;
};
void tcp_send_control(struct tg *s, struct tcp_control *k);
/* tcp_emit.c: one frame of the connection: text [seq, seq + text_bytes), FIN behind it if fin.
 * *sent: text bytes that went. */
enum tx_result tcp_emit_frame(struct tg *s, struct tcp_conn *c, struct seq seq, uint32_t text_bytes,
	uint8_t flags, uint8_t how, uint32_t *sent);
/* EMIT_PROBE: of a closed window, or that the peer lives; EMIT_MTU: new text in one segment,
 * whatever the MSS. */
enum emit_how { EMIT_NEW, EMIT_AGAIN, EMIT_PROBE, EMIT_MTU };
uint32_t tcp_ts_now(const struct tg *s, uint32_t offset);
/* MSS to offer [9293 MUST-67]. */
uint16_t tcp_mss_offer(struct tg *s, const struct tg_ip *dst, struct ip_path *path);
uint8_t tcp_wscale_for(uint32_t rcvbuf);

#include "tcp/tcp_tx.h"
#include "tcp/tcp_loss.h"

/* tcp_pace.c */
/* Sets cc.pacing_rate by window, round trip and the user's cap. */
void tcp_pace_update(const struct tg *s, struct tcp_conn *c);
/* Is the next release not due yet? _wait also sets its timer. */
bool tcp_pace_holds(const struct tg *s, const struct tcp_conn *c);
bool tcp_pace_wait(struct tg *s, struct tcp_conn *c);
void tcp_pace_sent(const struct tg *s, struct tcp_conn *c, uint32_t bytes);
/* What may leave at once, bytes: whole segments. */
uint32_t tcp_pace_release(const struct tcp_conn *c);

/* tcp_rtt.c */
/* A round trip for the minimum over the last minutes [8985 6.2 step 1]. */
void tcp_rtt_min(const struct tg *s, struct tcp_conn *c, uint64_t rtt_ns);
void tcp_rtt_sample(const struct tg *s, struct tcp_conn *c, uint64_t rtt_ns);
/* RTO as it follows from SRTT and RTTVAR [6298 2.3-2.5] */
uint64_t tcp_rtt_rto(const struct tg *s, const struct tcp_conn *c);
uint64_t tcp_rto(const struct tg *s, const struct tcp_conn *c); /* backed off, capped */

/* tcp_timer.c: event verbs; only this file knows deadlines. */
void tcp_timers_init(struct tg *s, struct tcp_conn *c);
void tcp_timers_data_sent(struct tg *s, struct tcp_conn *c);
/* New text went out: the loss probe's timer starts over [8985-12]. */
void tcp_timers_new_data(struct tg *s, struct tcp_conn *c);
/* Again the first that is outstanding: its RTO begins anew [6298-5.0]. */
void tcp_timers_first_again(struct tg *s, struct tcp_conn *c);
void tcp_timers_probed(struct tg *s, struct tcp_conn *c); /* a loss probe went out */
/* Loss detection has looked at an ACK: one of its timers, or the RTO, is armed [8985-15]. */
void tcp_timers_loss_checked(struct tg *s, struct tcp_conn *c);
/* Does CT_REXMIT watch over something in flight? */
bool tcp_timers_watching(const struct tcp_conn *c);
void tcp_timers_ack_advanced(struct tg *s, struct tcp_conn *c);
void tcp_timers_progress(struct tg *s, struct tcp_conn *c); /* any sign of life: probes answered */
void tcp_timers_blocked(
	struct tg *s, struct tcp_conn *c, bool zero_window); /* data waits, nothing in flight */
void tcp_timers_window_opened(struct tg *s, struct tcp_conn *c);
void tcp_timers_no_memory(struct tg *s, struct tcp_conn *c);
void tcp_timers_text_received(struct tg *s, struct tcp_conn *c);
void tcp_timers_ack_sent(struct tcp_conn *c);
void tcp_timers_segment_received(struct tg *s, struct tcp_conn *c);
void tcp_timers_established(struct tg *s, struct tcp_conn *c);
void tcp_timers_awake(struct tg *s, struct tcp_conn *c); /* rests no more */
void tcp_timers_keepalive_changed(struct tg *s, struct tcp_conn *c);
void tcp_timers_defer(struct tg *s, struct tcp_conn *c, uint64_t after_ns);
void tcp_timers_defer_ended(struct tcp_conn *c);
void tcp_timers_fin_wait_2(struct tg *s, struct tcp_conn *c);
void tcp_timers_pace(struct tg *s, struct tcp_conn *c, uint64_t at_ns);
void tcp_timers_stop(struct tg *s, struct tcp_conn *c);
void tcp_timer_fired(struct tg *s, struct timer *t);
/* When a timer of the trace's names expires; NEVER_NS: it is not running. */
uint64_t tcp_timer_deadline_ns(const struct tcp_conn *c, enum tg_timer which);

/* tcp_syn.c: half-open table. */
void tcp_listen_segment(struct tcp_conn *l, struct tcp_rx *r); /* 3.10.7.2 */
void tcp_syn_segment(
	struct tcp_mini *m, struct tcp_rx *r); /* 3.10.7.4 for SYN-RECEIVED by passive OPEN */
/* An ICMP error about m's SYN-ACK. False: it quotes what was never sent. */
bool tcp_syn_error(struct tg *s, struct tcp_mini *m, struct seq quoted, bool hard);
void tcp_syn_timer_fired(struct tg *s, struct timer *t);
void tcp_syn_drop_port(struct tg *s, struct tcp_conn *listener); /* its listener is gone */

/* tcp_tw.c: TIME-WAIT. */
void tcp_enter_time_wait(struct tg *s, struct tcp_conn *c, enum tg_cause why);
/* False: the entry is gone and the segment (a new SYN) has to be looked up again. */
bool tcp_tw_segment(struct tcp_mini *m, struct tcp_rx *r);
void tcp_tw_timer_fired(struct tg *s, struct timer *t);
/* May an active OPEN end this entry? (tcp.tw_reuse) */
bool tcp_tw_gives_way(const struct tg *s, const struct tcp_mini *m);
/* Ends the entry of c's 4-tuple, if there is one. *iss_min: c's ISS has to be this or more. */
bool tcp_tw_take_over(struct tg *s, const struct tcp_conn *c, struct seq *iss_min);
void tcp_tw_disown(struct tcp_conn *c); /* the socket's record is going away */

/* tcp_rest.c */
/* Idle for long enough and nothing to do: true, then the record is gone and a smaller one stands in
 * its place, c->resting. */
bool tcp_rest(struct tg *s, struct tcp_conn *c);
/* The whole record again in the place of one that rests; c itself if it does not. NULL: no memory,
 * nothing changed. */
struct tcp_conn *tcp_wake(struct tg *s, struct tcp_conn *c);
/* To look at: c, or if it rests what it would be awake, made in *tmp. */
const struct tcp_conn *tcp_whole(
	const struct tg *s, const struct tcp_conn *c, struct tcp_conn *tmp);
/* If c still rests, for want of memory to wake it: ends it by a reset, true. */
bool tcp_rest_abort(struct tg *s, struct tcp_conn *c);

/* tcp_urg.c: urgent octets as the user reads them. */
int64_t tcp_urg_recv(struct tcp_conn *c, void *data, size_t n, unsigned flags); /* TG_MSG_OOB */
/* Up to n octets of the stream, not beyond the mark; TG_MSG_TRUNC takes them without copying. */
uint32_t tcp_urg_read(struct tg *s, struct tcp_conn *c, void *data, uint32_t n, unsigned flags);
bool tcp_urg_at_mark(const struct tcp_conn *c);
bool tcp_urg_waits(const struct tcp_conn *c);        /* TG_PRI */
uint32_t tcp_urg_readable(const struct tcp_conn *c); /* octets of the stream, for TG_IN */
uint32_t tcp_urg_inq(const struct tcp_conn *c);      /* octets up to the mark, for TG_SO_INQ */
/* tcp_user.c */
/* A connection of the listener's queue that accept may have now, or NULL. */
/* tcp_accept.c: c's handshake is complete; c, deferred so far, may be accepted. */
void tcp_accept_enqueue(struct tg *s, struct tcp_conn *l, struct tcp_conn *c);
void tcp_accept_ready(struct tg *s, struct tcp_conn *c);
void tcp_end_listener(struct tg *s, struct tcp_conn *c);
/* tcp_conn.c */
struct tcp_conn *tcp_conn_new(struct tg *s, uint64_t cookie);
/* Off its port, if it stands there. */
void tcp_leave_port(struct tg *s, struct tcp_conn *c);
/* The connection ends: state CLOSED, timers and queues gone; the record too unless the user still
 * holds it. error: errno for the user, 0 none. The record may be freed: the caller must not touch c
 * afterwards. */
void tcp_conn_end(struct tg *s, struct tcp_conn *c, enum tg_cause why, int error);
/* Frees the record if it is CLOSED or TIME-WAIT and neither a user nor an accept queue holds it. */
void tcp_conn_release(struct tg *s, struct tcp_conn *c);
/* The handshake is complete: congestion control begins, timers as well. */
void tcp_conn_established(struct tg *s, struct tcp_conn *c);
/* Frees a record whatever its state; NULL allowed. */
void tcp_conn_free(struct tg *s, struct tcp_conn *c);
/* Readiness may have changed. */
void tcp_notify(struct tg *s, struct tcp_conn *c);
void tcp_trace_fill(struct tg_trace *t, const struct tcp_conn *c);

/* RULE(s, c, NAME, numbers...): this rule of TG_RULE_LIST decided about connection c. */
#define RULE(s, c, ...)                                                                            \
	RULE_OF((s), ((struct rule_of){(c)->serial, (c)->iss.v, (c)->irs.v}), __VA_ARGS__)

#include "tcp/tcp_path.h"

#endif
