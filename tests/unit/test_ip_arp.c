/* ARP and the neighbour cache: RFC 826 merge rules, RFC 1122 2.3.2 limits and ageing, RFC 5227
 * announcements and conflicts. */
#include "ip_world.h"

#define OTHER 0x0a000009u /* 10.0.0.9 */
#define THIRD 0x0a000007u

static const uint8_t mac_other[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t mac_new[6] = {2, 0, 0, 0, 0, 0x99};

static void check_mac(struct iw *w, uint32_t ip, const uint8_t mac[6])
{
	struct tg_arp_row r = iw_neigh(w, ip);

	ck_assert_mem_eq(r.mac, mac, 6);
}

/* [826] merge table: is the sender known? are we the target? request or reply? */
/* [1122-L6] */
START_TEST (merge_rules) {
	static const struct {
		bool known, for_us;
		unsigned op;
		int state; /* afterwards */
		unsigned replies;
	} t[] = {
		{false, false, ARP_REQUEST, TG_NEIGH_FREE, 0},
		{false, false, ARP_REPLY, TG_NEIGH_FREE, 0},
		{false, true, ARP_REQUEST, TG_NEIGH_STALE, 1},
		{false, true, ARP_REPLY, TG_NEIGH_REACHABLE, 0},
		{true, false, ARP_REQUEST, TG_NEIGH_STALE, 0},
		{true, false, ARP_REPLY, TG_NEIGH_STALE, 0},
		{true, true, ARP_REQUEST, TG_NEIGH_STALE, 1},
		{true, true, ARP_REPLY, TG_NEIGH_REACHABLE, 0},
	};
	struct iw *w = iw_new(NULL, false);
	uint64_t dropped;

	if (t[_i].known)
		iw_learn(w, OTHER, mac_other);
	dropped = iw_drops(w, TG_DROP_ARP_NOT_US);
	iw_arp_in(w, t[_i].op, mac_new, OTHER, t[_i].for_us ? IW_US : THIRD);
	tg_step(w->s, w->now_ns);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, t[_i].state);
	if (t[_i].state != TG_NEIGH_FREE)
		check_mac(w, OTHER, mac_new);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ARP_NOT_US) - dropped, !t[_i].known && !t[_i].for_us);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), t[_i].replies);
	if (t[_i].replies) {
		struct arp_msg m = iw_arp_out(w, 0);

		ck_assert_uint_eq(m.op, ARP_REPLY);
		ck_assert_uint_eq(m.spa, IW_US);
		ck_assert_uint_eq(m.tpa, OTHER);
		ck_assert_mem_eq(m.sha, iw_mac_us, 6);
		ck_assert_mem_eq(m.tha, mac_new, 6);
		ck_assert_mem_eq(w->out[0].b, mac_new, 6);
	}
	iw_free(w);
}
END_TEST

/* The same mapping again confirms nothing but harms nothing. */
START_TEST (same_mapping_keeps_state) {
	struct iw *w = iw_new(NULL, false);

	iw_learn(w, OTHER, mac_other);
	iw_arp_in(w, ARP_REQUEST, mac_other, OTHER, THIRD);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_REACHABLE);
	iw_free(w);
}
END_TEST

START_TEST (probe_is_answered_not_learnt) {
	struct iw *w = iw_new(NULL, false);

	iw_arp_in(w, ARP_REQUEST, mac_other, 0, IW_US);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	ck_assert_uint_eq(iw_arp_out(w, 0).op, ARP_REPLY);
	ck_assert_int_eq(iw_neigh(w, 0).state, TG_NEIGH_FREE);
	/* Off the link: answered, not learnt. */
	iw_arp_in(w, ARP_REQUEST, mac_other, 0xc0a80001, IW_US);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 2);
	ck_assert_int_eq(iw_neigh(w, 0xc0a80001).state, TG_NEIGH_FREE);
	iw_free(w);
}
END_TEST

