/* Routes: longest prefix against a naive search, metrics, several gateways, paths that go out of
 * date. */
#include "ip_world.h"

static struct tg_ip any;

/* The gateway that a datagram to dst is sent to: whom ARP asks. 0: nowhere. */
static uint32_t next_hop(struct iw *w, uint32_t dst)
{
	struct tg_ip d = tg_ip4_of(dst), src = tg_ip4_of(IW_US);
	struct ip_path path = {0};
	struct tg_arp_row r;
	uint64_t cursor = 0;

	if (ip_resolve(w->s, &d, &src, 0, false, &path) < 0)
		return 0;
	for (unsigned i = 0; i <= path.neigh; i++) {
		cursor = i;
		if (!tg_table_arp(w->s, &cursor, &r))
			return 0;
		if (cursor == path.neigh + 1u)
			return tg_ip4_value(&r.addr);
	}
	return 0;
}

START_TEST (longest_prefix_against_naive) {
	struct {
		uint32_t dest, mask, gw;
		unsigned len, metric;
	} m[120];
	struct iw *w = iw_new(NULL, false);
	struct unit_rng r;
	unsigned n = 0;

	unit_rng_start(&r, _i);
	for (unsigned k = 0; k < 100; k++) {
		unsigned len = 8 + unit_below(&r, 25), metric = unit_below(&r, 4);
		uint32_t mask = UINT32_MAX << (32 - len),
			 dest = (0x0b000000u | unit_below(&r, 1u << 24)) & mask,
			 gw = 0x0a000064u + k;
		struct tg_ip d = tg_ip4_of(dest), g = tg_ip4_of(gw);
		bool clash = false;

		/* Of equals the first added counts: leave them out. */
		for (unsigned i = 0; i < n; i++)
			clash |= m[i].dest == dest && m[i].len == len && m[i].metric == metric;
		if (clash)
			continue;
		ck_assert_int_eq(tg_route_add(w->s, &d, len, &g, w->netif, metric, w->now_ns), 0);
		m[n].dest = dest;
		m[n].mask = mask;
		m[n].gw = gw;
		m[n].len = len;
		m[n++].metric = metric;
	}
	for (int k = 0; k < 1500; k++) {
		/* Half of them near a route. */
		uint32_t near =
			m[unit_below(&r, n)].dest | unit_below(&r, 1u << unit_below(&r, 16));
		uint32_t dst = k % 2 ? near : 0x0b000000u | unit_below(&r, 1u << 24),
			 want = IW_PEER;
		int best = -1;

		for (unsigned i = 0; i < n; i++) {
			if ((dst & m[i].mask) != m[i].dest)
				continue;
			if (best < 0 || m[i].len > m[best].len ||
				(m[i].len == m[best].len && m[i].metric < m[best].metric))
				best = (int)i;
		}
		if (best >= 0)
			want = m[best].gw;
		UNIT_CHECK(next_hop(w, dst) == want);
	}
	ck_assert_uint_eq(next_hop(w, 0x0a000033), 0x0a000033); /* on link [1122-G1] */
	for (unsigned i = 0; i < n; i++) {
		struct tg_ip d = tg_ip4_of(m[i].dest), g = tg_ip4_of(m[i].gw);

		ck_assert_int_eq(tg_route_del(w->s, &d, m[i].len, &g, w->netif, w->now_ns), 0);
	}
	ck_assert_uint_eq(next_hop(w, m[0].dest), IW_PEER);
	iw_free(w);
}
END_TEST

