/* Scenarios of what is lost, late, repeated or spoilt on the way, and of how it is repaired. */
#include "sim_scenarios.h"

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

static const struct scenario all[] = {
	{"loss-1-percent", 1001, loss_1_percent, NULL},
	{"loss-5-percent", 1002, loss_5_percent, NULL},
	{"loss-20-percent", 1003, loss_20_percent, NULL},
	{"loss-20-percent-no-sack", 1004, loss_20_percent_no_sack, NULL},
	{"loss-50-percent-for-a-while", 1005, loss_50_percent_for_a_while, NULL},
	{"blackout", 1006, blackout, soon_after_blackout},
	{"reordering", 1007, reordering, NULL},
	{"reordering-alone", 1008, reordering_alone, reordering_learnt},
	{"reordering-alone-no-timestamps", 1009, reordering_alone_no_timestamps, reordering_learnt},
	{"tiny-round-trip", 1010, tiny_round_trip, no_repair},
	{"tiny-round-trip-rate", 1011, tiny_round_trip_rate, no_repair},
	{"tiny-round-trip-loss", 1012, tiny_round_trip_loss, little_more_than_lost},
	{"slow-application-near", 1013, slow_application_near, no_repair},
	{"slow-application-far", 1014, slow_application_far, no_repair},
	{"lost-tails", 1015, lost_tails, probes_help},
	{"corruption", 1016, corruption, NULL},
	{"wrap-around", 1030, wrap_around, NULL},
	{"sign-change", 1031, sign_change, NULL},
};

const struct scenarios scenarios_loss = {all, ARRAY_LEN(all)};
