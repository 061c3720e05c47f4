/* tg_step: timers, the round of senders, busy devices, control frames, loopback. */
#include "core_support.h"

static unsigned n_ip;

static void take_ip(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	(void)n;
	n_ip++;
	pkt_deliver(s, p);
}

/* ---- Timers ---- */

static uint64_t fired_at[4];
static unsigned n_fired;

static void on_timer(struct tg *s, struct timer *t)
{
	(void)t;
	fired_at[n_fired++ % 4] = s->now_ns;
}

START_TEST (timers_fire_in_step) {
	struct tg *s = world_core();
	struct timer a, b;

	n_fired = 0;
	s->timer_fn[TIMER_ARP] = on_timer;
	timer_init(&a, TIMER_ARP);
	timer_init(&b, TIMER_ARP);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	timer_arm(s, &a, 5 * NS_PER_MS);
	timer_arm(s, &b, 9 * NS_PER_MS);
	ck_assert_uint_le(tg_next_deadline(s), 5 * NS_PER_MS);
	tg_step(s, 5 * NS_PER_MS - 1);
	ck_assert_uint_eq(n_fired, 0);
	timer_stop(s, &b);
	tg_step(s, 7 * NS_PER_MS);
	ck_assert_uint_eq(n_fired, 1);
	ck_assert_uint_eq(fired_at[0], 7 * NS_PER_MS);
	/* Time never goes backwards. */
	tg_step(s, NS_PER_MS);
	ck_assert_uint_eq(s->now_ns, 7 * NS_PER_MS);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	world_end(s);
}
END_TEST

/* ---- Senders ---- */

struct talker {
	struct sender x;
	unsigned netif, frames; /* still to send */
	uint32_t bytes;         /* of each */
	char name;
	enum tx_result on_end;
};

static char spoken[4096];
static unsigned n_spoken;
static uint8_t body[65000];

static enum tx_result talk(struct tg *s, struct sender *x, uint32_t budget)
{
	struct talker *t = container_of(x, struct talker, x);
	uint32_t sent = 0;

	while (t->frames && sent < budget) {
		enum tx_result r;
		struct tx tx;

		tx_init(&tx);
		memset(tx_prepend(&tx, 20), t->name, 20);
		tx_add_body(&tx, body, t->bytes - 20);
		r = netif_transmit(s, &s->netif[t->netif], &tx);
		if (r != TX_OK)
			return r;
		if (n_spoken < sizeof(spoken) - 1)
			spoken[n_spoken++] = t->name;
		spoken[n_spoken] = 0;
		t->frames--;
		sent += t->bytes;
	}
	return t->frames ? TX_MORE : t->on_end;
}

static void talker_init(
	struct talker *t, char name, unsigned netif, unsigned frames, uint32_t bytes)
{
	sender_init(&t->x, SENDER_UDP);
	t->name = name;
	t->netif = netif;
	t->frames = frames;
	t->bytes = bytes;
	t->on_end = TX_OK;
}

START_TEST (senders_take_turns) {
	struct tg *s = world_core();
	struct talker a, b, c;
	struct dev d;
	unsigned n, steps;

	dev_init(&d);
	n = world_netif(s, &d, TG_LINK_IP, 0, 65535);
	s->sender_fn[SENDER_UDP] = talk;
	n_spoken = 0;
	talker_init(&a, 'a', n, 5, 65000);
	talker_init(&b, 'b', n, 1, 100);
	talker_init(&c, 'c', n, 3, 65000);
	sender_ready(s, &a.x);
	sender_ready(s, &b.x);
	sender_ready(s, &c.x);
	sender_ready(s, &a.x); /* keeps its place */
	ck_assert_uint_le(tg_next_deadline(s), s->now_ns);
	tg_step(s, 0);
	/* 131072 bytes a turn are three frames here, the last one beginning within the budget. */
	ck_assert_str_eq(spoken, "aaabcccaa");
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	/* A step ends at its budget and says that there is more. */
	n_spoken = 0;
	a.frames = 100;
	sender_ready(s, &a.x);
	tg_step(s, 0);
	ck_assert_uint_lt(n_spoken, 40);
	ck_assert_uint_gt(n_spoken, 30);
	for (steps = 0; tg_next_deadline(s) == s->now_ns && steps < 10; steps++)
		tg_step(s, 0);
	ck_assert_uint_eq(n_spoken, 100);
	dev_clear(&d);
	world_end(s);
}
END_TEST

START_TEST (busy_device_holds_up_its_own_senders_only) {
	struct tg *s = world_core();
	struct talker t[50], other;
	struct dev d, d2;
	unsigned n, n2;

	dev_init(&d);
	dev_init(&d2);
	n = world_netif(s, &d, TG_LINK_IP, 0, 65535);
	n2 = world_netif(s, &d2, TG_LINK_IP, 0, 65535);
	s->sender_fn[SENDER_UDP] = talk;
	n_spoken = 0;
	d.room = 2;
	for (unsigned i = 0; i < 50; i++) {
		talker_init(&t[i], (char)('A' + i), n, 1, 100);
		sender_ready(s, &t[i].x);
	}
	talker_init(&other, 'z', n2, 1, 100);
	sender_ready(s, &other.x);
	tg_step(s, 0);
	ck_assert_str_eq(spoken, "ABz");
	ck_assert_uint_eq(tg_counters(s)->device_busy, 1);
	/* What a busy device holds up is no work. */
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	/* While it stays busy, a step costs one attempt however many wait. */
	d.attempts = 0;
	tg_step(s, 0);
	ck_assert_uint_eq(d.attempts, 1);
	d.room = 3;
	tg_step(s, 0);
	ck_assert_str_eq(spoken, "ABzCDE");
	/* Who is stopped while blocked is gone. */
	sender_stop(&t[5].x);
	sender_ready(s, &t[6].x);
	d.room = 2;
	tg_step(s, 0);
	ck_assert_str_eq(spoken, "ABzCDEGH");
	d.room = UINT32_MAX;
	tg_step(s, 0);
	ck_assert_uint_eq(n_spoken, 50);
	dev_clear(&d);
	dev_clear(&d2);
	world_end(s);
}
END_TEST

