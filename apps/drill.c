/* `tapglass drill`: runs packet scripts in packetdrill's language against fresh instances in
 * virtual time; no root, no network. Directories are searched for *.pkt. Left out so far: running
 * several scripts at once. */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "options.h"
#include "tapglass_drill.h"

#define INSTANCE_BYTES (64u << 20)
#define SCRIPT_BYTES   (1u << 20) /* longer files are refused */
#define DEPTH_MAX      32         /* of directories */

struct drill_verb {
	struct tg_drill_options opt;
	bool verbose, quiet;
	unsigned passed, failed;
	bool trouble; /* a file could not be read */
	char *text;
};

enum { OPT_V = 1, OPT_Q, OPT_FIRST_NAME };

static const char *const names[] = {"local_ip", "remote_ip", "mtu", "tolerance_usecs", "bind_port",
	"connect_port", "ip_version"};

static const struct option_spec specs[] = {
	{"verbose", 'v', OPT_V, NULL, "a line for scripts that pass, too"},
	{"quiet", 'q', OPT_Q, NULL, "one line for a script that fails, no details"},
	{"local_ip", 0, OPT_FIRST_NAME, "ADDR[/LEN]", "address of the stack (192.168.0.1/16)"},
	{"remote_ip", 0, OPT_FIRST_NAME + 1, "ADDR", "address of the other side (192.0.2.1)"},
	{"mtu", 0, OPT_FIRST_NAME + 2, "N", "largest IP packet (1500)"},
	{"tolerance_usecs", 0, OPT_FIRST_NAME + 3, "N",
		"allowed difference of times (1000); overrides the scripts'"},
	{"bind_port", 0, OPT_FIRST_NAME + 4, "N", "local port of bind(3, ..., ...) (8080)"},
	{"connect_port", 0, OPT_FIRST_NAME + 5, "N", "remote port of connect(3, ..., ...) (8080)"},
	{"ip_version", 0, OPT_FIRST_NAME + 6, "ipv4", "the only version so far"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_option(void *ctx, int value, const char *arg)
{
	struct drill_verb *v = ctx;
	char text[128];
	int n;

	if (value == OPT_V) {
		v->verbose = true;
		return 0;
	}
	if (value == OPT_Q) {
		v->quiet = true;
		return 0;
	}
	n = snprintf(text, sizeof text, "--%s=%s", names[value - OPT_FIRST_NAME], arg);
	if (n >= (int)sizeof text || !tg_drill_option(&v->opt, text, (size_t)n)) {
		return usage_error(
			"drill: bad value \"%s\" for --%s", arg, names[value - OPT_FIRST_NAME]);
	}
	if (value == OPT_FIRST_NAME + 3) {
		v->opt.tolerance_fixed = true;
	}
	return 0;
}

/* ---- One script ------------------------------------------------------------------------------ */

static void print_details(const struct tg_drill_result *r)
{
	const char *line = r->trace;

	if (r->source_bytes) {
		printf("  %5u | %.*s\n", r->line, (int)r->source_bytes, r->source);
	}
	if (r->wanted[0]) {
		printf("    wanted  %s\n", r->wanted);
	}
	if (r->got[0]) {
		printf("    got     %s\n", r->got);
	}
	while (*line) {
		size_t n = strcspn(line, "\n");

		printf("      %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static void run_text(struct drill_verb *v, const char *path, size_t bytes)
{
	struct tg_drill_result r;

	v->opt.name = path;
	tg_drill_run(&v->opt, v->text, bytes, &r);
	if (r.verdict == TG_DRILL_PASSED) {
		v->passed++;
		if (v->verbose) {
			printf("ok   %s\n", path);
		}
	} else {
		v->failed++;
		printf("%s %s:%u:%u: %s\n", r.verdict == TG_DRILL_FAILED ? "FAIL" : "ERROR", path,
			r.line, r.column, r.message);
		if (!v->quiet) {
			print_details(&r);
		}
	}
	/* The next script's instance starts on zero pages. */
	madvise(v->opt.mem, v->opt.mem_bytes, MADV_DONTNEED);
}

static void run_file(struct drill_verb *v, const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		say("%s: %s", path, strerror(errno));
		v->trouble = true;
		return;
	}
	n = fread(v->text, 1, SCRIPT_BYTES, f);
	if (ferror(f)) {
		say("%s: %s", path, strerror(errno));
		v->trouble = true;
	} else if (n == SCRIPT_BYTES) {
		say("%s: longer than %u bytes", path, SCRIPT_BYTES);
		v->trouble = true;
	} else {
		run_text(v, path, n);
	}
	fclose(f);
}

/* ---- Files and directories ------------------------------------------------------------------- */

static void run_path(struct drill_verb *v, const char *path, bool named, int depth);

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void run_directory(struct drill_verb *v, const char *path, int depth)
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
			run_path(v, inner, false, depth + 1);
			free(inner);
		} else {
			v->trouble = true;
		}
		free(list[i]);
	}
	free(list);
}

/* Of what stands in a directory only *.pkt counts. */
static void run_path(struct drill_verb *v, const char *path, bool named, int depth)
{
	size_t n = strlen(path);
	struct stat st;

	if (stat(path, &st) < 0) {
		say("%s: %s", path, strerror(errno));
		v->trouble = true;
	} else if (S_ISDIR(st.st_mode)) {
		if (depth < DEPTH_MAX) {
			run_directory(v, path, depth);
		}
	} else if (named || (n > 4 && strcmp(path + n - 4, ".pkt") == 0)) {
		run_file(v, path);
	}
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

const struct verb_spec drill_spec = {
	.usage = "drill [OPTION]... FILE|DIR...",
	.about = "Runs packet scripts (packetdrill's language) against the stack in virtual "
		 "time.\nDirectories are searched for *.pkt. Exit status: 0 all passed, 1 "
		 "some "
		 "did not.",
	.example = "  tapglass drill tests/drill/rfc9293",
	.options = specs,
	.min_args = 1,
	.max_args = 1000000,
	.args_name = "FILE",
	.set = set_option,
};

int drill_main(int argc, char **argv)
{
	struct drill_verb v = {0};
	struct options common;
	int first, r;

	tg_drill_options_default(&v.opt);
	options_default(&common);
	r = options_parse(argc, argv, &drill_spec, &common, &v, &first);
	if (r != OPTIONS_GO) {
		return r;
	}
	v.opt.mem = map(v.opt.mem_bytes = INSTANCE_BYTES);
	v.opt.scratch = map(v.opt.scratch_bytes = TG_DRILL_SCRATCH_BYTES);
	v.text = map(SCRIPT_BYTES);
	if (!v.opt.mem || !v.opt.scratch || !v.text) {
		return failure("drill: %s", strerror(errno));
	}
	for (int i = first; i < argc; i++) {
		run_path(&v, argv[i], true, 0);
	}
	printf("%u passed, %u failed\n", v.passed, v.failed);
	munmap(v.text, SCRIPT_BYTES);
	munmap(v.opt.scratch, v.opt.scratch_bytes);
	munmap(v.opt.mem, v.opt.mem_bytes);
	if (v.trouble) {
		return EXIT_USAGE;
	}
	return v.failed ? EXIT_FAILED : EXIT_OK;
}
