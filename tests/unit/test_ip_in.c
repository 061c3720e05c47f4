/* IPv4 input: every check of RFC 1122 3.2.1 by a frame that fails just that one. */
#include "ip_world.h"

#define HOST 0x0a000005u /* 10.0.0.5 */

static void deliver_one(struct iw *w, const uint8_t *mac, struct ip4_hdr h)
{
	if (!h.src)
		h.src = HOST;
	if (!h.dst)
		h.dst = IW_US;
	if (!h.proto)
		h.proto = IW_PROTO;
	iw_ip_in(w, mac, h, "payload", 7);
}

/* Header fields that a datagram is dropped for; addresses. */
/* [1122-I3, U6, G8, 9293 MUST-63] */
START_TEST (addresses) {
	static const uint8_t mac_group[6] = {1, 0, 0x5e, 0, 0, 1};
	static const struct {
		uint32_t src, dst;
		int mac; /* 0 ours, 1 broadcast, 2 the group's */
		enum tg_drop why;
	} t[] = {
		{HOST, IW_US, 0, TG_DROP_NONE},
		{0xc0a80105, IW_US, 0, TG_DROP_NONE},
		{HOST, 0x0a0000ff, 1, TG_DROP_NONE}, /* {net, subnet, -1} */
		{HOST, 0x0a0000ff, 0, TG_DROP_NONE},
		{HOST, 0x0a000000, 1, TG_DROP_NONE}, /* {net, subnet, 0} */
		{HOST, 0x0affffff, 1, TG_DROP_NONE}, /* {net, -1, -1} */
		{HOST, 0xffffffff, 1, TG_DROP_NONE},
		{HOST, 0x00000000, 1, TG_DROP_NONE},
		{HOST, 0xe0000001, 2, TG_DROP_NONE},
		{HOST, IW_US, 1, TG_DROP_IP_LINK_BROADCAST},
		{HOST, IW_US, 2, TG_DROP_IP_LINK_BROADCAST},
		{HOST, 0x0a000063, 0, TG_DROP_IP_NOT_US},
		{HOST, 0x0a0001ff, 0, TG_DROP_IP_NOT_US},
		{HOST, 0xf0000001, 0, TG_DROP_IP_NOT_US},
		{HOST, 0xe0000002, 2, TG_DROP_IP_MULTICAST},
		{HOST, 0x7f000001, 0, TG_DROP_IP_LOOPBACK_WIRE},
		{0x7f000001, IW_US, 0, TG_DROP_IP_LOOPBACK_WIRE},
		{IW_US, IW_US, 0, TG_DROP_IP_SOURCE_OURS},
		{0xe0000001, IW_US, 0, TG_DROP_IP_SOURCE},
		{0xf0000001, IW_US, 0, TG_DROP_IP_SOURCE},
		{0xffffffff, IW_US, 0, TG_DROP_IP_SOURCE},
		{0x0a0000ff, IW_US, 0, TG_DROP_IP_SOURCE},
		{0x0a000000, IW_US, 0, TG_DROP_IP_SOURCE},
		{0x00000001, IW_US, 0, TG_DROP_IP_SOURCE},
	};
	const uint8_t *macs[] = {iw_mac_us, iw_mac_bcast, mac_group};
	struct iw *w = iw_new(NULL, false);
	struct ip4_hdr h = {.src = t[_i].src, .dst = t[_i].dst, .proto = IW_PROTO};

	iw_ip_in(w, macs[t[_i].mac], h, "payload", 7);
	ck_assert_uint_eq(w->n_in, t[_i].why == TG_DROP_NONE);
	if (t[_i].why != TG_DROP_NONE)
		ck_assert_uint_eq(iw_drops(w, t[_i].why), 1);
	else
		ck_assert_int_eq(w->info.group, t[_i].dst != IW_US);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->n_out, 0);
	iw_free(w);
}
END_TEST
#define N_ADDRESSES 24

/* [1122-G6] the zero source is in no subnet: apart, for iw_ip_in cannot tell it from "not given".
 */
START_TEST (source_zero) {
	struct iw *w = iw_new(NULL, false);
	struct ip4_hdr h = {.dst = IW_US, .proto = IW_PROTO};

	iw_ip_in(w, NULL, h, "x", 1);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_SOURCE), 1);
	iw_free(w);
}
END_TEST

