/* IPv4 output: headers, fragments, identification, checksums, path MTU, broadcasts, loopback. */
#include "ip_world.h"
#include "wire/patch.h"

#define FAR 0x08080808u

static uint8_t data[65535];

static void fill(void)
{
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 13 + i / 253);
}

static struct iw *start(void)
{
	struct iw *w = iw_new(NULL, false);

	fill();
	iw_learn(w, IW_PEER, iw_mac_peer);
	return w;
}

START_TEST (header) {
	struct iw *w = start();
	struct ip_flow f = iw_flow(0, FAR);
	const uint8_t *body;
	struct ip4_hdr h;

	f.tos = 0x2e;
	f.ttl = 33;
	ck_assert_int_eq(iw_send(w, &f, data, 100), TX_OK);
	ck_assert_uint_eq(w->tx.accepted, 100);
	h = iw_ip_out(w, 0, &body);
	ck_assert_uint_eq(h.src, IW_US);
	ck_assert_uint_eq(h.dst, FAR);
	ck_assert_uint_eq(h.tos, 0x2e);
	ck_assert_uint_eq(h.ttl, 33);
	ck_assert_uint_eq(h.id, 0); /* atomic [6864 4.1] */
	ck_assert(h.df && !h.mf);
	ck_assert_mem_eq(body, data, 100);
	ck_assert_mem_eq(w->out[0].b, iw_mac_peer, 6); /* the gateway */
	ck_assert_mem_eq(w->out[0].b + 6, iw_mac_us, 6);
	f.ttl = 0; /* [1122-I7] never 0 */
	iw_send(w, &f, data, 100);
	ck_assert_uint_eq(iw_ip_out(w, 1, NULL).ttl, 64);
	iw_free(w);
}
END_TEST

/* Puts the collected fragments together and compares with what was sent. */
static void check_fragments(struct iw *w, uint32_t n, uint32_t mtu)
{
	uint32_t at = 0;
	unsigned count = iw_count(w, ETH_TYPE_IP4);
	uint16_t id = iw_ip_out(w, 0, NULL).id;

	for (unsigned i = 0; i < count; i++) {
		const uint8_t *body;
		struct ip4_hdr h = iw_ip_out(w, i, &body);

		ck_assert_uint_eq(h.id, id);
		ck_assert_uint_le(h.total_bytes, mtu);
		ck_assert_uint_eq(h.frag_off, at);
		ck_assert_int_eq(h.mf, i + 1 < count);
		ck_assert(!h.df);
		ck_assert_mem_eq(body, data + at, h.total_bytes - 20u);
		at += h.total_bytes - 20u;
		if (h.mf)
			ck_assert_uint_eq(at % 8, 0);
	}
	ck_assert_uint_eq(at, n);
}

/* [1122-G4] */
START_TEST (fragments) {
	static const uint32_t sizes[] = {1480, 1481, 2960, 2961, 10000, 65515};
	struct iw *w = start();
	struct ip_flow f = iw_flow(IW_US, FAR);

	f.df = false;
	ck_assert_int_eq(iw_send(w, &f, data, sizes[_i]), TX_OK);
	ck_assert_uint_eq(w->tx.accepted, sizes[_i]);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), (sizes[_i] + 1479) / 1480);
	check_fragments(w, sizes[_i], 1500);
	iw_free(w);
}
END_TEST

/* Header and several odd spans, a checksum over all of it: cut in any place, never copied wrongly.
 */
