/* The neighbour cache: which station answers for an IPv4 address, and what waits for it.
 *
 * RFC 1122 2.3.2.1 (entries age and are revalidated by unicast poll; no floods: one request a
 * second and address), 2.3.2.2 (packets are held meanwhile), 3.3.1.4 (advice from above counts as
 * confirmation). States in the words of RFC 4861 7.3.2, with DELAY as the beginning of PROBE:
 *
 *   INCOMPLETE  asked everybody, 3 times in all -> REACHABLE (reply), STALE (heard otherwise),
 * FAILED REACHABLE   confirmed lately -> STALE after arp_reachable_ns STALE       usable, not
 * confirmed -> PROBE when used; dropped after arp_stale_ns unused PROBE       usable; asked by
 * unicast unless advice comes first -> REACHABLE; else INCOMPLETE, for the address may have moved
 * to another station FAILED      nobody answered: remembered for a few seconds, then dropped
 *
 * The table is bounded. What makes room is, oldest first, what failed, what is stale, what is
 * reachable. */
#include "ip/ip_private.h"

static void neigh_timer(struct tg *s, struct timer *t);

int neigh_init(struct tg *s)
{
	struct ip_state *ip = s->ip;
	uint32_t n = min_u32(max_u32(s->cfg.ip.arp_entries, 1), IP_NEIGHS_MAX);

	for (unsigned i = 0; i < ARRAY_LEN(ip->by_state); i++)
		list_init(&ip->by_state[i]);
	htab_init(&ip->neigh_tab);
	ip->neigh_key = core_key(s, KEY_ARP);
	ip->neigh = core_alloc(s, n * sizeof(ip->neigh[0]));
	ip->neigh_free = core_alloc(s, n * sizeof(ip->neigh_free[0]));
	if (!ip->neigh || !ip->neigh_free)
		return -TG_ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		ip->neigh[i] = NULL;
		ip->neigh_free[i] = (uint16_t)(n - 1 - i);
	}
	ip->n_neighs_max = n;
	ip->n_neigh_free = n;
	s->timer_fn[TIMER_ARP] = neigh_timer;
	return 0;
}

/* The one place where the state changes. */
static void neigh_set_state(struct tg *s, struct neigh *nb, enum tg_neigh_state st)
{
	struct tg_trace *tr = trace_add(s, TG_TRACE_NEIGHBOUR);
	struct tg_ip addr = tg_ip4_of(nb->ip);

	if (tr) {
		tr->a = nb->state;
		tr->b = (uint8_t)st;
		tr->netif = nb->netif;
		memcpy(tr->raddr, addr.b, sizeof(tr->raddr));
	}
	nb->state = (uint8_t)st;
	nb->tries = 0;
	list_del(&nb->node);
	if (st != TG_NEIGH_FREE)
		list_push_back(&s->ip->by_state[st], &nb->node);
}

static uint32_t neigh_hash(const struct tg *s, uint16_t netif, uint32_t ip)
{
	uint32_t key[2] = {ip, netif};

	return (uint32_t)siphash(&s->ip->neigh_key, key, sizeof(key));
}

struct neigh *neigh_find(const struct tg *s, uint16_t netif, uint32_t ip)
{
	uint32_t hash = neigh_hash(s, netif, ip);

	for (struct hnode *h = htab_chain(&s->ip->neigh_tab, hash); h; h = h->next) {
		struct neigh *nb = container_of(h, struct neigh, h);

		if (h->hash == hash && nb->ip == ip && nb->netif == netif)
			return nb;
	}
	return NULL;
}

/* Everything held comes to nothing. */
static void neigh_discard_held(struct tg *s, struct neigh *nb, enum tg_drop why)
{
	while (nb->held) {
		struct tg_pkt *p = nb->held;

		nb->held = p->next;
		p->next = NULL;
		s->ip->held_bytes -= pkt_charge(p);
		pkt_discard(s, p, why);
	}
	nb->held_tail = NULL;
	nb->n_held = 0;
}

static void neigh_remove(struct tg *s, struct neigh *nb)
{
	struct ip_state *ip = s->ip;

	ASSERT(list_empty(&nb->parked) && !nb->held);
	neigh_set_state(s, nb, TG_NEIGH_FREE);
	timer_stop(s, &nb->timer);
	htab_remove(&ip->neigh_tab, s->arena, &nb->h);
	ip->neigh[nb->index] = NULL;
	ip->neigh_free[ip->n_neigh_free++] = nb->index;
	core_free(s, nb, sizeof(*nb));
	ip_paths_expire(s); /* the index may name another from now on */
}

static bool neigh_evict(struct tg *s)
{
	static const uint8_t order[] = {TG_NEIGH_FAILED, TG_NEIGH_STALE, TG_NEIGH_REACHABLE};

	for (unsigned i = 0; i < ARRAY_LEN(order); i++) {
		struct list *l = &s->ip->by_state[order[i]];
		struct neigh *nb;

		if (list_empty(l))
			continue;
		nb = list_entry(l->next, struct neigh, node);
		/* [1122-L2] forgetting whom we just asked would let us ask again too soon */
		if (s->now_ns < nb->may_ask_ns)
			continue;
		neigh_remove(s, nb);
		return true;
	}
	return false;
}

