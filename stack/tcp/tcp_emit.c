/* Emission of one frame: header, options, window, checksum, and the way down (RFC 9293 3.1).
 * Control segments (ACKs owed at once, resets) are queued at the time of the input; everything else
 * leaves in a sender's turn. */
#include "tcp/tcp.h"
#include "wire/ip4.h"

#define TCP_CSUM_OFFSET 16u

uint32_t tcp_ts_now(const struct tg *s, uint32_t offset)
{
	return (uint32_t)(s->now_ns / NS_PER_MS) + offset; /* [7323-P4] 1 ms a tick */
}

/* ---- Window to offer ---- */

uint8_t tcp_wscale_for(uint32_t rcvbuf)
{
	uint8_t shift = 0;

	while (shift < TCP_WSCALE_MAX && (65535u << shift) < rcvbuf)
		shift++;
	return shift;
}

uint32_t tcp_window_offer(struct tg *s, struct tcp_conn *c, bool commit)
{
	uint32_t space = c->rcvbuf > c->rcvq.bytes ? c->rcvbuf - c->rcvq.bytes : 0;
	uint32_t now = seq_dist(c->rcv.adv, c->rcv.nxt), wnd = now;
	uint32_t unit = 1u << c->rcv_wscale, up;

	(void)s;
	/* [9293 MUST-39, 7323-W5] the edge moves by a segment or half the buffer, or not at all;
	 * [9293 SHLD-14] never back */
	if (space > now && space - now >= min_u32(c->rcvbuf / 2, c->mss_rcv))
		wnd = space & ~(unit - 1);
	if (wnd < now)
		wnd = now;
	/* In whole units on the wire. Rounded up only into free space: text in pieces smaller than
	 * a unit would otherwise push the edge on for ever. Rounded down it looks retracted by less
	 * than a unit [7323 2.4]; what lies before rcv.adv is taken all the same. */
	up = (wnd + unit - 1) & ~(unit - 1);
	wnd = up <= space ? up : wnd & ~(unit - 1);
	wnd = min_u32(wnd, 65535u << c->rcv_wscale);
	if (commit)
		c->rcv.adv = seq_max(c->rcv.adv, seq_add(c->rcv.nxt, wnd));
	return wnd;
}

/* ---- Building ---- */

static void fill_options(struct tg *s, const struct tcp_conn *c, struct tcp_opts *o)
{
	o->has = 0;
	o->n_sack = 0;
	if (c->ts_ok) { /* [7323-T2] */
		o->has |= TCP_HAS_TS;
		o->tsval = tcp_ts_now(s, c->ts_offset);
		o->tsecr = c->ts_recent; /* [7323-T4] */
	}
	/* none beside an urgent pointer: text that they push out of its segment would go in a
	 * second one cut by the device, with the first one's pointer */
	if (!c->urg_out)
		o->n_sack = (uint8_t)tcp_ooo_sack_blocks(
			c, o->sack, c->ts_ok ? TCP_SACK_MAX - 1 : TCP_SACK_MAX);
	if (o->n_sack)
		o->has |= TCP_HAS_SACK;
	/* at the smallest MTUs: never so many that the header leaves no room for text */
	while (o->n_sack && tcp_hdr_bytes(o) >= c->mss + TCP_HDR_BYTES + (c->ts_ok ? 12u : 0))
		if (--o->n_sack == 0)
			o->has &= (uint8_t)~TCP_HAS_SACK;
}

static void fill_syn_options(struct tg *s, struct tcp_conn *c, struct tcp_opts *o)
{
	bool reply = c->state != TG_SYN_SENT; /* a SYN-ACK offers only what the SYN had */

	memset(o, 0, sizeof(*o));
	o->has = TCP_HAS_MSS; /* [9293 MUST-65] a SYN only: fill_options never does */
	o->mss = tcp_mss_offer(s, &c->raddr, &c->path);
	if (c->mss_user)
		o->mss = (uint16_t)min_u32(o->mss, c->mss_user);
	if (reply ? c->ws_ok : s->cfg.tcp.window_scaling) {
		o->has |= TCP_HAS_WSCALE;
		o->wscale = c->rcv_wscale;
	}
	if (reply ? c->sack_ok : s->cfg.tcp.sack)
		o->has |= TCP_HAS_SACK_PERM;
	if (reply ? c->ts_ok : s->cfg.tcp.timestamps) {
		o->has |= TCP_HAS_TS;
		o->tsval = tcp_ts_now(s, c->ts_offset);
		o->tsecr = reply ? c->ts_recent : 0;
	}
}

