/* `tapglass drill`: runs packet scripts in packetdrill's language against fresh instances in
 * virtual time; no root, no network. Directories are searched for *.pkt. Several run at once
 * (drill_jobs.c); what is told comes in the order of the files. */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "drill_jobs.h"
#include "options.h"

#define DEPTH_MAX   32  /* of directories */
#define THREADS_MAX 256 /* more than that is a slip of the pen */

struct drill_verb {
	struct drill_pool pool;
	bool verbose, quiet, until_fail;
	unsigned threads; /* 0: as many as there are processors */
	unsigned passed, failed;
	bool trouble;                     /* a file could not be read */
	char *kept[TG_DRILL_DEFINES + 1]; /* texts of -D */
	unsigned n_kept;
};

enum { OPT_V = 1, OPT_Q, OPT_JOBS, OPT_UNTIL_FAIL, OPT_SKIP, OPT_DEFINE, OPT_FIRST_NAME };

/* packetdrill's own; those from the first flag on have no value. */
static const char *const names[] = {"local_ip", "remote_ip", "netmask_ip", "gateway_ip", "mtu",
	"tolerance_usecs", "tolerance_percent", "tcp_ts_tick_usecs", "bind_port", "connect_port",
	"ip_version", "strict_segments", "dry_run", "send_omit_free", "debug"};
#define FIRST_FLAG 11
#define NAME(i)    (OPT_FIRST_NAME + (i))

static const struct option_spec specs[] = {
	{"verbose", 'v', OPT_V, NULL, "a line for scripts that pass, too, and what they print"},
	{"quiet", 'q', OPT_Q, NULL, "one line for a script that fails, no details"},
	{"jobs", 'j', OPT_JOBS, "N", "scripts at once (default: as many as processors)"},
	{"until-fail", 0, OPT_UNTIL_FAIL, NULL, "stop at the first script that fails"},
	{"skip-commands", 0, OPT_SKIP, NULL, "pass over `commands` that are not understood"},
	{"define", 'D', OPT_DEFINE, "NAME=VALUE", "what a word of the scripts stands for"},
	{"local_ip", 0, NAME(0), "ADDR[/LEN]", "address of the stack (192.168.0.1/16)"},
	{"remote_ip", 0, NAME(1), "ADDR", "address of the other side (192.0.2.1)"},
	{"netmask_ip", 0, NAME(2), "MASK", "mask of the stack's address (255.255.0.0)"},
	{"gateway_ip", 0, NAME(3), "ADDR", "taken, without effect"},
	{"mtu", 0, NAME(4), "N", "largest IP packet (1500)"},
	{"tolerance_usecs", 0, NAME(5), "N",
		"allowed difference of times (1000); overrides the scripts'"},
	{"tolerance_percent", 0, NAME(6), "N",
		"the same, of the time since the line before; the larger counts (0)"},
	{"tcp_ts_tick_usecs", 0, NAME(7), "N",
		"0: TS val of what is sent may be anything; 1000: it is checked (1000)"},
	{"bind_port", 0, NAME(8), "N", "local port of bind(3, ..., ...) (8080)"},
	{"connect_port", 0, NAME(9), "N", "remote port of connect(3, ..., ...) (8080)"},
	{"ip_version", 0, NAME(10), "ipv4", "the only version so far"},
	{"strict_segments", 0, NAME(11), NULL, "a line is one segment, never several"},
	{"dry_run", 0, NAME(12), NULL, "read the scripts, run nothing"},
	{"send_omit_free", 0, NAME(13), NULL, "taken, without effect"},
	{"debug", 0, NAME(14), NULL, "taken, without effect"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_jobs(struct drill_verb *v, const char *arg)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || n < 1 || n > THREADS_MAX) {
		return usage_error("drill: bad value \"%s\" for --jobs", arg);
	}
	v->threads = (unsigned)n;
	return 0;
}

/* The text stays: definitions point into it. */
static int set_define(struct drill_verb *v, const char *arg)
{
	char *text;

	if (v->n_kept == TG_DRILL_DEFINES || asprintf(&text, "--define=%s", arg) < 0) {
		return usage_error("drill: too many definitions");
	}
	v->kept[v->n_kept++] = text;
	if (!tg_drill_option(&v->pool.opt, text, strlen(text))) {
		return usage_error("drill: bad value \"%s\" for --define", arg);
	}
	return 0;
}

static int set_named(struct drill_verb *v, int which, const char *arg)
{
	char text[128];
	int n;

	if (which >= FIRST_FLAG) {
		n = snprintf(text, sizeof text, "--%s", names[which]);
	} else {
		n = snprintf(text, sizeof text, "--%s=%s", names[which], arg);
	}
	if (n >= (int)sizeof text || !tg_drill_option(&v->pool.opt, text, (size_t)n)) {
		return usage_error(
			"drill: bad value \"%s\" for --%s", arg ? arg : "", names[which]);
	}
	if (strncmp(names[which], "tolerance", 9) == 0) {
		v->pool.opt.tolerance_fixed = true;
	}
	return 0;
}

