/* What the tools see of an instance: drop reasons, the trace, counters, tables, snapshots. */
#ifndef TAPGLASS_INSPECT_H
#define TAPGLASS_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tapglass.h"

/* Why a frame, a datagram or a segment was discarded: constant, name, text, clause. The one list,
 * used by the counters, the trace, the tests and the conformance table. Frames in = delivered +
 * dropped, always. */
#define TG_DROP_LIST(X)                                                                            \
	X(NETIF_NONE, netif_none, "no such network interface", "-")                                \
	X(NO_MEMORY, no_memory, "out of packet memory", "-")                                       \
	X(FRAME_TOO_LONG, frame_too_long, "frame is longer than its block says", "-")              \
	X(PASS_QUEUE_FULL, pass_queue_full, "too many frames wait for the instance they are for",  \
		"-")                                                                               \
	X(ETH_SHORT, eth_short, "frame shorter than an Ethernet header", "894")                    \
	X(ETH_LLC, eth_llc, "802.3 frame without a SNAP header", "1122 2.3.3")                     \
	X(ETH_SOURCE, eth_source, "source is a group address", "802.3")                            \
	X(ETH_NOT_US, eth_not_us, "addressed to another station", "894")                           \
	X(ETH_TYPE, eth_type, "EtherType not spoken here", "894")                                  \
	X(IP6_IGNORED, ip6_ignored, "IPv6 is not spoken here", "-")                                \
	X(ARP_SHORT, arp_short, "ARP message too short", "826")                                    \
	X(ARP_FORMAT, arp_format, "ARP for other hardware or protocols", "826")                    \
	X(ARP_SENDER, arp_sender, "ARP sender address is impossible", "826")                       \
	X(ARP_CONFLICT, arp_conflict, "another station uses our address", "5227 2.4")              \
	X(ARP_NOT_US, arp_not_us, "ARP that concerns neither us nor an entry", "826")              \
	X(ARP_QUEUE_FULL, arp_queue_full, "too many packets wait for an address", "1122 2.3.2.2")  \
	X(ARP_UNRESOLVED, arp_unresolved, "nobody answered for the next hop", "1122 2.3.2.1")      \
	X(ARP_CACHE_FULL, arp_cache_full, "neighbour cache is full", "1122 2.3.2.1")               \
	X(IP_SHORT, ip_short, "shorter than an IPv4 header", "1122 3.2.1")                         \
	X(IP_VERSION, ip_version, "version is not 4", "1122 3.2.1.1")                              \
	X(IP_HDR_LEN, ip_hdr_len, "header length impossible", "791 3.1")                           \
	X(IP_TOTAL_LEN, ip_total_len, "total length impossible", "791 3.1")                        \
	X(IP_CSUM, ip_csum, "header checksum wrong", "1122 3.2.1.2")                               \
	X(IP_OPTIONS, ip_options, "options malformed", "1122 3.2.1.8")                             \
	X(IP_SOURCE_ROUTE, ip_source_route, "source route not honoured", "7126 4.3")               \
	X(IP_SOURCE, ip_source, "source address impossible", "1122 3.2.1.3")                       \
	X(IP_SOURCE_OURS, ip_source_ours, "source address is one of ours", "1122 3.2.1.3")         \
	X(IP_LOOPBACK_WIRE, ip_loopback_wire, "loopback address on a wire", "1122 3.2.1.3")        \
	X(IP_NOT_US, ip_not_us, "addressed to another host", "1122 3.2.1.3")                       \
	X(IP_LINK_BROADCAST, ip_link_broadcast, "unicast datagram in a link broadcast",            \
		"1122 3.3.6")                                                                      \
	X(IP_PROTOCOL, ip_protocol, "protocol not spoken here", "1122 3.2.2.1")                    \
	X(IP_MULTICAST, ip_multicast, "group not joined", "1112 7.2")                              \
	X(IP_FRAG_LENGTH, ip_frag_length, "fragment is not a multiple of 8 bytes", "791 3.2")      \
	X(IP_FRAG_TOO_BIG, ip_frag_too_big, "fragments exceed 65535 bytes", "791 3.2")             \
	X(IP_FRAG_OVERLAP, ip_frag_overlap, "fragments overlap", "5722 3")                         \
	X(IP_FRAG_DUPLICATE, ip_frag_duplicate, "fragment received twice", "8200 4.5")             \
	X(IP_FRAG_LIMIT, ip_frag_limit, "reassembly memory is full", "1122 3.3.2")                 \
	X(IP_FRAG_ECN, ip_frag_ecn, "fragments with and without ECN, one marked", "3168 5.3")      \
	X(IP_FRAG_TIMEOUT, ip_frag_timeout, "reassembly timed out", "1122 3.3.2")                  \
	X(IP_NO_ROUTE, ip_no_route, "no route to the destination", "1122 3.3.1")                   \
	X(IP_TOO_BIG, ip_too_big, "larger than the MTU and may not be fragmented", "1191 3")       \
	X(IP_QUEUE_FULL, ip_queue_full, "the interface's queue of control frames is full", "-")    \
	X(ICMP_SHORT, icmp_short, "ICMP message too short", "792")                                 \
	X(ICMP_CSUM, icmp_csum, "ICMP checksum wrong", "792")                                      \
	X(ICMP_TYPE, icmp_type, "ICMP type not spoken here", "1122 3.2.2")                         \
	X(ICMP_BROADCAST, icmp_broadcast, "echo request to a broadcast address", "1122 3.2.2.6")   \
	X(ICMP_NO_LISTENER, icmp_no_listener, "echo reply that nobody waits for", "1122 3.2.2.6")  \
	X(ICMP_QUOTE, icmp_quote, "error quotes no usable header", "1122 3.2.2")                   \
	X(ICMP_NO_FLOW, icmp_no_flow, "error about no live flow", "5927 4")                        \
	X(ICMP_SOURCE_QUENCH, icmp_source_quench, "source quench is ignored", "6633 3")            \
	X(ICMP_REDIRECT, icmp_redirect, "redirects are ignored", "1122 3.2.2.2")                   \
	X(ICMP_RATE, icmp_rate, "error message not sent: rate limit", "1812 4.3.2.8")              \
	X(UDP_SHORT, udp_short, "shorter than a UDP header", "768")                                \
	X(UDP_LENGTH, udp_length, "UDP length impossible", "768")                                  \
	X(UDP_CSUM, udp_csum, "UDP checksum wrong", "1122 4.1.3.4")                                \
	X(UDP_NO_PORT, udp_no_port, "no socket on this port", "1122 4.1.3.1")                      \
	X(UDP_QUEUE_FULL, udp_queue_full, "receive queue of the socket is full", "-")              \
	X(RAW_QUEUE_FULL, raw_queue_full, "receive queue of the raw socket is full", "-")          \
	X(TCP_SHORT, tcp_short, "shorter than a TCP header", "9293 3.1")                           \
	X(TCP_OFFSET, tcp_offset, "data offset impossible", "9293 3.1")                            \
	X(TCP_OPTIONS, tcp_options, "options malformed", "9293 3.1")                               \
	X(TCP_CSUM, tcp_csum, "TCP checksum wrong", "9293 3.1")                                    \
	X(TCP_BROADCAST, tcp_broadcast, "segment to a broadcast or multicast address",             \
		"9293 3.9.2.3")                                                                    \
	X(TCP_CLOSED, tcp_closed, "no connection: answered by a reset", "9293 3.10.7.1")           \
	X(TCP_CLOSED_RST, tcp_closed_rst, "no connection: reset ignored", "9293 3.10.7.1")         \
	X(TCP_LISTEN_RST, tcp_listen_rst, "reset in LISTEN ignored", "9293 3.10.7.2")              \
	X(TCP_LISTEN_ACK, tcp_listen_ack, "acknowledgment in LISTEN: answered by a reset",         \
		"9293 3.10.7.2")                                                                   \
	X(TCP_LISTEN_OTHER, tcp_listen_other, "neither RST, ACK nor SYN in LISTEN",                \
		"9293 3.10.7.2")                                                                   \
	X(TCP_HALF_OPEN_FULL, tcp_half_open_full, "half-open table is full", "4987 3.4")           \
	X(TCP_SYN_COOKIE, tcp_syn_cookie, "forged or stale SYN cookie: answered by a reset",       \
		"4987 3.6")                                                                        \
	X(TCP_ACCEPT_FULL, tcp_accept_full, "accept queue is full", "-")                           \
	X(TCP_SYN_SENT_ACK, tcp_syn_sent_ack, "ACK in SYN-SENT outside what was sent",             \
		"9293 3.10.7.3")                                                                   \
	X(TCP_SYN_SENT_RST, tcp_syn_sent_rst, "reset in SYN-SENT without acceptable ACK",          \
		"9293 3.10.7.3")                                                                   \
	X(TCP_SYN_SENT_OTHER, tcp_syn_sent_other, "neither SYN nor RST in SYN-SENT",               \
		"9293 3.10.7.3")                                                                   \
	X(TCP_PAWS, tcp_paws, "timestamp older than TS.Recent", "7323 5.3")                        \
	X(TCP_NO_TS, tcp_no_ts, "segment without the negotiated timestamp", "7323 3.2")            \
	X(TCP_OLD, tcp_old, "nothing new: before the receive window", "9293 3.10.7.4-1")           \
	X(TCP_BEYOND_WINDOW, tcp_beyond_window, "beyond the receive window", "9293 3.10.7.4-1")    \
	X(TCP_RST_OUTSIDE, tcp_rst_outside, "reset outside the window", "5961 3.2")                \
	X(TCP_RST_CHALLENGE, tcp_rst_challenge, "reset in window but not exact: challenge ACK",    \
		"5961 3.2")                                                                        \
	X(TCP_SYN_CHALLENGE, tcp_syn_challenge, "SYN in a synchronized state: challenge ACK",      \
		"5961 4.2")                                                                        \
	X(TCP_NO_ACK, tcp_no_ack, "neither ACK, RST nor SYN", "9293 3.10.7.4-5")                   \
	X(TCP_ACK_HALF_OPEN, tcp_ack_half_open,                                                    \
		"unacceptable ACK in SYN-RECEIVED: answered by a reset", "9293 3.10.7.4-5")        \
	X(TCP_ACK_FUTURE, tcp_ack_future, "acknowledges what was never sent", "9293 3.10.7.4-5")   \
	X(TCP_ACK_OLD, tcp_ack_old, "acknowledgment too old", "5961 5.2")                          \
	X(TCP_TEXT_AFTER_FIN, tcp_text_after_fin, "text beyond the peer's FIN", "9293 3.10.7.4-7") \
	X(TCP_TEXT_AFTER_CLOSE, tcp_text_after_close,                                              \
		"text that nobody will read: answered by a reset", "9293 3.6.1")                   \
	X(TCP_OOO_LIMIT, tcp_ooo_limit, "too many out-of-order ranges", "-")                       \
	X(TCP_RCV_MEMORY, tcp_rcv_memory, "receive memory is full", "-")                           \
	X(TCP_TIME_WAIT, tcp_time_wait, "old segment in TIME-WAIT", "9293 3.10.7.4")

