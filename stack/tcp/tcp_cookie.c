/* SYN cookies (RFC 4987 3.6): while there is no room for another half-open connection a SYN is
 * answered without remembering it. All that the last ACK of the handshake needs is in numbers that
 * the peer sends back:
 *
 *   ISS    = base(4-tuple) + IRS + (tick << 24 | (mac(4-tuple, IRS, tick) + MSS index) mod 2^24)
 *   TSval  = the clock, its low six bits: peer's window scale (15: none), SACK, ECN
 *
 * A tick lasts 64 s; a cookie is good for the tick it was made in and the next. The first two terms
 * of ISS and the tick let it grow with time and with the peer's own numbers, as RFC 9293 3.4.1
 * wants it. The key of the MAC changes every 16 ticks, so that two of them are alive at a time;
 * they are derived from a master key, and one of them tells nothing about the next. A guess
 * succeeds with a chance of 2^-20, and only while cookies are being sent.
 *
 * Left out: options of peers without timestamps (there is no place for them), and retransmission of
 * the SYN-ACK: the peer repeats its SYN. */
#include "tcp/tcp.h"

#define TICK_NS          (64 * NS_PER_SEC)
#define TICKS_VALID      2u  /* the tick that runs, and the one before */
#define GENERATION_TICKS 16u /* a power of two */
#define MAC_MASK         0xffffffu
#define NO_GENERATION    UINT32_MAX

#define TS_WSCALE      0x0fu
#define TS_WSCALE_NONE 0x0fu
#define TS_SACK        0x10u
#define TS_ECN         0x20u
#define TS_MASK        0x3fu

/* Peers' MSS are rounded down to one of these: the least there is, the default, tunnels, PPPoE,
 * Ethernet with and without timestamps deducted, jumbo frames. */
static const uint16_t mss_table[] = {
	TCP_MSS_MIN, TCP_MSS_DEFAULT, 1220, 1300, 1400, 1440, 1460, 8960};

void tcp_cookies_init(struct tg *s)
{
	struct tcp_cookies *k = &s->tcp->cookies;
	struct sipkey seed = core_key(s, KEY_COOKIE);
	uint8_t label[4] = {'b', 'm', '0', '1'};

	k->base = (struct sipkey){siphash(&seed, &label[0], 1), siphash(&seed, &label[0], 2)};
	k->master = (struct sipkey){siphash(&seed, &label[1], 1), siphash(&seed, &label[1], 2)};
	k->generation[0] = k->generation[1] = NO_GENERATION;
}

static uint32_t tick_now(const struct tg *s)
{
	return (uint32_t)(s->now_ns / TICK_NS);
}

static const struct sipkey *key_of(struct tg *s, uint32_t tick)
{
	struct tcp_cookies *k = &s->tcp->cookies;
	uint32_t generation = tick / GENERATION_TICKS, i = generation & 1;
	uint64_t half[2] = {generation, 0};

	if (k->generation[i] != generation) {
		k->generation[i] = generation;
		k->key[i].k0 = siphash(&k->master, half, sizeof(half));
		half[1] = 1;
		k->key[i].k1 = siphash(&k->master, half, sizeof(half));
	}
	return &k->key[i];
}

struct cookie_text {
	struct tg_ip laddr, raddr;
	uint16_t lport, rport;
	uint32_t irs, tick;
};
_Static_assert(sizeof(struct cookie_text) == 44, "no padding: every byte of it is hashed");

/* What the tick and the MAC are added to. */
static uint32_t base_of(struct tg *s, const struct cookie_text *t)
{
	return (uint32_t)siphash(&s->tcp->cookies.base, t, offsetof(struct cookie_text, irs)) +
	       t->irs;
}

static uint32_t mac_of(struct tg *s, const struct cookie_text *t)
{
	return (uint32_t)siphash(key_of(s, t->tick), t, sizeof(*t));
}

static struct cookie_text text_of(const struct tcp_rx *r, struct seq irs)
{
	return (struct cookie_text){.laddr = r->ip->dst,
		.raddr = r->ip->src,
		.lport = r->g.dst_port,
		.rport = r->g.src_port,
		.irs = irs.v};
}

