/* `tapglass sim`: whole networks in virtual time, described by a text: per-flow goodput,
 * retransmissions and round-trip times, what the links saw, Jain's fairness. No root, no network,
 * the same figures every time. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "options.h"
#include "tapglass_sim.h"
#include "util.h"
#include "verbs.h"

#define MEMORY_BYTES (UINT64_C(64) << 30)
#define TEXT_BYTES   (1u << 20) /* longer files are refused */

struct sim_verb {
	struct tg_sim_options opt;
	struct tg_sim_report report;
	bool brief, speed;
	bool failed, trouble;
	char text[TEXT_BYTES];
};

enum { OPT_CC = 1, OPT_SEED, OPT_BRIEF, OPT_SPEED };

static const struct option_spec specs[] = {
	{"cc", 0, OPT_CC, "NAME", "congestion control of hosts that name none"},
	{"seed", 0, OPT_SEED, "N", "seed where the file names none (0)"},
	{"brief", 'b', OPT_BRIEF, NULL, "one line a file"},
	{"speed", 's', OPT_SPEED, NULL, "also how long it took"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_option(void *ctx, int value, const char *arg)
{
	struct sim_verb *v = ctx;

	switch (value) {
	case OPT_CC: v->opt.cc = arg; return 0;
	case OPT_BRIEF: v->brief = true; return 0;
	case OPT_SPEED: v->speed = true; return 0;
	case OPT_SEED:
		if (!parse_u64(arg, 0, UINT64_MAX, &v->opt.seed)) {
			return usage_error("sim: bad value \"%s\" for --seed", arg);
		}
		return 0;
	default: return 0;
	}
}

/* ---- Figures ------------------------------------------------------------------------------- */

/* Three digits that count. */
static const char *rate(uint64_t bps, char out[16])
{
	static const char *const unit[] = {"bit", "kbit", "Mbit", "Gbit"};
	double v = (double)bps;
	unsigned i = 0;

	for (; v >= 1000 && i < 3; i++) {
		v /= 1000;
	}
	snprintf(out, 16, "%.*f %s", v < 10 ? 2 : v < 100 ? 1 : 0, v, unit[i]);
	return out;
}

static const char *span(uint64_t ns, char out[16])
{
	if (ns == UINT64_MAX) {
		return strcpy(out, "-");
	}
	if (ns >= NS_PER_S) {
		snprintf(out, 16, "%.3f s", (double)ns / 1e9);
	} else if (ns >= NS_PER_MS) {
		snprintf(out, 16, "%.3f ms", (double)ns / 1e6);
	} else {
		snprintf(out, 16, "%.3f us", (double)ns / 1e3);
	}
	return out;
}

static const char *ending(const struct tg_sim_flow *f, char out[32])
{
	char t[16];

	if (f->error) {
		snprintf(out, 32, "%.31s", errno_text(-f->error));
	} else if (f->complete) {
		snprintf(out, 32, "%s", span(f->end_ns - f->start_ns, t));
	} else {
		strcpy(out, "-");
	}
	return out;
}

static void print_flows(const struct tg_sim_report *r)
{
	printf("%-12s %-6s %10s %10s %8s %8s %8s %10s %10s %9s  %s\n", "flow", "cc", "goodput",
		"delivered", "segments", "retrans", "timeouts", "srtt", "min rtt", "cwnd",
		"complete after");
	for (uint32_t i = 0; i < r->n_flows; i++) {
		const struct tg_sim_flow *f = &r->flow[i];
		char a[16], b[16], c[16], d[16], e[16], z[32];

		printf("%-12s %-6s %10s %10s %8u %8u %8u %10s %10s %9s  %s\n", f->name, f->cc,
			rate(f->goodput_bps, a), format_bytes(f->delivered_bytes, b), f->segs_out,
			f->retransmits, f->timeouts, span(f->srtt_ns, c), span(f->min_rtt_ns, d),
			format_bytes(f->cwnd_bytes, e), ending(f, z));
	}
}

static void print_links(const struct tg_sim_report *r)
{
	printf("%-20s %10s %7s %9s %8s %8s %8s %8s %11s %11s\n", "link", "rate", "used", "packets",
		"q-drops", "lost", "too big", "marked", "mean wait", "longest");
	for (uint32_t i = 0; i < r->n_links; i++) {
		const struct tg_sim_link *l = &r->link[i];
		char name[40], a[16], used[16], c[16], d[16];

		snprintf(name, sizeof name, "%s > %s", l->from, l->to);
		snprintf(used, sizeof used, "%.2f%%", l->used_ppm / 1e4);
		printf("%-20s %10s %7s %9llu %8llu %8llu %8llu %8llu %11s %11s\n", name,
			l->rate_bps ? rate(l->rate_bps, a) : "-", l->rate_bps ? used : "-",
			(unsigned long long)l->packets, (unsigned long long)l->queue_drops,
			(unsigned long long)l->losses, (unsigned long long)l->too_big,
			(unsigned long long)l->marks, span(l->wait_mean_ns, c),
			span(l->wait_max_ns, d));
	}
}

static void print_whole(const struct tg_sim_report *r)
{
	char a[16], b[16];

	print_flows(r);
	putchar('\n');
	print_links(r);
	printf("\nmeasured %s to %s", span(r->from_ns, a), span(r->to_ns, b));
	if (r->n_flows > 1) {
		printf(", Jain's fairness %.4f", r->jain_ppm / 1e6);
	}
	putchar('\n');
}

/* Sums over all flows, and the link that is used most. */
static void print_brief(const struct tg_sim_report *r)
{
	uint64_t goodput = 0, retransmits = 0, timeouts = 0;
	uint32_t used = 0;
	char a[16];

	for (uint32_t i = 0; i < r->n_flows; i++) {
		goodput += r->flow[i].goodput_bps;
		retransmits += r->flow[i].retransmits;
		timeouts += r->flow[i].timeouts;
	}
	for (uint32_t i = 0; i < r->n_links; i++) {
		used = r->link[i].used_ppm > used ? r->link[i].used_ppm : used;
	}
	printf("goodput %9s  used %6.2f%%  retrans %7llu  timeouts %5llu  Jain %.4f\n",
		rate(goodput, a), used / 1e4, (unsigned long long)retransmits,
		(unsigned long long)timeouts, r->jain_ppm / 1e6);
}

/* The line of the text, without its newline. */
static void print_line(const char *text, uint32_t line)
{
	for (uint32_t i = 1; i < line && *text; text++) {
		i += *text == '\n';
	}
	printf("%.*s", (int)strcspn(text, "\n"), text);
}

static void print_expectations(const struct sim_verb *v, const char *path)
{
	for (uint32_t i = 0; i < v->report.n_expects; i++) {
		const struct tg_sim_expect *e = &v->report.expect[i];

		if (e->holds) {
			continue;
		}
		printf("FAIL %s:%u: ", path, e->line);
		print_line(v->text, e->line);
		printf("   (it is %llu)\n", (unsigned long long)e->got);
	}
}

/* ---- One file ------------------------------------------------------------------------------ */

static void run_text(struct sim_verb *v, const char *path, size_t bytes)
{
	struct timespec a, b;
	enum tg_sim_verdict r;

	clock_gettime(CLOCK_MONOTONIC, &a);
	r = tg_sim_run(&v->opt, v->text, bytes, &v->report);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (r == TG_SIM_ERROR) {
		printf("ERROR %s:%u: %s\n", path, v->report.error_line, v->report.message);
		v->trouble = true;
		return;
	}
	if (v->brief) {
		printf("%-40s ", path);
		print_brief(&v->report);
	} else {
		print_whole(&v->report);
	}
	if (v->speed) {
		printf("%.2f s of virtual time in %.2f s, %llu turns\n",
			(double)v->report.end_ns / 1e9,
			(double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9,
			(unsigned long long)v->report.steps);
	}
	print_expectations(v, path);
	v->failed = v->failed || r == TG_SIM_FAILED;
}

static void run_file(struct sim_verb *v, const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	size_t n;

	if (!f) {
		say("%s: %s", path, strerror(errno));
		v->trouble = true;
		return;
	}
	n = fread(v->text, 1, TEXT_BYTES - 1, f);
	v->text[n] = 0;
	if (ferror(f) || n == TEXT_BYTES - 1) {
		say("%s: %s", path, ferror(f) ? strerror(errno) : "too long");
		v->trouble = true;
	} else {
		/* the instances start on zero pages */
		v->opt.mem = mmap(NULL, v->opt.mem_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (v->opt.mem == MAP_FAILED) {
			say("%s: %s", path, strerror(errno));
			v->trouble = true;
		} else {
			run_text(v, path, n);
			munmap(v->opt.mem, v->opt.mem_bytes);
		}
	}
	if (f != stdin) {
		fclose(f);
	}
}

const struct verb_spec sim_spec = {
	.usage = "sim [OPTION]... FILE...",
	.about = "Runs networks of hosts, routers and links in virtual time and prints what their\n"
		 "flows and links did. \"-\" is standard input. Exit status: 0, 2 a file is not\n"
		 "understood, 4 an expectation in it does not hold.",
	.example = "  tapglass sim tests/sim/net/dumbbell.sim",
	.options = specs,
	.min_args = 1,
	.max_args = 1000000,
	.args_name = "FILE",
	.set = set_option,
};

int sim_main(int argc, char **argv)
{
	struct sim_verb *v = calloc(1, sizeof *v);
	struct options common;
	int first, r;

	if (!v) {
		return failure("sim: %s", strerror(errno));
	}
	v->opt.mem_bytes = MEMORY_BYTES;
	options_default(&common);
	r = options_parse(argc, argv, &sim_spec, &common, v, &first);
	if (r == OPTIONS_GO) {
		for (int i = first; i < argc; i++) {
			run_file(v, argv[i]);
			if (i + 1 < argc && !v->brief) {
				putchar('\n');
			}
		}
		r = v->trouble ? EXIT_USAGE : v->failed ? EXIT_CHECK_FAILED : EXIT_OK;
	}
	free(v);
	return r;
}