enum tg_drop {
	TG_DROP_NONE,
#define X(NAME, name, text, clause) TG_DROP_##NAME,
	TG_DROP_LIST(X)
#undef X
		TG_DROP_COUNT
};

/* "tcp_paws" and its like; never NULL, "?" for a number out of range. */
TG_API const char *tg_drop_name(enum tg_drop d);
TG_API const char *tg_drop_text(enum tg_drop d);
TG_API const char *tg_drop_clause(enum tg_drop d);

/* ---- States and their causes -------------------------------------------------------------- */

/* RFC 9293 3.3.2, in the RFC's order. */
#define TG_STATE_LIST(X)                                                                           \
	X(CLOSED, "CLOSED")                                                                        \
	X(LISTEN, "LISTEN")                                                                        \
	X(SYN_SENT, "SYN-SENT")                                                                    \
	X(SYN_RECEIVED, "SYN-RECEIVED")                                                            \
	X(ESTABLISHED, "ESTABLISHED")                                                              \
	X(FIN_WAIT_1, "FIN-WAIT-1")                                                                \
	X(FIN_WAIT_2, "FIN-WAIT-2")                                                                \
	X(CLOSE_WAIT, "CLOSE-WAIT")                                                                \
	X(CLOSING, "CLOSING")                                                                      \
	X(LAST_ACK, "LAST-ACK")                                                                    \
	X(TIME_WAIT, "TIME-WAIT")

