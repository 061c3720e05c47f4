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
	X(STATE, "state", STATE, "of the eleven (9293 3.3.2)")                                     \
	X(ISS, "iss", NUMBER, "initial send sequence number (9293 3.3.1)")                         \
	X(IRS, "irs", NUMBER, "initial receive sequence number (9293 3.3.1)")                      \
	X(SND_UNA, "snd.una", SEQ_OURS, "oldest number not acknowledged (9293 3.3.1)")             \
	X(SND_NXT, "snd.nxt", SEQ_OURS, "next number to be sent (9293 3.3.1)")                     \
	X(SND_MAX, "snd.max", SEQ_OURS, "behind the highest number ever sent")                     \
	X(SND_WND, "snd.wnd", BYTES, "window that the peer offers (9293 3.3.1)")                   \
	X(SND_MAX_WND, "snd.max_wnd", BYTES, "largest window ever offered: Max(SND.WND)")          \
	X(SND_UP, "snd.up", SEQ_OURS, "our urgent pointer (9293 3.3.1)")                           \
	X(SND_WL1, "snd.wl1", SEQ_PEERS, "SEG.SEQ of the last window update (9293 3.3.1)")         \
	X(SND_WL2, "snd.wl2", SEQ_OURS, "SEG.ACK of the last window update (9293 3.3.1)")          \
	X(RCV_NXT, "rcv.nxt", SEQ_PEERS, "next number expected (9293 3.3.1)")                      \
	X(RCV_WND, "rcv.wnd", BYTES, "window that we offer (9293 3.3.1)")                          \
	X(RCV_UP, "rcv.up", SEQ_PEERS, "the peer's urgent pointer (9293 3.3.1)")                   \
	X(LAST_ACK, "last.ack.sent", SEQ_PEERS, "highest acknowledgment sent (7323 4.3)")          \
	X(PASSIVE, "passive", FLAG, "began with a passive OPEN (9293 MUST-11)")                    \
	X(FIN_QUEUED, "fin.queued", FLAG, "our FIN follows the text that is queued")               \
	X(FIN_SENT, "fin.sent", FLAG, "our FIN is in the network or acknowledged")                 \
	X(FIN_SEEN, "fin.seen", FLAG, "the peer's FIN is taken")                                   \
	X(FIN_PARKED, "fin.parked", FLAG, "the peer's FIN waits for text before it")               \
	X(ACK_OWED, "ack.owed", FLAG, "an ACK is to be sent at once")                              \
	X(MSS_SND, "mss.snd", BYTES, "text of a full segment: Eff.snd.MSS (9293 3.7.1)")           \
	X(MSS_PEER, "mss.peer", BYTES, "the peer's MSS option, or 536")                            \
	X(MSS_RCV, "mss.rcv", BYTES, "largest segment received")                                   \
	X(PMTU, "pmtu", BYTES, "MTU of the path (1191)")                                           \
	X(WSCALE_SND, "wscale.snd", NUMBER, "Snd.Wind.Shift (7323 2.3)")                           \
	X(WSCALE_RCV, "wscale.rcv", NUMBER, "Rcv.Wind.Shift (7323 2.3)")                           \
	X(WSCALE_OK, "wscale.ok", FLAG, "window scaling is agreed (7323 2)")                       \
	X(TS_OK, "ts.ok", FLAG, "timestamps are agreed: Snd.TS.OK (7323 3)")                       \
	X(TS_RECENT, "ts.recent", NUMBER, "timestamp to be echoed (7323 4.3)")                     \
	X(SACK_OK, "sack.ok", FLAG, "selective acknowledgment is agreed (2018 2)")                 \
	X(ECN_OK, "ecn.ok", FLAG, "ECN is agreed (3168 6.1.1)")                                    \
	X(ECN_ECHO, "ecn.echo", FLAG, "ACKs carry ECE until CWR comes (3168 6.1.3)")               \
	X(ECN_CWR, "ecn.cwr", FLAG, "the next new text carries CWR (3168 6.1.2)")                  \
	X(NODELAY, "nodelay", FLAG, "the Nagle algorithm is off (9293 MUST-17)")                   \
	X(CORK, "cork", FLAG, "partial segments wait")                                             \
	X(CWND, "cwnd", BYTES, "congestion window (5681 2)")                                       \
	X(SSTHRESH, "ssthresh", BYTES, "slow start threshold, 2^32-1: none yet (5681 2)")          \
	X(FLIGHT, "flight", BYTES, "in the network by what is known: pipe (6675 4)")               \
	X(UNSENT, "unsent", BYTES, "queued, not sent yet")                                         \
	X(UNACKED, "unacked", BYTES, "sent, not acknowledged")                                     \
	X(SACKED, "sacked", BYTES, "of these the receiver holds (2018)")                           \
	X(LOST, "lost", BYTES, "of these are taken for lost")                                      \
	X(RETRANS, "retrans", BYTES, "of these were sent again and are in the network")            \
	X(HIGH_SACKED, "high.sacked", SEQ_OURS, "highest number SACKed: HighData's bound (6675)")  \
	X(DUP_ACKS, "dup.acks", NUMBER, "duplicate ACKs in a row (5681 2)")                        \
	X(PHASE, "recovery", PHASE, "open, recovery, loss (5681 3.2, 6675 5)")                     \
	X(RECOVER, "recover", SEQ_OURS, "RecoveryPoint (6675 5, 6582 3.2)")                        \
	X(PRR_DELIVERED, "prr.delivered", BYTES, "prr_delivered (9937 6)")                         \
	X(PRR_OUT, "prr.out", BYTES, "prr_out (9937 6)")                                           \
	X(FRTO, "frto.step", NUMBER, "ACKs that F-RTO waits for: 1, then 2 (5682 2.1)")            \
	X(UNDO_ARMED, "undo.armed", FLAG, "the last reduction may be taken back (4015 3)")         \
	X(RACK_RTT, "rack.rtt", TIME, "RACK.rtt (8985 5.3)")                                       \
	X(RACK_END, "rack.end_seq", SEQ_OURS, "RACK.end_seq (8985 5.3)")                           \
	X(RACK_FACK, "rack.fack", SEQ_OURS, "RACK.fack (8985 5.3)")                                \
	X(RACK_REORDERING, "rack.reordering_seen", FLAG, "RACK.reordering_seen (8985 5.3)")        \
	X(RACK_MULT, "rack.reo_wnd_mult", NUMBER, "RACK.reo_wnd_mult (8985 5.3)")                  \
	X(TLP_OUT, "tlp.out", FLAG, "a tail loss probe is unanswered (8985 7.2)")                  \
	X(TLP_END, "tlp.end_seq", SEQ_OURS, "TLP.end_seq (8985 5.3)")                              \
	X(SRTT, "srtt", TIME, "smoothed round-trip time (6298 2)")                                 \
	X(RTTVAR, "rttvar", TIME, "its variation (6298 2)")                                        \
	X(MIN_RTT, "min_rtt", TIME, "least round-trip time of the last minutes (8985 6.2)")        \
	X(RTO, "rto", TIME, "retransmission timeout, backed off (6298 2, 5.5)")                    \
	X(BACKOFF, "backoff", NUMBER, "timeouts in a row (6298 5.5)")                              \
	X(T_REXMIT, "timer.rexmit", DEADLINE, "retransmission timer (6298 5)")                     \
	X(T_PERSIST, "timer.persist", DEADLINE, "probe of a closed window (9293 3.8.6.1)")         \
	X(T_PROBE, "timer.pto", DEADLINE, "tail loss probe (8985 7.2)")                            \
	X(T_REORDER, "timer.reo", DEADLINE, "RACK's reordering timer (8985 6.3)")                  \
	X(T_DELACK, "timer.delack", DEADLINE, "delayed ACK (9293 3.8.6.3)")                        \
	X(T_KEEP, "timer.keepalive", DEADLINE, "keepalive (9293 3.8.4)")                           \
	X(T_STATE, "timer.state", DEADLINE, "2 MSL, or an orphan's end (9293 3.6.1)")              \
	X(T_PACE, "timer.pace", DEADLINE, "the next release by pacing")                            \
	X(KEEP_SENT, "keep.sent", NUMBER, "keepalive probes unanswered (9293 3.8.4)")              \
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
	X(SOFT_ERROR, "soft.error", NUMBER, "errno of an ICMP error that may pass (9293 MUST-56)")

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
	X(SYN_SENT_ACK, syn_sent_ack, "9293-3.10.7.3",                                             \
		"SYN-SENT, first: ISS {0s} < SEG.ACK {1s} =< SND.NXT {2s}, the ACK is acceptable") \
	X(SYN_SENT_SYN_ACK, syn_sent_syn_ack, "9293-3.10.7.3",                                     \
		"SYN-SENT, fourth: SYN, and ours is acknowledged: RCV.NXT = SEG.SEQ + 1, -> "      \
		"ESTABLISHED")                                                                     \
	X(SYN_CROSSING, syn_crossing, "9293-MUST-10",                                              \
		"SYN-SENT, fourth: a SYN crossed ours: SYN-ACK with ISS, -> SYN-RECEIVED")         \
	X(PAWS_PASSED, paws_passed, "7323-P1",                                                     \
		"PAWS: SEG.TSval {0} is not older than TS.Recent {1}")                             \
	X(TS_RECENT, ts_recent, "7323-T5",                                                         \
		"TS.Recent becomes SEG.TSval {0}: SEG.SEQ {1p} is not beyond Last.ACK.sent {2p}")  \
	X(SEQ_ACCEPTABLE, seq_acceptable, "9293-3.10.7.4-1",                                       \
		"first, sequence number: SEG.SEQ {0p}, length {1}, lies in the window from "       \
		"RCV.NXT {2p} to {3p}")                                                            \
	X(SEQ_WINDOW_CLOSED, seq_window_closed, "9293-MUST-66",                                    \
		"first, sequence number: the window is closed, but SEG.SEQ {0p} = RCV.NXT: RST, "  \
		"ACK and URG count")                                                               \
	X(RST_EXACT, rst_exact, "5961-2",                                                          \
		"second, RST: SEG.SEQ {0p} is exactly RCV.NXT: the connection is reset")           \
	X(URG_POINTER, urg_pointer, "9293-3.10.7.4-6", "sixth, URG: RCV.UP = {0p}")                \
	X(FIN_IN_ORDER, fin_in_order, "9293-3.10.7.4-8",                                           \
		"eighth, FIN: all text before {0p} is here: RCV.NXT moves past it, an ACK is "     \
		"owed")                                                                            \
	X(FIN_TOO_EARLY, fin_too_early, "9293-3.10.7.4-8",                                         \
		"eighth, FIN: it stands at {0p}, RCV.NXT is {1p}: it waits for the text between")  \
	X(LISTEN_SYN, listen_syn, "9293-3.10.7.2",                                                 \
		"LISTEN, third: SYN: IRS = {0}, ISS = {1}, SYN-ACK, -> SYN-RECEIVED")              \
	X(SYN_COOKIE_SENT, syn_cookie_sent, "4987-3.6",                                            \
		"no room for another half-open connection: a SYN-ACK whose ISS {0} is a cookie")   \
	X(SYN_COOKIE_GOOD, syn_cookie_good, "4987-3.6",                                            \
		"SEG.ACK {0} - 1 is a cookie of ours: the connection is made of it")               \
	X(SYN_ACK_AGAIN, syn_ack_again, "9293-MUST-22",                                            \
		"no ACK of the SYN-ACK: it goes again ({0} so far)")                               \
	X(ACK_OF_SYN, ack_of_syn, "9293-3.10.7.4-5",                                               \
		"fifth, ACK in SYN-RECEIVED: SND.UNA {0s} < SEG.ACK {1s} =< SND.NXT {2s}, -> "     \
		"ESTABLISHED")                                                                     \
	X(ACK_BELOW, ack_below, "9293-3.10.7.4-5",                                                 \
		"fifth, ACK: SEG.ACK {0s} < SND.UNA {1s}: old, only the text counts")              \
	X(ACK_NEW, ack_new, "9293-3.10.7.4-5",                                                     \
		"fifth, ACK: SND.UNA {0s} < SEG.ACK {1s} =< SND.NXT {2s}: what lies before it is " \
		"off the queue")                                                                   \
	X(ACK_DUPLICATE, ack_duplicate, "5681-9",                                                  \
		"fifth, ACK: SEG.ACK {0s} = SND.UNA, no text, the same window, text is in "        \
		"flight: a duplicate")                                                             \
	X(ACK_REPEATED, ack_repeated, "9293-3.10.7.4-5",                                           \
		"fifth, ACK: SEG.ACK {0s} = SND.UNA: nothing new")                                 \
	X(WINDOW_UPDATE, window_update, "9293-3.10.7.4-5",                                         \
		"fifth, window: SND.WL1 {1p} < SEG.SEQ {2p}, or the same and SND.WL2 =< SEG.ACK, " \
		"or SND.UNA moves: SND.WND = {0}")                                                 \
	X(FIN_ACKED, fin_acked, "9293-3.10.7.4-5",                                                 \
		"fifth, ACK: SND.UNA {0s} = SND.NXT: our FIN is acknowledged")                     \
	X(KARN, karn, "6298-3",                                                                    \
		"what is acknowledged was sent more than once: no round trip is measured by it")   \
	X(SLOW_START, slow_start, "5681-4",                                                        \
		"cwnd {1} is below ssthresh {3}, {0} bytes were acknowledged: slow start, cwnd = " \
		"{2}")                                                                             \
	X(AVOIDANCE, avoidance, "5681-5",                                                          \
		"cwnd {1} has reached ssthresh {3}, {0} bytes were acknowledged: congestion "      \
		"avoidance, cwnd = {2}")                                                           \
	X(CWND_UNUSED, cwnd_unused, "7661-4.1", "cwnd {0} was not what limited: it does not grow") \
	X(RTT_FIRST, rtt_first, "6298-2.2",                                                        \
		"first round trip R = {0t} us: SRTT = R, RTTVAR = R/2, RTO = {3t} us")             \
	X(RTT_SAMPLE, rtt_sample, "6298-2.3",                                                      \
		"round trip R' = {0t} us: RTTVAR = {2t} us, SRTT = {1t} us, RTO = {3t} us")        \
	X(FAST_ACK, fast_ack, "9293-3.10.7.4-5",                                                   \
		"as predicted: the next segment, in ESTABLISHED, an ACK of new text, no options "  \
		"to speak of: SND.UNA {0s} -> {1s}")                                               \
	X(FAST_TEXT, fast_text, "9293-3.10.7.4-7",                                                 \
		"as predicted: the next segment, in ESTABLISHED, {1} bytes of text at RCV.NXT "    \
		"{0p}")                                                                            \
	X(TEXT_TRIMMED, text_trimmed, "9293-3.10.7.4-7",                                           \
		"seventh, text: {0} bytes before RCV.NXT {1p} came already and are cut off")       \
	X(TEXT_IN_ORDER, text_in_order, "9293-3.10.7.4-7",                                         \
		"seventh, text: {0} bytes at RCV.NXT {1p}: they are the user's, an ACK is owed")   \
	X(GAP_FILLED, gap_filled, "5681-8",                                                        \
		"what was missing has come: the text kept from {0p} to {1p} follows it, ACK at "   \
		"once")                                                                            \
	X(TEXT_OUT_OF_ORDER, text_out_of_order, "9293-SHLD-31",                                    \
		"seventh, text: it begins at {0p}, RCV.NXT is {1p}: kept for later, a duplicate "  \
		"ACK at once")                                                                     \
	X(ACK_AT_ONCE, ack_at_once, "9293-SHLD-19",                                                \
		"{0} bytes are not acknowledged, two full segments, or an ACK is owed for "        \
		"another reason: now")                                                             \
	X(ACK_DELAYED, ack_delayed, "9293-SHLD-18",                                                \
		"{0} bytes are not acknowledged, less than two full segments: the ACK may wait "   \
		"{1t} us")                                                                         \
	X(RTO_STARTED, rto_started, "6298-5.1",                                                    \
		"text or SYN or FIN goes out and the timer stands: it expires in {0t} us")         \
	X(RTO_STOPPED, rto_stopped, "6298-5.2", "all is acknowledged up to {0s}: the timer stops") \
	X(RTO_AGAIN, rto_again, "6298-5.3",                                                        \
		"new text is acknowledged, some is still in flight: the timer starts over with "   \
		"{0t} us")                                                                         \
	X(PTO_ARMED, pto_armed, "8985-12",                                                         \
		"if no ACK comes, the last segment goes again as a probe, {0t} us from now")       \
	X(RTO_EXPIRED, rto_expired, "6298-5.4",                                                    \
		"the timer expired: what is oldest goes again, from {0s}; RTO doubles to {1t} us") \
	X(R1_REACHED, r1_reached, "9293-MUST-20",                                                  \
		"R1: {0} time-outs in a row: IP is told that the way may be bad")                  \
	X(R2_REACHED, r2_reached, "9293-MUST-20",                                                  \
		"R2: no answer for {0t} us: the connection is given up")                           \
	X(WINDOW_SHUT, window_shut, "9293-SHLD-29",                                                \
		"nothing is in flight and SND.WND {0} takes nothing: a probe follows in {1t} us")  \
	X(WINDOW_PROBE, window_probe, "9293-MUST-36",                                              \
		"the window is still closed: one octet goes into it; the next probe in {0t} us")   \
	X(SWS_OVERRIDE, sws_override, "9293-MUST-38",                                              \
		"a small segment has waited long enough: it goes")                                 \
	X(KEEPALIVE, keepalive, "9293-MUST-26",                                                    \
		"nothing came for {0} s and nothing is outstanding: probe number {1}")             \
	X(DELACK_EXPIRED, delack_expired, "9293-MUST-40",                                          \
		"the ACK has waited long enough: {0} bytes are acknowledged now")                  \
	X(SEND_TEXT, send_text, "9293-3.10.2",                                                     \
		"{0} bytes from SND.NXT {1s}: the peer's window takes {2} more, cwnd is {3}")      \
	X(SEND_FIN, send_fin, "9293-3.10.4", "all text has gone: FIN at {0s}")                     \
	X(WAIT_CWND, wait_cwnd, "5681-1", "cwnd {0} is full, {1} bytes are in flight: {2} wait")   \
	X(WAIT_WINDOW, wait_window, "9293-SHLD-15",                                                \
		"the peer's window has no room beyond the {0} bytes not acknowledged: {1} wait")   \
	X(WAIT_NAGLE, wait_nagle, "9293-SHLD-7",                                                   \
		"{0} bytes are less than a segment of {1}, and some are not acknowledged: they "   \
		"wait (Nagle, or silly windows)")                                                  \
	X(RESEND, resend, "6298-5.4", "{0} bytes from {1s} go again: they are taken for lost")     \
	X(LOSS_PROBE, loss_probe, "8985-13",                                                       \
		"tail loss probe: new text if there is some ({0} bytes), else the last segment "   \
		"again")                                                                           \
	X(WINDOW_TOLD, window_told, "9293-MUST-39",                                                \
		"the user has read: the window grows from {0} to {1}, which is worth an ACK")      \
	X(RECOVERY_BEGINS, recovery_begins, "6675-6",                                              \
		"loss is certain: RecoveryPoint = SND.NXT {0s}, ssthresh = {1}, cwnd = {2}")       \
	X(RECOVERY_ENDS, recovery_ends, "6675-7",                                                  \
		"SND.UNA {0s} has reached RecoveryPoint {1s}: recovery ends, cwnd = {2}")          \
	X(PARTIAL_ACK, partial_ack, "6582-4",                                                      \
		"partial ACK: SND.UNA {0s} is before recover {1s}: the next hole goes again")      \
	X(LOSS_COUNTED, loss_counted, "6675-2",                                                    \
		"{0} bytes are taken for lost: SACK tells of enough beyond them")                  \
	X(LOSS_BY_TIME, loss_by_time, "8985-9",                                                    \
		"{0} bytes are taken for lost: what was sent later has arrived, and the "          \
		"reordering window is over")                                                       \
	X(LOSS_TIMEOUT, loss_timeout, "5681-6",                                                    \
		"time-out: ssthresh = {0}, cwnd = {1}, recover = {2s}")                            \
	X(TIME_WAIT_BEGINS, time_wait_begins, "9293-MUST-13",                                      \
		"both FINs are acknowledged: the connection is remembered for 2 MSL, {0t} us")     \
	X(TIME_WAIT_FIN, time_wait_fin, "9293-3.10.7.4-8",                                         \
		"TIME-WAIT: the peer's FIN again, our ACK was lost: ACK, and 2 MSL start over")    \
	X(TIME_WAIT_NEW, time_wait_new, "6191-2",                                                  \
		"TIME-WAIT: a SYN with later numbers {0} or timestamps: a new connection takes "   \
		"its place")

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
/* Has this one decided since tg_rules_note? */
TG_API bool tg_rules_seen(const struct tg *s, unsigned rule);

/* ---- Moves between states ---------------------------------------------------------------------
 */

/* Does the code allow this move? The table that the one setter of states asserts. */
TG_API bool tg_move_is_legal(enum tg_state from, enum tg_state to);

struct tg_move {
	uint8_t from, to; /* enum tg_state */
	uint16_t cause;   /* enum tg_cause; tg_cause_clause has its clause */
};

/* The table, move by move and cause by cause, grouped by the state that is left: the next one
 * behind cursor, which begins as 0. False: that was all. */
TG_API bool tg_moves(uint32_t *cursor, struct tg_move *out);
/* Was this move made for this cause since tg_rules_note? */
TG_API bool tg_move_seen(const struct tg *s, const struct tg_move *m);

#ifdef __cplusplus
}
#endif
#endif
