/* The table of compact records against a plain array: random additions, look-ups, removals and
 * queues, growth to 100,000 records, failing memory at every point, and deadlines over the wrap of
 * the millisecond clock. All memory is back when the last record goes. */
#include "tcp_support.h"

#define MODEL_MAX 6000u

struct entry {
	struct tcp_mini *m;
	struct mini_key key;
	uint32_t hash;
	uint64_t due_ns, order; /* order: of joining the queue */
	uint8_t queue;          /* MINI_QUEUES: in none */
};

static struct tcp_world *w;
static struct mini_table table;
static struct entry entry[MODEL_MAX];
static uint32_t n_entries;
static uint64_t joins;
static struct unit_rng rng;
static uint16_t us;

static void setup(void)
{
	struct tg_ip ip = tg_ip4_of(TW_US);

	w = tw_new(NULL);
	us = (uint16_t)ip_addr_index(w->s, &ip);
	memset(&table, 0, sizeof(table));
	n_entries = 0;
	joins = 0;
}

static void teardown(void)
{
	UNIT_CHECK(tw_in_use(w) == w->idle_bytes);
	tw_end(w);
}

static struct mini_key key_of(uint32_t raddr, uint16_t rport)
{
	return (struct mini_key){tg_ip4_of(raddr), rport, TW_PORT, us};
}

static uint32_t hash_of(const struct mini_key *k)
{
	struct tg_ip laddr = tg_ip4_of(TW_US);

	return tcp_tuple_hash(w->s, &laddr, k->lport, &k->raddr, k->rport);
}

static struct tcp_mini *add(uint32_t raddr, uint16_t rport)
{
	struct mini_key k = key_of(raddr, rport);

	return mini_add(w->s, &table, &k, hash_of(&k));
}

/* ---- The model ---- */

static void check_entry(const struct entry *e)
{
	UNIT_CHECK(mini_find(w->s, &table, &e->key, e->hash) == e->m);
	UNIT_CHECK(mini_at(&table, mini_index(&table, e->m)) == e->m);
	UNIT_CHECK(mini_hash(w->s, e->m) == e->hash);
	if (e->queue == MINI_QUEUES)
		return;
	UNIT_CHECK(mini_due(w->s, e->m) ==
		   ((e->due_ns + NS_PER_MS - 1) / NS_PER_MS <= w->s->now_ns / NS_PER_MS));
	/* Never early, and late by a millisecond at most. */
	if (e->due_ns > w->s->now_ns)
		UNIT_CHECK(mini_deadline_ns(w->s, e->m) >= e->due_ns &&
			   mini_deadline_ns(w->s, e->m) < e->due_ns + NS_PER_MS);
	else
		UNIT_CHECK(mini_deadline_ns(w->s, e->m) < w->s->now_ns + NS_PER_MS);
}

/* The head of each queue is the one that joined it first. */
static void check_queues(void)
{
	for (uint8_t q = 0; q < MINI_QUEUES; q++) {
		const struct entry *first = NULL;

		for (uint32_t i = 0; i < n_entries; i++)
			if (entry[i].queue == q && (!first || entry[i].order < first->order))
				first = &entry[i];
		UNIT_CHECK(mini_first(&table, q) == (first ? first->m : NULL));
	}
}

static void check_all(void)
{
	uint32_t seen = 0;

	UNIT_CHECK(table.n_used == n_entries);
	for (uint32_t i = 0; i < n_entries; i++)
		check_entry(&entry[i]);
	for (uint32_t i = 1; i <= table.n_made; i++)
		seen += mini_at(&table, i) != NULL;
	UNIT_CHECK(seen == n_entries);
	UNIT_CHECK(!mini_at(&table, 0) && !mini_at(&table, table.n_made + 1));
	check_queues();
}

static void op_add(void)
{
	struct entry *e = &entry[n_entries];

	e->key = key_of(unit_below(&rng, 100), (uint16_t)unit_below(&rng, 300));
	e->hash = hash_of(&e->key);
	e->queue = MINI_QUEUES;
	e->m = mini_find(w->s, &table, &e->key, e->hash);
	for (uint32_t i = 0; i < n_entries; i++)
		if (entry[i].m == e->m)
			return; /* known: found it */
	UNIT_CHECK(!e->m);
	if (n_entries + 1 == MODEL_MAX)
		return;
	e->m = mini_add(w->s, &table, &e->key, e->hash);
	UNIT_CHECK(e->m && e->m->rport == e->key.rport && e->m->snd_nxt.v == 0);
	n_entries++;
}

static void del(struct tcp_mini *m)
{
	mini_del(w->s, &table, m, mini_hash(w->s, m));
}

static void op_del(uint32_t i)
{
	del(entry[i].m);
	UNIT_CHECK(!mini_find(w->s, &table, &entry[i].key, entry[i].hash));
	entry[i] = entry[--n_entries];
}

static void op_enqueue(uint32_t i)
{
	uint64_t after_ns = unit_u64(&rng) >> (20 + unit_below(&rng, 30));

	entry[i].queue = (uint8_t)unit_below(&rng, MINI_QUEUES);
	entry[i].due_ns = w->s->now_ns + after_ns % (3600 * NS_PER_SEC);
	entry[i].order = ++joins;
	mini_enqueue(w->s, &table, entry[i].m, entry[i].queue, entry[i].due_ns - w->s->now_ns);
}

