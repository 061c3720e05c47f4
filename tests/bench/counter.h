/* Instructions of this thread in user mode, by the processor's counters: perf_event_open(2). Not
 * to be had in many a virtual machine, and not where perf_event_paranoid forbids it. */
#ifndef TG_BENCH_COUNTER_H
#define TG_BENCH_COUNTER_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNTER_UNTRIED -2

static int counter_fd = COUNTER_UNTRIED;

static bool can_count(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE,
		.size = sizeof(a),
		.config = PERF_COUNT_HW_INSTRUCTIONS,
		.exclude_kernel = 1,
		.exclude_hv = 1};

	if (counter_fd == COUNTER_UNTRIED)
		counter_fd = (int)syscall(SYS_perf_event_open, &a, 0, -1, -1, 0UL);
	return counter_fd >= 0;
}

/* So far; 0 where they cannot be counted. */
static double instructions(void)
{
	uint64_t n;

	return can_count() && read(counter_fd, &n, sizeof(n)) == sizeof(n) ? (double)n : 0;
}

#endif