START_TEST (spans_and_checksum) {
	struct iw *w = start();
	static uint8_t got[5000];
	uint32_t at = 0;
	struct tx t;
	struct ip_flow f = iw_flow(IW_US, FAR);

	f.df = false;
	tx_init(&t);
	t.head_bytes = 8;
	memcpy(t.head + t.off, data, 8);
	t.csum = true;
	t.csum_offset = 6;
	tx_add_body(&t, data + 8, 1001);
	tx_add_body(&t, data + 1009, 3);
	tx_add_body(&t, data + 1012, 2001);
	tx_add_body(&t, data + 3013, 7);
	ck_assert_int_eq(ip_send(w->s, &t, &f), 0);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 3);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *body;
		struct ip4_hdr h = iw_ip_out(w, i, &body);

		memcpy(got + h.frag_off, body, h.total_bytes - 20u);
		at += h.total_bytes - 20u;
	}
	ck_assert_uint_eq(at, 3020);
	ck_assert_uint_eq(
		csum_fold(csum_add_scalar(got, at, ip4_pseudo_sum(IW_US, FAR, IW_PROTO, at))),
		0xffff);
	ck_assert_mem_eq(got, data, 6);
	ck_assert_mem_eq(got + 8, data + 8, at - 8);
	iw_free(w);
}
END_TEST

START_TEST (busy_between_fragments) {
	struct iw *w = start();
	struct ip_flow f = iw_flow(IW_US, FAR);

	f.df = false;
	w->room = (unsigned)_i;
	ck_assert_int_eq(iw_send(w, &f, data, 10000), _i ? TX_OK : TX_BUSY);
	ck_assert_uint_eq(w->n_out, (unsigned)_i);
	w->room = IW_FRAMES;
	tg_step(w->s, w->now_ns);
	ck_assert_int_eq(w->result, TX_OK);
	ck_assert_uint_eq(w->n_turns, _i ? 1 : 2);
	check_fragments(w, 10000, 1500);
	iw_free(w);
}
END_TEST

/* The first fragment is gone, the queue takes no more: lost as on a wire, not to be sent again. */
START_TEST (queue_full_between_fragments) {
	struct iw *w = start();
	struct ip_flow f = iw_flow(IW_US, FAR);
	struct tx t;
	int r = 0;

	f.df = false;
	w->room = 0;
	for (int i = 0; i < 5000 && r == 0; i++) {
		tx_init(&t);
		tx_add_body(&t, data, 100);
		r = ip_send(w->s, &t, &f);
	}
	ck_assert_int_eq(r, -TG_ENOBUFS);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_QUEUE_FULL), 1);
	w->flow = f;
	tx_init(&t);
	tx_add_body(&t, data, 10000);
	w->room = 1;
	ck_assert_int_eq(ip_output(w->s, &t, &f), TX_OK);
	ck_assert_uint_eq(t.accepted, 10000);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_QUEUE_FULL), 2);
	iw_free(w);
}
END_TEST

/* Held while the next hop resolves: whole, fragmented when it goes. */
START_TEST (held_then_fragmented) {
	struct iw *w = iw_new(NULL, false);
	struct ip_flow f = iw_flow(IW_US, FAR);

	fill();
	f.df = false;
	ck_assert_int_eq(iw_send(w, &f, data, 5000), TX_OK);
	ck_assert_uint_eq(w->tx.accepted, 5000);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 0);
	iw_learn(w, IW_PEER, iw_mac_peer);
	tg_step(w->s, w->now_ns);
	check_fragments(w, 5000, 1500);
	iw_free(w);
}
END_TEST

/* [6864 4.3] no repetition within 65,536 of one flow, other flows start elsewhere */
START_TEST (identification) {
	static uint8_t seen[65536];
	struct iw *w = start();
	struct ip_flow f = iw_flow(IW_US, FAR), g = iw_flow(IW_US, FAR + 1);
	uint16_t first = 0;

	f.df = g.df = false;
	memset(seen, 0, sizeof(seen));
	for (uint32_t i = 0; i < 65536; i++) {
		uint16_t id;

		ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
		id = iw_ip_out(w, 0, NULL).id;
		ck_assert_msg(!seen[id], "id %u again after %u", id, i);
		seen[id] = 1;
		first = i ? first : id;
		iw_forget(w);
		w->room = IW_FRAMES;
	}
	iw_send(w, &g, "x", 1);
	ck_assert_uint_ne(iw_ip_out(w, 0, NULL).id, first);
	iw_free(w);
}
END_TEST