START_TEST (test_random) {
	unit_rng_start(&rng, _i);
	/* [the clock of records has 32 bits of ms] one run begins a minute before it wraps */
	if (_i % 2)
		w->s->now_ns += ((uint64_t)UINT32_MAX + 1) * NS_PER_MS - 60 * NS_PER_SEC;
	for (int i = 0; i < 20000; i++) {
		uint32_t grow = i % 8000 < 5000 ? 60 : 25, kind = unit_below(&rng, 100);

		if (kind < grow)
			op_add();
		else if (n_entries && kind < 75)
			op_del(unit_below(&rng, n_entries));
		else if (n_entries)
			op_enqueue(unit_below(&rng, n_entries));
		w->s->now_ns += unit_below(&rng, 20 * 1000 * 1000);
		if (i % 1000 == 0)
			check_all();
	}
	check_all();
	while (n_entries)
		op_del(unit_below(&rng, n_entries));
}
END_TEST

/* 64 bytes each, whatever their number. */
START_TEST (test_growth) {
	const uint32_t n = 100000;
	uint64_t before = tw_in_use(w);

	for (uint32_t i = 0; i < n; i++) {
		struct tcp_mini *m = add(i >> 12, (uint16_t)(i & 0xfff));

		UNIT_CHECK(m);
		mini_enqueue(w->s, &table, m, 0, NS_PER_SEC);
	}
	UNIT_CHECK(table.n_used == n && table.n_buckets == n / 2);
	UNIT_CHECK(tw_in_use(w) - before < n * 64ull + n + 65536);
	for (uint32_t i = 0; i < n; i++) {
		struct mini_key k = key_of(i >> 12, (uint16_t)(i & 0xfff));
		struct tcp_mini *m = mini_find(w->s, &table, &k, hash_of(&k));

		UNIT_CHECK(m && m->rport == k.rport);
		UNIT_CHECK(mini_first(&table, 0) == m);
		del(m);
	}
	UNIT_CHECK(table.n_used == 0 && table.n_buckets == 0 && !table.page);
}
END_TEST

/* Each allocation in turn fails: the table does without or says so, and goes on. */
START_TEST (test_no_memory) {
	for (uint64_t at = 1; at < 20; at++) {
		struct tcp_mini *kept[700];
		uint32_t n = 0;

		tg_memory_fail_after(w->s, at, 0);
		for (uint32_t i = 0; i < ARRAY_LEN(kept); i++) {
			struct tcp_mini *m = add(at < 10 ? 7 : i, (uint16_t)i);

			if (m)
				kept[n++] = m;
		}
		tg_memory_fail_after(w->s, 0, 0);
		UNIT_CHECK(n >= ARRAY_LEN(kept) - 1 && table.n_used == n);
		while (n)
			del(kept[--n]);
		UNIT_CHECK(tw_in_use(w) == w->idle_bytes);
	}
	/* Nothing to be had at all. */
	tg_memory_fail_after(w->s, 1, 1);
	UNIT_CHECK(!add(1, 1));
	tg_memory_fail_after(w->s, 2, 1);
	UNIT_CHECK(!add(1, 1));
	tg_memory_fail_after(w->s, 3, 1);
	UNIT_CHECK(!add(1, 1));
	tg_memory_fail_after(w->s, 0, 0);
	UNIT_CHECK(tw_in_use(w) == w->idle_bytes);
}
END_TEST

/* Random failures all along. */
START_TEST (test_no_memory_random) {
	static struct tcp_mini *kept[20000];
	uint32_t n = 0;

	unit_rng_start(&rng, 50);
	tg_memory_fail_after(w->s, 1, 7);
	for (uint32_t i = 0; i < ARRAY_LEN(kept); i++) {
		struct tcp_mini *m = add(i, 1);

		if (m)
			kept[n++] = m;
		if (n && unit_below(&rng, 3) == 0) {
			uint32_t k = unit_below(&rng, n);

			del(kept[k]);
			kept[k] = kept[--n];
		}
	}
	tg_memory_fail_after(w->s, 0, 0);
	UNIT_CHECK(table.n_used == n && n > 1000);
	for (uint32_t i = 0; i < n; i++) {
		struct mini_key k = {.rport = kept[i]->rport, .lport = TW_PORT, .laddr = us};

		memcpy(&k.raddr, kept[i]->raddr, sizeof(k.raddr));
		UNIT_CHECK(mini_find(w->s, &table, &k, hash_of(&k)) == kept[i]);
	}
	while (n)
		del(kept[--n]);
}
END_TEST

/* However far a call says the time has gone on, it returns: what is half open waits for a deadline
 * that lies ahead, or has ended. */
START_TEST (test_end_of_time) {
	struct tcp_world *world = tw_new(NULL);

	world->listener = tw_listen(world, TW_PORT, 4);
	tw_syn(world, TW_FAR, seq_of(1));
	tg_step(world->s, UINT64_MAX - NS_PER_MS);
	tw_syn(world, TW_FAR + 1, seq_of(1));
	tg_step(world->s, UINT64_MAX);
	tg_step(world->s, UINT64_MAX);
	ck_assert_uint_gt(tg_next_deadline(world->s), world->s->now_ns);
	tg_sock_close(world->s, world->listener, UINT64_MAX);
	tw_free(world);
}
END_TEST

static Suite *tcp_mini_suite(void)
{
	Suite *suite = suite_create("tcp mini");
	TCase *t = tcase_create("table");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, test_random, 0, getenv("TG_TEST_BRIEF") ? 2 : 6);
	tcase_add_test(t, test_growth);
	tcase_add_test(t, test_no_memory);
	tcase_add_test(t, test_no_memory_random);
	tcase_add_test(t, test_end_of_time);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_mini_suite)
