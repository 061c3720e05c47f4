/* Runs plans and compares runs: the same plan twice, on from a snapshot twice, with the fast path
 * and without it, must all give the same hash over every trace record and every byte sent. */
#include "sim.h"

static struct plan other;

/* From where the world stands to the end. save: with a snapshot on the way. True: it was taken. */
static bool run_on(bool save)
{
	bool saved = false;

	while (world_event()) {
		if (!save || saved || sim->plan.snapshot_event != sim->events)
			continue;
		saved = world_save();
		SIM_CHECK(saved);
	}
	if (!sim->failed)
		world_finish();
	return saved;
}

static bool report(const char *repeat, const char *what)
{
	printf("not ok - %s%s%s\n# repeat: %s\n# hash %016" PRIx64 "\n", what ? what : "",
		what ? ": " : "", sim->why, repeat, sim->hash);
	fflush(stdout);
	return false;
}

static bool same_hash(uint64_t want, const char *repeat, const char *what)
{
	if (sim->failed)
		return report(repeat, what);
	if (sim->hash == want)
		return true;
	snprintf(sim->why, sizeof(sim->why),
		"the hash differs: %016" PRIx64 " first, now %016" PRIx64, want, sim->hash);
	return report(repeat, what);
}

bool run_plan(
	const struct plan *p, enum run_mode mode, bool verbose, const char *repeat, uint64_t *hash)
{
	bool saved;

	other = *p;
	if (mode != RUN_SNAPSHOT)
		other.snapshot_event = 0;
	if (mode == RUN_FAST_PATH)
		for (unsigned h = 0; h < SIM_HOSTS; h++)
			other.host[h].cfg.tcp.fast_path = true;
	if (!world_begin(&other, verbose)) {
		printf("not ok - the world could not be made\n# repeat: %s\n", repeat);
		return false;
	}
	saved = run_on(true);
	*hash = sim->hash;
	if (sim->failed)
		return report(repeat, NULL);
	if (mode == RUN_ONCE || (mode == RUN_SNAPSHOT && !saved))
		return true; /* over before the moment of the snapshot */
	if (mode == RUN_SNAPSHOT) {
		world_restore();
		run_on(false);
		return same_hash(*hash, repeat, "after restoring a snapshot");
	}
	if (mode == RUN_FAST_PATH)
		for (unsigned h = 0; h < SIM_HOSTS; h++)
			other.host[h].cfg.tcp.fast_path = false;
	world_begin(&other, false);
	run_on(false);
	return same_hash(*hash, repeat, mode == RUN_TWICE ? "run again" : "without the fast path");
}
