/* A connection seen from within: every variable of its TCB under the RFCs' names, the rules that
 * the calls on an instance went through, and the moves between states that the code allows. For
 * tools that show what TCP does and why; nothing here changes what it does. */
#ifndef TAPGLASS_RULES_H
#define TAPGLASS_RULES_H

#include "tapglass.h"
#include "tapglass_inspect.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- The transmission control block ---------------------------------------------------------- */

enum tg_tcb_kind {
	TG_TCB_IS_NUMBER,
	TG_TCB_IS_SEQ_OURS,  /* 32 bits; shown relative to ISS */
	TG_TCB_IS_SEQ_PEERS, /* ... to IRS */
	TG_TCB_IS_BYTES,
	TG_TCB_IS_TIME,     /* ns, a length of time */
	TG_TCB_IS_DEADLINE, /* ns by the instance's clock; UINT64_MAX: not set */
	TG_TCB_IS_FLAG,
	TG_TCB_IS_STATE, /* enum tg_state */
	TG_TCB_IS_RATE,  /* bytes a second; 0: none */
	TG_TCB_IS_PHASE  /* of recovery: 0 open, 1 recovery, 2 loss */
};

/* Constant, name, kind, meaning. Where a connection has no such thing (yet), the value is 0. */
#define TG_TCB_LIST(X)                                                                             \
	X(STATE, "state", STATE, "9293 3.3.2")                                                     \
	X(ISS, "iss", NUMBER, "initial send sequence number [9293 3.3.1]")                         \
	X(IRS, "irs", NUMBER, "initial receive sequence number [9293 3.3.1]")                      \
	X(SND_UNA, "snd.una", SEQ_OURS, "oldest number not acknowledged [9293 3.3.1]")             \
	X(SND_NXT, "snd.nxt", SEQ_OURS, "next number to be sent [9293 3.3.1]")                     \
	X(SND_MAX, "snd.max", SEQ_OURS, "behind the highest number ever sent")                     \
	X(SND_WND, "snd.wnd", BYTES, "window that the peer offers [9293 3.3.1]")                   \
	X(SND_MAX_WND, "snd.max_wnd", BYTES, "largest window ever offered: Max(SND.WND)")          \
	X(SND_UP, "snd.up", SEQ_OURS, "our urgent pointer [9293 3.3.1]")                           \
	X(SND_WL1, "snd.wl1", SEQ_PEERS, "SEG.SEQ of the last window update [9293 3.3.1]")         \
	X(SND_WL2, "snd.wl2", SEQ_OURS, "SEG.ACK of the last window update [9293 3.3.1]")          \
	X(RCV_NXT, "rcv.nxt", SEQ_PEERS, "next number expected [9293 3.3.1]")                      \
	X(RCV_WND, "rcv.wnd", BYTES, "window that we offer [9293 3.3.1]")                          \
	X(RCV_UP, "rcv.up", SEQ_PEERS, "the peer's urgent pointer [9293 3.3.1]")                   \
	X(LAST_ACK, "last.ack.sent", SEQ_PEERS, "highest acknowledgment sent [7323 4.3]")          \
	X(PASSIVE, "passive", FLAG, "began with a passive OPEN [9293 MUST-11]")                    \
	X(FIN_QUEUED, "fin.queued", FLAG, "our FIN follows the text that is queued")               \
	X(FIN_SENT, "fin.sent", FLAG, "our FIN is in the network or acknowledged")                 \
	X(FIN_SEEN, "fin.seen", FLAG, "the peer's FIN is taken")                                   \
	X(FIN_PARKED, "fin.parked", FLAG, "the peer's FIN waits for text before it")               \
	X(ACK_OWED, "ack.owed", FLAG, "an ACK is to be sent at once")                              \
	X(MSS_SND, "mss.snd", BYTES, "text of a full segment: Eff.snd.MSS [9293 3.7.1]")           \
	X(MSS_PEER, "mss.peer", BYTES, "the peer's MSS option, or 536")                            \
	X(MSS_RCV, "mss.rcv", BYTES, "largest segment received")                                   \
	X(PMTU, "pmtu", BYTES, "MTU of the path [1191]")                                           \
	X(WSCALE_SND, "wscale.snd", NUMBER, "Snd.Wind.Shift [7323 2.3]")                           \
	X(WSCALE_RCV, "wscale.rcv", NUMBER, "Rcv.Wind.Shift [7323 2.3]")                           \
	X(WSCALE_OK, "wscale.ok", FLAG, "window scaling is agreed [7323 2]")                       \
	X(TS_OK, "ts.ok", FLAG, "timestamps are agreed: Snd.TS.OK [7323 3]")                       \
	X(TS_RECENT, "ts.recent", NUMBER, "timestamp to be echoed [7323 4.3]")                     \
	X(SACK_OK, "sack.ok", FLAG, "selective acknowledgment is agreed [2018 2]")                 \
	X(ECN_OK, "ecn.ok", FLAG, "ECN is agreed [3168 6.1.1]")                                    \
	X(ECN_ECHO, "ecn.echo", FLAG, "ACKs carry ECE until CWR comes [3168 6.1.3]")               \
	X(ECN_CWR, "ecn.cwr", FLAG, "the next new text carries CWR [3168 6.1.2]")                  \
	X(NODELAY, "nodelay", FLAG, "the Nagle algorithm is off [9293 MUST-17]")                   \
	X(CORK, "cork", FLAG, "partial segments wait")                                             \
	X(CWND, "cwnd", BYTES, "congestion window [5681 2]")                                       \
	X(SSTHRESH, "ssthresh", BYTES, "slow start threshold, 2^32-1: none yet [5681 2]")          \
	X(FLIGHT, "flight", BYTES, "in the network by what is known: pipe [6675 4]")               \
	X(UNSENT, "unsent", BYTES, "queued, not sent yet")                                         \
	X(UNACKED, "unacked", BYTES, "sent, not acknowledged")                                     \
	X(SACKED, "sacked", BYTES, "of these the receiver holds [2018]")                           \
	X(LOST, "lost", BYTES, "of these are taken for lost")                                      \
	X(RETRANS, "retrans", BYTES, "of these were sent again and are in the network")            \
	X(HIGH_SACKED, "high.sacked", SEQ_OURS, "highest number SACKed: HighData's bound [6675]")  \
	X(DUP_ACKS, "dup.acks", NUMBER, "duplicate ACKs in a row [5681 2]")                        \
	X(PHASE, "recovery", PHASE, "open, recovery, loss [5681 3.2, 6675 5]")                     \
	X(RECOVER, "recover", SEQ_OURS, "RecoveryPoint [6675 5, 6582 3.2]")                        \
	X(PRR_DELIVERED, "prr.delivered", BYTES, "prr_delivered [9937 6]")                         \
	X(PRR_OUT, "prr.out", BYTES, "prr_out [9937 6]")                                           \
	X(FRTO, "frto.step", NUMBER, "ACKs that F-RTO waits for: 1, then 2 [5682 2.1]")            \
	X(UNDO_ARMED, "undo.armed", FLAG, "the last reduction may be taken back [4015 3]")         \
	X(RACK_RTT, "rack.rtt", TIME, "RACK.rtt [8985 5.3]")                                       \
	X(RACK_END, "rack.end_seq", SEQ_OURS, "RACK.end_seq [8985 5.3]")                           \
	X(RACK_FACK, "rack.fack", SEQ_OURS, "RACK.fack [8985 5.3]")                                \
	X(RACK_REORDERING, "rack.reordering_seen", FLAG, "RACK.reordering_seen [8985 5.3]")        \
	X(RACK_MULT, "rack.reo_wnd_mult", NUMBER, "RACK.reo_wnd_mult [8985 5.3]")                  \
	X(TLP_OUT, "tlp.out", FLAG, "a tail loss probe is unanswered [8985 7.2]")                  \
	X(TLP_END, "tlp.end_seq", SEQ_OURS, "TLP.end_seq [8985 5.3]")                              \
	X(SRTT, "srtt", TIME, "smoothed round-trip time [6298 2]")                                 \
	X(RTTVAR, "rttvar", TIME, "its variation [6298 2]")                                        \
	X(MIN_RTT, "min_rtt", TIME, "least round-trip time of the last minutes [8985 6.2]")        \
	X(RTO, "rto", TIME, "retransmission timeout, backed off [6298 2, 5.5]")                    \
	X(BACKOFF, "backoff", NUMBER, "timeouts in a row [6298 5.5]")                              \
	X(T_REXMIT, "timer.rexmit", DEADLINE, "retransmission timer [6298 5]")                     \
	X(T_PERSIST, "timer.persist", DEADLINE, "probe of a closed window [9293 3.8.6.1]")         \
	X(T_PROBE, "timer.pto", DEADLINE, "tail loss probe [8985 7.2]")                            \
	X(T_REORDER, "timer.reo", DEADLINE, "RACK's reordering timer [8985 6.3]")                  \
	X(T_DELACK, "timer.delack", DEADLINE, "delayed ACK [9293 3.8.6.3]")                        \
	X(T_KEEP, "timer.keepalive", DEADLINE, "keepalive [9293 3.8.4]")                           \
	X(T_STATE, "timer.state", DEADLINE, "2 MSL, or an orphan's end [9293 3.6.1]")              \
	X(T_PACE, "timer.pace", DEADLINE, "the next release by pacing")                            \
	X(KEEP_SENT, "keep.sent", NUMBER, "keepalive probes unanswered [9293 3.8.4]")              \
	X(PACING_RATE, "pacing", RATE, "text is sent at this rate")                                \
	X(RCVBUF, "rcvbuf", BYTES, "receive buffer")                                               \
	X(SNDBUF, "sndbuf", BYTES, "send buffer")                                                  \
	X(UNREAD, "unread", BYTES, "received in order, not read yet")                              \
	X(OOO_RANGES, "ooo.ranges", NUMBER, "ranges received beyond a gap")                        \
	X(BYTES_ACKED, "bytes.acked", NUMBER, "text acknowledged by the peer so far")              \
	X(BYTES_RECEIVED, "bytes.received", NUMBER, "text received in order so far")               \
	X(SEGS_IN, "segs.in", NUMBER, "segments received")                                         \
	X(SEGS_OUT, "segs.out", NUMBER, "segments sent")                                           \
	X(RETRANSMITS, "retransmits", NUMBER, "segments sent again")                               \
	X(SOFT_ERROR, "soft.error", NUMBER, "errno of an ICMP error that may pass [9293 MUST-56]")