enum tg_state {
#define X(name, text) TG_##name,
	TG_STATE_LIST(X)
#undef X
};
#define TG_STATE_COUNT 11
TG_API const char *tg_state_name(enum tg_state st); /* "SYN-RECEIVED" */

/* Why a state was changed. */
#define TG_CAUSE_LIST(X)                                                                           \
	X(LISTEN_CALL, "passive OPEN", "9293 3.10.1")                                              \
	X(CONNECT_CALL, "active OPEN", "9293 3.10.1")                                              \
	X(CLOSE_CALL, "CLOSE", "9293 3.10.4")                                                      \
	X(ABORT_CALL, "ABORT", "9293 3.10.5")                                                      \
	X(SYN, "SYN", "9293 3.10.7.2")                                                             \
	X(SYN_ACK, "SYN and ACK of our SYN", "9293 3.10.7.3")                                      \
	X(SYN_CROSSING, "SYN crossing ours", "9293 3.10.7.3")                                      \
	X(ACK_OF_SYN, "ACK of our SYN", "9293 3.10.7.4-5")                                         \
	X(ACK_OF_FIN, "ACK of our FIN", "9293 3.10.7.4-5")                                         \
	X(FIN, "FIN", "9293 3.10.7.4-8")                                                           \
	X(RST, "RST", "9293 3.10.7.4-2")                                                           \
	X(RST_REFUSED, "RST: connection refused", "9293 3.10.7.3")                                 \
	X(RST_TO_LISTEN, "RST: back to LISTEN", "9293 3.10.7.4-2")                                 \
	X(UNREAD_DATA, "closed with data unread or arriving", "9293 3.6.1")                        \
	X(RETRIES_OUT, "retransmitted until R2", "9293 3.8.3")                                     \
	X(USER_TIMEOUT, "user timeout", "9293 3.10.8")                                             \
	X(KEEPALIVE_OUT, "keepalive unanswered", "9293 3.8.4")                                     \
	X(TWO_MSL, "2 MSL passed", "9293 3.10.8")                                                  \
	X(FIN_WAIT_2_OUT, "nobody waits for the peer's FIN any longer", "-")                       \
	X(ICMP_HARD, "ICMP unreachable", "9293 3.9.2.2")                                           \
	X(NO_ROUTE, "no route or no neighbour", "9293 3.9.2.2")                                    \
	X(LISTENER_CLOSED, "the listener was closed", "9293 3.10.4")                               \
	X(TIME_WAIT_REUSED, "a new SYN took over TIME-WAIT", "9293 3.10.7.4-4")                    \
	X(SYN_COOKIE, "a valid SYN cookie", "4987 3.6")                                            \
	X(HALF_OPEN_EVICTED, "half-open table is full", "4987 3.3")                                \
	X(TIME_WAIT_EVICTED, "TIME-WAIT table is full", "-")                                       \
	X(NO_MEMORY, "out of memory", "-")

