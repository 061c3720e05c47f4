/* Finding UDP sockets, and choosing ephemeral ports (RFC 6056 3.3.1: random start, then the next
 * one free).
 *
 * Three tables: a datagram costs one look-up among the connected sockets, hashed by SipHash as
 * others choose what is in there, and one among those of its port that are not connected. */
#include "udp/udp_impl.h"

/* Of ports that this host's users have chosen: no two have the same. */
static uint32_t hash_port(uint16_t port)
{
	return port * 0x9e3779b1u;
}

static uint32_t hash_peers(
	const struct udp_state *us, const struct tg_addr *local, const struct tg_addr *peer)
{
	struct tg_addr pair[2] = {*local, *peer};

	_Static_assert(sizeof(*local) == 18, "no padding may be hashed");
	return (uint32_t)siphash(&us->key, pair, sizeof(pair));
}

static bool addr_equal(const struct tg_addr *a, const struct tg_addr *b)
{
	return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

static struct udp_sock *of_flow(struct hnode *n)
{
	return container_of(n, struct udp_sock, by_flow);
}

static struct htab *flow_table(struct udp_state *us, const struct udp_sock *u)
{
	return u->d.connected ? &us->peers : &us->addrs;
}

bool udp_attach(struct tg *s, struct udp_sock *u)
{
	struct udp_state *us = s->udp;

	u->by_port.hash = hash_port(u->d.local.port);
	u->by_flow.hash = u->d.connected ? hash_peers(us, &u->d.local, &u->d.peer)
					 : hash_port(u->d.local.port);
	if (!htab_insert(&us->ports, s->arena, &u->by_port))
		return false;
	if (htab_insert(flow_table(us, u), s->arena, &u->by_flow))
		return true;
	htab_remove(&us->ports, s->arena, &u->by_port);
	return false;
}

void udp_detach(struct tg *s, struct udp_sock *u)
{
	if (u->d.local.port == 0)
		return;
	htab_remove(&s->udp->ports, s->arena, &u->by_port);
	htab_remove(flow_table(s->udp, u), s->arena, &u->by_flow);
}

/* Does another socket hold a, or is either of them bound to any address? u may be NULL. */
static bool conflicts(
	const struct udp_sock *u, const struct udp_sock *other, const struct tg_addr *a)
{
	const struct tg_addr *b = &other->d.local;

	if (other == u || b->port != a->port)
		return false;
	if (u && ((u->d.reuse && other->d.reuse) || (u->d.reuseport && other->d.reuseport)))
		return false;
	return ip_is_any(&a->ip) || ip_is_any(&b->ip) || ip_equal(&a->ip, &b->ip);
}

bool udp_port_free(const struct tg *s, const struct udp_sock *u, const struct tg_addr *a)
{
	struct hnode *n = htab_chain(&s->udp->ports, hash_port(a->port));

	for (; n; n = n->next)
		if (conflicts(u, container_of(n, struct udp_sock, by_port), a))
			return false;
	return true;
}

uint16_t udp_pick_port(struct tg *s, const struct tg_ip *ip)
{
	uint32_t first = s->cfg.tcp.port_first, n = s->cfg.tcp.port_last - first + 1u;
	uint32_t at = rng_below(&s->rng, n);
	struct tg_addr a = {*ip, 0};

	for (uint32_t i = 0; i < n; i++) {
		a.port = (uint16_t)(first + (at + i) % n);
		if (core_port_is_own(s, a.port) && udp_port_free(s, NULL, &a))
			return a.port;
	}
	return 0;
}

/* The next socket from n on that was bound to ip and port, of those that are not connected. */
static struct hnode *match_addr(struct hnode *n, const struct tg_ip *ip, uint16_t port)
{
	for (; n; n = n->next)
		if (of_flow(n)->d.local.port == port && ip_equal(&of_flow(n)->d.local.ip, ip))
			break;
	return n;
}

static struct hnode *match_peers(
	struct hnode *n, uint32_t hash, const struct tg_addr *local, const struct tg_addr *peer)
{
	for (; n; n = n->next)
		if (n->hash == hash && addr_equal(&of_flow(n)->d.peer, peer) &&
			addr_equal(&of_flow(n)->d.local, local))
			break;
	return n;
}

/* The stages of a look-up, in order of preference. */
enum { STAGE_PEERS, STAGE_ADDR, STAGE_ANY, STAGES };

/* First match of a stage, or the next one after `after`. */
static struct hnode *stage_match(const struct udp_state *us, unsigned stage,
	const struct tg_addr *local, const struct tg_addr *peer, const struct hnode *after)
{
	static const struct tg_ip any;

	if (stage == STAGE_PEERS) {
		uint32_t hash = us->peers.n_nodes ? hash_peers(us, local, peer) : 0;

		return match_peers(
			after ? after->next : htab_chain(&us->peers, hash), hash, local, peer);
	}
	return match_addr(after ? after->next : htab_chain(&us->addrs, hash_port(local->port)),
		stage == STAGE_ANY ? &any : &local->ip, local->port);
}

struct udp_sock *udp_find_next(const struct tg *s, const struct tg_addr *local,
	const struct tg_addr *peer, struct udp_group_iter *it)
{
	for (; it->stage < STAGES; it->stage++) {
		it->node = stage_match(s->udp, it->stage, local, peer, it->node);
		if (it->node)
			return of_flow(it->node);
	}
	return NULL;
}

/* Of the sockets from u on that match in the same stage and share, the one for this peer. */
static struct udp_sock *spread(const struct tg *s, struct udp_sock *u, const struct tg_addr *local,
	const struct tg_addr *peer, struct udp_group_iter first)
{
	uint32_t hash = hash_peers(s->udp, local, peer), count = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		struct udp_group_iter it = first;
		uint32_t pick = count ? hash % count : 0;

		count = 0;
		for (struct udp_sock *v = u; v && it.stage == first.stage;
			v = udp_find_next(s, local, peer, &it)) {
			if (!v->d.reuseport)
				continue;
			if (pass == 1 && count == pick)
				return v;
			count++;
		}
	}
	return u;
}

struct udp_sock *udp_find(
	const struct tg *s, const struct tg_addr *local, const struct tg_addr *peer)
{
	struct udp_group_iter it = {NULL, STAGE_PEERS};
	struct udp_sock *u = udp_find_next(s, local, peer, &it);

	/* Sockets that share a port by TG_SO_REUSEPORT share the senders among them. */
	return u && u->d.reuseport && it.stage != STAGE_PEERS ? spread(s, u, local, peer, it) : u;
}
