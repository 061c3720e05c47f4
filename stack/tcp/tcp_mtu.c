/* The size of segments: Eff.snd.MSS from what is known of the path (RFC 9293 3.7.1, 3.7.2), ICMP
 * telling that it has shrunk (RFC 1191 6.3, 6.4), and where no ICMP comes, a search by probes that
 * carry text (RFC 4821 7, RFC 8899 5 in spirit), switched by cfg.tcp.mtu_probing as Linux's
 * net.ipv4.tcp_mtu_probing.
 *
 * The search begins when a full-sized segment has timed out repeatedly: the path may be a black
 * hole for it. Segments shrink to a base that any path carries, then a larger one is tried now and
 * then: first the largest, which tells whether it was the size at all, then by halves. A probe that
 * is lost alone tells about its size, not about congestion.
 *
 * Left out: RFC 5927 7.2's second thoughts about ICMP while the connection makes progress. */
#include "tcp/tcp.h"

#define MTU_CLOSE_ENOUGH 8u  /* bytes between what works and what does not [Linux] */
#define MTU_PROBES       3u  /* of one size, all lost: too large [8899 5.1.2 MAX_PROBES] */
#define MTU_CWND_SEGS    11u /* below it the probe would be much of the window [4821 7.4] */
#define MTU_SPARE_SEGS                                                                             \
	4u /* text behind a probe, so that duplicates tell of its loss [4821 7.3]                  \
	    */

static uint32_t option_bytes(const struct tcp_conn *c)
{
	return c->ts_ok ? 12 : 0;
}

/* Bytes of a datagram that carry no text. */
static uint32_t header_bytes(const struct tcp_conn *c)
{
	return ip_header_bytes(&c->raddr) + TCP_HDR_BYTES + option_bytes(c);
}

/* The largest datagram that peer, user and network layer allow. */
static uint32_t largest(struct tg *s, struct tcp_conn *c)
{
	uint32_t iph = ip_header_bytes(&c->raddr);
	uint32_t mtu = c->pmtu >= TG_PMTU_PROBE ? ip_mms_r(s, &c->raddr, &c->path) + iph
						: ip_mtu(s, &c->raddr, &c->path);
	uint32_t mss = max_u32(c->mss_peer, TCP_MSS_MIN);

	if (c->mss_user)
		mss = min_u32(mss, c->mss_user);
	return min_u32(mtu, mss + TCP_HDR_BYTES + iph);
}

/* [9293 MUST-16] Eff.snd.MSS = min(SendMSS + 20, MMS_S) - TCPhdrsize - IPoptionsize */
void tcp_update_mss(struct tg *s, struct tcp_conn *c)
{
	uint32_t mtu = largest(s, c), hdr = header_bytes(c), mss;

	if (c->mtu)
		mtu = min_u32(mtu, c->mtu->low);
	mss = mtu > hdr ? mtu - hdr : 1;
	mss = min_u32(mss, TCP_FRAME_MAX); /* one whole segment at least fits a frame */
	if (mss == c->mss)
		return;
	c->mss = (uint16_t)mss;
	c->cc.ops->on_mss(&c->cc, c->mss);
	c->cc.ssthresh = max_u32(c->cc.ssthresh, 2 * c->cc.mss); /* [5681-6] holds on */
}

/* ---- Sent too large ---- */

/* What is marked lost was not lost to congestion: it goes again at once, as the window allows,
 * which stays as it is [1191 6.4, 4821 7.6.1]. */
static void resend(struct tg *s, struct tcp_conn *c)
{
	if (c->recovery == REC_OPEN) {
		c->recovery = REC_LOSS;
		c->recover = c->snd.nxt;
		c->undo_armed = false;
	}
	c->frto = FRTO_NONE;
	c->rexmit_now = true;
	tcp_want_output(s, c);
}