static uint32_t mss_index(uint16_t mss)
{
	uint32_t i = ARRAY_LEN(mss_table) - 1;

	while (i > 0 && mss_table[i] > mss)
		i--;
	return i;
}

/* ---- Sending ---- */

void tcp_cookie_make(
	struct tg *s, struct tcp_port *port, const struct tcp_rx *r, struct tcp_mini *m)
{
	struct cookie_text t = text_of(r, r->g.seq);

	t.tick = tick_now(s);
	m->snd_nxt = seq_of(base_of(s, &t) + (t.tick << 24) +
			    ((mac_of(s, &t) + mss_index(m->syn.mss)) & MAC_MASK));
	if (!(m->flags & MINI_TS)) { /* nowhere to keep them */
		m->flags &= (uint8_t) ~(MINI_WS | MINI_SACK);
		m->syn.scales = 0;
		m->syn.ecn = 0;
	}
	port->cookie_tick = t.tick + 1; /* 0: never */
	s->counters.tcp_syncookies_sent++;
}

uint32_t tcp_cookie_tsval(const struct tcp_mini *m, uint32_t now)
{
	uint32_t bits = m->flags & MINI_WS ? mini_snd_wscale(m) : TS_WSCALE_NONE, ts;

	if (m->flags & MINI_SACK)
		bits |= TS_SACK;
	if (m->syn.ecn)
		bits |= TS_ECN;
	ts = (now & ~TS_MASK) | bits;
	return (int32_t)(ts - now) > 0 ? ts - (TS_MASK + 1) : ts;
}

/* ---- Receiving ---- */

bool tcp_cookie_expected(const struct tg *s, const struct tcp_port *port)
{
	return port->cookie_tick && tick_now(s) - (port->cookie_tick - 1) < TICKS_VALID;
}

/* What the echoed timestamp says. False: it is none of ours, or old. */
static bool read_options(struct tg *s, const struct tcp_rx *r, struct tcp_mini *m)
{
	uint32_t offset = tcp_ts_offset(s, &r->ip->dst, m->lport, &r->ip->src, m->rport);
	uint32_t bits = r->g.opts.tsecr & TS_MASK, age_ms = tcp_ts_now(s, offset) - r->g.opts.tsecr;

	if (!(r->g.opts.has & TCP_HAS_TS) || !s->cfg.tcp.timestamps)
		return true;
	if (age_ms > TICKS_VALID * (uint32_t)(TICK_NS / NS_PER_MS) + TS_MASK)
		return false;
	m->flags |= MINI_TS;
	m->ts_recent = r->g.opts.tsval;
	if ((bits & TS_WSCALE) != TS_WSCALE_NONE && s->cfg.tcp.window_scaling) {
		m->flags |= MINI_WS;
		m->syn.scales = bits & TS_WSCALE; /* ours is the listener's to say */
	}
	if ((bits & TS_SACK) && s->cfg.tcp.sack)
		m->flags |= MINI_SACK;
	m->syn.ecn = (bits & TS_ECN) && s->cfg.tcp.ecn;
	return true;
}

bool tcp_cookie_read(struct tg *s, const struct tcp_rx *r, struct tcp_mini *m)
{
	struct cookie_text t = text_of(r, seq_sub(r->g.seq, 1));
	uint32_t v = r->g.ack.v - 1 - base_of(s, &t), now = tick_now(s);

	for (uint32_t age = 0; age < TICKS_VALID; age++) {
		uint32_t index;

		t.tick = now - age;
		if ((t.tick & 0xff) != v >> 24)
			continue;
		index = (v - mac_of(s, &t)) & MAC_MASK;
		if (index >= ARRAY_LEN(mss_table))
			return false;
		memset(m, 0, sizeof(*m));
		memcpy(m->raddr, r->ip->src.b, sizeof(m->raddr));
		m->rport = r->g.src_port;
		m->lport = r->g.dst_port;
		m->laddr = (uint16_t)ip_addr_index(s, &r->ip->dst);
		m->flags = MINI_RESENT; /* when the SYN-ACK went out is not known */
		m->rcv_nxt = r->g.seq;
		m->snd_nxt = seq_sub(r->g.ack, 1);
		m->syn.mss = mss_table[index];
		return read_options(s, r, m);
	}
	return false;
}