/* [1122-I3, U6, 9293 MUST-46] */
START_TEST (refused) {
	struct iw *w = start();
	static const struct {
		uint32_t src, dst;
		int error;
	} t[] = {
		{0, 0, TG_EINVAL},
		{0, 0x00000005, TG_EINVAL},
		{0, 0xf0000001, TG_EINVAL},
		{0x0a000063, FAR, TG_EADDRNOTAVAIL},
		{0x7f000001, FAR, TG_EINVAL},
		{0, 0x0a0000ff, TG_EACCES},
		{0, 0x0a000000, TG_EACCES},
		{0, 0xffffffff, TG_EACCES},
		{0x7f000001, 0xe0000005, TG_EINVAL},
	};
	struct tx x;

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		struct ip_flow f = iw_flow(t[i].src, t[i].dst);

		ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_DROPPED);
		ck_assert_int_eq(w->tx.error, t[i].error);
		tx_init(&x);
		ck_assert_int_eq(ip_send(w->s, &x, &f), -t[i].error);
	}
	ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_NO_ROUTE), 2 * ARRAY_LEN(t));
	{
		struct ip_flow f = iw_flow(IW_US, FAR);
		struct ip_path path = {0};

		f.path = &path;
		ck_assert_int_eq(iw_send(w, &f, data, 1481), TX_DROPPED);
		ck_assert_int_eq(w->tx.error, TG_EMSGSIZE);
		ck_assert_uint_eq(path.mtu, 1500);
		f.df = false;
		tx_init(&x);
		tx_add_body(&x, data, 65516 - 1);
		tx_add_body(&x, data, 1);
		ck_assert_int_eq(ip_send(w->s, &x, &f), -TG_EMSGSIZE);
		ck_assert_uint_eq(iw_discards(w, TG_DROP_IP_TOO_BIG), 2);
	}
	ck_assert_uint_eq(w->n_out, 0);
	iw_free(w);
}
END_TEST

START_TEST (no_route) {
	struct iw *w = start();
	struct tg_ip any = {{0}}, gw = tg_ip4_of(IW_PEER);
	struct ip_flow f = iw_flow(0, FAR);

	ck_assert_int_eq(tg_route_del(w->s, &any, 0, &gw, w->netif, w->now_ns), 0);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_DROPPED);
	ck_assert_int_eq(w->tx.error, TG_ENETUNREACH);
	ck_assert_uint_eq(tg_counters(w->s)->ip_out_no_routes, 1);
	iw_free(w);
}
END_TEST

START_TEST (broadcast_and_multicast) {
	static const uint32_t dst[] = {0xffffffff, 0x0a0000ff, 0x0affffff, 0xe0010203, 0xef812233};
	static const uint8_t macs[][6] = {{255, 255, 255, 255, 255, 255},
		{255, 255, 255, 255, 255, 255}, {255, 255, 255, 255, 255, 255},
		{1, 0, 0x5e, 1, 2, 3}, {1, 0, 0x5e, 1, 0x22, 0x33}};
	struct iw *w = start();

	for (unsigned i = 0; i < ARRAY_LEN(dst); i++) {
		struct ip_flow f = iw_flow(0, dst[i]);
		struct ip_path path = {0};

		f.bcast = i < 3;
		f.path = &path;
		ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
		ck_assert_mem_eq(w->out[i].b, macs[i], 6);
		ck_assert_uint_eq(iw_ip_out(w, i, NULL).src, IW_US);
		ck_assert_uint_eq(iw_ip_out(w, i, NULL).dst, dst[i]);
		if (i < 3) {
			f.bcast = false; /* the permission is asked for each time */
			f.src = tg_ip4_of(IW_US);
			ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_DROPPED);
			ck_assert_int_eq(w->tx.error, TG_EACCES);
		}
	}
	iw_free(w);
}
END_TEST