static void fill_segment(
	struct tg *s, struct tcp_conn *c, struct seq seq, uint8_t flags, struct tcp_seg *g)
{
	memset(g, 0, sizeof(*g));
	g->src_port = c->lport;
	g->dst_port = c->rport;
	g->seq = seq;
	g->flags = flags;
	if (flags & TCP_ACK)
		g->ack = c->rcv.nxt;
	if (flags & TCP_SYN) {
		g->wnd = (uint16_t)min_u32(c->rcvbuf, 65535); /* [7323-W4] */
		fill_syn_options(s, c, &g->opts);
		return;
	}
	g->wnd = (uint16_t)min_u32(tcp_window_offer(s, c, true) >> c->rcv_wscale, 65535);
	fill_options(s, c, &g->opts);
	if (c->urg_out &&
		seq_gt(c->snd.up, seq)) { /* [9293 MUST-62] points behind the urgent octet */
		g->flags |= TCP_URG;
		g->up = (uint16_t)min_u32(seq_dist(c->snd.up, seq), 65535);
	}
}

static void trace_out(struct tg *s, const struct tcp_conn *c, const struct tg_ip *dst,
	const struct tcp_seg *g, uint32_t text_bytes, uint8_t how)
{
	struct tg_trace *t = trace_add(s, TG_TRACE_SEGMENT_OUT);

	if (!t)
		return;
	t->conn = c ? c->serial : 0;
	memcpy(t->raddr, dst->b, sizeof(t->raddr));
	t->lport = g->src_port;
	t->rport = g->dst_port;
	t->a = how;
	t->tcp_flags = g->flags;
	t->seq = g->seq.v;
	t->ack = g->ack.v;
	t->len = text_bytes;
	t->wnd = g->wnd;
	t->aux = g->opts.has;
}

/* Puts the header in front; the pseudo-header's sum goes into the checksum field below. */
static void put_header(struct tx *t, const struct tcp_seg *g)
{
	tcp_emit(tx_prepend(t, tcp_hdr_bytes(&g->opts)), g);
	t->l4_off = t->off;
	t->csum = true; /* [9293 MUST-2] over all of it, by the device or by core/gso.c */
	t->csum_offset = TCP_CSUM_OFFSET;
}

/* ---- Connection frames ---- */

/* Everything that carries ACK carries the newest: what was owed is paid. */
static void ack_went_out(struct tcp_conn *c)
{
	c->rcv.last_ack = c->rcv.nxt;
	c->ack_now = false;
	c->dsack = false;
	tcp_timers_ack_sent(c);
}

static void count_out(
	struct tg *s, struct tcp_conn *c, uint32_t text_bytes, uint32_t seg_bytes, uint8_t how)
{
	uint32_t segs =
		seg_bytes && text_bytes > seg_bytes ? (text_bytes + seg_bytes - 1) / seg_bytes : 1;

	c->segs_out += segs;
	s->counters.tcp_out_segs += segs;
	if (how == EMIT_AGAIN) {
		c->retransmits += segs;
		c->bytes_retrans += text_bytes;
		s->counters.tcp_retrans_segs += segs;
	}
}

static void add_text(struct tcp_conn *c, struct tx *t, struct seq seq, uint32_t n)
{
	struct bring_span span[TX_BODY_SPANS];
	uint64_t off = c->tx->ring.head + seq_dist(seq, c->tx->ring_seq);
	size_t got;
	unsigned k = bring_spans(&c->tx->ring, off, n, span, TX_BODY_SPANS, &got);

	ASSERT(got == n);
	for (unsigned i = 0; i < k; i++)
		tx_add_body(t, span[i].base, span[i].len);
}

/* The network below refused. Too big: the path's MTU has shrunk, the next turn cuts smaller
 * (TX_MORE). No way out: as good as lost on it (TX_DROPPED, all "sent"); the user is told when it
 * lasts [9293 MUST-56]. */
static enum tx_result undeliverable(
	struct tg *s, struct tcp_conn *c, const struct tx *t, uint32_t text_bytes, uint32_t *sent)
{
	uint16_t before = c->mss;

	if (t->error == TG_EMSGSIZE) {
		tcp_update_mss(s, c);
		if (c->mss < before)
			return TX_MORE;
	} else {
		c->soft_error = (int16_t)t->error;
	}
	*sent = text_bytes;
	return TX_DROPPED;
}

enum tx_result tcp_emit_frame(struct tg *s, struct tcp_conn *c, struct seq seq, uint32_t text_bytes,
	uint8_t flags, uint8_t how, uint32_t *sent)
{
	struct ip_flow flow = {.src = c->laddr, /* [9293 MUST-45] the same all along */
		.dst = c->raddr,
		.path = &c->path,
		.waiter = &c->tx_node,
		.proto = IP_PROTO_TCP,
		.ttl = c->ttl,
		.tos = c->tos}; /* [9293 SHLD-22] */
	struct tx t;
	struct tcp_seg g;
	uint32_t seg_bytes;
	enum tx_result res;

	ip_flow_discover(&flow, c->pmtu);
	flow.cut = false; /* segments are made to fit */
	fill_segment(s, c, seq, flags, &g);
	tcp_ecn_mark_out(c, &g, text_bytes, how, &flow.tos);
	tx_init(&t);
	put_header(&t, &g);
	/* c->mss has room for the timestamp; SACK blocks take theirs from the text */
	seg_bytes = c->mss + TCP_HDR_BYTES + (c->ts_ok ? 12u : 0) - t.head_bytes;
	if (text_bytes) {
		add_text(c, &t, seq, text_bytes);
		if (text_bytes > seg_bytes && how != EMIT_MTU) {
			t.gso = TG_GSO_TCP4;
			t.gso_size = (uint16_t)seg_bytes;
		}
	}
	res = ip_output(s, &t, &flow);
	*sent = t.accepted;
	if (res == TX_DROPPED)
		return undeliverable(s, c, &t, text_bytes, sent);
	if (res != TX_OK)
		return res;
	if (flags & TCP_ACK)
		ack_went_out(c);
	if (g.flags & TCP_CWR && !(flags & TCP_SYN))
		c->ecn_cwr_due = false;
	count_out(s, c, *sent, seg_bytes, how);
	trace_out(s, c, &c->raddr, &g, *sent, how);
	return TX_OK;
}

