/* Connections that rest (tcp_rest.c) against such that never do, in random worlds with pauses: the
 * same frames byte for byte at the same moments, the same states, the same bytes delivered. (The
 * trace may differ in the order of what happens at one moment: a timer that was stopped and armed
 * again has another place among its equals.) What tcp_rest.c says that a rest ends is switched off:
 * buffers that find their size, undoing of what was reduced long ago; so is what depends on how
 * much memory is in use. timeout: 300
 *
 *   test_rest [--seed N | --seeds FIRST COUNT] */
#include "diff.h"

static struct plan plan;
static struct outcome on, off;
static uint64_t rested, woken;

/* A few writes with seconds in between. */
static void slow_down(struct end_plan *e, struct sim_rng *r)
{
	if (sim_chance(r, 30))
		return;
	e->bytes %= 30000;
	e->write_max = max_u32(1, e->bytes / (1 + sim_below(r, 8)));
	e->think_ns = sim_u64(r) % (8 * NS_PER_SEC);
}

static void draw(uint64_t seed)
{
	struct sim_rng r = {sim_mix(seed ^ 0x72657374)};

	plan_draw(&plan, seed);
	plan.n_flows = 1; /* of two timers at the same moment either may be the first */
	for (unsigned h = 0; h < SIM_HOSTS; h++) {
		struct host_plan *p = &plan.host[h];

		p->cfg.tcp.moderate_rcvbuf = false;
		p->cfg.tcp.undo = false;
		p->cfg.tcp.mem_high_bytes = p->cfg.tcp.mem_pressure_bytes = UINT64_MAX;
		p->fail_from_ns = p->fail_until_ns = 0;
		p->accept_pause_ns = 0;
	}
	for (uint32_t i = 0; i < 2 * plan.n_flows; i++)
		slow_down(&plan.flow[i / 2].end[i % 2], &r);
}

static bool one(uint64_t seed)
{
	static const char *const except[] = {"tcp_rested", "tcp_woken", NULL};
	const char *what = NULL;
	uint64_t after_ns = 1 + sim_mix(seed) % (2 * NS_PER_SEC);

	draw(seed);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].cfg.tcp.rest_after_ns = after_ns;
	outcome_of(&plan, &on);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].cfg.tcp.rest_after_ns = 0;
	outcome_of(&plan, &off);
	if (on.bytes_hash != off.bytes_hash)
		what = "other bytes are delivered by connections that rested";
	else if (on.state_hash != off.state_hash)
		what = "other states of connections that rested";
	else if (on.wire_hash != off.wire_hash)
		what = "other output of connections that rested";
	for (unsigned h = 0; h < plan.n_hosts && !what; h++) {
		what = counters_differ(&on.counters[h], &off.counters[h], except);
		rested += on.counters[h].tcp_rested;
		woken += on.counters[h].tcp_woken;
		if (off.counters[h].tcp_rested)
			what = "a connection rested though none should";
	}
	return diff_report(seed, "test_rest", what, &on, &off);
}

int main(int argc, char **argv)
{
	int status = diff_main(argc, argv, 3000001, 3000, one);

	printf("# %" PRIu64 " rests, %" PRIu64 " ended by something that happened\n", rested,
		woken);
	if (argc == 1 && woken < 500) {
		printf("not ok - hardly any connection rested\n");
		return 1;
	}
	return status;
}