/* Everything in flight that was cut for a larger MSS is lost. */
static void resend_smaller(struct tg *s, struct tcp_conn *c)
{
	if (!c->tx || list_empty(&c->tx->ranges))
		return;
	list_for_each (n, &c->tx->ranges) {
		struct tcp_range *r = list_entry(n, struct tcp_range, node);

		if (!(r->flags & RANGE_SACKED) && range_bytes(r) > c->mss)
			range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
	}
	if (c->mtu)
		c->mtu->probe = 0;
	resend(s, c);
}

void tcp_mtu_too_big(struct tg *s, struct tcp_conn *c, uint32_t mtu)
{
	uint16_t before = c->mss;

	if (c->pmtu >= TG_PMTU_INTERFACE)
		return; /* the user has said that only the interface counts */
	ip_set_pmtu(s, &c->raddr, mtu);
	tcp_update_mss(s, c);
	if (c->mss < before)
		resend_smaller(s, c);
}

/* ---- The search ---- */

static bool start(struct tg *s, struct tcp_conn *c)
{
	uint32_t base = s->cfg.tcp.mtu_base + header_bytes(c) - option_bytes(c);
	uint32_t high = largest(s, c);

	if (base >= high)
		return false;
	c->mtu = core_alloc(s, sizeof(*c->mtu));
	if (!c->mtu)
		return false;
	*c->mtu = (struct tcp_mtu){.low = (uint16_t)base,
		.high = (uint16_t)min_u32(high, UINT16_MAX),
		.begun_ns = s->now_ns};
	tcp_update_mss(s, c);
	return true;
}

void tcp_mtu_free(struct tg *s, struct tcp_conn *c)
{
	core_free(s, c->mtu, sizeof(*c->mtu));
	c->mtu = NULL;
}

void tcp_mtu_established(struct tg *s, struct tcp_conn *c)
{
	if (s->cfg.tcp.mtu_probing == 2)
		start(s, c);
}

/* The probe got lost: once more of this size, or smaller. */
static void probe_failed(struct tcp_mtu *m)
{
	if (++m->tries >= MTU_PROBES) {
		m->high = (uint16_t)(m->probe - 1);
		m->tries = 0;
		m->halve = true;
	}
	m->probe = 0;
}

/* Size of the first segment that waits for its acknowledgment, as a datagram. */
static uint32_t first_size(const struct tcp_conn *c)
{
	const struct tcp_range *r = list_entry(c->tx->ranges.next, struct tcp_range, node);

	return min_u32(range_bytes(r), c->mss) + header_bytes(c);
}

/* [8899-4.3, 8899 5.1.4, 4821 7.7] the retransmission timer has expired, how often: c->backoff */
void tcp_mtu_timeout(struct tg *s, struct tcp_conn *c)
{
	uint32_t smaller;

	if (!s->cfg.tcp.mtu_probing || !c->tx || list_empty(&c->tx->ranges))
		return;
	if (c->mtu && c->mtu->probe && seq_eq(c->snd.una, c->mtu->start))
		probe_failed(c->mtu);
	if (c->mtu)
		c->mtu->probe = 0; /* sent again in pieces it would tell nothing */
	if (c->backoff < s->cfg.tcp.r1_retransmits)
		return;
	if (!c->mtu) {
		if (first_size(c) > s->cfg.tcp.mtu_base + header_bytes(c) && start(s, c))
			s->counters.tcp_mtu_black_holes++;
		return;
	}
	/* not even the base: half of it, but not below the floor */
	smaller = max_u32((c->mtu->low - header_bytes(c)) / 2, s->cfg.tcp.mtu_floor);
	smaller += header_bytes(c);
	if (first_size(c) <= smaller)
		return;
	c->mtu->low = (uint16_t)smaller;
	c->mtu->halve = false;
	tcp_update_mss(s, c);
}

