/* Our addresses, and what kinds of addresses there are.
 *
 * RFC 1122 3.2.1.3 (kinds of addresses), 3.3.6 (forms of broadcast), 3.3.4.2 (the weak host model:
 * an address of any interface is ours on all of them), RFC 919/922 (broadcast), RFC 3021 (/31), RFC
 * 5227 2.3 and 2.4 (announcing, defending). Left out: probing before use (RFC 5227 2.1), removal of
 * addresses. */
#include "ip/ip_private.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t any16[16];

bool ip_is_v4(const struct tg_ip *a)
{
	return memcmp(a->b, v4_prefix, sizeof(v4_prefix)) == 0 ||
	       memcmp(a, any16, sizeof(any16)) == 0;
}

bool ip_is_any(const struct tg_ip *a)
{
	return ip_is_v4(a) && tg_ip4_value(a) == 0;
}

bool ip_is_multicast(const struct tg_ip *a)
{
	return ip_is_v4(a) && ip4_is_mcast(tg_ip4_value(a));
}

bool ip_is_loopback(const struct tg_ip *a)
{
	return ip_is_v4(a) && ip4_is_loop(tg_ip4_value(a));
}

struct ip_addr *ip4_addr_find(const struct tg *s, uint32_t a)
{
	struct ip_state *ip = s->ip;

	if (!a)
		return NULL;
	for (uint32_t i = 0; i < ip->n_addrs; i++)
		if (ip->addr[i].ip == a)
			return &ip->addr[i];
	return NULL;
}

/* The directed broadcasts of the networks that a belongs to; 0 where there is none. */
static void note_broadcasts(struct ip_addr *a)
{
	uint32_t net = a->ip >> 31 == 0   ? 0xff000000u
		       : a->ip >> 30 == 2 ? 0xffff0000u
					  : 0xffffff00u;

	memset(a->bcast, 0, sizeof(a->bcast));
	/* [3021 2.1] two addresses are two hosts */
	if (a->prefix_len >= 31)
		return;
	/* [1122-G6] {net, subnet, -1}, and the old form with 0 */
	a->bcast[0] = a->ip | ~a->mask;
	a->bcast[1] = a->ip & a->mask;
	/* [1122-G6] {net, -1, -1} of a classful network that is subnetted */
	if ((net & a->mask) == net)
		a->bcast[2] = a->ip | ~net;
}

bool ip4_is_bcast(const struct tg *s, uint32_t v, uint16_t netif)
{
	const struct ip_state *ip = s->ip;

	/* [1122-G6] {-1, -1}, and the old form with 0 */
	if (v == UINT32_MAX || v == 0)
		return true;
	for (uint32_t i = 0; i < ip->n_addrs; i++) {
		const struct ip_addr *a = &ip->addr[i];

		if ((v == a->bcast[0] || v == a->bcast[1] || v == a->bcast[2]) &&
			(!netif || a->netif == netif))
			return true;
	}
	return false;
}

bool ip_is_broadcast(const struct tg *s, const struct tg_ip *a, uint16_t netif)
{
	return ip_is_v4(a) && ip4_is_bcast(s, tg_ip4_value(a), netif);
}

bool ip4_is_ours(const struct tg *s, uint32_t a)
{
	/* [1122 3.2.1.3] {127, any}, but for the ends that are broadcasts in form */
	if (ip4_is_loop(a))
		return a != 0x7f000000u && a != 0x7fffffffu;
	return ip4_addr_find(s, a) != NULL;
}

int ip_netif_with(const struct tg *s, const struct tg_ip *a)
{
	const struct ip_addr *found;

	if (!ip_is_ours(s, a))
		return -1;
	if (ip4_is_loop(tg_ip4_value(a)))
		return 0;
	found = ip4_addr_find(s, tg_ip4_value(a));
	return found ? found->netif : -1;
}

bool ip_is_ours(const struct tg *s, const struct tg_ip *a)
{
	return ip_is_v4(a) && ip4_is_ours(s, tg_ip4_value(a));
}

int ip_addr_index(const struct tg *s, const struct tg_ip *a)
{
	const struct ip_addr *x = ip_is_v4(a) ? ip4_addr_find(s, tg_ip4_value(a)) : NULL;

	return x ? (int)(x - s->ip->addr) : -1;
}

bool ip_addr_at(const struct tg *s, int index, struct tg_ip *out)
{
	if (index < 0 || (uint32_t)index >= s->ip->n_addrs || !s->ip->addr[index].ip)
		return false;
	*out = tg_ip4_of(s->ip->addr[index].ip);
	return true;
}

bool ip4_on_link(const struct tg *s, uint32_t v, uint16_t netif)
{
	const struct ip_state *ip = s->ip;

	for (uint32_t i = 0; i < ip->n_addrs; i++) {
		const struct ip_addr *a = &ip->addr[i];

		if (a->ip && a->netif == netif && ((v ^ a->ip) & a->mask) == 0)
			return true;
	}
	return false;
}

