/* The network simulator's nodes: hosts, each an instance with one plain IP interface, and routers,
 * which pass packets on along the shortest way and answer what is too big for the next link (RFC
 * 1191 4) unless that link is silent about it. */
#include "sim/net.h"
#include "wire/icmp.h"
#include "wire/ip4.h"

/* ---- Ways ---- */

/* Breadth first from node `to` backwards: each node's direction towards it. */
static void find_ways_to(struct net *n, uint16_t to)
{
	uint16_t todo[TG_SIM_NODES_MAX], head = 0, tail = 0;
	bool seen[TG_SIM_NODES_MAX] = {false};

	todo[tail++] = to;
	seen[to] = true;
	while (head < tail) {
		uint16_t at = todo[head++];

		/* a host at the end of a way does not pass on */
		if (at != to && !n->node[at].router)
			continue;
		for (uint16_t i = 0; i < n->n_dirs; i++) {
			struct net_dir *d = &n->dir[i];

			if (d->to != at || seen[d->from])
				continue;
			seen[d->from] = true;
			n->node[d->from].via[to] = i;
			todo[tail++] = d->from;
		}
	}
}

void net_find_ways(struct net *n)
{
	for (uint16_t i = 0; i < n->n_nodes; i++)
		for (uint16_t k = 0; k < n->n_nodes; k++)
			n->node[i].via[k] = NET_NO_WAY;
	for (uint16_t i = 0; i < n->n_nodes; i++)
		find_ways_to(n, i);
}

/* Addresses are 10.0.0.1 and on, by node. */
static uint32_t node_of(const struct net *n, uint32_t ip)
{
	uint32_t i = ip - 0x0a000001u;

	return i < n->n_nodes ? i : TG_SIM_NODES_MAX;
}

/* ---- Hosts ---- */

static bool transmit(void *dev, const struct tg_frame *f)
{
	struct net_node *h = dev;
	struct net *n = h->net;
	struct ip4_hdr ip;
	uint32_t to;

	if (ip4_parse(f->span[0].base, f->bytes, &ip) != TG_DROP_NONE)
		return true;
	to = node_of(n, ip.dst);
	if (to < n->n_nodes && h->via[to] != NET_NO_WAY)
		net_transmit(n, &n->dir[h->via[to]], f);
	return true;
}

static uint32_t mtu_of(const struct net *n, uint32_t node)
{
	uint32_t mtu = 65535;

	for (uint32_t i = 0; i < n->n_dirs; i++)
		if (n->dir[i].from == node)
			mtu = min_u32(mtu, n->dir[i].c.mtu ? n->dir[i].c.mtu : 1500);
	return mtu;
}

static bool start_host(struct net *n, uint32_t i, uint8_t *mem, size_t bytes)
{
	struct net_node *h = &n->node[i];
	struct tg_netif_config c = {.name = "eth0", .link = TG_LINK_IP, .transmit = transmit};

	memcpy(h->cfg.seed, n->seed, sizeof(h->cfg.seed));
	h->cfg.seed[31] = (uint8_t)(i + 1);
	h->s = tg_create(&h->cfg, mem, bytes, 0);
	if (!h->s)
		return false;
	c.mtu = mtu_of(n, i);
	c.caps = TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4;
	c.dev = h;
	h->netif = tg_netif_add(h->s, &c, 0);
	return h->netif > 0 && tg_addr_add(h->s, (unsigned)h->netif, &h->ip, 16, 0) == 0;
}

bool net_nodes_start(struct net *n, const struct tg_sim_options *o)
{
	uint32_t hosts = 0, k = 0;
	size_t each;

	for (uint32_t i = 0; i < n->n_nodes; i++)
		hosts += !n->node[i].router;
	/* the network itself has the first half */
	each = o->mem_bytes / 2 / max_u32(hosts, 1) & ~(size_t)(ARENA_PAGE_BYTES - 1);
	for (uint32_t i = 0; i < n->n_nodes; i++) {
		n->node[i].net = n;
		n->node[i].ip = tg_ip4_of(0x0a000001u + i);
		if (n->node[i].router)
			continue;
		if (!start_host(n, i, (uint8_t *)o->mem + o->mem_bytes / 2 + k * each, each))
			return false;
		k++;
	}
	return true;
}