enum tg_cause {
	TG_CAUSE_NONE,
#define X(name, text, clause) TG_CAUSE_##name,
	TG_CAUSE_LIST(X)
#undef X
		TG_CAUSE_COUNT
};
TG_API const char *tg_cause_text(enum tg_cause c);
TG_API const char *tg_cause_clause(enum tg_cause c);

/* ---- The trace ----------------------------------------------------------------------------- */

enum tg_trace_kind {
	TG_TRACE_NONE,
	TG_TRACE_SEGMENT_IN,  /* tcp_flags seq ack len wnd; aux = options seen (TCP_HAS_*) */
	TG_TRACE_SEGMENT_OUT, /* the same; a = 1: retransmission, 2: probe; aux as above */
	TG_TRACE_STATE,       /* a = old, b = new (enum tg_state), reason = enum tg_cause */
	TG_TRACE_DROP,       /* reason = enum tg_drop; of a TCP segment also flags, seq, ack, len */
	TG_TRACE_TIMER,      /* a = enum tg_timer, b = 1 fired; len = backoff; aux = timeout, us */
	TG_TRACE_CONGESTION, /* a = enum tg_cong, b = 1: noticed by RACK; seq = cwnd, ack =
			      * ssthresh, len = bytes in flight */
	TG_TRACE_CALL,       /* a = enum tg_call, b = enum tg_type; aux = result (negative: -errno),
			      * len = bytes */
	TG_TRACE_ARP, /* a = op (1 request, 2 reply), b = 0 in, 1 out; raddr = address asked or told
		       */
	TG_TRACE_ICMP, /* a = type, b = code, wnd = 0 in, 1 out; seq = id, ack = sequence, len =
			  bytes */
	TG_TRACE_UDP,  /* b = 0 in, 1 out; ports, len; aux = not 0: several datagrams of so many
			* bytes each, the last one of the rest, in one frame for the device */
	TG_TRACE_REASSEMBLY, /* a = 0 fragment held, 1 complete, 2 timed out; len = bytes, seq = id
			      */
	TG_TRACE_NEIGHBOUR,  /* a = old, b = new state of an ARP entry; raddr */
	TG_TRACE_IMPAIRED    /* a = enum tg_impair_what, b = 0 towards us, 1 from us; frame */
};

