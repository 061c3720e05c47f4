/* Fixed worlds, each for one thing that must work, with bounds on how well. timeout: 200
 *
 *   test_scenarios [NAME] [-v]
 *
 * TAP lines; exit status 1 if one failed. Times are virtual. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define MBIT 1000000ull

static struct plan plan;
static uint32_t passed, failed;

static void both_ways(struct tg_impair **a, struct tg_impair **b)
{
	*a = &plan.wire[0].impair[0];
	*b = &plan.wire[0].impair[1];
}

/* ---- Worlds ---- */

static void loss(uint32_t ppm, uint32_t bytes)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->drop_ppm = b->drop_ppm = ppm;
	a->delay_ns = b->delay_ns = 5 * NS_PER_MS;
	plan.lossy = true;
	plan.very_lossy = ppm > 100000;
	plan_add_flow(&plan, 0, 1, bytes, bytes / 10);
	plan_add_flow(&plan, 1, 0, bytes / 2, 0);
}
static void loss_1_percent(void)
{
	loss(10000, 10000000);
}
static void loss_5_percent(void)
{
	loss(50000, 3000000);
}
static void loss_20_percent(void)
{
	loss(200000, 300000);
}
static void loss_20_percent_no_sack(void)
{
	loss(200000, 200000);
	plan.host[0].cfg.tcp.sack = false;
	plan.host[0].cfg.tcp.timestamps = false;
}
static void loss_50_percent_for_a_while(void)
{
	loss(0, 3000000);
	plan.wire[0].dark_from_ns = 20 * NS_PER_MS;
	plan.wire[0].dark_until_ns = 20 * NS_PER_SEC;
	plan.wire[0].storm_ppm = 500000;
	plan.very_lossy = true;
}
static void blackout(void)
{
	loss(0, 20000000);
	plan.wire[0].impair[0].rate_bps = 100 * MBIT;
	plan.wire[0].impair[1].rate_bps = 100 * MBIT;
	plan.wire[0].dark_from_ns = NS_PER_SEC / 2;
	plan.wire[0].dark_until_ns = 30 * NS_PER_SEC + NS_PER_SEC / 2;
	plan.very_lossy = true;
}
static void reordering(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->reorder_ppm = b->reorder_ppm = 700000;
	a->dup_ppm = b->dup_ppm = 200000;
	a->delay_ns = b->delay_ns = 20 * NS_PER_MS;
	a->jitter_ns = b->jitter_ns = 15 * NS_PER_MS;
	plan_add_flow(&plan, 0, 1, 3000000, 1000000);
}
static void corruption(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->corrupt_ppm = b->corrupt_ppm = 50000;
	plan.lossy = true;
	plan_add_flow(&plan, 0, 1, 2000000, 1000000);
}
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
static void wrap_around(void)
{
	for (unsigned h = 0; h < 2; h++) {
		plan.host[h].cfg.tcp.isn_fixed = true;
		plan.host[h].cfg.tcp.isn = 0xffffffff;
	}
	loss(20000, 300000);
	plan.wire[0].impair[0].reorder_ppm = 100000;
}
static void sign_change(void)
{
	wrap_around();
	plan.host[0].cfg.tcp.isn = plan.host[1].cfg.tcp.isn = 0x7fffffff;
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

/* Nothing is lost, but in a hundred packets ten come late, by less than a round trip. */
static void reordering_alone(void)
{
	struct tg_impair *a, *b;

	both_ways(&a, &b);
	a->delay_ns = b->delay_ns = 20 * NS_PER_MS;
	a->rate_bps = b->rate_bps = 200 * MBIT;
	a->queue_pkts = b->queue_pkts = 20000;
	a->reorder_ppm = 100000;
	plan_add_flow(&plan, 0, 1, 30000000, 0);
}
static void reordering_alone_no_timestamps(void)
{
	reordering_alone();
	plan.host[0].cfg.tcp.timestamps = false;
}
/* 20 us there and back: shorter than a tick of the timers, and than any delay of an ACK. */
static void tiny_round_trip(void)
{
	struct flow_plan *f;

	plan.wire[0].latency_ns = 10 * NS_PER_US;
	plan_add_flow(&plan, 0, 1, 30000000, 30000000);
	f = plan_add_flow(&plan, 0, 1, 400000, 400000);
	f->end[0].write_max = f->end[1].write_max = 100;
	f->end[0].nodelay = f->end[1].nodelay = true;
	f->end[0].think_ns = f->end[1].think_ns = 30 * NS_PER_US;
	f = plan_add_flow(&plan, 1, 0, 3000000, 0);
	f->end[1].read_max = 3000;
	f->end[1].pause_bytes = 100000;
	f->end[1].pause_ns = 3 * NS_PER_MS;
}
static void tiny_round_trip_rate(void)
{
	tiny_round_trip();
	for (unsigned e = 0; e < 2; e++) {
		plan.wire[0].impair[e].rate_bps = 1000 * MBIT;
		plan.wire[0].impair[e].queue_pkts = 20000;
	}
}
static void tiny_round_trip_loss(void)
{
	plan.wire[0].latency_ns = 10 * NS_PER_US;
	plan.wire[0].impair[0].drop_ppm = 20000;
	plan.lossy = true;
	plan_add_flow(&plan, 0, 1, 30000000, 0);
}
/* Small writes now and then, to receivers that delay their ACKs for as long as may be: a probe for
 * each would be needless. */
static void slow_application(uint64_t latency_ns, uint64_t delack_ns)
{
	plan.wire[0].latency_ns = latency_ns;
	plan.host[0].cfg.tcp.delack_ns = plan.host[1].cfg.tcp.delack_ns = delack_ns;
	for (uint32_t i = 0; i < 12; i++) {
		struct flow_plan *f = plan_add_flow(&plan, i % 2, 1 - i % 2, 60000, i % 3 * 300);

		f->end[0].write_max = i < 6 ? 60 * (i + 1) : 1400 * (i - 4);
		f->end[0].think_ns = (i + 1) * 7 * NS_PER_MS;
		f->end[0].nodelay = i % 4 < 2;
		f->start_ns = i * NS_PER_MS;
	}
}
static void slow_application_near(void)
{
	slow_application(10 * NS_PER_US, 40 * NS_PER_MS);
}
static void slow_application_far(void)
{
	slow_application(30 * NS_PER_MS, 100 * NS_PER_MS);
}
/* The last segment of each request is lost one time in five: the probe brings it, not the RTO. */
static void lost_tails(void)
{
	struct flow_plan *f;

	plan.wire[0].latency_ns = 5 * NS_PER_MS;
	plan.wire[0].impair[0].drop_ppm = 50000;
	plan.lossy = true;
	f = plan_add_flow(&plan, 0, 1, 2000000, 0);
	f->end[0].write_max = 14000;
	f->end[0].think_ns = 60 * NS_PER_MS;
}
/* ---- Bounds ---- */

static double seconds(void)
{
	return (double)(sim->progress_ns - 1000 * NS_PER_SEC) / 1e9;
}

static bool pipe_is_used(void)
{
	double used = 100e6 * 8 / 10e6 / seconds();

	printf("# utilisation %.0f %%\n", used * 100);
	return used > 0.7;
}
static bool no_retransmission(void)
{
	return tg_counters(sim->host[0].s)->tcp_retrans_segs +
		       tg_counters(sim->host[1].s)->tcp_retrans_segs ==
	       0;
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
static bool soon_after_blackout(void)
{
	return seconds() < 75; /* no longer than twice what it was dark, and the transfer */
}
static bool print_repair(void)
{
	const struct tg_counters *n = tg_counters(sim->host[0].s);

	printf("# %" PRIu64 " segments again in %" PRIu64 " recoveries, %" PRIu64
	       " probes, %" PRIu64 " timeouts; needless %" PRIu64 " recoveries, %" PRIu64
	       " timeouts; %.3f s\n",
		n->tcp_retrans_segs, n->tcp_fast_retransmits, n->tcp_loss_probes, n->tcp_timeouts,
		n->tcp_spurious_recoveries, n->tcp_spurious_timeouts, seconds());
	return true;
}
/* Learnt once, kept: of some 2,000 packets that came late. */
static bool reordering_learnt(void)
{
	const struct tg_counters *n = tg_counters(sim->host[0].s);

	return print_repair() && n->tcp_retrans_segs <= 8 && n->tcp_timeouts == 0;
}
static bool no_repair(void)
{
	print_repair();
	return no_retransmission() && tg_counters(sim->host[0].s)->tcp_loss_probes == 0 &&
	       tg_counters(sim->host[1].s)->tcp_loss_probes == 0;
}
/* One in fifty of 20,000: what goes again is what was lost, hardly more. */
static bool little_more_than_lost(void)
{
	const struct tg_counters *n = tg_counters(sim->host[0].s);
	struct wire_stats st;

	wire_get_stats(sim->wire[0], 0, &st);
	print_repair();
	printf("# %" PRIu64 " lost\n", st.impair.dropped);
	return n->tcp_retrans_segs <= st.impair.dropped + st.impair.dropped / 20 + 5;
}
static bool probes_help(void)
{
	const struct tg_counters *n = tg_counters(sim->host[0].s);

	return print_repair() && n->tcp_loss_probes >= 3 && n->tcp_timeouts <= 3;
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
static bool all_answered(void)
{
	for (unsigned h = 0; h < 2; h++)
		if (sim->host[h].pings_answered != 40 || sim->host[h].udp_received != 40)
			return false;
	return true;
}

static const struct {
	const char *name;
	void (*draw)(void);
	bool (*bound)(void); /* NULL: complete delivery is all */
} scenarios[] = {
	{"clean-bulk", clean_bulk, no_retransmission},
	{"loss-1-percent", loss_1_percent, NULL},
	{"loss-5-percent", loss_5_percent, NULL},
	{"loss-20-percent", loss_20_percent, NULL},
	{"loss-20-percent-no-sack", loss_20_percent_no_sack, NULL},
	{"loss-50-percent-for-a-while", loss_50_percent_for_a_while, NULL},
	{"blackout", blackout, soon_after_blackout},
	{"reordering", reordering, NULL},
	{"reordering-alone", reordering_alone, reordering_learnt},
	{"reordering-alone-no-timestamps", reordering_alone_no_timestamps, reordering_learnt},
	{"tiny-round-trip", tiny_round_trip, no_repair},
	{"tiny-round-trip-rate", tiny_round_trip_rate, no_repair},
	{"tiny-round-trip-loss", tiny_round_trip_loss, little_more_than_lost},
	{"slow-application-near", slow_application_near, no_repair},
	{"slow-application-far", slow_application_far, no_repair},
	{"lost-tails", lost_tails, probes_help},
	{"corruption", corruption, NULL},
	{"small-mtu", small_mtu, no_retransmission},
	{"unequal-mtu-without-offload", unequal_mtu_without_offload, no_retransmission},
	{"long-fat-pipe", long_fat_pipe, pipe_is_used},
	{"long-fat-pipe-reno", long_fat_pipe_reno, pipe_is_used},
	{"long-fat-pipe-paced", long_fat_pipe_paced, pipe_is_used},
	{"fat-pipe", fat_pipe, fat_pipe_is_used},
	{"fat-pipe-reno", fat_pipe_reno, some_of_it_is_used},
	{"cubic-and-reno", cubic_and_reno, shared_fairly},
	{"capped-rate", capped_rate, at_the_cap},
	{"zero-window", zero_window, window_stayed_closed},
	{"slow-reader", slow_reader, NULL},
	{"small-segments-fill-the-window", small_segments_fill_the_window, nothing_refused},
	{"bits-out-of-order", bits_out_of_order, bits_got_in},
	{"wrap-around", wrap_around, NULL},
	{"sign-change", sign_change, NULL},
	{"a-thousand-connections", a_thousand_connections, NULL},
	{"opens-crossing", opens_crossing, no_retransmission},
	{"time-wait-reused", time_wait_reused, nine_reused},
	{"narrow-link", narrow_link, told_and_smaller},
	{"black-hole", black_hole, found_by_probes},
	{"black-hole-lossy", black_hole_lossy, NULL},
	{"search-upwards", search_upwards, found_the_largest},
	{"marking-queue", marking_queue, marked_not_dropped},
	{"marking-queue-without-ecn", marking_queue_without_ecn, dropped_not_marked},
	{"marked-by-chance", marked_by_chance, marks_told},
	{"datagrams-and-pings", datagrams_and_pings, all_answered},
};

/* Nothing in a scenario excuses a flow that was not delivered. */
static bool undisturbed(void)
{
	for (uint32_t i = 0; i < plan.n_flows; i++)
		if (sim->flow[i].disturbed)
			return false;
	return true;
}

static void run(unsigned i, bool verbose)
{
	char repeat[100];
	uint64_t hash;

	snprintf(repeat, sizeof(repeat), "test_scenarios %s -v", scenarios[i].name);
	plan_default(&plan, 1000 + i);
	scenarios[i].draw();
	printf("# %s\n", scenarios[i].name);
	if (!run_plan(&plan, RUN_ONCE, verbose, repeat, &hash)) {
		failed++;
		return;
	}
	if (!undisturbed() || (scenarios[i].bound && !scenarios[i].bound())) {
		printf("not ok - %s: %s after %.3f s\n# repeat: %s\n", scenarios[i].name,
			undisturbed() ? "outside its bound" : "a connection failed", seconds(),
			repeat);
		failed++;
		return;
	}
	passed++;
	printf("ok - %s: %.3f s of its time, %" PRIu64 " events, hash %016" PRIx64 "\n",
		scenarios[i].name, seconds(), sim->events, hash);
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
	for (unsigned i = 0; i < ARRAY_LEN(scenarios); i++)
		if (!only || strcmp(only, scenarios[i].name) == 0)
			run(i, verbose);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed ? 1 : 0;
}