START_TEST (loopback) {
	static const uint32_t dst[] = {IW_US, 0x7f000001, 0x7f010203};
	struct iw *w = start();

	for (unsigned i = 0; i < ARRAY_LEN(dst); i++) {
		struct ip_flow f = iw_flow(0, dst[i]);

		ck_assert_int_eq(iw_send(w, &f, data, 40000), TX_OK);
		tg_step(w->s, w->now_ns);
		ck_assert_uint_eq(w->n_in, i + 1);
		ck_assert_uint_eq(w->bytes, 40000);
		ck_assert_uint_eq(tg_ip4_value(&w->info.dst), dst[i]);
		ck_assert_uint_eq(tg_ip4_value(&w->info.src), i ? 0x7f000001 : IW_US);
		ck_assert_uint_eq(w->info.netif, 0);
		ck_assert(!w->info.group);
	}
	ck_assert_uint_eq(w->n_out, 0);
	iw_free(w);
}
END_TEST

/* A super-frame goes as one; its checksum field holds the pseudo-header's sum. */
static struct iw *super_world;
static uint16_t super_gso;

static enum tx_result super_turn(struct tg *s, struct sender *x, uint32_t budget)
{
	struct iw *w = super_world;
	struct tx t;

	(void)budget;
	(void)x;
	tx_init(&t);
	t.head_bytes = 20;
	memset(t.head + t.off, 0, 20);
	t.head[t.off + 12] = 0x50;
	t.csum = true;
	t.csum_offset = TCP_CSUM_OFFSET;
	t.gso = TG_GSO_TCP4;
	t.gso_size = super_gso;
	tx_add_body(&t, data, 10000);
	w->result = ip_output(s, &t, &w->flow);
	w->tx.error = t.error;
	return w->result;
}

START_TEST (super_frame) {
	struct iw *w = start();
	const uint8_t *body;
	struct ip4_hdr h;

	super_world = w;
	super_gso = 1460;
	w->s->sender_fn[SENDER_RAW] = super_turn;
	w->flow = iw_flow(IW_US, FAR);
	w->flow.proto = IP_PROTO_TCP;
	w->flow.waiter = &w->sender;
	sender_ready(w->s, &w->sender);
	tg_step(w->s, w->now_ns);
	ck_assert_int_eq(w->result, TX_OK);
	ck_assert_uint_eq(w->n_out, 1);
	h = iw_ip_out(w, 0, &body);
	ck_assert_uint_eq(h.total_bytes, 10040);
	ck_assert_uint_eq(w->out[0].gso_size, 1460);
	ck_assert(w->out[0].csum_partial);
	ck_assert_uint_eq(w->out[0].csum_start, 34);
	ck_assert_uint_eq(w->out[0].csum_offset, 16);
	ck_assert_uint_eq(csum_field_get(body + 16),
		csum_fold(ip4_pseudo_sum(IW_US, FAR, IP_PROTO_TCP, 10020)));
	super_gso = 1461; /* the segments do not fit */
	sender_ready(w->s, &w->sender);
	tg_step(w->s, w->now_ns);
	ck_assert_int_eq(w->result, TX_DROPPED);
	ck_assert_int_eq(w->tx.error, TG_EMSGSIZE);
	iw_free(w);
}
END_TEST

START_TEST (path_mtu) {
	struct iw *w = start();
	struct tg_ip far = tg_ip4_of(FAR), other = tg_ip4_of(FAR + 1);
	struct ip_flow f = iw_flow(IW_US, FAR);
	struct ip_path path = {0};

	f.path = &path;
	ck_assert_int_eq(iw_send(w, &f, data, 1480), TX_OK);
	ck_assert_uint_eq(ip_mtu(w->s, &far, &path), 1500);
	ip_set_pmtu(w->s, &far, 1300);
	ip_set_pmtu(w->s, &far, 1400); /* no growing */
	ck_assert_uint_eq(ip_mtu(w->s, &far, &path), 1300);
	ck_assert_uint_eq(ip_mtu(w->s, &other, NULL), 1500);
	ck_assert_uint_eq(ip_mms_r(w->s, &far, &path), 1480);
	iw_learn(w, IW_PEER, iw_mac_peer);
	ck_assert_int_eq(iw_send(w, &f, data, 1480), TX_DROPPED);
	ck_assert_uint_eq(path.mtu, 1300);
	ck_assert_int_eq(iw_send(w, &f, data, 1280), TX_OK);
	/* Below 552 nothing is believed: such a path may fragment. */
	ip_set_pmtu(w->s, &far, 100);
	ck_assert_uint_eq(ip_mtu(w->s, &far, NULL), 552);
	iw_forget(w);
	ck_assert_int_eq(iw_send(w, &f, data, 532), TX_OK);
	ck_assert(!iw_ip_out(w, 0, NULL).df);
	/* [1191 6.3] */
	iw_step(w, 599 * IW_SEC);
	ck_assert_uint_eq(ip_mtu(w->s, &far, &path), 552);
	iw_step(w, 2 * IW_SEC);
	ck_assert_uint_eq(ip_mtu(w->s, &far, &path), 1500);
	iw_learn(w, IW_PEER, iw_mac_peer);
	ck_assert_int_eq(iw_send(w, &f, data, 1480), TX_OK);
	/* bounded: the thousandth makes room */
	for (uint32_t i = 0; i < 1000; i++) {
		struct tg_ip d = tg_ip4_of(0x09000001u + i);

		ip_set_pmtu(w->s, &d, 1200);
		ck_assert_uint_eq(ip_mtu(w->s, &d, NULL), 1200);
	}
	iw_free(w);
}
END_TEST

