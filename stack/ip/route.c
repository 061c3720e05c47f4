/* Which way a datagram goes: routes, and the path that connections remember.
 *
 * RFC 1122 3.3.1 (routing: on link by the mask, several default gateways, dead gateways are avoided
 * while another one is left), RFC 4632 (longest prefix), RFC 1122 3.3.4.3 (source address), 3.3.6
 * (broadcasts). Left out: redirects (ignored, see icmp_in.c), routing by type of service,
 * forwarding (never done [1122-G8]). */
#include "ip/ip_private.h"

uint32_t ip4_mask(unsigned prefix_len)
{
	return prefix_len ? UINT32_MAX << (32 - prefix_len) : 0;
}

void ip_paths_expire(struct tg *s)
{
	if (++s->ip->generation == 0)
		s->ip->generation = 1;
}

static bool route_before(const struct route *a, const struct route *b)
{
	if (a->prefix_len != b->prefix_len)
		return a->prefix_len > b->prefix_len;
	return a->metric < b->metric;
}

static bool route_is(
	const struct route *r, uint32_t dest, unsigned prefix_len, uint32_t gateway, uint16_t netif)
{
	return r->dest == dest && r->prefix_len == prefix_len && r->gateway == gateway &&
	       r->netif == netif;
}

int route_add(struct tg *s, uint32_t dest, unsigned prefix_len, uint32_t gateway, uint16_t netif,
	unsigned metric)
{
	struct ip_state *ip = s->ip;
	struct route r = {.dest = dest & ip4_mask(prefix_len),
		.mask = ip4_mask(prefix_len),
		.gateway = gateway,
		.netif = netif,
		.metric = (uint16_t)metric,
		.prefix_len = (uint8_t)prefix_len};
	uint32_t at = 0;

	for (uint32_t i = 0; i < ip->n_routes; i++)
		if (route_is(&ip->route[i], r.dest, prefix_len, gateway, netif))
			return -TG_EEXIST;
	if (ip->n_routes >= IP_ROUTES_MAX)
		return -TG_ENOMEM;
	while (at < ip->n_routes && !route_before(&r, &ip->route[at]))
		at++;
	memmove(&ip->route[at + 1], &ip->route[at], (ip->n_routes - at) * sizeof(r));
	ip->route[at] = r;
	ip->n_routes++;
	ip_paths_expire(s);
	return 0;
}

int ip_route_add(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, unsigned metric, uint64_t now_ns)
{
	uint32_t gw = gateway ? tg_ip4_value(gateway) : 0;

	core_enter(s, now_ns);
	if (netif >= CORE_NETIFS_MAX || !s->netif[netif].used)
		return -TG_ENODEV;
	if (prefix_len > 32 || metric > UINT16_MAX || !ip_is_v4(dest) ||
		(gateway && !ip_is_v4(gateway)))
		return -TG_EINVAL;
	/* A gateway is another host. */
	if (gw && (ip4_is_zero_net(gw) || ip4_is_loop(gw) || ip4_is_mcast(gw) ||
			  ip4_is_reserved(gw) || ip4_is_ours(s, gw) ||
			  ip4_is_bcast(s, gw, (uint16_t)netif)))
		return -TG_EINVAL;
	return route_add(s, tg_ip4_value(dest), prefix_len, gw, (uint16_t)netif, metric);
}

int ip_route_del(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, uint64_t now_ns)
{
	struct ip_state *ip = s->ip;
	uint32_t gw = gateway ? tg_ip4_value(gateway) : 0;

	core_enter(s, now_ns);
	if (netif >= CORE_NETIFS_MAX || !s->netif[netif].used)
		return -TG_ENODEV;
	if (prefix_len > 32 || !ip_is_v4(dest) || (gateway && !ip_is_v4(gateway)))
		return -TG_EINVAL;
	for (uint32_t i = 0; i < ip->n_routes; i++) {
		if (!route_is(&ip->route[i], tg_ip4_value(dest) & ip4_mask(prefix_len), prefix_len,
			    gw, (uint16_t)netif))
			continue;
		ip->n_routes--;
		memmove(&ip->route[i], &ip->route[i + 1],
			(ip->n_routes - i) * sizeof(ip->route[0]));
		ip_paths_expire(s);
		return 0;
	}
	return -TG_EINVAL;
}

/* The route to dst (through netif, if not 0), or NULL. */
static const struct route *route_find(const struct tg *s, uint32_t dst, uint16_t netif)
{
	const struct ip_state *ip = s->ip;
	const struct route *first = NULL;

	for (uint32_t i = 0; i < ip->n_routes; i++) {
		const struct route *r = &ip->route[i];

		if (((dst ^ r->dest) & r->mask) || (netif && r->netif != netif))
			continue;
		/* Sorted, so the first has the longest prefix; [1122-G1] the default is prefix 0.
		 */
		if (first && r->prefix_len != first->prefix_len)
			break;
		if (!first)
			first = r;
		/* [1122-G2] rather another gateway than a dead one */
		if (r->dead_until_ns <= s->now_ns)
			return r;
	}
	return first;
}