/* Is there a size worth trying? Sets it, a datagram's; 0: no. */
static uint32_t next_size(struct tg *s, struct tcp_conn *c)
{
	struct tcp_mtu *m = c->mtu;
	uint32_t top = min_u32(largest(s, c), UINT16_MAX);

	if (m->high > top)
		m->high = (uint16_t)top;
	if (m->high < m->low + MTU_CLOSE_ENOUGH) {
		/* [8899 5.3 PMTU_RAISE_TIMER] what did not fit may fit later */
		if (s->now_ns - m->begun_ns < s->cfg.tcp.mtu_probe_interval_ns ||
			top < m->low + MTU_CLOSE_ENOUGH)
			return 0;
		m->begun_ns = s->now_ns;
		m->high = (uint16_t)top;
		m->halve = false;
	}
	return m->halve ? (m->low + m->high + 1u) / 2 : m->high;
}

enum mtu_advice tcp_mtu_advise(struct tg *s, struct tcp_conn *c, uint32_t *text_bytes)
{
	uint32_t size, need, pipe = tcp_pipe(c), flight = seq_dist(c->snd.nxt, c->snd.una);

	/* [4821 7.4] one at a time, nothing lost, nothing SACKed, a window to spare; nothing in the
	 * header that would make the datagram larger */
	if (!c->mtu || c->mtu->probe || c->recovery != REC_OPEN || c->dup_acks || c->ooo ||
		c->dsack || c->urg_out || (c->tx && c->tx->sacked_bytes) ||
		c->cc.cwnd < MTU_CWND_SEGS * c->mss)
		return MTU_NO;
	size = next_size(s, c);
	if (size <= c->mss + header_bytes(c))
		return MTU_NO;
	*text_bytes = size - header_bytes(c);
	need = *text_bytes + MTU_SPARE_SEGS * c->mss;
	if (tcp_unsent(c) < need || c->snd.wnd < flight + need)
		return MTU_NO;
	/* [4821 7.4] room comes with the next acknowledgments: wait for it, or it never does */
	if (c->cc.cwnd < pipe + *text_bytes)
		return pipe ? MTU_WAIT : MTU_NO;
	return MTU_PROBE;
}

void tcp_mtu_sent(struct tg *s, struct tcp_conn *c, struct seq from, uint32_t text_bytes)
{
	c->mtu->probe = (uint16_t)(text_bytes + header_bytes(c));
	c->mtu->start = from;
	c->mtu->end = seq_add(from, text_bytes);
	s->counters.tcp_mtu_probes++;
}

/* [4821 7.6.2] the probe has arrived: the window stays in bytes as it was [4821 7.6.3] */
void tcp_mtu_acked(struct tg *s, struct tcp_conn *c)
{
	uint32_t cwnd_bytes = c->cc.cwnd;
	struct tcp_mtu *m = c->mtu;

	if (!m || !m->probe || seq_lt(c->snd.una, m->end))
		return;
	m->low = m->probe;
	m->probe = 0;
	m->tries = 0;
	s->counters.tcp_mtu_probes_acked++;
	tcp_update_mss(s, c);
	c->cc.cwnd = max_u32(cwnd_bytes, c->cc.mss);
	if (m->low >= largest(s, c)) /* nothing is left to look for */
		tcp_mtu_free(s, c);
}

/* [4821 7.6.1] something in flight is lost, before it is called congestion: the probe, first of
 * all that waits, and nothing else? Then it goes again in smaller pieces and cwnd stays. */
bool tcp_mtu_lost(struct tg *s, struct tcp_conn *c)
{
	struct tcp_mtu *m = c->mtu;
	struct tcp_range *r = list_entry(c->tx->ranges.next, struct tcp_range, node);

	if (!m || !m->probe)
		return false;
	if (!seq_eq(c->snd.una, m->start) ||
		c->tx->lost_bytes > (r->flags & RANGE_LOST ? range_bytes(r) : 0)) {
		m->probe = 0; /* others, too: that was congestion, and tells nothing of the size */
		return false;
	}
	probe_failed(m);
	range_mark(c, r, RANGE_LOST, RANGE_RETRANS);
	resend(s, c);
	return true;
}