struct neigh *neigh_get(struct tg *s, uint16_t netif, uint32_t ip4)
{
	struct ip_state *ip = s->ip;
	struct neigh *nb = neigh_find(s, netif, ip4);

	if (nb)
		return nb;
	if (!ip->n_neigh_free && !neigh_evict(s))
		return NULL;
	nb = core_alloc(s, sizeof(*nb));
	if (!nb)
		return NULL;
	memset(nb, 0, sizeof(*nb));
	nb->ip = ip4;
	nb->netif = netif;
	nb->h.hash = neigh_hash(s, netif, ip4);
	if (!htab_insert(&ip->neigh_tab, s->arena, &nb->h)) {
		core_free(s, nb, sizeof(*nb));
		return NULL;
	}
	nb->index = ip->neigh_free[--ip->n_neigh_free];
	ip->neigh[nb->index] = nb;
	list_init(&nb->node);
	list_init(&nb->parked);
	timer_init(&nb->timer, TIMER_ARP);
	neigh_set_state(s, nb, TG_NEIGH_INCOMPLETE);
	timer_arm(s, &nb->timer, s->now_ns + ARP_RETRY_NS); /* goes if nobody uses it */
	return nb;
}

/* Asks for nb, as soon as it may. */
/* [1122-L6] */
static void neigh_ask(struct tg *s, struct neigh *nb)
{
	/* [1122-L2] at most one request a second for one address */
	if (s->now_ns < nb->may_ask_ns) {
		timer_arm(s, &nb->timer, nb->may_ask_ns);
		return;
	}
	nb->tries++;
	nb->may_ask_ns = s->now_ns + ARP_RETRY_NS;
	timer_arm(s, &nb->timer, nb->may_ask_ns);
	arp_ask(s, &s->netif[nb->netif], nb->ip, nb->state == TG_NEIGH_PROBE ? nb->mac : NULL);
}

static void neigh_wake(struct tg *s, struct neigh *nb)
{
	while (!list_empty(&nb->parked)) {
		struct list *l = list_pop_front(&nb->parked);

		sender_ready(s, list_entry(l, struct sender, node));
	}
}

static void neigh_fail(struct tg *s, struct neigh *nb)
{
	neigh_set_state(s, nb, TG_NEIGH_FAILED);
	timer_arm(s, &nb->timer, s->now_ns + ARP_FAILED_NS);
	/* [1122-G2] this gateway is dead: others first, for a while */
	route_gateway_failed(s, nb->ip, nb->netif);
	neigh_discard_held(s, nb, TG_DROP_ARP_UNRESOLVED);
	neigh_wake(s, nb);
}

/* nb->mac is known: what waited goes out. */
static void neigh_resolved(struct tg *s, struct neigh *nb)
{
	struct tg_pkt *p = nb->held;

	nb->held = NULL;
	nb->held_tail = NULL;
	nb->n_held = 0;
	while (p) {
		struct tg_pkt *next = p->next;

		p->next = NULL;
		s->ip->held_bytes -= pkt_charge(p);
		ip4_send_held(s, nb, p);
		p = next;
	}
	neigh_wake(s, nb);
}

static void neigh_set_reachable(struct tg *s, struct neigh *nb)
{
	nb->confirmed_ns = s->now_ns;
	neigh_set_state(s, nb, TG_NEIGH_REACHABLE);
	timer_arm(s, &nb->timer, s->now_ns + s->cfg.ip.arp_reachable_ns); /* [1122-L3] */
}

static void neigh_set_stale(struct tg *s, struct neigh *nb)
{
	neigh_set_state(s, nb, TG_NEIGH_STALE);
	timer_arm(s, &nb->timer, s->now_ns + s->cfg.ip.arp_stale_ns);
}

static void timer_incomplete(struct tg *s, struct neigh *nb)
{
	bool wanted = nb->tries || nb->held || !list_empty(&nb->parked);

	if (!wanted)
		neigh_remove(s, nb); /* a path was looked up and never used */
	else if (nb->tries < ARP_TRIES)
		neigh_ask(s, nb);
	else
		neigh_fail(s, nb);
}

static void timer_reachable(struct tg *s, struct neigh *nb)
{
	uint64_t end_ns = sat_add_u64(nb->confirmed_ns, s->cfg.ip.arp_reachable_ns);

	/* Advice from above moves the end, not the timer. */
	if (end_ns > s->now_ns)
		timer_arm(s, &nb->timer, end_ns);
	else
		neigh_set_stale(s, nb);
}