static void patch_in(struct iw *w, uint32_t at, uint8_t v, uint32_t cut, bool fix)
{
	struct ip4_hdr h = {.src = HOST,
		.dst = IW_US,
		.proto = IW_PROTO,
		.hdr_bytes = 20,
		.total_bytes = 40,
		.ttl = 9};
	uint8_t b[40] = {0};
	uint16_t sum;

	ip4_emit(b, &h);
	b[at] = v;
	if (fix) {
		b[10] = b[11] = 0;
		sum = csum_finish(csum_add_scalar(b, 20, 0));
		b[10] = (uint8_t)(sum >> 8);
		b[11] = (uint8_t)sum;
	}
	iw_eth_in(w, NULL, ETH_TYPE_IP4, b, sizeof(b) - cut);
}

START_TEST (header_fields) {
	struct iw *w = iw_new(NULL, false);

	patch_in(w, 30, 0, 21, false);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_SHORT), 1);
	patch_in(w, 0, 0x55, 0, true); /* [1122-I1] */
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_VERSION), 1);
	patch_in(w, 0, 0x44, 0, true);
	patch_in(w, 0, 0x4f, 0, true);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_HDR_LEN), 2);
	patch_in(w, 3, 41, 0, true);
	patch_in(w, 3, 19, 0, true);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_TOTAL_LEN), 2);
	patch_in(w, 11, 1, 0, false); /* [1122-I2] */
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_CSUM), 1);
	ck_assert_uint_eq(w->n_in, 0);
	/* [1122-I7] TTL 0 and 1 are fine at the destination */
	patch_in(w, 8, 0, 0, true);
	patch_in(w, 8, 1, 0, true);
	ck_assert_uint_eq(w->n_in, 2);
	iw_free(w);
}
END_TEST

START_TEST (padding_is_trimmed) {
	struct iw *w = iw_new(NULL, false);
	struct ip4_hdr h = {.src = HOST,
		.dst = IW_US,
		.proto = IW_PROTO,
		.total_bytes = 23,
		.tos = 0x28,
		.ttl = 77};

	iw_ip_in(w, NULL, h, "abcPADDINGPADDINGPADDING", 24);
	ck_assert_uint_eq(w->n_in, 1);
	ck_assert_uint_eq(w->bytes, 3);
	ck_assert_mem_eq(w->data, "abc", 3);
	ck_assert_uint_eq(w->info.tos, 0x28); /* [1122-I6] */
	ck_assert_uint_eq(w->info.ttl, 77);
	ck_assert_uint_eq(tg_ip4_value(&w->info.src), HOST);
	ck_assert_uint_eq(tg_ip4_value(&w->info.dst), IW_US);
	ck_assert_uint_eq(
		csum_fold(w->info.pseudo_sum), csum_fold(ip4_pseudo_sum(HOST, IW_US, IW_PROTO, 3)));
	iw_free(w);
}
END_TEST

static void options_in(struct iw *w, const uint8_t *opt, uint8_t n)
{
	struct ip4_hdr h = {.src = HOST,
		.dst = IW_US,
		.proto = IW_PROTO,
		.options = opt,
		.hdr_bytes = (uint8_t)(20 + n)};

	iw_ip_in(w, NULL, h, "data", 4);
}

/* [9293 MUST-50, 7126 4.3] */
START_TEST (options) {
	static const uint8_t rr[8] = {7, 7, 4, 0, 0, 0, 0, 0},
			     unknown[8] = {1, 0x5e, 4, 9, 1, 1, 0, 99};
	static const uint8_t lsrr[8] = {131, 7, 4, 10, 0, 0, 9, 0},
			     ssrr[8] = {1, 137, 7, 4, 10, 0, 0, 9};
	static const uint8_t zero[4] = {7, 0, 0, 0}, one[4] = {7, 1, 0, 0}, lng[4] = {1, 7, 4, 0},
			     cut[4] = {1, 1, 1, 7};
	struct iw *w = iw_new(NULL, false);
	const uint8_t *body;
	struct icmp_msg m;

	/* [1122-I8] */
	options_in(w, rr, 8);
	options_in(w, unknown, 8);
	ck_assert_uint_eq(w->n_in, 2);
	ck_assert_uint_eq(w->bytes, 4);
	ck_assert_mem_eq(w->data, "data", 4);
	options_in(w, lsrr, 8);
	options_in(w, ssrr, 8);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_SOURCE_ROUTE), 2);
	iw_learn(w, HOST, iw_mac_peer);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->n_out, 0);
	options_in(w, zero, 4);
	options_in(w, one, 4);
	options_in(w, lng, 4);
	options_in(w, cut, 4);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_OPTIONS), 4);
	tg_step(w->s, w->now_ns);
	/* [1122-C9] each is reported, with the place */
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 4);
	for (unsigned i = 0; i < 4; i++) {
		static const uint8_t at[] = {21, 21, 22, 23};
		struct ip4_hdr h = iw_ip_out(w, i, &body);

		ck_assert_int_eq(icmp_parse(body, h.total_bytes - 20u, false, csum_add_scalar, &m),
			TG_DROP_NONE);
		ck_assert_uint_eq(m.type, ICMP_PARAM_PROBLEM);
		ck_assert_uint_eq(m.pointer, at[i]);
		ck_assert_uint_eq(m.body_bytes, 28);
	}
	iw_free(w);
}
END_TEST

