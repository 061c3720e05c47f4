/* Which connection a segment belongs to (RFC 9293 3.3.1: the 4-tuple), which ports are taken
 * (RFC 6056), and the numbers that are keyed by the 4-tuple: ISN (RFC 6528), timestamp offset
 * (RFC 7323 7.1). */
#include "tcp/tcp.h"

#include "wire/patch.h"

struct tuple {
	struct tg_ip laddr, raddr;
	uint16_t lport, rport;
};

/* The last four bytes of both addresses: all that tells IPv4's apart. */
struct tuple4 {
	uint8_t laddr[4], raddr[4];
	uint16_t lport, rport;
};

static bool both_mapped(const struct tg_ip *a, const struct tg_ip *b)
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(a->b, mapped, sizeof(mapped)) == 0 &&
	       memcmp(b->b, mapped, sizeof(mapped)) == 0;
}

/* A keyed function of the 4-tuple, of 12 bytes if that is all there is. */
static uint64_t tuple_sip(const struct sipkey *k, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport)
{
	struct tuple4 v4;
	struct tuple t;

	if (both_mapped(laddr, raddr)) {
		memcpy(v4.laddr, laddr->b + 12, sizeof(v4.laddr));
		memcpy(v4.raddr, raddr->b + 12, sizeof(v4.raddr));
		v4.lport = lport;
		v4.rport = rport;
		return siphash(k, &v4, sizeof(v4));
	}
	memset(&t, 0, sizeof(t));
	t.laddr = *laddr;
	t.raddr = *raddr;
	t.lport = lport;
	t.rport = rport;
	return siphash(k, &t, sizeof(t));
}

uint32_t tcp_tuple_hash(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport)
{
	return (uint32_t)tuple_sip(&s->tcp->key_demux, laddr, lport, raddr, rport);
}

uint32_t tcp_flow_hash(struct tg *s, const struct ip_info *i, const struct tcp_seg *g)
{
	struct tcp_flow *f = &s->tcp->last;

	if (f->src_port != g->src_port || f->dst_port != g->dst_port ||
		!ip_equal(&f->src, &i->src) || !ip_equal(&f->dst, &i->dst))
		*f = (struct tcp_flow){i->src, i->dst, g->src_port, g->dst_port,
			tcp_tuple_hash(s, &i->dst, g->dst_port, &i->src, g->src_port)};
	return f->hash;
}

/* ---- Connections ---- */

struct tcp_conn *tcp_find_conn(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport, uint32_t hash)
{
	if (s->tcp->n_conns == 0)
		return NULL;
	for (struct hnode *h = htab_chain(&s->tcp->conns, hash); h; h = h->next) {
		struct tcp_conn *c = container_of(h, struct tcp_conn, hash);

		if (h->hash == hash && c->rport == rport && c->lport == lport &&
			ip_equal(&c->raddr, raddr) && ip_equal(&c->laddr, laddr))
			return c;
	}
	return NULL;
}

bool tcp_hash_conn(struct tg *s, struct tcp_conn *c, uint32_t hash)
{
	c->hash.hash = hash;
	if (!htab_insert(&s->tcp->conns, s->arena, &c->hash))
		return false;
	c->hashed = true;
	s->tcp->n_conns++;
	s->many = s->tcp->n_conns >= s->cfg.tcp.many_conns;
	return true;
}

void tcp_unhash_conn(struct tg *s, struct tcp_conn *c)
{
	if (!c->hashed)
		return;
	htab_remove(&s->tcp->conns, s->arena, &c->hash);
	c->hashed = false;
	s->tcp->n_conns--;
	s->many = s->tcp->n_conns >= s->cfg.tcp.many_conns;
}

bool tcp_tuple_in_use(struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport)
{
	uint32_t hash = tcp_tuple_hash(s, laddr, lport, raddr, rport);
	int index = ip_addr_index(s, laddr);
	struct mini_key k = {*raddr, rport, lport, (uint16_t)index};

	const struct tcp_mini *tw;

	if (tcp_find_conn(s, laddr, lport, raddr, rport, hash))
		return true;
	if (index < 0)
		return false;
	tw = mini_find(s, &s->tcp->time_wait, &k, hash);
	return tw ? !tcp_tw_gives_way(s, tw) : mini_find(s, &s->tcp->half_open, &k, hash) != NULL;
}

