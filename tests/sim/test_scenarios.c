/* Fixed worlds, each for one thing that must work, with bounds on how well. Here those of the flows
 * and their ends; sim_scenarios_*.c has the others. timeout: 200
 *
 *   test_scenarios [NAME] [-v]
 *
 * TAP lines; exit status 1 if one failed. Times are virtual. */
#include "sim_scenarios.h"

#include <stdlib.h>
#include <string.h>

static uint32_t passed, failed;

/* ---- Worlds ---- */

/* The reader sleeps ten minutes with a closed window; the prober must not give up. */
static void zero_window(void)
{
	struct flow_plan *f = plan_add_flow(&plan, 0, 1, 400000, 0);

	plan.host[1].cfg.tcp.rcvbuf_bytes = 65536;
	plan.host[1].cfg.tcp.moderate_rcvbuf = false;
	f->end[1].read_max = 1000;
	f->end[1].pause_bytes = 500;
	f->end[1].pause_ns = 10 * SIM_MINUTE;
	f->end[1].pauses = 1;
}
static void slow_reader(void)
{
	struct flow_plan *f = plan_add_flow(&plan, 0, 1, 300000, 300000);

	plan.host[0].cfg.tcp.rcvbuf_bytes = plan.host[1].cfg.tcp.rcvbuf_bytes = 10000;
	plan.host[0].cfg.tcp.moderate_rcvbuf = plan.host[1].cfg.tcp.moderate_rcvbuf = false;
	for (unsigned e = 0; e < 2; e++) {
		f->end[e].read_max = 3000;
		f->end[e].pause_bytes = 2000;
		f->end[e].pause_ns = NS_PER_SEC / 4;
	}
}
/* One byte at a time to a reader that sleeps: the window has to close, nothing may be refused. */
static void small_segments_fill_the_window(void)
{
	struct flow_plan *f = plan_add_flow(&plan, 0, 1, 150000, 0);

	plan.wire[0].latency_ns = NS_PER_MS / 10;
	plan.host[1].cfg.tcp.rcvbuf_bytes = 100000;
	plan.host[1].cfg.tcp.moderate_rcvbuf = false;
	f->end[0].write_max = 7;
	f->end[0].nodelay = true;
	f->end[0].think_ns = 200 * NS_PER_US;
	f->end[1].pause_bytes = 1;
	f->end[1].pause_ns = 2 * SIM_MINUTE;
	f->end[1].pauses = 1;
}
/* Hundreds of holes between bits of text: what they hold must not keep out what fills them. */
static void bits_out_of_order(void)
{
	struct flow_plan *f = plan_add_flow(&plan, 0, 1, 60000, 0);

	plan.host[1].cfg.tcp.rcvbuf_bytes = 65535;
	plan.host[1].cfg.tcp.moderate_rcvbuf = false;
	plan.host[0].cfg.tcp.initial_window_segs = 40;
	plan.wire[0].latency_ns = 100 * NS_PER_MS;
	plan.wire[0].dark_from_ns = 300 * NS_PER_MS;
	plan.wire[0].dark_until_ns = 450 * NS_PER_MS;
	plan.wire[0].storm_ppm = 500000;
	plan.lossy = plan.very_lossy = true;
	f->end[0].write_max = 20;
	f->end[0].nodelay = true;
	f->end[0].think_ns = 100 * NS_PER_US;
}
static void a_thousand_connections(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 2 * NS_PER_MS;
	a->drop_ppm = b->drop_ppm = 1000;
	plan.lossy = true;
	plan.host[0].cfg.trace_records = plan.host[1].cfg.trace_records = 16384;
	for (uint32_t i = 0; i < SIM_FLOWS; i++) {
		struct flow_plan *f = plan_add_flow(&plan, i % 2, (i + 1) % 2, 3000, 1000 + i);

		f->start_ns = i * 200 * NS_PER_US;
	}
}
static void opens_crossing(void)
{
	plan.wire[0].latency_ns = 5 * NS_PER_MS;
	for (uint32_t i = 0; i < 20; i++) {
		struct flow_plan *f = plan_add_flow(&plan, 0, 1, 5000 * i, 3000 * i);

		f->kind = OPEN_CROSSING;
		f->end[0].close_together = f->end[1].close_together = i % 2;
	}
}
/* The server closes first, and the client comes again from the same port while TIME-WAIT lasts. */
static void time_wait_reused(void)
{
	plan.wire[0].latency_ns = NS_PER_MS;
	for (uint32_t i = 0; i < 10; i++) {
		struct flow_plan *f = plan_add_flow(&plan, 0, 1, 1000, 20000);

		f->port = 5000;
		f->start_ns = i * 3 * NS_PER_SEC;
		f->end[0].finish = FINISH_LAST;
	}
}
static void datagrams_and_pings(void)
{
	struct flow_plan *f = plan_add_flow(&plan, 0, 1, 100000, 0);

	plan.wire[0].latency_ns = NS_PER_MS;
	f->end[0].think_ns = 50 * NS_PER_MS;
	f->end[0].write_max = 2000;
	for (unsigned h = 0; h < 2; h++) {
		plan.host[h].udp_count = plan.host[h].ping_count = 40;
		plan.host[h].udp_max = 60000;
		plan.host[h].udp_gap_ns = plan.host[h].ping_gap_ns = 20 * NS_PER_MS;
	}
}