uint32_t ip4_source_for(const struct tg *s, uint32_t hop, uint16_t netif)
{
	const struct ip_state *ip = s->ip;
	uint32_t best = 0;
	int rank = 0;

	/* [1122 3.3.4.3] the interface that it leaves through, its subnet first */
	for (uint32_t i = 0; i < ip->n_addrs; i++) {
		const struct ip_addr *a = &ip->addr[i];
		int r = a->netif != netif ? 1 : ((hop ^ a->ip) & a->mask) ? 2 : 3;

		if (!a->ip || a->alias || (ip4_is_loop(a->ip) && netif))
			continue;
		if (r > rank) {
			rank = r;
			best = a->ip;
		}
	}
	return best;
}

static struct ip_addr *addr_slot(struct tg *s)
{
	struct ip_state *ip = s->ip;
	struct ip_addr *a;

	if (ip->n_addrs >= IP_ADDRS_MAX)
		return NULL;
	a = &ip->addr[ip->n_addrs++];
	timer_init(&a->timer, TIMER_IP_ADDR);
	return a;
}

void ip4_note_loop(struct tg *s, uint32_t v)
{
	struct ip_state *ip = s->ip;
	uint32_t aliases = 0;
	struct ip_addr *a;

	if (ip4_addr_find(s, v))
		return;
	for (uint32_t i = 0; i < ip->n_addrs; i++)
		aliases += ip->addr[i].alias;
	if (aliases >= IP_ALIASES_MAX)
		return;
	a = addr_slot(s);
	if (!a)
		return;
	a->ip = v;
	a->mask = UINT32_MAX;
	a->prefix_len = 32;
	a->netif = 0;
	a->alias = true;
}

/* May v be an address of a host on a network with this prefix? */
static bool addr_possible(uint32_t v, unsigned prefix_len)
{
	uint32_t mask = ip4_mask(prefix_len);

	/* [1122 3.2.1.3] neither 0, class D or E, nor host bits all 0 or all 1 */
	if (ip4_is_zero_net(v) || ip4_is_mcast(v) || ip4_is_reserved(v))
		return false;
	return prefix_len >= 31 || ((v & ~mask) != 0 && (v | mask) != UINT32_MAX);
}

int ip_addr_add(struct tg *s, unsigned netif, const struct tg_ip *addr, unsigned prefix_len,
	uint64_t now_ns)
{
	uint32_t v = tg_ip4_value(addr);
	struct ip_addr *a;
	int r;

	core_enter(s, now_ns);
	if (netif >= CORE_NETIFS_MAX || !s->netif[netif].used)
		return -TG_ENODEV;
	/* [1122 3.2.1.3] 127/8 stays inside the host */
	if (prefix_len > 32 || !ip_is_v4(addr) || !addr_possible(v, prefix_len) ||
		(ip4_is_loop(v) && !s->netif[netif].loopback))
		return -TG_EINVAL;
	a = ip4_addr_find(s, v);
	if (a && !a->alias)
		return -TG_EEXIST;
	if (!a && s->ip->n_addrs >= IP_ADDRS_MAX)
		return -TG_ENOMEM;
	r = route_add(s, v & ip4_mask(prefix_len), prefix_len, 0, (uint16_t)netif, 0);
	if (r < 0 && r != -TG_EEXIST)
		return r;
	if (!a)
		a = addr_slot(s);
	a->ip = v;
	a->mask = ip4_mask(prefix_len);
	a->prefix_len = (uint8_t)prefix_len;
	a->netif = (uint16_t)netif;
	a->alias = false;
	note_broadcasts(a);
	ip_paths_expire(s);
	if (s->netif[netif].c.announce && s->netif[netif].c.link == TG_LINK_ETHERNET) {
		a->announcements = ARP_ANNOUNCE_NUM;
		addr_timer(s, &a->timer);
	}
	return 0;
}

void addr_timer(struct tg *s, struct timer *t)
{
	struct ip_addr *a = container_of(t, struct ip_addr, timer);

	/* [5227 2.3] two announcements, two seconds apart */
	arp_announce(s, &s->netif[a->netif], a->ip);
	if (--a->announcements)
		timer_arm(s, t, s->now_ns + ARP_ANNOUNCE_NS);
}

void addr_defend(struct tg *s, struct ip_addr *a)
{
	/* [5227 2.4] (c): keep the address, and say so at most once in ten seconds */
	if (s->now_ns < a->may_defend_ns)
		return;
	a->may_defend_ns = s->now_ns + ARP_DEFEND_NS;
	arp_announce(s, &s->netif[a->netif], a->ip);
}

int ip_init(struct tg *s)
{
	struct tg_ip lo = tg_ip4(127, 0, 0, 1);
	struct ip_state *ip = core_alloc(s, sizeof(*ip));
	int r;

	if (!ip)
		return -TG_ENOMEM;
	memset(ip, 0, sizeof(*ip));
	s->ip = ip;
	ip->generation = 1;
	ip->id_key = core_key(s, KEY_IPID);
	htab_init(&ip->reasm_tab);
	list_init(&ip->reasms);
	pmtu_init(s);
	icmp_out_init(s);
	r = neigh_init(s);
	if (r < 0)
		return r;
	s->ip4_input = ip4_input;
	s->arp_input = arp_input;
	s->timer_fn[TIMER_REASM] = reasm_timer;
	s->timer_fn[TIMER_IP_ADDR] = addr_timer;
	return ip_addr_add(s, 0, &lo, 8, s->now_ns);
}