START_TEST (protocols_and_raw) {
	struct iw *w = iw_new(NULL, false);
	struct ip4_hdr h = {.proto = 200};

	deliver_one(w, NULL, h);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_PROTOCOL), 1);
	ck_assert_uint_eq(w->n_raw, 1);
	w->raw_takes = true;
	deliver_one(w, NULL, h);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_PROTOCOL), 1);
	ck_assert_uint_eq(w->n_raw, 2);
	h.proto = IW_PROTO;
	deliver_one(w, NULL, h);
	ck_assert_uint_eq(w->n_raw, 3);
	ck_assert_uint_eq(w->n_in, 1);
	w->s->raw_input = NULL;
	deliver_one(w, NULL, h);
	ck_assert_uint_eq(w->n_in, 2);
	iw_free(w);
}
END_TEST

/* [1122 3.3.4.2] the weak host model: an address of another interface. */
static bool no_device(void *dev, const struct tg_frame *f)
{
	(void)dev;
	(void)f;
	return true;
}

/* [1122-G5] */
START_TEST (address_of_another_interface) {
	struct iw *w = iw_new(NULL, false);
	struct tg_netif_config nc = {
		.name = "tap1", .link = TG_LINK_IP, .mtu = 1500, .transmit = no_device};
	struct tg_ip a = tg_ip4(192, 168, 7, 1), bcast = tg_ip4(192, 168, 7, 255);
	int n = tg_netif_add(w->s, &nc, w->now_ns);

	ck_assert_int_eq(tg_addr_add(w->s, (unsigned)n, &a, 24, w->now_ns), 0);
	deliver_one(w, NULL, (struct ip4_hdr){.dst = 0xc0a80701});
	ck_assert_uint_eq(w->n_in, 1);
	/* but the broadcast of its network is none here */
	deliver_one(w, NULL, (struct ip4_hdr){.dst = 0xc0a807ff});
	ck_assert_uint_eq(iw_drops(w, TG_DROP_IP_NOT_US), 1);
	ck_assert(ip_is_broadcast(w->s, &bcast, 0));
	ck_assert(!ip_is_broadcast(w->s, &bcast, (uint16_t)w->netif));
	iw_free(w);
}
END_TEST

START_TEST (kinds_of_addresses) {
	struct iw *w = iw_new(NULL, false);
	struct tg_ip lo = tg_ip4(127, 0, 0, 1), lo9 = tg_ip4(127, 9, 9, 9), us = tg_ip4_of(IW_US),
		     any = {{0}};
	struct tg_ip v6 = {{0x20, 1}}, out, mc = tg_ip4(239, 1, 1, 1);
	struct ip_path path = {0};
	int i = ip_addr_index(w->s, &us);

	ck_assert(ip_is_ours(w->s, &lo) && ip_is_ours(w->s, &lo9) && ip_is_ours(w->s, &us));
	ck_assert(!ip_is_ours(w->s, &any) && !ip_is_ours(w->s, &v6) && !ip_is_ours(w->s, &mc));
	ck_assert(ip_is_any(&any) && !ip_is_any(&us) && !ip_is_any(&v6));
	ck_assert(ip_is_multicast(&mc) && !ip_is_multicast(&us) && !ip_is_multicast(&v6));
	ck_assert(ip_is_loopback(&lo9) && !ip_is_loopback(&us));
	ck_assert_int_ge(i, 0);
	ck_assert(ip_addr_at(w->s, i, &out) && ip_equal(&out, &us));
	ck_assert(!ip_addr_at(w->s, -1, &out) && !ip_addr_at(w->s, 99, &out));
	/* One of 127/8 gets its number by being sent to. */
	ck_assert_int_eq(ip_addr_index(w->s, &lo9), -1);
	ck_assert_int_eq(ip_resolve(w->s, &lo9, &any, 0, false, &path), 0);
	ck_assert(ip_equal(&any, &lo));
	ck_assert(ip_addr_at(w->s, ip_addr_index(w->s, &lo9), &out) && ip_equal(&out, &lo9));
	iw_free(w);
}
END_TEST

