/* UDP sockets under random calls, traffic and failing allocations: nothing leaks, every frame has
 * its verdict; a snapshot continues identically. */
#include "udp_support.h"

#define N_SOCKS 12u

static void random_call(struct unit_rng *r, struct endpoint **e)
{
	static uint8_t buf[70000], sink[70000];
	struct tg_ip ips[] = {ANY, US, LOCAL, THEM, BCAST};
	struct tg_addr a = at(ips[unit_below(r, 5)], (uint16_t)(1000 + unit_below(r, 4)));

	if (!*e) {
		*e = udp_open(s, 1);
		return;
	}
	switch (unit_below(r, 12)) {
	case 0: udp_bind(s, *e, &a); break;
	case 1: udp_connect(s, *e, &a); break;
	case 2:
	case 3:
		send_to(*e, buf, unit_below(r, unit_below(r, 4) ? 2000 : 66000), a.ip, a.port);
		break;
	case 4:
	case 5: udp_recvfrom(s, *e, sink, unit_below(r, 70000), 0, NULL); break;
	case 6: udp_setopt(s, *e, TG_SO_REUSEADDR, unit_below(r, 2)); break;
	case 7: udp_setopt(s, *e, TG_SO_BROADCAST, unit_below(r, 2)); break;
	case 8: udp_setopt(s, *e, TG_UDP_SEGMENT, unit_below(r, 2) * unit_below(r, 1500)); break;
	case 9: udp_setopt(s, *e, TG_UDP_GRO, unit_below(r, 2)); break;
	case 10: udp_setopt(s, *e, TG_UDP_CORK, unit_below(r, 2)); break;
	default:
		if (unit_below(r, 2))
			udp_close(s, *e);
		else
			udp_abort(s, *e);
		*e = NULL;
		break;
	}
}

static void random_wire(struct unit_rng *r)
{
	struct tg_ip dst[] = {US, BCAST};
	struct wire_dgram w = {.src = THEM,
		.sport = (uint16_t)(1000 + unit_below(r, 4)),
		.dst = dst[unit_below(r, 2)],
		.dport = (uint16_t)(1000 + unit_below(r, 4)),
		.bytes = unit_below(r, unit_below(r, 4) ? 1400 : 60000)};
	struct tg_pkt *p = tg_pkt_alloc(s, TG_PKT_LARGE);

	UNIT_CHECK(p);
	p->len = wire_build(p->data, &w);
	if (unit_below(r, 4) == 0)
		p->data[unit_below(r, p->len)] ^= 4;
	if (unit_below(r, 3) == 0) {
		p->gso = TG_GSO_UDP4;
		p->gso_size = (uint16_t)(1 + unit_below(r, 3000));
		p->csum = TG_CSUM_PARTIAL;
	}
	tg_input(s, nif, p, s->now_ns);
}

static void random_life(struct unit_rng *r, struct endpoint **e, unsigned rounds, bool failures)
{
	for (unsigned i = 0; i < rounds; i++) {
		if (failures && unit_below(r, 4) == 0)
			tg_memory_fail_after(s, 1 + unit_below(r, 4), unit_below(r, 4));
		random_call(r, &e[unit_below(r, N_SOCKS)]);
		random_wire(r);
		dev.room = unit_below(r, 6);
		tg_step(s, s->now_ns + unit_below(r, 100000));
		world_check(s);
	}
}

START_TEST (random_life_leaks_nothing) {
	struct endpoint *e[N_SOCKS] = {0};
	struct unit_rng r;

	unit_rng_start(&r, _i);
	random_life(&r, e, 1500, true);
	tg_memory_fail_after(s, 0, 0);
	for (unsigned i = 0; i < N_SOCKS; i++)
		if (e[i])
			udp_close(s, e[i]);
	dev.room = UINT32_MAX;
	for (unsigned i = 0; i < 3000 && tg_next_deadline(s) <= s->now_ns + NS_PER_SEC; i++)
		tg_step(s, s->now_ns + NS_PER_MS);
	tg_step(s, s->now_ns + 3600 * NS_PER_SEC); /* reassembly has given up */
	tg_step(s, s->now_ns);                     /* what that sent to everybody, we get too */
	arena_check(s->arena);
	ck_assert_uint_eq(in_use(), idle_bytes);
}
END_TEST

START_TEST (snapshot_of_traffic_continues_identically) {
	struct endpoint *e[N_SOCKS] = {0}, *saved_e[N_SOCKS];
	struct unit_rng r, saved_r;
	uint64_t hash, saved_hash;
	struct tg_counters after;
	size_t bytes;
	void *image;

	unit_rng_start(&r, _i);
	random_life(&r, e, 300, false);
	bytes = tg_snapshot_bytes(s);
	image = malloc(bytes);
	ck_assert_uint_eq(tg_snapshot_save(s, image, bytes), bytes);
	saved_r = r;
	saved_hash = dev.hash;
	memcpy(saved_e, e, sizeof(e));
	random_life(&r, e, 300, false);
	hash = dev.hash;
	after = *tg_counters(s);
	for (unsigned again = 0; again < 2; again++) {
		ck_assert(tg_snapshot_restore(s, image, bytes));
		r = saved_r;
		dev.hash = saved_hash;
		memcpy(e, saved_e, sizeof(e));
		random_life(&r, e, 300, false);
		ck_assert(dev.hash == hash);
		ck_assert(memcmp(&after, tg_counters(s), sizeof(after)) == 0);
	}
	ck_assert(hash != saved_hash);
	free(image);
}
END_TEST

static Suite *udp_random_suite(void)
{
	Suite *su = suite_create("udp_random");
	TCase *tc = tcase_create("udp_random");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, random_life_leaks_nothing, 0, 4);
	tcase_add_loop_test(tc, snapshot_of_traffic_continues_identically, 0, 3);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(udp_random_suite)