enum tg_timer {
	TG_TIMER_REXMIT,
	TG_TIMER_PERSIST,
	TG_TIMER_DELACK,
	TG_TIMER_KEEPALIVE,
	TG_TIMER_STATE,
	TG_TIMER_USER,
	TG_TIMER_LOSS_PROBE,
	TG_TIMER_REORDERING
};
enum tg_cong {
	TG_CONG_FAST_RETRANSMIT,
	TG_CONG_RECOVERED,
	TG_CONG_RTO,
	TG_CONG_IDLE_RESTART,
	TG_CONG_UNDO,
	TG_CONG_ECN /* cwnd was reduced for ECE [3168 6.1.2] */
};
enum tg_call {
	TG_CALL_OPEN,
	TG_CALL_SEND,
	TG_CALL_RECEIVE,
	TG_CALL_SHUTDOWN,
	TG_CALL_CLOSE,
	TG_CALL_ABORT
};
enum tg_impair_what {
	TG_IMPAIR_DROP,
	TG_IMPAIR_DUP,
	TG_IMPAIR_REORDER,
	TG_IMPAIR_CORRUPT,
	TG_IMPAIR_QUEUE
};

/* One record, 64 bytes, no padding. Meaning of the generic fields: see the kinds. */
struct tg_trace {
	uint64_t time_ns;
	uint32_t frame; /* number of the received frame that led to it; 0: a timer or a call did */
	uint32_t conn;  /* serial number of the connection; 0: none (yet) */
	uint8_t kind, a, b, tcp_flags;
	uint16_t reason;
	uint16_t netif;
	uint16_t lport, rport;
	uint32_t seq, ack, len, wnd, aux;
	uint8_t raddr[16]; /* remote address, IPv4 mapped */
};

/* Next record after *cursor (start with 0), oldest first. False: none. Records that were
 * overwritten before they were read are skipped and counted in *lost (may be NULL). */
TG_API bool tg_trace_next(
	const struct tg *s, uint64_t *cursor, struct tg_trace *out, uint64_t *lost);

/* ---- Counters ------------------------------------------------------------------------------ */

/* MIB names of RFC 4293 (ip, icmp), 4113 (udp), 4022 (tcp) where those exist. tcp_fast_path_*:
 * segments for which header prediction held; tcp_slow_path: the others, and why it did not: not
 * ESTABLISHED; more than ACK and PSH set; not next in sequence, or text is held out of order; other
 * options than a time stamp, or an old one; a closed window; an ACK that is no plain advance, or
 * beside text; no room for the text. With the fast path off only the sum is counted. */