START_TEST (impossible_senders) {
	static const uint8_t group[6] = {1, 0, 0, 0, 0, 1}, zero[6];
	struct iw *w = iw_new(NULL, false);
	uint8_t junk[ARP_BYTES] = {0};

	iw_arp_in(w, ARP_REQUEST, group, OTHER, IW_US);
	iw_arp_in(w, ARP_REQUEST, iw_mac_bcast, OTHER, IW_US);
	iw_arp_in(w, ARP_REQUEST, zero, OTHER, IW_US);
	iw_arp_in(w, ARP_REQUEST, iw_mac_us, OTHER, IW_US);
	iw_arp_in(w, ARP_REPLY, mac_other, 0, IW_US);
	iw_arp_in(w, ARP_REQUEST, mac_other, 0xe0000001, IW_US);
	iw_arp_in(w, ARP_REQUEST, mac_other, 0x7f000001, IW_US);
	iw_arp_in(w, ARP_REQUEST, mac_other, 0x0a0000ff, IW_US);
	iw_arp_in(w, ARP_REQUEST, mac_other, 0xffffffff, IW_US);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ARP_SENDER), 9);
	iw_eth_in(w, NULL, ETH_TYPE_ARP, junk, 27);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ARP_SHORT), 1);
	iw_eth_in(w, NULL, ETH_TYPE_ARP, junk, 28);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ARP_FORMAT), 1);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(w->n_out, 0);
	iw_free(w);
}
END_TEST

/* [1122-L2] one request a second, three in all, then everything waiting learns of the failure. */
/* [1122-L9] */
START_TEST (resolution_fails) {
	struct iw *w = iw_new(NULL, false);
	struct ip_flow f = iw_flow(IW_US, OTHER), g = f;
	struct ip_path path = {0};
	struct tg_ip dst = tg_ip4_of(OTHER), src = tg_ip4_of(IW_US);
	struct tx t;

	f.waiter = &w->sender;
	f.path = &path;
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_WAIT);
	for (int i = 0; i < 9; i++) {
		tx_init(&t);
		tx_add_body(&t, "y", 1);
		ck_assert_int_eq(ip_send(w->s, &t, &g), 0);
		iw_step(w, 100 * IW_MS);
	}
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	ck_assert_mem_eq(w->out[0].b, iw_mac_bcast, 6);
	ck_assert_uint_eq(iw_arp_out(w, 0).tpa, OTHER);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_ARP_QUEUE_FULL), 5);
	iw_step(w, IW_SEC);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 2);
	ck_assert_uint_eq(w->n_turns, 1);
	iw_step(w, 1050 * IW_MS);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 3);
	iw_step(w, IW_SEC);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 3);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_FAILED);
	/* held ones, and the sender's own */
	ck_assert_uint_eq(iw_discards(w, TG_DROP_ARP_UNRESOLVED), 5);
	ck_assert_uint_eq(w->n_turns, 2);
	ck_assert_int_eq(w->result, TX_DROPPED);
	ck_assert_int_eq(w->tx.error, TG_EHOSTUNREACH);
	path.generation = 0;
	ck_assert_int_eq(ip_resolve(w->s, &dst, &src, 0, false, &path), -TG_EHOSTUNREACH);
	/* A few seconds later it is tried again. */
	iw_step(w, 4 * IW_SEC);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_FREE);
	ck_assert_int_eq(ip_resolve(w->s, &dst, &src, 0, false, &path), 0);
	iw_free(w);
}
END_TEST