enum tg_tcb_field {
#define X(NAME, name, kind, text) TG_TCB_##NAME,
	TG_TCB_LIST(X)
#undef X
		TG_TCB_COUNT
};

struct tg_tcb {
	struct tg_addr local, peer;
	uint32_t conn; /* serial number, as in the trace; 0: a half-open or TIME-WAIT record */
	tg_sock sock;  /* 0: nobody holds it */
	uint64_t v[TG_TCB_COUNT];
};
/* Walks everything that is a connection or wants to be one: sockets of streams (those that were
 * never used as well, in CLOSED), connections whose socket is gone, half-open and TIME-WAIT
 * records. *cursor starts at 0; false: done. The instance must not change in between. */
TG_API bool tg_tcb_next(const struct tg *s, uint64_t *cursor, struct tg_tcb *out);
TG_API const char *tg_tcb_name(unsigned field); /* "snd.una"; "?" out of range, as the others */
TG_API const char *tg_tcb_text(unsigned field);
TG_API enum tg_tcb_kind tg_tcb_kind_of(unsigned field);

/* ---- Rules ----------------------------------------------------------------------------------- */

/* What decided: constant, name, clause as the tags in the code have it, and what it asks, in our
 * words. {0} to {3} stand for the numbers compared: {0s} a sequence number of ours, {0p} one of the
 * peer's, {0t} microseconds, {0} as it is. */