static int set_option(void *ctx, int value, const char *arg)
{
	struct drill_verb *v = ctx;

	switch (value) {
	case OPT_V: v->verbose = true; return 0;
	case OPT_Q: v->quiet = true; return 0;
	case OPT_UNTIL_FAIL: v->until_fail = true; return 0;
	case OPT_SKIP: v->pool.opt.skip_commands = true; return 0;
	case OPT_JOBS: return set_jobs(v, arg);
	case OPT_DEFINE: return set_define(v, arg);
	default: return set_named(v, value - OPT_FIRST_NAME, arg);
	}
}

/* ---- Results --------------------------------------------------------------------------------- */

static void print_indented(const char *line)
{
	while (*line) {
		size_t n = strcspn(line, "\n");

		printf("      %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static void print_details(const struct tg_drill_result *r)
{
	if (r->source_bytes) {
		printf("  %5u | %.*s\n", r->line, (int)r->source_bytes, r->source);
	}
	if (r->wanted[0]) {
		printf("    wanted  %s\n", r->wanted);
	}
	if (r->got[0]) {
		printf("    got     %s\n", r->got);
	}
	print_indented(r->printed);
	print_indented(r->trace);
}

/* False: nothing behind it matters. */
static bool tell(void *ctx, const struct drill_job *job)
{
	struct drill_verb *v = ctx;
	const struct tg_drill_result *r = job->r;

	if (job->error) {
		if (job->error == EFBIG) {
			say("%s: longer than %u bytes", job->path, DRILL_SCRIPT_BYTES);
		} else {
			say("%s: %s", job->path, strerror(job->error));
		}
		v->trouble = true;
		return true;
	}
	if (job->verdict == TG_DRILL_PASSED) {
		v->passed++;
		if (v->verbose) {
			printf("ok   %s\n", job->path);
			print_indented(r ? r->printed : "");
		}
		return true;
	}
	v->failed++;
	printf("%s %s:%u:%u: %s\n", job->verdict == TG_DRILL_FAILED ? "FAIL" : "ERROR", job->path,
		r->line, r->column, r->message);
	if (!v->quiet) {
		print_details(r);
	}
	return !v->until_fail;
}

/* ---- Files and directories ------------------------------------------------------------------- */

static void add_path(struct drill_verb *v, const char *path, bool named, int depth);

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void add_directory(struct drill_verb *v, const char *path, int depth)
{
	struct dirent **list;
	int n = scandir(path, &list, visible, alphasort);

	if (n < 0) {
		say("%s: %s", path, strerror(errno));
		v->trouble = true;
		return;
	}
	for (int i = 0; i < n; i++) {
		char *inner;

		if (asprintf(&inner, "%s/%s", path, list[i]->d_name) >= 0) {
			add_path(v, inner, false, depth + 1);
			free(inner);
		} else {
			v->trouble = true;
		}
		free(list[i]);
	}
	free(list);
}

/* Of what stands in a directory only *.pkt counts. */
static void add_path(struct drill_verb *v, const char *path, bool named, int depth)
{
	size_t n = strlen(path);
	struct stat st;

	if (stat(path, &st) < 0) {
		say("%s: %s", path, strerror(errno));
		v->trouble = true;
	} else if (S_ISDIR(st.st_mode)) {
		if (depth < DEPTH_MAX) {
			add_directory(v, path, depth);
		}
	} else if (named || (n > 4 && strcmp(path + n - 4, ".pkt") == 0)) {
		if (!drill_pool_add(&v->pool, path)) {
			v->trouble = true;
		}
	}
}

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0) {
		return 1;
	}
	return CPU_COUNT(&set) > THREADS_MAX ? THREADS_MAX : (unsigned)CPU_COUNT(&set);
}

const struct verb_spec drill_spec = {
	.usage = "drill [OPTION]... FILE|DIR...",
	.about = "Runs packet scripts (packetdrill's language) against the stack in virtual "
		 "time, several at once.\nDirectories are searched for *.pkt. Exit status: 0 all "
		 "passed, 1 some did not.",
	.example = "  tapglass drill tests/drill/rfc9293",
	.options = specs,
	.min_args = 1,
	.max_args = 1000000,
	.args_name = "FILE",
	.set = set_option,
};

static void forget_defines(struct drill_verb *v)
{
	while (v->n_kept) {
		free(v->kept[--v->n_kept]);
	}
}

int drill_main(int argc, char **argv)
{
	struct drill_verb v = {0};
	struct options common;
	int first, r;
	bool good;

	tg_drill_options_default(&v.pool.opt);
	options_default(&common);
	r = options_parse(argc, argv, &drill_spec, &common, &v, &first);
	if (r != OPTIONS_GO) {
		forget_defines(&v);
		return r;
	}
	for (int i = first; i < argc; i++) {
		add_path(&v, argv[i], true, 0);
	}
	good = drill_pool_run(&v.pool, v.threads ? v.threads : processors(), tell, &v);
	if (good) {
		printf("%u passed, %u failed\n", v.passed, v.failed);
	}
	drill_pool_free(&v.pool);
	forget_defines(&v);
	if (!good) {
		return failure("drill: no memory or no threads for the scripts");
	}
	if (v.trouble) {
		return EXIT_USAGE;
	}
	return v.failed ? EXIT_FAILED : EXIT_OK;
}