void route_gateway_failed(struct tg *s, uint32_t gateway, uint16_t netif)
{
	struct ip_state *ip = s->ip;
	bool found = false;

	for (uint32_t i = 0; i < ip->n_routes; i++) {
		struct route *r = &ip->route[i];

		if (r->gateway == gateway && r->netif == netif) {
			r->dead_until_ns = s->now_ns + IP_ROUTE_DEAD_NS;
			found = true;
		}
	}
	if (found)
		ip_paths_expire(s);
}

static void path_set(struct tg *s, struct ip_path *path, uint32_t dst, uint16_t netif,
	uint16_t neigh, uint16_t flags)
{
	bool no_df;

	path->mtu = pmtu_get(s, dst, s->netif[netif].c.mtu, &no_df);
	path->generation = s->ip->generation;
	path->netif = netif;
	path->neigh = neigh;
	path->flags = (uint16_t)(flags | (no_df ? IP_PATH_NO_DF : 0));
}

/* Where does a datagram leave that goes to everybody, or to a group? -1: nowhere. */
static int group_netif(const struct tg *s, uint32_t dst, uint16_t netif)
{
	const struct route *r;

	if (netif)
		return netif;
	/* [1122 3.3.6] the limited broadcast is not routed: where other hosts are reached from */
	r = route_find(s, dst == UINT32_MAX ? 0x01000001u : dst, 0);
	if (r)
		return r->netif;
	for (uint16_t i = 1; dst == UINT32_MAX && i < CORE_NETIFS_MAX; i++)
		if (s->netif[i].used)
			return i;
	return -1;
}

static int resolve_group(struct tg *s, uint32_t dst, uint32_t *src, uint16_t netif, uint16_t flags,
	struct ip_path *path)
{
	int n = group_netif(s, dst, netif);

	if (n < 0)
		return -TG_ENETUNREACH;
	if (!*src)
		*src = ip4_source_for(s, dst, (uint16_t)n);
	if (!*src)
		return -TG_EADDRNOTAVAIL;
	path_set(s, path, dst, (uint16_t)n, IP_NEIGH_NONE, flags);
	return 0;
}

static int resolve_unicast(
	struct tg *s, uint32_t dst, uint32_t *src, uint16_t netif, struct ip_path *path)
{
	const struct route *r = route_find(s, dst, netif);
	struct neigh *nb = NULL;
	uint32_t hop;

	if (!r || s->netif[r->netif].loopback)
		return -TG_ENETUNREACH;
	hop = r->gateway ? r->gateway : dst;
	netif = r->netif;
	if (!*src)
		*src = ip4_source_for(s, hop, netif);
	/* [1122 3.2.1.3] a loopback address never appears outside a host */
	if (!*src || ip4_is_loop(*src))
		return *src ? -TG_EINVAL : -TG_EADDRNOTAVAIL;
	if (s->netif[netif].c.link == TG_LINK_ETHERNET) {
		nb = neigh_get(s, netif, hop);
		if (!nb)
			return -TG_ENOBUFS;
		/* [1122-L9] only after asking in vain: having no entry is no reason */
		if (nb->state == TG_NEIGH_FAILED)
			return -TG_EHOSTUNREACH;
	}
	path_set(s, path, dst, netif, nb ? nb->index : IP_NEIGH_NONE, 0);
	return 0;
}

int ip4_resolve(
	struct tg *s, uint32_t dst, uint32_t *src, uint16_t netif, bool bcast, struct ip_path *path)
{
	/* [1122-I3] [9293 MUST-46] what can be no destination: 0/8, class E */
	if (ip4_is_zero_net(dst) || (ip4_is_reserved(dst) && dst != UINT32_MAX))
		return route_find(s, dst, netif) ? -TG_EINVAL : -TG_ENETUNREACH;
	if (netif >= CORE_NETIFS_MAX || !s->netif[netif].used)
		return -TG_ENETUNREACH;
	/* [1122-I3] only own addresses as source */
	if (*src && !ip4_is_ours(s, *src))
		return -TG_EADDRNOTAVAIL;
	if (ip4_is_ours(s, dst)) {
		if (ip4_is_loop(dst))
			ip4_note_loop(s, dst);
		if (!*src)
			*src = ip4_is_loop(dst) ? 0x7f000001u : dst;
		path_set(s, path, dst, 0, IP_NEIGH_NONE, 0);
		return 0;
	}
	if (*src && ip4_is_loop(*src) && !ip4_is_loop(dst))
		return -TG_EINVAL;
	if (ip4_is_mcast(dst))
		return resolve_group(s, dst, src, netif, IP_PATH_MCAST, path);
	if (ip4_is_bcast(s, dst, netif)) {
		if (!bcast)
			return group_netif(s, dst, netif) < 0 ? -TG_ENETUNREACH : -TG_EACCES;
		return resolve_group(s, dst, src, netif, IP_PATH_BCAST, path);
	}
	return resolve_unicast(s, dst, src, netif, path);
}