#define TG_RULE_LIST(X)                                                                            \
	X(CLOSED_SEGMENT, closed_segment, "9293-3.10.7.1",                                         \
		"no connection: all but a reset is answered by a reset")                           \
	X(LISTEN_RST, listen_rst, "9293-3.10.7.2-1", "LISTEN, first: a reset is ignored")          \
	X(LISTEN_ACK, listen_ack, "9293-3.10.7.2-2",                                               \
		"LISTEN, second: an ACK is answered by a reset")

enum tg_rule {
	TG_RULE_NONE,
#define X(NAME, name, clause, text) TG_RULE_##NAME,
	TG_RULE_LIST(X)
#undef X
		TG_RULE_COUNT
};
TG_API const char *tg_rule_name(unsigned rule); /* "?" out of range, as the others */
TG_API const char *tg_rule_clause(unsigned rule);
TG_API const char *tg_rule_text(unsigned rule);

#define TG_RULE_NUMBERS 4u
#define TG_RULE_HITS    64u
struct tg_rule_hit {
	uint16_t rule; /* enum tg_rule */
	uint16_t n;    /* numbers */
	uint32_t conn; /* serial number; 0: none yet */
	uint32_t number[TG_RULE_NUMBERS];
	/* of the connection, for {0s} and {0p}; 0 where it has none */
	uint32_t iss, irs;
};

/* From now on the rules that calls go through are noted; off at creation and in what a journal
 * replays, no part of the trace. False: no memory. */
TG_API bool tg_rules_note(struct tg *s, bool on);
/* What was noted since tg_rules_clear, the oldest first, TG_RULE_HITS at most; how many. */
TG_API uint32_t tg_rules(const struct tg *s, const struct tg_rule_hit **out);
TG_API void tg_rules_clear(struct tg *s);

/* ---- Moves between states ---------------------------------------------------------------------
 */

/* Does the code allow this move? The table that the one setter of states asserts. */
TG_API bool tg_move_is_legal(enum tg_state from, enum tg_state to);

#ifdef __cplusplus
}
#endif
#endif
