/* TCP_INFO in the layout of Linux's struct tcp_info, from STATUS (RFC 9293 3.10.6). Fields of what
 * is not kept here (delivery rate, receiver's estimates, times of the last segments) are 0. */
#include "sock/bsd.h"
#include "tapglass_inspect.h"

struct linux_tcp_info {
	uint8_t state, ca_state, retransmits, probes, backoff, options, wscales, misc;
	uint32_t rto_us, ato_us, snd_mss, rcv_mss;
	uint32_t unacked_segs, sacked_segs, lost_segs, retrans_segs, fackets;
	uint32_t last_data_sent_ms, last_ack_sent_ms, last_data_recv_ms, last_ack_recv_ms;
	uint32_t pmtu, rcv_ssthresh, rtt_us, rttvar_us, snd_ssthresh_segs, snd_cwnd_segs;
	uint32_t advmss, reordering, rcv_rtt_us, rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	uint32_t segs_out, segs_in, notsent_bytes, min_rtt_us, data_segs_in, data_segs_out;
	uint64_t delivery_rate, busy_us, rwnd_limited_us, sndbuf_limited_us;
	uint32_t delivered, delivered_ce;
	uint64_t bytes_sent, bytes_retrans;
	uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd, rcv_wnd, rehash;
};

#define OPT_TIMESTAMPS 1u
#define OPT_SACK       2u
#define OPT_WSCALE     4u
#define OPT_ECN        8u
#define OPT_ECN_SEEN   16u

#define CA_OPEN     0
#define CA_DISORDER 1
#define CA_CWR      2
#define CA_RECOVERY 3
#define CA_LOSS     4

static uint8_t linux_state(enum tg_state st)
{
	switch (st) {
	case TG_ESTABLISHED: return 1;
	case TG_SYN_SENT: return 2;
	case TG_SYN_RECEIVED: return 3;
	case TG_FIN_WAIT_1: return 4;
	case TG_FIN_WAIT_2: return 5;
	case TG_TIME_WAIT: return 6;
	case TG_CLOSED: return 7;
	case TG_CLOSE_WAIT: return 8;
	case TG_LAST_ACK: return 9;
	case TG_LISTEN: return 10;
	case TG_CLOSING: return 11;
	}
	return 7;
}

static uint32_t us(uint64_t ns)
{
	return ns / NS_PER_US > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / NS_PER_US);
}

/* Rounded up: a part of a segment is one in flight. */
static uint32_t segs(uint32_t bytes, uint32_t mss)
{
	return mss ? (bytes + mss - 1) / mss : 0;
}

int bsd_tcp_info(struct bsd *b, const struct bsd_file *f, void *val, uint32_t *len)
{
	struct linux_tcp_info o;
	struct tg_tcp_info i;
	int r = tg_tcp_status(b->s, f->sock, &i);

	if (r < 0)
		return r;
	memset(&o, 0, sizeof(o));
	o.state = linux_state((enum tg_state)i.state);
	o.ca_state = i.in_loss       ? CA_LOSS
		     : i.in_recovery ? CA_RECOVERY
		     : i.in_cwr      ? CA_CWR
		     : i.disorder    ? CA_DISORDER
				     : CA_OPEN;
	o.retransmits = i.backoff;
	o.probes = i.probes;
	o.backoff = i.backoff;
	o.options = (uint8_t)((i.ts ? OPT_TIMESTAMPS : 0) | (i.sack ? OPT_SACK : 0) |
			      (i.wscale ? OPT_WSCALE : 0) | (i.ecn ? OPT_ECN : 0) |
			      (i.ecn_seen ? OPT_ECN_SEEN : 0));
	o.wscales = (uint8_t)(i.snd_wscale | i.rcv_wscale << 4);
	o.rto_us = us(i.rto_ns);
	o.snd_mss = i.mss_snd;
	o.rcv_mss = i.mss_rcv;
	o.unacked_segs = segs(i.unacked_bytes, i.mss_snd);
	o.sacked_segs = i.sacked_segs;
	o.lost_segs = segs(i.lost_bytes, i.mss_snd);
	o.retrans_segs = segs(i.retrans_bytes, i.mss_snd);
	o.pmtu = i.pmtu;
	o.rtt_us = us(i.srtt_ns);
	o.rttvar_us = us(i.rttvar_ns);
	o.snd_ssthresh_segs = segs(i.ssthresh_bytes, i.mss_snd);
	o.snd_cwnd_segs = segs(i.cwnd_bytes, i.mss_snd);
	o.reordering = i.reordering_segs;
	o.reord_seen = i.reord_seen;
	o.total_retrans = i.retransmits;
	o.bytes_acked = i.bytes_acked;
	o.bytes_received = i.bytes_received;
	o.segs_out = i.segs_out;
	o.segs_in = i.segs_in;
	o.notsent_bytes = i.unsent_bytes;
	o.min_rtt_us = us(i.min_rtt_ns);
	o.bytes_sent = i.bytes_sent;
	o.bytes_retrans = i.bytes_retrans;
	o.dsack_dups = i.dsack_dups;
	o.pacing_rate = i.pacing_rate ? i.pacing_rate : UINT64_MAX;
	o.max_pacing_rate = i.max_pacing_rate ? i.max_pacing_rate : UINT64_MAX;
	o.snd_wnd = i.snd_wnd;
	o.rcv_wnd = i.rcv_wnd;
	*len = min_u32(*len, sizeof(o));
	memcpy(val, &o, *len);
	return 0;
}
