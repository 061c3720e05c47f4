/* Header prediction (tcp_fast.c) on against off, in random worlds: the same frames byte for byte at
 * the same moments, the same trace and so the same states, the same bytes delivered, the same
 * counters but for those that tell which way was taken. timeout: 300
 *
 *   test_fast_path [--seed N | --seeds FIRST COUNT] */
#include "diff.h"

static struct plan plan;
static struct outcome on, off;
static uint64_t predicted;

static bool misses_add_up(const struct tg_counters *k)
{
	return k->tcp_slow_state + k->tcp_slow_flags + k->tcp_slow_order + k->tcp_slow_options +
		       k->tcp_slow_window + k->tcp_slow_ack + k->tcp_slow_room ==
	       k->tcp_slow_path;
}

static bool one(uint64_t seed)
{
	static const char *const except[] = {"tcp_fast_path_data", "tcp_fast_path_acks",
		"tcp_slow_path", "tcp_slow_state", "tcp_slow_flags", "tcp_slow_order",
		"tcp_slow_options", "tcp_slow_window", "tcp_slow_ack", "tcp_slow_room", NULL};
	const char *what = NULL;

	plan_draw(&plan, seed);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].cfg.tcp.fast_path = true;
	outcome_of(&plan, &on);
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].cfg.tcp.fast_path = false;
	outcome_of(&plan, &off);
	if (on.bytes_hash != off.bytes_hash)
		what = "other bytes are delivered without the fast path";
	else if (on.state_hash != off.state_hash)
		what = "other states without the fast path";
	else if (on.wire_hash != off.wire_hash || on.hash != off.hash)
		what = "other output without the fast path";
	for (unsigned h = 0; h < plan.n_hosts && !what; h++) {
		if (!misses_add_up(&on.counters[h]))
			what = "segments that were not predicted, but for no reason";
		else
			what = counters_differ(&on.counters[h], &off.counters[h], except);
		predicted += on.counters[h].tcp_fast_path_data + on.counters[h].tcp_fast_path_acks;
		if (off.counters[h].tcp_fast_path_data + off.counters[h].tcp_fast_path_acks)
			what = "the fast path was taken although it was off";
	}
	return diff_report(seed, "test_fast_path", what, &on, &off);
}

int main(int argc, char **argv)
{
	int status = diff_main(argc, argv, 1000001, 1500, one);

	printf("# %" PRIu64 " segments were predicted\n", predicted);
	if (argc == 1 && predicted < 1000) {
		printf("not ok - the fast path was hardly taken\n");
		return 1;
	}
	return status;
}