START_TEST (held_and_parked_go_out) {
	struct iw *w = iw_new(NULL, false);
	struct ip_flow f = iw_flow(IW_US, OTHER), g = f;
	const uint8_t *body;

	for (uint8_t i = 0; i < 6; i++) {
		struct tx t;

		tx_init(&t);
		tx_add_body(&t, &i, 1);
		ck_assert_int_eq(ip_send(w->s, &t, &g), 0);
	}
	f.waiter = &w->sender;
	ck_assert_int_eq(iw_send(w, &f, "S", 1), TX_WAIT);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 0);
	iw_arp_in(w, ARP_REPLY, mac_other, OTHER, IW_US);
	tg_step(w->s, w->now_ns);
	/* [1122-L4] the latest four, in order, then the sender */
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_IP4), 5);
	for (unsigned i = 0; i < 5; i++) {
		ck_assert_uint_eq(iw_ip_out(w, i, &body).dst, OTHER);
		ck_assert_uint_eq(body[0], i < 4 ? i + 2 : 'S');
		ck_assert_mem_eq(w->out[i + 1].b, mac_other, 6);
	}
	ck_assert_int_eq(w->result, TX_OK);
	iw_free(w);
}
END_TEST

/* [1122-L3] */
START_TEST (ageing_and_revalidation) {
	struct iw *w = iw_new(NULL, false);
	struct ip_flow f = iw_flow(IW_US, OTHER);

	iw_learn(w, OTHER, mac_other);
	iw_step(w, 59 * IW_SEC);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_REACHABLE);
	iw_step(w, 2 * IW_SEC);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_STALE);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_PROBE);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 0);
	iw_step(w, 2100 * IW_MS);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	ck_assert_mem_eq(w->out[1].b, mac_other, 6); /* by unicast [1122 2.3.2.1] */
	iw_arp_in(w, ARP_REPLY, mac_other, OTHER, IW_US);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_REACHABLE);
	/* Nobody uses it: stale, then gone [1122-L1]. */
	iw_step(w, 61 * IW_SEC);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_STALE);
	iw_step(w, 20 * 60 * IW_SEC);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_FREE);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	iw_free(w);
}
END_TEST

START_TEST (advice_confirms) {
	struct iw *w = iw_new(NULL, false);
	struct ip_flow f = iw_flow(IW_US, OTHER);
	struct ip_path path = {0};

	f.path = &path;
	iw_learn(w, OTHER, mac_other);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	for (int i = 0; i < 10; i++) {
		iw_step(w, 30 * IW_SEC);
		ip_advise_good(w->s, &path);
		ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_REACHABLE);
	}
	iw_step(w, 61 * IW_SEC);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_PROBE);
	ip_advise_good(w->s, &path);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_REACHABLE);
	iw_step(w, 5 * IW_SEC);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 0);
	/* Bad advice: asked at once, at most once a second however often it comes. */
	ip_advise_bad(w->s, &path);
	ck_assert_int_eq(iw_send(w, &f, "x", 1), TX_OK);
	ip_advise_bad(w->s, &path);
	tg_step(w->s, w->now_ns);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_PROBE);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	iw_free(w);
}
END_TEST

/* A station that fell silent: three polls, three broadcasts, failure; one that moved is found. */
START_TEST (moved_station) {
	struct iw *w = iw_new(NULL, false);
	struct ip_flow f = iw_flow(IW_US, OTHER);

	iw_learn(w, OTHER, mac_other);
	iw_step(w, 61 * IW_SEC);
	iw_send(w, &f, "x", 1);
	iw_step(w, 5500 * IW_MS); /* 2 s, then 3 polls */
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 4);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_INCOMPLETE);
	ck_assert_mem_eq(w->out[3].b, mac_other, 6);
	ck_assert_mem_eq(w->out[4].b, iw_mac_bcast, 6);
	if (_i == 0) {
		iw_arp_in(w, ARP_REPLY, mac_new, OTHER, IW_US);
		check_mac(w, OTHER, mac_new);
	} else {
		iw_step(w, 3 * IW_SEC);
		ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 6);
		ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_FAILED);
	}
	iw_free(w);
}
END_TEST