/* [1191 3] DF, and whose MTU counts, as enum tg_pmtu says. */
START_TEST (discover) {
	static const struct {
		uint8_t pmtu;
		bool small_df;    /* what fits has DF */
		unsigned at_1480; /* packets that 1480 bytes leave in over a path of 1300; 0:
				     refused */
	} want[] = {{TG_PMTU_DONT, false, 2}, {TG_PMTU_WANT, true, 2}, {TG_PMTU_DO, true, 0},
		{TG_PMTU_PROBE, true, 1}, {TG_PMTU_INTERFACE, false, 1}, {TG_PMTU_OMIT, false, 1}};
	struct iw *w = start();
	struct tg_ip far = tg_ip4_of(FAR);
	struct ip_flow f = iw_flow(IW_US, FAR);

	iw_learn(w, IW_PEER, iw_mac_peer);
	ip_set_pmtu(w->s, &far, 1300);
	for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
		ip_flow_discover(&f, want[i].pmtu);
		iw_forget(w);
		ck_assert_int_eq(iw_send(w, &f, data, 100), TX_OK);
		ck_assert_uint_eq(iw_ip_out(w, 0, NULL).df, want[i].small_df);
		iw_forget(w);
		ck_assert_int_eq(iw_send(w, &f, data, 1480), want[i].at_1480 ? TX_OK : TX_DROPPED);
		ck_assert_uint_eq(w->n_out, want[i].at_1480);
		if (want[i].at_1480 == 2)
			ck_assert(!iw_ip_out(w, 0, NULL).df && iw_ip_out(w, 0, NULL).mf);
	}
	ck_assert(ip_fits(w->s, &far, NULL, TG_PMTU_WANT, 60000));
	ck_assert(!ip_fits(w->s, &far, NULL, TG_PMTU_DO, 1281));
	ck_assert(ip_fits(w->s, &far, NULL, TG_PMTU_PROBE, 1480));
	ck_assert(!ip_fits(w->s, &far, NULL, TG_PMTU_INTERFACE, 1481));
	iw_free(w);
}
END_TEST

static Suite *out_suite(void)
{
	Suite *s = suite_create("ip_out");
	TCase *t = tcase_create("out");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, header);
	tcase_add_loop_test(t, fragments, 0, 6);
	tcase_add_test(t, spans_and_checksum);
	tcase_add_loop_test(t, busy_between_fragments, 0, 7);
	tcase_add_test(t, queue_full_between_fragments);
	tcase_add_test(t, held_then_fragmented);
	tcase_add_test(t, identification);
	tcase_add_test(t, refused);
	tcase_add_test(t, no_route);
	tcase_add_test(t, broadcast_and_multicast);
	tcase_add_test(t, loopback);
	tcase_add_test(t, super_frame);
	tcase_add_test(t, path_mtu);
	tcase_add_test(t, discover);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(out_suite)