static void deliver(struct net *n, struct net_node *h, const struct net_pkt *k)
{
	struct tg_pkt *p = tg_pkt_alloc(h->s, k->bytes);

	if (!p)
		return; /* as with a network card that is out of buffers */
	memcpy(tg_pkt_block(p), k->data, k->kept);
	memset(tg_pkt_block(p) + k->kept, 0, k->bytes - k->kept);
	p->len = k->bytes;
	p->csum = k->csum_ok ? TG_CSUM_VALID : TG_CSUM_UNKNOWN;
	tg_input(h->s, (unsigned)h->netif, p, n->now_ns);
	h->due = true;
}

/* ---- Routers ---- */

/* [1191 4] fragmentation needed: the beginning of k goes back as the body. */
static void answer_too_big(struct net *n, uint32_t router, const struct net_pkt *k,
	const struct ip4_hdr *h, uint16_t mtu)
{
	struct icmp_msg m = {.type = ICMP_UNREACHABLE, .code = ICMP_UNREACH_FRAG, .mtu = mtu};
	uint32_t quoted = min_u32(k->kept, h->hdr_bytes + 8u), to = node_of(n, h->src);
	struct ip4_hdr ip = {.src = 0x0a000001u + router,
		.dst = h->src,
		.total_bytes = (uint16_t)(IP4_HDR_BYTES + ICMP_HDR_BYTES + quoted),
		.hdr_bytes = IP4_HDR_BYTES,
		.ttl = 64,
		.proto = IP_PROTO_ICMP};
	struct net_pkt *a;

	if (to >= n->n_nodes || n->node[router].via[to] == NET_NO_WAY)
		return;
	a = arena_alloc(n->arena, sizeof(*a) + ip.total_bytes);
	if (!a)
		return;
	memset(a, 0, sizeof(*a));
	list_init(&a->node);
	a->bytes = a->kept = ip.total_bytes;
	ip4_emit(a->data, &ip);
	memcpy(a->data + IP4_HDR_BYTES + ICMP_HDR_BYTES, k->data, quoted);
	icmp_emit(a->data + IP4_HDR_BYTES, &m,
		csum_add_scalar(a->data + IP4_HDR_BYTES + ICMP_HDR_BYTES, quoted, 0));
	net_forward(n, &n->dir[n->node[router].via[to]], a);
}

static void route(struct net *n, uint32_t router, struct net_pkt *k)
{
	struct ip4_hdr h;
	uint32_t to = TG_SIM_NODES_MAX;
	struct net_dir *d;

	if (ip4_parse(k->data, k->bytes, &h) == TG_DROP_NONE)
		to = node_of(n, h.dst);
	if (to >= n->n_nodes || n->node[router].via[to] == NET_NO_WAY) {
		net_pkt_free(n, k);
		return;
	}
	d = &n->dir[n->node[router].via[to]];
	if (!d->c.mtu || k->bytes <= d->c.mtu) {
		net_forward(n, d, k);
		return;
	}
	/* what may be fragmented is not: TCP never asks for it */
	if (net_measuring(n))
		d->out->too_big++;
	if (!d->c.silent)
		answer_too_big(n, router, k, &h, (uint16_t)d->c.mtu);
	net_pkt_free(n, k);
}

void net_arrive(struct net *n, uint32_t node, struct net_pkt *k)
{
	struct net_node *h = &n->node[node];

	if (h->router) {
		route(n, node, k);
		return;
	}
	deliver(n, h, k);
	net_pkt_free(n, k);
}