START_TEST (table_is_bounded) {
	struct tg_config c;
	struct iw *w;
	uint64_t cursor = 0, n = 0;
	struct tg_arp_row r;

	iw_config(&c);
	c.ip.arp_entries = 8;
	w = iw_new(&c, false);
	iw_learn(w, OTHER, mac_other);
	for (uint32_t i = 0; i < 100; i++) {
		uint8_t mac[6] = {2, 0, 0, 0, 1, (uint8_t)i};

		iw_arp_in(w, ARP_REQUEST, mac, 0x0a000064u + i, IW_US);
	}
	while (tg_table_arp(w->s, &cursor, &r))
		n++;
	ck_assert_uint_eq(n, 8);
	ck_assert_int_eq(iw_neigh(w, OTHER).state, TG_NEIGH_REACHABLE);
	ck_assert_int_eq(iw_neigh(w, 0x0a000064u + 99).state, TG_NEIGH_STALE);
	/* What is being resolved makes no room. */
	for (uint32_t i = 0; i < 12; i++) {
		struct ip_flow f = iw_flow(IW_US, 0x0a00000au + i);
		struct tx t;

		tx_init(&t);
		tx_add_body(&t, "x", 1);
		ck_assert_int_eq(ip_send(w->s, &t, &f), i < 8 ? 0 : -TG_ENOBUFS);
	}
	ck_assert_uint_eq(iw_discards(w, TG_DROP_ARP_CACHE_FULL), 4);
	iw_step(w, 10 * IW_SEC);
	ck_assert_uint_eq(iw_discards(w, TG_DROP_ARP_UNRESOLVED), 8);
	iw_free(w);
}
END_TEST

/* [5227 2.3] */
START_TEST (announcements) {
	struct iw *w = iw_new(NULL, true);

	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	iw_step(w, 1900 * IW_MS);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	iw_step(w, 200 * IW_MS);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 2);
	iw_step(w, 60 * IW_SEC);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 2);
	ck_assert_uint_eq(iw_arp_out(w, 1).op, ARP_REQUEST);
	ck_assert_uint_eq(iw_arp_out(w, 1).spa, IW_US);
	ck_assert_uint_eq(iw_arp_out(w, 1).tpa, IW_US);
	ck_assert_mem_eq(w->out[1].b, iw_mac_bcast, 6);
	iw_free(w);
}
END_TEST

/* [5227 2.4] */
/* [5227 1.1] */
START_TEST (conflict_is_defended_once_in_ten_seconds) {
	struct iw *w = iw_new(NULL, false);

	iw_arp_in(w, ARP_REQUEST, mac_other, IW_US, IW_US);
	iw_arp_in(w, ARP_REPLY, mac_other, IW_US, THIRD);
	iw_step(w, 9 * IW_SEC);
	iw_arp_in(w, ARP_REQUEST, mac_other, IW_US, THIRD);
	iw_step(w, 0);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 1);
	iw_step(w, 2 * IW_SEC);
	iw_arp_in(w, ARP_REQUEST, mac_other, IW_US, THIRD);
	iw_step(w, 0);
	ck_assert_uint_eq(iw_count(w, ETH_TYPE_ARP), 2);
	ck_assert_uint_eq(iw_drops(w, TG_DROP_ARP_CONFLICT), 4);
	ck_assert_uint_eq(tg_counters(w->s)->arp_conflicts, 4);
	ck_assert_int_eq(iw_neigh(w, IW_US).state, TG_NEIGH_FREE);
	iw_free(w);
}
END_TEST

static Suite *arp_suite(void)
{
	Suite *s = suite_create("ip_arp");
	TCase *t = tcase_create("arp");

	tcase_add_loop_test(t, merge_rules, 0, 8);
	tcase_add_test(t, same_mapping_keeps_state);
	tcase_add_test(t, probe_is_answered_not_learnt);
	tcase_add_test(t, impossible_senders);
	tcase_add_test(t, resolution_fails);
	tcase_add_test(t, held_and_parked_go_out);
	tcase_add_test(t, ageing_and_revalidation);
	tcase_add_test(t, advice_confirms);
	tcase_add_loop_test(t, moved_station, 0, 2);
	tcase_add_test(t, table_is_bounded);
	tcase_add_test(t, announcements);
	tcase_add_test(t, conflict_is_defended_once_in_ten_seconds);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(arp_suite)