/* Is there a connection of the 4-tuple, half-open or in TIME-WAIT included? */
bool tcp_claims(struct tg *s, const struct tg_pkt *p, const struct ip_info *i)
{
	struct mini_key k = {i->src, 0, 0, (uint16_t)ip_addr_index(s, &i->dst)};
	uint32_t hash;

	if (p->len < 4)
		return false;
	ports_get(p->data, &k.rport, &k.lport);
	hash = tcp_tuple_hash(s, &i->dst, k.lport, &i->src, k.rport);
	return tcp_find_conn(s, &i->dst, k.lport, &i->src, k.rport, hash) ||
	       mini_find(s, &s->tcp->half_open, &k, hash) ||
	       mini_find(s, &s->tcp->time_wait, &k, hash);
}

/* ---- Ports ---- */

/* Without a key: which ports there are is up to this side. */
static uint32_t port_hash(uint16_t port)
{
	return port * 0x9e3779b1u >> 8 ^ port;
}

struct tcp_port *tcp_port_find(const struct tg *s, uint16_t port)
{
	uint32_t hash = port_hash(port);

	if (s->tcp->ports.n_nodes == 0)
		return NULL;
	for (struct hnode *h = htab_chain(&s->tcp->ports, hash); h; h = h->next) {
		struct tcp_port *p = container_of(h, struct tcp_port, h);

		if (p->port == port)
			return p;
	}
	return NULL;
}

static void note_port(struct tg *s, uint16_t port, bool used)
{
	uint32_t i = port - (uint32_t)s->cfg.tcp.port_first;
	uint64_t bit = 1ull << i % 64;

	if (port < s->cfg.tcp.port_first || port > s->cfg.tcp.port_last)
		return;
	if (used)
		s->tcp->ports_used[i / 64] |= bit;
	else if (core_port_is_own(s, port))
		s->tcp->ports_used[i / 64] &= ~bit;
}

/* Which ports of the ephemeral range have a record. */
bool tcp_ports_init(struct tg *s)
{
	uint32_t words = (s->cfg.tcp.port_last - s->cfg.tcp.port_first) / 64u + 1;

	s->tcp->ports_used = core_alloc(s, words * sizeof(uint64_t));
	if (!s->tcp->ports_used)
		return false;
	memset(s->tcp->ports_used, 0, words * sizeof(uint64_t));
	/* Those that another instance with our addresses chooses from are taken for good. */
	for (uint32_t port = s->cfg.tcp.port_first; port <= s->cfg.tcp.port_last; port++)
		if (!core_port_is_own(s, (uint16_t)port))
			note_port(s, (uint16_t)port, true);
	return true;
}

struct tcp_port *tcp_port_get(struct tg *s, uint16_t port)
{
	struct tcp_port *p = tcp_port_find(s, port);

	if (!p) {
		p = core_alloc(s, sizeof(*p));
		if (!p)
			return NULL;
		p->port = port;
		p->users = 0;
		p->half_open = 0;
		p->cookie_tick = 0;
		list_init(&p->bound);
		p->h.hash = port_hash(port);
		if (!htab_insert(&s->tcp->ports, s->arena, &p->h)) {
			core_free(s, p, sizeof(*p));
			return NULL;
		}
		note_port(s, port, true);
	}
	p->users++;
	return p;
}

void tcp_port_put(struct tg *s, struct tcp_port *p)
{
	if (!p || --p->users > 0)
		return;
	ASSERT(list_empty(&p->bound));
	htab_remove(&s->tcp->ports, s->arena, &p->h);
	note_port(s, p->port, false);
	core_free(s, p, sizeof(*p));
}

/* The pick-th listener on exactly this address (any: on all); *count of them. Beyond the last: the
 * first, so that all can be counted at once. */
static struct tcp_conn *nth_listener(
	const struct tcp_port *p, const struct tg_ip *laddr, uint32_t pick, uint32_t *count)
{
	struct tcp_conn *first = NULL;

	*count = 0;
	list_for_each (n, &p->bound) {
		struct tcp_conn *c = list_entry(n, struct tcp_conn, link);

		if (c->state != TG_LISTEN || !ip_equal(&c->laddr, laddr))
			continue;
		if ((*count)++ == pick)
			return c;
		first = first ? first : c;
	}
	return first;
}