START_TEST (parked_sender_comes_back) {
	struct tg *s = world_core();
	struct list neighbour;
	struct talker a;

	list_init(&neighbour);
	s->sender_fn[SENDER_UDP] = talk;
	talker_init(&a, 'a', 0, 0, 100);
	a.on_end = TX_WAIT;
	sender_ready(s, &a.x);
	tg_step(s, 0);
	list_push_back(&neighbour, &a.x.node);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	sender_ready(s, &a.x);
	ck_assert(list_empty(&neighbour));
	ck_assert_uint_eq(tg_next_deadline(s), s->now_ns);
	sender_stop(&a.x);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	world_end(s);
}
END_TEST

/* ---- Control frames and loopback ---- */

START_TEST (control_frames_go_first) {
	struct tg *s = world_core();
	struct talker a;
	struct dev d;
	unsigned n;

	dev_init(&d);
	n = world_netif(s, &d, TG_LINK_IP, 0, 1500);
	s->sender_fn[SENDER_UDP] = talk;
	talker_init(&a, 'a', n, 1, 100);
	sender_ready(s, &a.x);
	ck_assert(netif_queue(s, &s->netif[n], world_control(s, 1)));
	ck_assert(netif_queue(s, &s->netif[n], world_control(s, 2)));
	d.room = 1;
	tg_step(s, 0);
	ck_assert(d.n == 1 && d.frame[0].bytes[0] == 1);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	d.room = 2;
	tg_step(s, 0);
	ck_assert(d.n == 3 && d.frame[1].bytes[0] == 2 && d.frame[2].bytes[0] == 'a');
	/* Bounded: the surplus is freed and counted. */
	for (unsigned i = 0; i < CORE_CTLQ_MAX; i++)
		ck_assert(netif_queue(s, &s->netif[n], world_control(s, 3)));
	ck_assert(!netif_queue(s, &s->netif[n], world_control(s, 4)));
	ck_assert_uint_eq(tg_counters(s)->discards[TG_DROP_IP_QUEUE_FULL], 1);
	d.room = UINT32_MAX;
	tg_step(s, 0);
	ck_assert_uint_eq(d.n, 3 + CORE_CTLQ_MAX);
	dev_clear(&d);
	world_end(s);
}
END_TEST

/* Answers every loopback frame by another one. */
static void echo_ip(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	n_ip++;
	pkt_delivered(s);
	ck_assert(netif_queue(s, n, p));
}

START_TEST (loopback_is_received_by_the_next_step) {
	struct tg *s = world_core();
	struct talker a;

	n_ip = 0;
	s->ip4_input = echo_ip;
	ck_assert(netif_queue(s, &s->netif[0], world_control(s, 0x45)));
	ck_assert_uint_eq(tg_next_deadline(s), s->now_ns);
	for (unsigned i = 1; i <= 3; i++) {
		tg_step(s, 0);
		ck_assert_uint_eq(n_ip, i);
	}
	s->ip4_input = take_ip;
	tg_step(s, 0);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	/* Full: senders wait, nothing is lost, all arrive in the end. */
	n_ip = 0;
	n_spoken = 0;
	s->sender_fn[SENDER_UDP] = talk;
	talker_init(&a, 'E', 0, 3000, 100);
	sender_ready(s, &a.x);
	for (unsigned i = 0; i < 20 && tg_next_deadline(s) == s->now_ns; i++) {
		tg_step(s, 0);
		ck_assert_uint_le(s->lo_count, CORE_LOQ_MAX);
	}
	ck_assert_uint_eq(n_ip, 3000);
	/* Without memory and without frames under way they are lost, as on a wire: no standstill.
	 */
	a.frames = 1;
	sender_ready(s, &a.x);
	tg_memory_fail_after(s, 1, 1);
	tg_step(s, 0);
	ck_assert_uint_eq(tg_next_deadline(s), UINT64_MAX);
	ck_assert_uint_eq(tg_counters(s)->discards[TG_DROP_NO_MEMORY], 1);
	world_end(s);
}
END_TEST

static Suite *step_suite(void)
{
	Suite *su = suite_create("step");
	TCase *tc = tcase_create("step");

	tcase_add_test(tc, timers_fire_in_step);
	tcase_add_test(tc, senders_take_turns);
	tcase_add_test(tc, busy_device_holds_up_its_own_senders_only);
	tcase_add_test(tc, parked_sender_comes_back);
	tcase_add_test(tc, control_frames_go_first);
	tcase_add_test(tc, loopback_is_received_by_the_next_step);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(step_suite)