/* ---- Bounds ---- */

static bool window_stayed_closed(void)
{
	uint64_t probes = tg_counters(sim->host[0].s)->tcp_persist_probes;

	printf("# %" PRIu64 " probes\n", probes);
	return probes >= 9 && probes < 30;
}
static bool nothing_refused(void)
{
	const struct tg_counters *n = tg_counters(sim->host[1].s);

	return n->drops[TG_DROP_TCP_RCV_MEMORY] == 0 &&
	       tg_counters(sim->host[0].s)->tcp_persist_probes > 0;
}
static bool bits_got_in(void)
{
	printf("# %" PRIu64 " refused for memory\n",
		tg_counters(sim->host[1].s)->drops[TG_DROP_TCP_RCV_MEMORY]);
	return tg_counters(sim->host[1].s)->tcp_out_of_order > 300 && seconds() < 30;
}
static bool nine_reused(void)
{
	return tg_counters(sim->host[1].s)->tcp_time_wait_reused == 9;
}
static bool all_answered(void)
{
	for (unsigned h = 0; h < 2; h++)
		if (sim->host[h].pings_answered != 40 || sim->host[h].udp_received != 40)
			return false;
	return true;
}

static const struct scenario flow[] = {
	{"zero-window", 1026, zero_window, window_stayed_closed},
	{"slow-reader", 1027, slow_reader, NULL},
	{"small-segments-fill-the-window", 1028, small_segments_fill_the_window, nothing_refused},
	{"bits-out-of-order", 1029, bits_out_of_order, bits_got_in},
	{"a-thousand-connections", 1032, a_thousand_connections, NULL},
	{"opens-crossing", 1033, opens_crossing, no_retransmission},
	{"time-wait-reused", 1034, time_wait_reused, nine_reused},
	{"datagrams-and-pings", 1042, datagrams_and_pings, all_answered},
};

static const struct scenarios scenarios_flow = {flow, ARRAY_LEN(flow)};

/* Nothing in a scenario excuses a flow that was not delivered. */
static bool undisturbed(void)
{
	for (uint32_t i = 0; i < plan.n_flows; i++)
		if (sim->flow[i].disturbed)
			return false;
	return true;
}

static void run(const struct scenario *c, bool verbose)
{
	char repeat[100];
	uint64_t hash;

	snprintf(repeat, sizeof(repeat), "test_scenarios %s -v", c->name);
	plan_default(&plan, c->seed);
	c->draw();
	printf("# %s\n", c->name);
	if (!run_plan(&plan, RUN_ONCE, verbose, repeat, &hash)) {
		failed++;
		return;
	}
	if (!undisturbed() || (c->bound && !c->bound())) {
		printf("not ok - %s: %s after %.3f s\n# repeat: %s\n", c->name,
			undisturbed() ? "outside its bound" : "a connection failed", seconds(),
			repeat);
		failed++;
		return;
	}
	passed++;
	printf("ok - %s: %.3f s of its time, %" PRIu64 " events, hash %016" PRIx64 "\n", c->name,
		seconds(), sim->events, hash);
}

static void run_all(const struct scenarios *t, const char *only, bool verbose)
{
	for (unsigned i = 0; i < t->n; i++)
		if (!only || strcmp(only, t->all[i].name) == 0)
			run(&t->all[i], verbose);
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	bool verbose = false;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			verbose = true;
		else
			only = argv[i];
	}
	run_all(&scenarios_loss, only, verbose);
	run_all(&scenarios_path, only, verbose);
	run_all(&scenarios_flow, only, verbose);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed ? 1 : 0;
}