int ip_resolve(struct tg *s, const struct tg_ip *dst, struct tg_ip *src, uint16_t netif, bool bcast,
	struct ip_path *path)
{
	uint32_t from = tg_ip4_value(src);
	int r;

	if (!ip_is_v4(dst) || !ip_is_v4(src))
		return -TG_EINVAL;
	r = ip4_resolve(s, tg_ip4_value(dst), &from, netif, bcast, path);
	if (r == 0)
		*src = tg_ip4_of(from);
	return r;
}

static bool path_valid(const struct tg *s, const struct ip_path *path)
{
	return path && path->generation == s->ip->generation;
}

bool ip_path_stands(const struct tg *s, const struct ip_path *path, bool bcast)
{
	if (!path_valid(s, path) || ((path->flags & IP_PATH_BCAST) && !bcast))
		return false;
	return path->neigh == IP_NEIGH_NONE || s->ip->neigh[path->neigh]->state != TG_NEIGH_FAILED;
}

/* Interface towards dst, NULL without a route. */
static const struct netif *netif_towards(
	const struct tg *s, const struct tg_ip *dst, const struct ip_path *path)
{
	const struct route *r;

	if (path_valid(s, path))
		return &s->netif[path->netif];
	if (ip_is_ours(s, dst))
		return &s->netif[0];
	r = route_find(s, tg_ip4_value(dst), 0);
	return r ? &s->netif[r->netif] : NULL;
}

uint32_t ip_mtu(const struct tg *s, const struct tg_ip *dst, const struct ip_path *path)
{
	const struct netif *n;
	bool no_df;

	if (path_valid(s, path))
		return path->mtu;
	n = netif_towards(s, dst, path);
	return n ? pmtu_get(s, tg_ip4_value(dst), n->c.mtu, &no_df) : IP_MTU_UNKNOWN;
}

uint32_t ip_mms_r(struct tg *s, const struct tg_ip *dst, struct ip_path *path)
{
	const struct netif *n = netif_towards(s, dst, path);

	/* [1122-G3] [9293 MUST-67] what arrives unfragmented; without a route 576 [1122 3.3.2] */
	return (n ? min_u32(n->c.mtu, IP4_MAX_BYTES) : IP_MTU_UNKNOWN) - IP4_HDR_BYTES;
}

bool ip_fits(
	struct tg *s, const struct tg_ip *dst, struct ip_path *path, uint8_t pmtu, size_t l4_bytes)
{
	if (pmtu == TG_PMTU_DO)
		return l4_bytes <= ip_mtu(s, dst, path) - ip_header_bytes(dst);
	if (pmtu == TG_PMTU_PROBE || pmtu == TG_PMTU_INTERFACE)
		return l4_bytes <= ip_mms_r(s, dst, path);
	return true;
}

uint32_t ip_header_bytes(const struct tg_ip *dst)
{
	(void)dst;
	return IP4_HDR_BYTES;
}

void ip_advise_good(struct tg *s, struct ip_path *path)
{
	/* [1122-G2] [1122 3.3.1.4] the transport makes progress, so the next hop is alive */
	if (path_valid(s, path) && path->neigh != IP_NEIGH_NONE)
		neigh_confirm(s, s->ip->neigh[path->neigh]);
}

void ip_advise_bad(struct tg *s, struct ip_path *path)
{
	/* [9293 MUST-20] [1122 3.3.1.4] no progress: ask the next hop whether it is there */
	if (path_valid(s, path) && path->neigh != IP_NEIGH_NONE)
		neigh_doubt(s, s->ip->neigh[path->neigh]);
	path->generation = 0;
}

bool tg_table_routes(const struct tg *s, uint64_t *cursor, struct tg_route_row *out)
{
	const struct ip_state *ip = s->ip;
	const struct route *r;

	if (*cursor >= ip->n_routes)
		return false;
	r = &ip->route[(*cursor)++];
	*out = (struct tg_route_row){.dest = tg_ip4_of(r->dest),
		.prefix_len = r->prefix_len,
		.netif = r->netif,
		.metric = r->metric};
	if (r->gateway)
		out->gateway = tg_ip4_of(r->gateway);
	return true;
}