#define TG_COUNTER_LIST(X)                                                                         \
	X(frames_in)                                                                               \
	X(frames_delivered)                                                                        \
	X(frames_dropped)                                                                          \
	X(frames_out)                                                                              \
	X(bytes_in)                                                                                \
	X(bytes_out)                                                                               \
	X(device_busy)                                                                             \
	X(frames_passed_on)                                                                        \
	X(frames_taken_over)                                                                       \
	X(arp_in_requests)                                                                         \
	X(arp_in_replies)                                                                          \
	X(arp_out_requests)                                                                        \
	X(arp_out_replies)                                                                         \
	X(arp_conflicts)                                                                           \
	X(ip_in_receives)                                                                          \
	X(ip_in_delivers)                                                                          \
	X(ip_out_requests)                                                                         \
	X(ip_reasm_reqds)                                                                          \
	X(ip_reasm_oks)                                                                            \
	X(ip_reasm_fails)                                                                          \
	X(ip_out_frag_oks)                                                                         \
	X(ip_out_frag_creates)                                                                     \
	X(ip_out_no_routes)                                                                        \
	X(icmp_in_msgs)                                                                            \
	X(icmp_in_errors)                                                                          \
	X(icmp_out_msgs)                                                                           \
	X(icmp_in_echos)                                                                           \
	X(icmp_out_echo_reps)                                                                      \
	X(icmp_out_dest_unreachs)                                                                  \
	X(icmp_out_time_excds)                                                                     \
	X(icmp_out_parm_probs)                                                                     \
	X(udp_in_datagrams)                                                                        \
	X(udp_no_ports)                                                                            \
	X(udp_in_errors)                                                                           \
	X(udp_out_datagrams)                                                                       \
	X(tcp_active_opens)                                                                        \
	X(tcp_passive_opens)                                                                       \
	X(tcp_attempt_fails)                                                                       \
	X(tcp_estab_resets)                                                                        \
	X(tcp_curr_estab)                                                                          \
	X(tcp_in_segs)                                                                             \
	X(tcp_out_segs)                                                                            \
	X(tcp_retrans_segs)                                                                        \
	X(tcp_in_errs)                                                                             \
	X(tcp_out_rsts)                                                                            \
	X(tcp_in_bytes)                                                                            \
	X(tcp_out_bytes)                                                                           \
	X(tcp_fast_path_data)                                                                      \
	X(tcp_fast_path_acks)                                                                      \
	X(tcp_slow_path)                                                                           \
	X(tcp_slow_state)                                                                          \
	X(tcp_slow_flags)                                                                          \
	X(tcp_slow_order)                                                                          \
	X(tcp_slow_options)                                                                        \
	X(tcp_slow_window)                                                                         \
	X(tcp_slow_ack)                                                                            \
	X(tcp_slow_room)                                                                           \
	X(tcp_delayed_acks)                                                                        \
	X(tcp_dup_acks_in)                                                                         \
	X(tcp_out_of_order)                                                                        \
	X(tcp_fast_retransmits)                                                                    \
	X(tcp_timeouts)                                                                            \
	X(tcp_loss_probes)                                                                         \
	X(tcp_spurious_recoveries)                                                                 \
	X(tcp_spurious_timeouts)                                                                   \
	X(tcp_persist_probes)                                                                      \
	X(tcp_keepalive_probes)                                                                    \
	X(tcp_challenge_acks)                                                                      \
	X(tcp_rcvbuf_grown)                                                                        \
	X(tcp_sndbuf_grown)                                                                        \
	X(tcp_growth_refused)                                                                      \
	X(tcp_buffers_shrunk)                                                                      \
	X(tcp_rested)                                                                              \
	X(tcp_woken)                                                                               \
	X(tcp_syncookies_sent)                                                                     \
	X(tcp_syncookies_recv)                                                                     \
	X(tcp_syncookies_failed)                                                                   \
	X(tcp_paws_rejected)                                                                       \
	X(tcp_ecn_ce_in)                                                                           \
	X(tcp_ecn_echoes_in)                                                                       \
	X(tcp_ecn_reductions)                                                                      \
	X(tcp_mtu_black_holes)                                                                     \
	X(tcp_mtu_probes)                                                                          \
	X(tcp_mtu_probes_acked)                                                                    \
	X(tcp_ecn_fallbacks)                                                                       \
	X(tcp_dsacks_out)                                                                          \
	X(tcp_time_wait_reused)