static void timer_probe(struct tg *s, struct neigh *nb)
{
	/* [1122-L1] [1122 2.3.2.1] unicast poll: no answer, so the mapping is out of date; whoever
	 * has the address now may still answer a broadcast */
	if (nb->tries >= ARP_TRIES)
		neigh_set_state(s, nb, TG_NEIGH_INCOMPLETE);
	neigh_ask(s, nb);
}

static void neigh_timer(struct tg *s, struct timer *t)
{
	struct neigh *nb = container_of(t, struct neigh, timer);

	switch ((enum tg_neigh_state)nb->state) {
	case TG_NEIGH_INCOMPLETE: timer_incomplete(s, nb); break;
	case TG_NEIGH_REACHABLE: timer_reachable(s, nb); break;
	case TG_NEIGH_PROBE: timer_probe(s, nb); break;
	case TG_NEIGH_STALE: /* [1122-L1] out of date and of no use */
	case TG_NEIGH_FAILED: neigh_remove(s, nb); break;
	case TG_NEIGH_FREE: ASSERT(nb->state != TG_NEIGH_FREE);
	}
}

enum neigh_use neigh_use(struct tg *s, struct neigh *nb)
{
	switch ((enum tg_neigh_state)nb->state) {
	case TG_NEIGH_REACHABLE:
	case TG_NEIGH_PROBE: return NEIGH_READY;
	case TG_NEIGH_STALE:
		neigh_set_state(s, nb, TG_NEIGH_PROBE);
		timer_arm(s, &nb->timer, s->now_ns + ARP_PROBE_DELAY_NS);
		return NEIGH_READY;
	case TG_NEIGH_INCOMPLETE:
		if (!nb->tries)
			neigh_ask(s, nb);
		return NEIGH_WAIT;
	case TG_NEIGH_FAILED: return NEIGH_DEAD;
	case TG_NEIGH_FREE: break;
	}
	ASSERT(nb->state != TG_NEIGH_FREE);
	return NEIGH_DEAD;
}

void neigh_park(struct neigh *nb, struct sender *x)
{
	sender_stop(x);
	list_push_back(&nb->parked, &x->node);
}

void neigh_hold(struct tg *s, struct neigh *nb, struct tg_pkt *p)
{
	struct ip_state *ip = s->ip;

	/* [1122-L4] the latest ones are kept */
	if (nb->n_held == IP_HELD_PKTS) {
		struct tg_pkt *old = nb->held;

		nb->held = old->next;
		old->next = NULL;
		nb->n_held--;
		ip->held_bytes -= pkt_charge(old);
		pkt_discard(s, old, TG_DROP_ARP_QUEUE_FULL);
	}
	if (ip->held_bytes + pkt_charge(p) > IP_HELD_BYTES) {
		pkt_discard(s, p, TG_DROP_ARP_QUEUE_FULL);
		return;
	}
	ip->held_bytes += pkt_charge(p);
	p->next = NULL;
	if (nb->held)
		nb->held_tail->next = p;
	else
		nb->held = p;
	nb->held_tail = p;
	nb->n_held++;
}

void neigh_learn(struct tg *s, struct neigh *nb, const uint8_t mac[6], bool solicited)
{
	bool known = nb->state != TG_NEIGH_INCOMPLETE && nb->state != TG_NEIGH_FAILED;
	bool same = known && memcmp(nb->mac, mac, 6) == 0;

	/* [826] the merge: the newer mapping counts */
	memcpy(nb->mac, mac, 6);
	if (!same || solicited)
		nb->confirmed_ns = s->now_ns;
	if (solicited)
		neigh_set_reachable(s, nb);
	else if (!same)
		neigh_set_stale(s, nb);
	if (!known)
		neigh_resolved(s, nb);
}

void neigh_confirm(struct tg *s, struct neigh *nb)
{
	if (nb->state == TG_NEIGH_REACHABLE)
		nb->confirmed_ns = s->now_ns;
	else if (nb->state == TG_NEIGH_STALE || nb->state == TG_NEIGH_PROBE)
		neigh_set_reachable(s, nb);
}

void neigh_doubt(struct tg *s, struct neigh *nb)
{
	if (nb->state != TG_NEIGH_REACHABLE && nb->state != TG_NEIGH_STALE)
		return;
	neigh_set_state(s, nb, TG_NEIGH_PROBE);
	neigh_ask(s, nb);
}

bool tg_table_arp(const struct tg *s, uint64_t *cursor, struct tg_arp_row *out)
{
	const struct ip_state *ip = s->ip;

	for (; *cursor < ip->n_neighs_max; (*cursor)++) {
		const struct neigh *nb = ip->neigh[*cursor];

		if (!nb)
			continue;
		(*cursor)++;
		*out = (struct tg_arp_row){.addr = tg_ip4_of(nb->ip),
			.state = nb->state,
			.netif = nb->netif,
			.age_ns = nb->confirmed_ns ? s->now_ns - nb->confirmed_ns : 0};
		memcpy(out->mac, nb->mac, sizeof(out->mac));
		return true;
	}
	return false;
}