START_TEST (table_and_errors) {
	struct iw *w = iw_new(NULL, false);
	struct tg_ip net = tg_ip4(192, 168, 0, 77), gw = tg_ip4(10, 0, 0, 9), us = tg_ip4_of(IW_US);
	struct tg_ip lo = tg_ip4(127, 0, 0, 1), mc = tg_ip4(224, 0, 0, 1),
		     bc = tg_ip4(10, 0, 0, 255);
	struct tg_route_row r;
	uint64_t cursor = 0;
	unsigned n = 0, last = 32;
	int e = 0;

	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &gw, w->netif, 5, w->now_ns), 0);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &gw, w->netif, 5, w->now_ns), -TG_EEXIST);
	ck_assert_int_eq(tg_route_add(w->s, &net, 33, &gw, w->netif, 5, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &gw, w->netif, 65536, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &gw, 7, 5, w->now_ns), -TG_ENODEV);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &us, w->netif, 5, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &lo, w->netif, 5, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &mc, w->netif, 5, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_route_add(w->s, &net, 16, &bc, w->netif, 5, w->now_ns), -TG_EINVAL);
	ck_assert_int_eq(tg_route_add(w->s, &net, 24, NULL, w->netif, 5, w->now_ns), 0);
	ck_assert_int_eq(tg_route_del(w->s, &net, 25, NULL, w->netif, w->now_ns), -TG_EINVAL);
	while (tg_table_routes(w->s, &cursor, &r)) {
		ck_assert_uint_le(r.prefix_len, last);
		last = r.prefix_len;
		n++;
	}
	ck_assert_uint_eq(n, 5); /* lo, on link, default, the two */
	ck_assert_uint_eq(tg_ip4_value(&r.gateway), IW_PEER);
	for (uint32_t i = 0; i < 300 && e == 0; i++) {
		struct tg_ip d = tg_ip4_of(0x0c000000u + (i << 8));

		e = tg_route_add(w->s, &d, 24, NULL, w->netif, 0, w->now_ns);
	}
	ck_assert_int_eq(e, -TG_ENOMEM);
	iw_free(w);
}
END_TEST

/* [1122-G2] the first default gateway falls silent: the second takes over, and back after a while.
 */
START_TEST (dead_gateway) {
	static const uint8_t mac2[6] = {2, 0, 0, 0, 0, 0x22};
	struct iw *w = iw_new(NULL, false);
	struct tg_ip gw2 = tg_ip4(10, 0, 0, 34);
	struct ip_flow f = iw_flow(IW_US, 0x08080808);
	struct ip_path path = {0};

	ck_assert_int_eq(tg_route_add(w->s, &any, 0, &gw2, w->netif, 20, w->now_ns), 0);
	f.path = &path;
	f.waiter = &w->sender;
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_WAIT);
	ck_assert_uint_eq(iw_arp_out(w, 0).tpa, IW_PEER);
	iw_step(w, 3100 * IW_MS);
	/* Woken by the failure, the sender finds the other one. */
	ck_assert_uint_eq(iw_arp_out(w, 3).tpa, 0x0a000022);
	ck_assert_int_eq(w->result, TX_WAIT);
	iw_arp_in(w, ARP_REPLY, mac2, 0x0a000022, IW_US);
	tg_step(w->s, w->now_ns);
	ck_assert_int_eq(w->result, TX_OK);
	ck_assert_mem_eq(w->out[w->n_out - 1].b, mac2, 6);
	iw_step(w, 30 * IW_SEC);
	ck_assert_uint_eq(next_hop(w, 0x08080809), 0x0a000022);
	iw_step(w, 31 * IW_SEC);
	ck_assert_uint_eq(next_hop(w, 0x08080809), IW_PEER);
	iw_free(w);
}
END_TEST

/* A path is looked up again when what it stands on has changed. */
START_TEST (path_generation) {
	struct iw *w = iw_new(NULL, false);
	struct tg_ip d = tg_ip4(9, 9, 9, 9), gw = tg_ip4(10, 0, 0, 7);
	struct ip_flow f = iw_flow(IW_US, 0x09090909);
	struct ip_path path = {0};
	uint32_t before;

	iw_learn(w, IW_PEER, iw_mac_peer);
	f.path = &path;
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	before = path.generation;
	ck_assert_uint_ne(before, 0);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	ck_assert_uint_eq(path.generation, before);
	ck_assert_int_eq(tg_route_add(w->s, &d, 32, &gw, w->netif, 0, w->now_ns), 0);
	f.waiter = &w->sender;
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_WAIT);
	ck_assert_uint_ne(path.generation, before);
	ck_assert_uint_eq(iw_arp_out(w, 0).tpa, 0x0a000007);
	iw_free(w);
}
END_TEST

static bool take(void *dev, const struct tg_frame *f)
{
	unsigned *n = dev;

	(void)f;
	(*n)++;
	return true;
}

