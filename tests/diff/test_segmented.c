/* A device that cuts large frames (TSO, USO) against the stack's own segmentation (core/gso.c), in
 * random worlds whose wires carry packets: the same packets on the wire, each byte of them, at the
 * same moments, the same states, the same bytes delivered, the same counters but for the number of
 * frames. timeout: 300
 *
 *   test_segmented [--seed N | --seeds FIRST COUNT] */
#include "diff.h"

static struct plan plan;
static struct outcome large, cut;
static uint64_t supers;

/* An impaired direction segments whatever comes: to the receiver both ways look alike. */
static void carry_packets(void)
{
	for (unsigned w = 0; w < SIM_WIRES; w++)
		for (unsigned e = 0; e < 2; e++)
			if (!tg_impair_active(&plan.wire[w].impair[e]))
				plan.wire[w].impair[e].delay_ns = 1;
}

static void set_caps(uint32_t caps)
{
	for (unsigned h = 0; h < SIM_HOSTS; h++)
		plan.host[h].caps = caps;
}

static bool one(uint64_t seed)
{
	static const char *const except[] = {"frames_out", "bytes_out", NULL};
	const char *what = NULL;

	plan_draw(&plan, seed);
	carry_packets();
	set_caps(TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4);
	outcome_of(&plan, &large);
	set_caps(0);
	outcome_of(&plan, &cut);
	supers += large.supers;
	if (cut.supers)
		what = "large frames for a device that does not cut them";
	else if (large.bytes_hash != cut.bytes_hash)
		what = "other bytes are delivered when the stack segments";
	else if (large.state_hash != cut.state_hash)
		what = "other states when the stack segments";
	else if (large.wire_hash != cut.wire_hash)
		what = "other packets when the stack segments";
	for (unsigned h = 0; h < plan.n_hosts && !what; h++)
		what = counters_differ(&large.counters[h], &cut.counters[h], except);
	return diff_report(seed, "test_segmented", what, &large, &cut);
}

int main(int argc, char **argv)
{
	int status = diff_main(argc, argv, 2000001, 1500, one);

	printf("# %" PRIu64 " large frames\n", supers);
	if (argc == 1 && supers < 1000) {
		printf("not ok - hardly any large frames\n");
		return 1;
	}
	return status;
}