/* ---- Control segments ---- */

static void send_control(struct tg *s, const struct tcp_conn *c, struct tcp_control *k)
{
	struct ip_flow flow = {.src = k->src,
		.dst = k->dst,
		.path = k->path,
		.proto = IP_PROTO_TCP,
		.ttl = k->ttl,
		.tos = k->tos,
		.df = true};
	struct tx t;

	tx_init(&t);
	put_header(&t, &k->g);
	s->counters.tcp_out_segs++;
	if (k->g.flags & TCP_RST)
		s->counters.tcp_out_rsts++;
	trace_out(s, c, &k->dst, &k->g, 0, EMIT_NEW);
	ip_send(s, &t, &flow);
}

void tcp_send_control(struct tg *s, struct tcp_control *k)
{
	send_control(s, NULL, k);
}

static void conn_control(struct tg *s, struct tcp_conn *c, struct seq seq, uint8_t flags)
{
	struct tcp_control k = {
		.src = c->laddr, .dst = c->raddr, .ttl = c->ttl, .tos = c->tos, .path = &c->path};

	fill_segment(s, c, seq, flags, &k.g);
	tcp_ecn_mark_out(c, &k.g, 0, EMIT_NEW, &k.tos);
	c->segs_out++;
	send_control(s, c, &k);
}

/* [9293 3.10.5, 3.10.7.4-1] <SEQ=SND.NXT> of ACKs and resets. But what probes a closed window, or
 * was sent before it shrank, lies beyond its edge: a segment from there is not acceptable to the
 * peer, which would neither believe a reset [5961 3.2] nor take an ACK, not even as a sign of life.
 * It gets the edge: its own RCV.NXT. Answers to what is not acceptable
 * here bear SND.NXT all the same: the peer may have taken more than we know, and edges alone would
 * never tell. */
struct seq tcp_control_seq(const struct tcp_conn *c)
{
	struct seq edge = seq_add(c->snd.una, c->snd.wnd);

	if (c->state >= TG_ESTABLISHED && c->syn_acked && seq_gt(c->snd.nxt, edge))
		return edge;
	return c->snd.nxt;
}

void tcp_send_ack_now(struct tg *s, struct tcp_conn *c)
{
	conn_control(s, c, tcp_control_seq(c), TCP_ACK);
	ack_went_out(c);
}

void tcp_send_answer(struct tg *s, struct tcp_conn *c)
{
	conn_control(s, c, c->snd.nxt, TCP_ACK);
	ack_went_out(c);
}

/* [5961-6, 5961 7] a few of a kind in 5 s, counted for this connection alone: a count shared by all
 * would tell an attacker about the others (CVE-2016-5696) */
void tcp_send_challenge_ack(struct tg *s, struct tcp_conn *c, enum challenge kind)
{
	uint32_t now_ms = (uint32_t)(s->now_ns / NS_PER_MS);

	if (now_ms - c->challenge_ms >= CHALLENGE_PERIOD_MS) {
		c->challenge_ms = now_ms;
		memset(c->challenges, 0, sizeof(c->challenges));
	}
	if (c->challenges[kind] >= min_u32(s->cfg.tcp.challenge_acks, UINT8_MAX))
		return;
	c->challenges[kind]++;
	s->counters.tcp_challenge_acks++;
	tcp_send_answer(s, c);
}

void tcp_send_rst(struct tg *s, struct tcp_conn *c)
{
	conn_control(s, c, tcp_control_seq(c), TCP_RST | TCP_ACK); /* [9293 3.10.5] */
}

void tcp_send_rst_for(struct tcp_rx *r)
{
	struct tcp_control k;

	memset(&k, 0, sizeof(k));
	k.src = r->ip->dst;
	k.dst = r->ip->src;
	k.ttl = r->s->cfg.ip.default_ttl;
	k.g.src_port = r->g.dst_port;
	k.g.dst_port = r->g.src_port;
	if (r->g.flags & TCP_ACK) { /* <SEQ=SEG.ACK><CTL=RST> */
		k.g.seq = r->g.ack;
		k.g.flags = TCP_RST;
	} else { /* <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK> */
		k.g.ack = seq_add(r->g.seq, r->g.len);
		k.g.flags = TCP_RST | TCP_ACK;
	}
	send_control(r->s, NULL, &k);
}
