/* Scenarios of the path: its rate, its queue and the marks of that (RFC 3168 5), its MTU (RFC 1191,
 * 8899), and how well congestion control uses it. */
#include "sim_scenarios.h"

/* ---- Worlds ---- */

static void small_mtu(void)
{
	plan.host[0].mtu = plan.host[1].mtu = 576;
	plan_add_flow(&plan, 0, 1, 3000000, 3000000);
}
static void unequal_mtu_without_offload(void)
{
	plan.host[0].mtu = 9000;
	plan.host[1].mtu = 576;
	plan.host[0].caps = plan.host[1].caps = 0;
	plan_add_flow(&plan, 0, 1, 3000000, 3000000);
}
static void clean_bulk(void)
{
	plan.wire[0].latency_ns = NS_PER_MS;
	plan_add_flow(&plan, 0, 1, 50000000, 0);
	plan_add_flow(&plan, 1, 0, 50000000, 0);
}
/* A long fat pipe: 300 ms, 10 Mbit/s, a queue of one bandwidth-delay product. */
static void long_fat_pipe(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 150 * NS_PER_MS;
	a->rate_bps = b->rate_bps = 10 * MBIT;
	a->queue_pkts = b->queue_pkts = 260;
	plan.lossy = true;
	plan_add_flow(&plan, 0, 1, 100000000, 0);
}
static void long_fat_pipe_reno(void)
{
	long_fat_pipe();
	plan.host[0].cfg.tcp.cc = TG_CC_RENO;
}
static void long_fat_pipe_paced(void)
{
	long_fat_pipe();
	plan.host[0].cfg.tcp.pacing = true;
}
/* 400 Mbit/s, 100 ms, a queue of a fifth of the bandwidth-delay product. */
static void fat_pipe(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 50 * NS_PER_MS;
	a->rate_bps = b->rate_bps = 400 * MBIT;
	a->queue_pkts = b->queue_pkts = 660;
	plan.lossy = true;
	for (unsigned h = 0; h < 2; h++)
		plan.host[h].cfg.tcp.rcvbuf_bytes = plan.host[h].cfg.tcp.sndbuf_bytes = 32u << 20;
	plan_add_flow(&plan, 0, 1, 800000000, 0);
}
static void fat_pipe_reno(void)
{
	fat_pipe();
	plan.host[0].cfg.tcp.cc = TG_CC_RENO;
}
/* CUBIC and NewReno through one bottleneck of 20 Mbit/s, 20 ms: the Reno-friendly region. */
static void cubic_and_reno(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 10 * NS_PER_MS;
	a->rate_bps = b->rate_bps = 20 * MBIT;
	a->queue_pkts = b->queue_pkts = 40;
	plan.lossy = true;
	for (unsigned i = 0; i < 4; i++)
		plan_add_flow(&plan, 0, 1, 25000000, 0)->end[0].cc = i % 2;
}
/* 10 MB at a cap of 1 MB/s. */
static void capped_rate(void)
{
	plan.wire[0].latency_ns = 10 * NS_PER_MS;
	plan_add_flow(&plan, 0, 1, 10000000, 0)->end[0].max_rate = 1000000;
}
/* [1191 6.3] The narrow link between says so. */
static void narrow_link(void)
{
	plan.wire[0].mtu = 1300;
	plan.wire[0].frag_needed = true;
	plan.wire[0].latency_ns = 5 * NS_PER_MS;
	plan_add_flow(&plan, 0, 1, 5000000, 5000000);
}
/* [8899 5.1.4] ... and the one that does not. */
static void black_hole(void)
{
	narrow_link();
	plan.wire[0].frag_needed = false;
	plan.lossy = true;
}
static void black_hole_lossy(void)
{
	black_hole();
	plan.wire[0].impair[0].drop_ppm = plan.wire[0].impair[1].drop_ppm = 10000;
}
/* The search from the base upwards on a link that takes everything. */
static void search_upwards(void)
{
	plan.wire[0].latency_ns = 5 * NS_PER_MS;
	plan.host[0].cfg.tcp.mtu_probing = plan.host[1].cfg.tcp.mtu_probing = 2;
	plan.host[0].mtu = plan.host[1].mtu = 9000;
	plan_add_flow(&plan, 0, 1, 20000000, 0);
}
/* [3168 5] A queue that marks instead of dropping. */
static void marking_queue(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 10 * NS_PER_MS;
	a->rate_bps = b->rate_bps = 50 * MBIT;
	a->queue_pkts = b->queue_pkts = 400;
	a->ce_pkts = b->ce_pkts = 60;
	plan.host[0].cfg.tcp.ecn = 1;
	plan_add_flow(&plan, 0, 1, 50000000, 0);
}
/* The same without ECN: the queue overflows. */
static void marking_queue_without_ecn(void)
{
	marking_queue();
	plan.host[1].cfg.tcp.ecn = 0;
	plan.wire[0].impair[0].queue_pkts = 60;
	plan.lossy = true;
}
static void marked_by_chance(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 2 * NS_PER_MS;
	a->ce_ppm = b->ce_ppm = 200000;
	a->drop_ppm = b->drop_ppm = 5000;
	plan.host[0].cfg.tcp.ecn = plan.host[1].cfg.tcp.ecn = 1;
	plan.lossy = true;
	plan_add_flow(&plan, 0, 1, 2000000, 2000000);
}