/* Source by interface; leaving through a given one. */
START_TEST (several_interfaces) {
	struct iw *w = iw_new(NULL, false);
	unsigned sent = 0;
	struct tg_netif_config nc = {
		.name = "p2p0", .link = TG_LINK_IP, .mtu = 1280, .transmit = take, .dev = &sent};
	struct tg_ip a = tg_ip4(192, 168, 7, 1), peer = tg_ip4(192, 168, 7, 9),
		     far = tg_ip4(8, 8, 8, 8), src = any;
	unsigned n = (unsigned)tg_netif_add(w->s, &nc, w->now_ns);
	struct ip_path path = {0};
	struct ip_flow f;

	ck_assert_int_eq(tg_addr_add(w->s, n, &a, 24, w->now_ns), 0);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, 0, false, &path), 0);
	ck_assert(ip_equal(&src, &a));
	ck_assert_uint_eq(path.netif, n);
	ck_assert_uint_eq(path.mtu, 1280);
	ck_assert_uint_eq(path.neigh, 0xffff);
	src = any;
	ck_assert_int_eq(ip_resolve(w->s, &far, &src, 0, false, &path), 0);
	ck_assert_uint_eq(tg_ip4_value(&src), IW_US);
	src = any;
	ck_assert_int_eq(ip_resolve(w->s, &far, &src, (uint16_t)n, false, &path), -TG_ENETUNREACH);
	ck_assert_int_eq(tg_route_add(w->s, &any, 0, NULL, n, 50, w->now_ns), 0);
	ck_assert_int_eq(ip_resolve(w->s, &far, &src, (uint16_t)n, false, &path), 0);
	ck_assert_uint_eq(path.netif, n);
	ck_assert(ip_equal(&src, &a));
	f = iw_flow(0, 0xc0a80709);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	ck_assert_uint_eq(sent, 1);
	iw_free(w);
}
END_TEST

/* The same question again: the same answer, until something has changed. */
START_TEST (last_answer_again) {
	struct iw *w = iw_new(NULL, false);
	unsigned sent = 0;
	struct tg_netif_config nc = {
		.name = "p2p0", .link = TG_LINK_IP, .mtu = 1280, .transmit = take, .dev = &sent};
	struct tg_ip peer = tg_ip4_of(IW_PEER), us = tg_ip4_of(IW_US), src = us, other;
	struct ip_path first = {0}, path = {0};
	unsigned n = (unsigned)tg_netif_add(w->s, &nc, w->now_ns);

	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, 0, false, &first), 0);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, 0, false, &path), 0);
	ck_assert(memcmp(&first, &path, sizeof(path)) == 0);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, first.netif, false, &path), 0);
	ck_assert(memcmp(&first, &path, sizeof(path)) == 0);
	ck_assert_uint_eq(ip_mtu(w->s, &peer, NULL), first.mtu);
	/* another destination, source, interface is another question */
	other = tg_ip4_of(IW_PEER + 8);
	ck_assert_int_eq(ip_resolve(w->s, &other, &src, 0, false, &path), 0);
	ck_assert_uint_ne(path.neigh, first.neigh);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, 0, false, &path), 0);
	other = tg_ip4(192, 168, 7, 1);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &other, 0, false, &path), -TG_EADDRNOTAVAIL);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, (uint16_t)n, false, &path), -TG_ENETUNREACH);
	/* an answer for one interface is none for all */
	ck_assert_int_eq(tg_route_add(w->s, &any, 0, NULL, n, 50, w->now_ns), 0);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, (uint16_t)n, false, &path), 0);
	ck_assert_uint_eq(path.netif, n);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, 0, false, &path), 0);
	ck_assert_uint_eq(path.netif, first.netif);
	/* what has been learnt of the path since */
	ip_set_pmtu(w->s, &peer, 1000);
	ck_assert_int_eq(ip_resolve(w->s, &peer, &src, 0, false, &path), 0);
	ck_assert_uint_eq(path.mtu, 1000);
	ck_assert_uint_eq(ip_mtu(w->s, &peer, NULL), 1000);
	other = tg_ip4_of(IW_PEER + 8);
	ck_assert_uint_eq(ip_mtu(w->s, &other, NULL), 1500);
	iw_free(w);
}
END_TEST

static Suite *route_suite(void)
{
	Suite *s = suite_create("ip_route");
	TCase *t = tcase_create("route");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, longest_prefix_against_naive, 0, 4);
	tcase_add_test(t, table_and_errors);
	tcase_add_test(t, dead_gateway);
	tcase_add_test(t, path_generation);
	tcase_add_test(t, several_interfaces);
	tcase_add_test(t, last_answer_again);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(route_suite)