struct tg_counters {
#define X(name) uint64_t name;
	TG_COUNTER_LIST(X)
#undef X
	uint64_t drops[TG_DROP_COUNT];    /* of received frames */
	uint64_t discards[TG_DROP_COUNT]; /* of what we meant to send, or held: fragments timed out,
					     ... */
};
TG_API const struct tg_counters *tg_counters(const struct tg *s);

/* ---- Tables -------------------------------------------------------------------------------- */

struct tg_sock_row {
	tg_sock sock;  /* 0: half-open or TIME-WAIT, no socket any more */
	uint8_t type;  /* enum tg_type */
	uint8_t state; /* enum tg_state; of a datagram socket CLOSED, or ESTABLISHED if connected */
	struct tg_addr local, peer;
	uint32_t recv_q_bytes; /* of a listener: connections waiting for accept */
	uint32_t send_q_bytes; /* of a listener: the backlog */
	uint32_t conn;         /* serial number as in the trace */
	uint8_t timer;         /* enum tg_row_timer: what is waited for, the most urgent */
	uint8_t timer_count;   /* how often it has gone off in vain */
	uint64_t timer_ns;     /* when it goes off */
};
/* Of streams, in ss(8)'s words but for TG_ROW_FIN_WAIT_2, which it calls timewait. */
enum tg_row_timer {
	TG_ROW_NO_TIMER,
	TG_ROW_ON,      /* retransmission, also of a SYN or FIN */
	TG_ROW_PERSIST, /* a probe of the peer's window */
	TG_ROW_KEEPALIVE,
	TG_ROW_TIMEWAIT,
	TG_ROW_FIN_WAIT_2, /* nobody has the socket, and the peer does not end it */
	TG_ROW_DEFER,      /* accepted then at the latest (TG_TCP_DEFER_ACCEPT) */
	TG_ROW_DELACK      /* the ACK that is owed */
};
/* Walks all sockets, half-open connections and TIME-WAIT entries: *cursor starts at 0. False: done.
 * The instance must not change in between. */
TG_API bool tg_table_socks(const struct tg *s, uint64_t *cursor, struct tg_sock_row *out);

struct tg_arp_row {
	struct tg_ip addr;
	uint8_t mac[6];
	uint8_t state; /* enum tg_neigh_state */
	uint16_t netif;
	uint64_t age_ns; /* since it was last confirmed */
};
enum tg_neigh_state {
	TG_NEIGH_FREE,
	TG_NEIGH_INCOMPLETE,
	TG_NEIGH_REACHABLE,
	TG_NEIGH_STALE,
	TG_NEIGH_PROBE,
	TG_NEIGH_FAILED
};
TG_API bool tg_table_arp(const struct tg *s, uint64_t *cursor, struct tg_arp_row *out);

struct tg_route_row {
	struct tg_ip dest;
	uint8_t prefix_len;   /* of the IPv4 part, 0..32 */
	struct tg_ip gateway; /* all zero: on link */
	uint16_t netif;
	uint16_t metric;
};
TG_API bool tg_table_routes(const struct tg *s, uint64_t *cursor, struct tg_route_row *out);

struct tg_memory {
	uint64_t reserved_bytes, budget_bytes, in_use_bytes, page_bytes, failures;
};
TG_API void tg_memory_stats(const struct tg *s, struct tg_memory *out);
/* Orders allocation failures, for tests: see arena_fail_after. */
TG_API void tg_memory_fail_after(struct tg *s, uint64_t countdown, uint64_t period);

/* ---- Snapshots ----------------------------------------------------------------------------- */

/* Bytes that tg_snapshot_save needs now. */
TG_API size_t tg_snapshot_bytes(const struct tg *s);
/* Copies the instance into buf; returns the bytes written, 0 if cap is too small. */
TG_API size_t tg_snapshot_save(const struct tg *s, void *buf, size_t cap);
/* Puts the instance back to where it was, at the address it always had. Device and application
 * state are the caller's to put back. False: not an image of this instance, or it is being
 * recorded (tapglass_journal.h); nothing is changed. */
TG_API bool tg_snapshot_restore(struct tg *s, const void *buf, size_t bytes);

#endif