/* ---- Bounds ---- */

static bool pipe_is_used(void)
{
	double used = 100e6 * 8 / 10e6 / seconds();

	printf("# utilisation %.0f %%\n", used * 100);
	return used > 0.7;
}
static double fat_use(void)
{
	double used = 800e6 * 8 / 400e6 / seconds();

	printf("# utilisation %.0f %%\n", used * 100);
	return used;
}
static bool fat_pipe_is_used(void)
{
	return fat_use() > 0.55;
}
static bool some_of_it_is_used(void)
{
	return fat_use() > 0.33;
}
/* The means of when each two were done: neither starves the other. */
static bool shared_fairly(void)
{
	double t[2] = {0, 0};

	for (uint32_t i = 0; i < 4; i++)
		t[i % 2] += (double)(sim->flow[i].done_ns - sim->flow[i].started_ns) / 2e9;
	printf("# cubic %.1f s, reno %.1f s\n", t[TG_CC_CUBIC], t[TG_CC_RENO]);
	return t[TG_CC_CUBIC] < 1.5 * t[TG_CC_RENO] && t[TG_CC_RENO] < 1.5 * t[TG_CC_CUBIC];
}
static bool at_the_cap(void)
{
	return seconds() > 9.9 && seconds() < 10.2 && no_retransmission();
}
static bool told_and_smaller(void)
{
	const struct tg_counters *a = tg_counters(sim->host[0].s);

	printf("# %" PRIu64 " retransmitted, %" PRIu64 " timeouts\n", a->tcp_retrans_segs,
		a->tcp_timeouts);
	return a->tcp_timeouts == 0 && a->tcp_fast_retransmits == 0 && seconds() < 2;
}
static bool found_by_probes(void)
{
	const struct tg_counters *a = tg_counters(sim->host[0].s);

	printf("# %" PRIu64 " black holes, %" PRIu64 " probes, %" PRIu64 " of them arrived\n",
		a->tcp_mtu_black_holes, a->tcp_mtu_probes, a->tcp_mtu_probes_acked);
	return a->tcp_mtu_black_holes == 1 && a->tcp_mtu_probes_acked > 0 &&
	       a->tcp_mtu_probes < 40 && seconds() < 30;
}
static bool found_the_largest(void)
{
	const struct tg_counters *a = tg_counters(sim->host[0].s);

	return a->tcp_mtu_probes == 1 && a->tcp_mtu_probes_acked == 1 && no_retransmission();
}
static bool marked_not_dropped(void)
{
	const struct tg_counters *a = tg_counters(sim->host[0].s);
	double used = 50e6 * 8 / 50e6 / seconds();

	printf("# %" PRIu64 " reductions, utilisation %.0f %%\n", a->tcp_ecn_reductions,
		used * 100);
	return a->tcp_ecn_reductions > 3 && no_retransmission() && used > 0.8;
}
static bool dropped_not_marked(void)
{
	return !no_retransmission() && tg_counters(sim->host[0].s)->tcp_ecn_reductions == 0;
}
static bool marks_told(void)
{
	for (unsigned h = 0; h < 2; h++)
		if (!tg_counters(sim->host[h].s)->tcp_ecn_reductions ||
			!tg_counters(sim->host[h].s)->tcp_ecn_ce_in)
			return false;
	return true;
}

static const struct scenario all[] = {
	{"clean-bulk", 1000, clean_bulk, no_retransmission},
	{"small-mtu", 1017, small_mtu, no_retransmission},
	{"unequal-mtu-without-offload", 1018, unequal_mtu_without_offload, no_retransmission},
	{"long-fat-pipe", 1019, long_fat_pipe, pipe_is_used},
	{"long-fat-pipe-reno", 1020, long_fat_pipe_reno, pipe_is_used},
	{"long-fat-pipe-paced", 1021, long_fat_pipe_paced, pipe_is_used},
	{"fat-pipe", 1022, fat_pipe, fat_pipe_is_used},
	{"fat-pipe-reno", 1023, fat_pipe_reno, some_of_it_is_used},
	{"cubic-and-reno", 1024, cubic_and_reno, shared_fairly},
	{"capped-rate", 1025, capped_rate, at_the_cap},
	{"narrow-link", 1035, narrow_link, told_and_smaller},
	{"black-hole", 1036, black_hole, found_by_probes},
	{"black-hole-lossy", 1037, black_hole_lossy, NULL},
	{"search-upwards", 1038, search_upwards, found_the_largest},
	{"marking-queue", 1039, marking_queue, marked_not_dropped},
	{"marking-queue-without-ecn", 1040, marking_queue_without_ecn, dropped_not_marked},
	{"marked-by-chance", 1041, marked_by_chance, marks_told},
};

const struct scenarios scenarios_path = {all, ARRAY_LEN(all)};