struct tcp_conn *tcp_pick_listener(
	const struct tg *s, const struct tg_ip *laddr, uint16_t lport, uint32_t hash)
{
	static const struct tg_ip any;
	struct tcp_port *p = tcp_port_find(s, lport);
	struct tcp_conn *l;
	uint32_t count;

	if (!p)
		return NULL;
	l = nth_listener(p, laddr, UINT32_MAX, &count);
	if (!l) {
		laddr = &any;
		l = nth_listener(p, laddr, UINT32_MAX, &count);
	}
	return count > 1 ? nth_listener(p, laddr, hash % count, &count) : l;
}

/* May c (raddr set) or a plain bind use this port? */
static bool port_is_free(struct tg *s, const struct tcp_conn *c, uint16_t port)
{
	struct tcp_port *p = tcp_port_find(s, port);

	if (!p)
		return true;
	if (ip_is_any(&c->raddr))
		return false;
	/* Never a port that somebody listens on or has bound: its peers could not tell us apart. */
	list_for_each (n, &p->bound) {
		if (list_entry(n, struct tcp_conn, link)->bound)
			return false;
	}
	return !tcp_tuple_in_use(s, &c->laddr, port, &c->raddr, c->rport);
}

/* The first port at or behind `from` in the ephemeral range (both counted from its beginning) that
 * nobody has, all the way round; `range`: there is none. */
static uint32_t next_unused(const struct tg *s, uint32_t from, uint32_t range)
{
	for (uint32_t passed = 0; passed < range;) {
		uint32_t i = (from + passed) % range, n = min_u32(64 - i % 64, range - i);
		uint64_t unused = ~s->tcp->ports_used[i / 64] >> i % 64;

		if (n < 64)
			unused &= (1ull << n) - 1;
		if (unused)
			return i + (uint32_t)__builtin_ctzll(unused);
		passed += n;
	}
	return range;
}

/* [6056 3.3.3] Simple hash-based port selection: where to begin is keyed by the destination, and a
 * shared counter moves it on. First among the ports that nobody has, which the bits find at once;
 * when all have somebody, a port serves several destinations, and some are tried, so that a connect
 * costs little when there is none left. The next one goes on where this one stopped. */
int tcp_choose_port(struct tg *s, struct tcp_conn *c)
{
	uint32_t first = s->cfg.tcp.port_first;
	uint32_t range = s->cfg.tcp.port_last - first + 1u;
	uint32_t offset = (uint32_t)tuple_sip(&s->tcp->key_port, &c->laddr, 0, &c->raddr, c->rport);
	uint32_t start = (offset + s->tcp->port_counter) % range;
	uint32_t i = next_unused(s, start, range);

	if (i < range) {
		s->tcp->port_counter += (i + range - start) % range + 1;
		return (int)(first + i);
	}
	for (uint32_t n = min_u32(range, TCP_PORT_TRIES * s->cfg.share.count); n > 0; n--) {
		uint32_t step = s->tcp->port_counter++;
		uint16_t port = (uint16_t)(first + (offset + step) % range);

		if (core_port_is_own(s, port) && port_is_free(s, c, port))
			return port;
	}
	return -TG_EADDRNOTAVAIL;
}

/* ---- Keyed numbers ---- */

struct seq tcp_isn(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport)
{
	/* [9293 MUST-8] a clock of 4 us; [9293 SHLD-1, MUST-9] and a keyed function of the 4-tuple
	 */
	uint32_t clock = (uint32_t)(s->now_ns / (4 * NS_PER_US));

	if (s->cfg.tcp.isn_fixed)
		return seq_of(s->cfg.tcp.isn);
	return seq_of(clock + (uint32_t)tuple_sip(&s->tcp->key_isn, laddr, lport, raddr, rport));
}

uint32_t tcp_ts_offset(const struct tg *s, const struct tg_ip *laddr, uint16_t lport,
	const struct tg_ip *raddr, uint16_t rport)
{
	/* [7323 7.1, P4] its own random offset for each 4-tuple, the same again for its next
	 * incarnation */
	return (uint32_t)tuple_sip(&s->tcp->key_ts, laddr, lport, raddr, rport);
}
