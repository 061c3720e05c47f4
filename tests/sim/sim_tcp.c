/* Judges every TCP segment on the wire by what RFC 9293 promises of the sender, knowing both
 * directions: the same SYN again and again, text that is exactly the stream's bytes, inside what
 * the peer offered and said to take, a FIN that never moves, acknowledgments that go forward and
 * cover only what was sent, a right edge that never goes back, options that were agreed on. */
#include "sim.h"

#define FIN 1u
#define SYN 2u
#define RST 4u
#define ACK 16u

struct seg {
	uint32_t seq, ack, text, flags, wnd, opt_bytes;
	uint16_t sport, dport, mss;
	uint8_t wscale;
	bool has_mss, has_wscale, has_ts, has_sack_ok;
	uint32_t n_sack, sack[8];
	const uint8_t *data;
};

static uint32_t load16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}
static uint32_t load32(const uint8_t *b)
{
	return load16(b) << 16 | load16(b + 2);
}
/* a - b on the circle. */
static int32_t ahead(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

static bool parse_option(const uint8_t *o, uint32_t n, struct seg *g)
{
	switch (o[0]) {
	case 2:
		g->mss = (uint16_t)load16(o + 2);
		g->has_mss = true;
		return n == 4;
	case 3:
		g->wscale = o[2];
		g->has_wscale = true;
		return n == 3 && o[2] <= 14;
	case 4: g->has_sack_ok = true; return n == 2;
	case 5:
		for (uint32_t i = 2; i + 4 <= n && g->n_sack < 8; i += 4)
			g->sack[g->n_sack++] = load32(o + i);
		return n >= 10 && (n - 2) % 8 == 0;
	case 8: g->has_ts = true; return n == 10;
	default: return false;
	}
}

/* [9293 3.1] False: malformed. */
static bool parse(const uint8_t *b, uint32_t n, struct seg *g)
{
	uint32_t hdr = n >= 20 ? (b[12] >> 4) * 4u : 0;

	memset(g, 0, sizeof(*g));
	if (hdr < 20 || hdr > n || (b[12] & 15) != 0)
		return false;
	g->sport = (uint16_t)load16(b);
	g->dport = (uint16_t)load16(b + 2);
	g->seq = load32(b + 4);
	g->ack = load32(b + 8);
	g->flags = b[13];
	g->wnd = load16(b + 14);
	g->text = n - hdr;
	g->data = b + hdr;
	g->opt_bytes = hdr - 20;
	for (uint32_t i = 20; i < hdr;) {
		uint32_t len;

		if (b[i] == 0)
			break;
		if (b[i] == 1) {
			i++;
			continue;
		}
		len = i + 1 < hdr ? b[i + 1] : 0;
		if (len < 2 || i + len > hdr || !parse_option(b + i, len, g))
			return false;
		i += len;
	}
	return true;
}

/* The flow and direction of a segment from h to peer; NULL: none. */
static struct flow *flow_of(unsigned h, unsigned peer, const struct seg *g, unsigned *dir)
{
	for (uint32_t i = sim->port_flow[h][g->sport]; i; i = sim->flow[i - 1].next)
		if (sim->flow[i - 1].end[1].port == g->dport &&
			sim->flow[i - 1].end[1].host == peer) {
			*dir = 0;
			return &sim->flow[i - 1];
		}
	for (uint32_t i = sim->port_flow[peer][g->dport]; i; i = sim->flow[i - 1].next)
		if (sim->flow[i - 1].end[1].port == g->sport && sim->flow[i - 1].end[1].host == h) {
			*dir = 1;
			return &sim->flow[i - 1];
		}
	return NULL;
}

#define EXPECT(e)                                                                                  \
	do {                                                                                       \
		if (!(e))                                                                          \
			sim_fail("flow %u end %u, segment seq +%u ack +%u len %u flags %02x: %s",  \
				(unsigned)(f - sim->flow), dir, g->seq - me->iss,                  \
				g->ack - peer->iss, g->text, g->flags, #e);                        \
	} while (0)

static void see_syn(const struct flow *f, unsigned dir, struct seg_track *me,
	const struct seg_track *peer, const struct seg *g)
{
	bool over = f->disturbed || f->end[dir].state == END_DONE,
	     same = me->syn && g->seq == me->iss;

	/* an old SYN may begin another half-open connection once this one has ended, or never began
	 */
	if (me->syn && (over || (!same && me->end_max == me->iss + 1)))
		*me = (struct seg_track){.end_max = me->end_max, .again = true};
	EXPECT(g->has_mss && g->text == 0 && !(g->flags & FIN));
	if (me->syn) {
		EXPECT(g->seq == me->iss && g->mss == me->mss);
		EXPECT(g->has_wscale == me->syn_wscale || (g->flags & ACK));
	} else {
		/* the peer may still acknowledge what the one before had sent, of which little is
		 * ahead: an ISS is 250 KB/s higher [9293 3.4.1] */
		if (!same && !(me->again && ahead(me->end_max, g->seq + 1) > 0))
			me->end_max = g->seq + 1;
		me->iss = g->seq;
	}
	me->syn = true;
	me->mss = g->mss;
	me->syn_wscale = g->has_wscale;
	me->syn_sack = g->has_sack_ok;
	me->syn_ts = g->has_ts;
	me->wscale = g->wscale;
	if (g->flags & ACK) { /* offers nothing that the peer had not offered */
		EXPECT(!g->has_wscale || peer->syn_wscale);
		EXPECT(!g->has_sack_ok || peer->syn_sack);
		EXPECT(!g->has_ts || peer->syn_ts);
	}
}

static void see_ack(const struct flow *f, unsigned dir, struct seg_track *me,
	const struct seg_track *peer, const struct seg *g)
{
	bool scaled = me->syn_wscale && peer->syn_wscale && !(g->flags & SYN);
	uint32_t scale = scaled ? me->wscale : 0, edge = g->ack + (g->wnd << scale);

	EXPECT(peer->syn);
	EXPECT(ahead(g->ack, peer->end_max) <= 0); /* nothing that was never sent */
	/* the peer of a connection that began again may not know yet and go on with the old one */
	EXPECT(ahead(g->ack, peer->iss) > 0 || peer->again);
	if (me->acked) {
		EXPECT(ahead(g->ack, me->ack_max) >= 0);
		/* [9293 SHLD-14] but a SYN again repeats what it offered, and scaling may round
		 * [7323 2.4] */
		EXPECT(ahead(edge + (1u << scale) - 1, me->edge_max) >= 0 || (g->flags & SYN));
	}
	if (!me->acked || ahead(edge, me->edge_max) > 0)
		me->edge_max = edge;
	me->acked = true;
	me->ack_max = g->ack;
	EXPECT(g->n_sack == 0 || (me->syn_sack && peer->syn_sack));
	for (uint32_t i = 0; i + 1 < g->n_sack; i += 2) { /* [2018 3], the first may be a D-SACK */
		EXPECT(ahead(g->sack[i + 1], g->sack[i]) > 0);
		EXPECT(ahead(g->sack[i + 1], peer->end_max) <= 0);
		EXPECT(i == 0 || ahead(g->sack[i], g->ack) > 0);
	}
}

static void see_text(const struct flow *f, unsigned dir, struct seg_track *me,
	const struct seg_track *peer, const struct seg *g, const struct seen_ip *ip)
{
	uint32_t end = g->seq + g->text + (g->flags & FIN ? 1 : 0), i = (uint32_t)(f - sim->flow);
	uint32_t part = ip->gso_size ? min_u32(ip->gso_size, g->text) : g->text;

	EXPECT(me->syn && peer->syn && (peer->acked || !g->text)); /* CLOSE in SYN-RECEIVED: FIN */
	EXPECT(ahead(g->seq, me->iss) > 0);
	EXPECT(part + g->opt_bytes <= max_u32(peer->mss, 48)); /* [9293 MUST-16] */
	/* [9293 SHLD-15] inside what the peer offered; a probe reaches one beyond */
	EXPECT(!peer->acked || ahead(end, peer->edge_max) <= 1);
	/* no hole, but for what was lost for want of a link address */
	EXPECT(ahead(g->seq, me->end_max) <= 0 || sim->plan.lossy);
	EXPECT(!me->fin || ahead(g->seq + g->text, me->fin_seq) <= 0);
	if (g->flags & FIN) {
		EXPECT(!me->fin || g->seq + g->text == me->fin_seq);
		me->fin = true;
		me->fin_seq = g->seq + g->text;
	}
	if (g->text) {
		EXPECT(g->seq - me->iss - 1 + g->text <= f->end[dir].sent);
		EXPECT(stream_equal(
			sim->plan.flow[i].end[dir].key, g->seq - me->iss - 1, g->data, g->text));
	}
	if (ahead(end, me->end_max) > 0)
		me->end_max = end;
}

void segment_seen(const struct seen_ip *ip)
{
	unsigned dir = 0;
	struct seg seg, *g = &seg;
	struct flow *f;
	struct seg_track *me, *peer;

	if (!parse(ip->l4, ip->l4_bytes, g)) {
		sim_fail("host %u sent a malformed segment", ip->host);
		return;
	}
	SIM_CHECK(!(g->flags & SYN) || !(g->flags & RST));
	if (!(f = flow_of(ip->host, ip->peer, g, &dir))) {
		SIM_CHECK(g->flags & RST); /* an answer to what belongs to nothing */
		return;
	}
	me = &f->end[dir].track;
	peer = &f->end[!dir].track;
	if (g->flags & RST) {
		EXPECT(g->text == 0);
		me->rst = true;
		return;
	}
	EXPECT(g->flags & (SYN | ACK));
	if (!(g->flags & SYN) && !me->syn) {
		/* ours still waits for the link address when an old SYN of the peer's is answered
		 */
		EXPECT(g->text == 0 && !(g->flags & FIN));
		return;
	}
	if (g->flags & SYN)
		see_syn(f, dir, me, peer, g);
	else
		EXPECT(!g->has_mss && !g->has_wscale && !g->has_sack_ok);
	EXPECT((g->flags & SYN) || g->has_ts == (me->syn_ts && peer->syn_ts));
	/* [3168 6.1.4, 6.1.5] new text alone, between two that can have agreed */
	EXPECT(!ip->ect || (g->text && ahead(g->seq, me->end_max) >= 0 &&
				   sim->plan.host[ip->host].cfg.tcp.ecn &&
				   sim->plan.host[ip->peer].cfg.tcp.ecn));
	if (g->flags & ACK)
		see_ack(f, dir, me, peer, g);
	if (g->text || (g->flags & FIN))
		see_text(f, dir, me, peer, g, ip);
}