START_TEST (adding_addresses) {
	struct iw *w = iw_new(NULL, false);
	static const struct {
		uint32_t ip;
		unsigned len, netif;
		int r;
	} t[] = {
		{0x0a000002, 24, 1, -TG_EEXIST},
		{0x0a000003, 24, 1, 0},
		{0x0a000003, 25, 1, -TG_EEXIST},
		{0x0a0000ff, 24, 1, -TG_EINVAL},
		{0x0a000100, 24, 1, -TG_EINVAL},
		{0x0a0000ff, 32, 1, 0},
		{0x0a000200, 31, 1, 0},
		{0xe0000001, 24, 1, -TG_EINVAL},
		{0xf0000001, 24, 1, -TG_EINVAL},
		{0, 24, 1, -TG_EINVAL},
		{0x0a000004, 33, 1, -TG_EINVAL},
		{0x7f000002, 8, 1, -TG_EINVAL},
		{0x7f000002, 8, 0, 0},
		{0x0a000004, 24, 5, -TG_ENODEV},
		{0x0a000004, 24, 500, -TG_ENODEV},
	};
	int r = 0;

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct tg_ip a = tg_ip4_of(t[i].ip);

		ck_assert_int_eq(tg_addr_add(w->s, t[i].netif, &a, t[i].len, w->now_ns), t[i].r);
	}
	for (uint32_t i = 0; i < 100 && r == 0; i++) {
		struct tg_ip a = tg_ip4_of(0x0b000001u + i);

		r = tg_addr_add(w->s, 1, &a, 24, w->now_ns);
	}
	ck_assert_int_eq(r, -TG_ENOMEM);
	iw_free(w);
}
END_TEST

/* Whatever arrives, it ends in one verdict, and memory is as before. */
START_TEST (noise) {
	struct iw *w = iw_new(NULL, false);
	struct arena_stats before, after;
	struct unit_rng r;

	arena_get_stats(w->s->arena, &before);
	unit_rng_start(&r, _i);
	for (int i = 0; i < 20000; i++) {
		uint8_t b[128];
		struct ip4_hdr h = {.src = HOST,
			.dst = IW_US,
			.proto = IP_PROTO_ICMP,
			.hdr_bytes = 20,
			.total_bytes = 100,
			.ttl = 3};

		unit_bytes(&r, b, sizeof(b));
		ip4_emit(b, &h);
		for (uint32_t k = unit_below(&r, 4); k; k--)
			b[unit_below(&r, 60)] ^= (uint8_t)(1u << unit_below(&r, 8));
		if (unit_below(&r, 2)) {
			uint16_t sum;

			b[10] = b[11] = 0;
			sum = csum_finish(csum_add_scalar(b, (b[0] & 15u) * 4, 0));
			b[10] = (uint8_t)(sum >> 8);
			b[11] = (uint8_t)sum;
		}
		iw_eth_in(w, NULL, unit_below(&r, 8) ? ETH_TYPE_IP4 : ETH_TYPE_ARP, b,
			unit_below(&r, sizeof(b) + 1));
		if (i % 100 == 0) {
			iw_step(w, IW_MS);
			iw_forget(w);
			w->room = IW_FRAMES;
		}
	}
	iw_step(w, 3000 * IW_SEC); /* fragments and neighbours are forgotten */
	arena_get_stats(w->s->arena, &after);
	ck_assert_uint_le(after.in_use, before.in_use + 3 * 4096); /* bucket heads */
	iw_free(w);
}
END_TEST

static Suite *in_suite(void)
{
	Suite *s = suite_create("ip_in");
	TCase *t = tcase_create("in");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, addresses, 0, N_ADDRESSES);
	tcase_add_test(t, source_zero);
	tcase_add_test(t, header_fields);
	tcase_add_test(t, padding_is_trimmed);
	tcase_add_test(t, options);
	tcase_add_test(t, protocols_and_raw);
	tcase_add_test(t, address_of_another_interface);
	tcase_add_test(t, kinds_of_addresses);
	tcase_add_test(t, adding_addresses);
	tcase_add_loop_test(t, noise, 0, 4);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(in_suite)
