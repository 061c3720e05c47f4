/* `tapglass step`: a debugger for TCP. The verb's options, the worlds, and the loop of commands. */
#define _GNU_SOURCE 1
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step_live.h"
#include "verbs.h"

#define HISTORY_BYTES (256u << 20)
#define PROMPT        "(tg) "

struct step_verb {
	struct options opt;
	uint64_t position;
	bool lab, live, lessons, ethernet, batch;
	const char *commands; /* a file of them; NULL: standard input */
	const char *file;
	char *text; /* of the file, or the lesson */
	uint64_t latency_ns;
	struct repl r;
};

enum {
	OPT_LAB = 1,
	OPT_LIVE,
	OPT_LESSONS,
	OPT_ETHERNET,
	OPT_COMMANDS,
	OPT_BATCH,
	OPT_LATENCY,
	OPT_GOTO
};

static const struct option_spec specs[] = {
	{"lab", 0, OPT_LAB, NULL,
		"both ends are ours, in virtual time; with SCRIPT a packet script is the other "
		"end"},
	{"live", 0, OPT_LIVE, NULL, "the peer is the host's kernel, whose frames wait for you"},
	{"ethernet", 0, OPT_ETHERNET, NULL, "lab: the link is Ethernet, and ARP shows"},
	{"latency", 0, OPT_LATENCY, "TIME", "lab: of a frame, one way (10ms)"},
	{"lessons", 0, OPT_LESSONS, NULL, "list the lessons"},
	{"goto", 0, OPT_GOTO, "EVENT", "begin where so many events have happened"},
	{"commands", 'x', OPT_COMMANDS, "FILE", "commands from FILE instead of standard input"},
	{"batch", 0, OPT_BATCH, NULL, "the first command that is refused or fails ends it"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_option(void *ctx, int value, const char *arg)
{
	struct step_verb *v = ctx;

	switch (value) {
	case OPT_LAB: v->lab = true; break;
	case OPT_LIVE: v->live = true; break;
	case OPT_LESSONS: v->lessons = true; break;
	case OPT_ETHERNET: v->ethernet = true; break;
	case OPT_COMMANDS: v->commands = arg; break;
	case OPT_BATCH: v->batch = true; break;
	case OPT_GOTO:
		if (!parse_u64(arg, 0, UINT64_MAX / 2, &v->position)) {
			return usage_error("step: --goto %s: not a number of events", arg);
		}
		break;
	default:
		if (!time_parse(arg, &v->latency_ns) || v->latency_ns > 60 * NS_PER_S) {
			return usage_error("step: --latency %s: no time up to 60s", arg);
		}
	}
	return 0;
}

const struct verb_spec step_spec = {
	.usage = "step [OPTION]... [SCRIPT | LESSON | JOURNAL]",
	.about =
		"Stops before every event of a connection, says which rule of the RFCs will decide "
		"and what it\nwill change, goes on, and goes back. Without an argument: a lab, two "
		"ends of ours in virtual\ntime. Commands feel like gdb's: \"help\". Exit status: "
		"0; "
		"1 a command was refused or an\n`expect` not met (with commands from a file or a "
		"pipe).",
	.example = "  tapglass step                then: connect, step, step, step\n"
		   "  tapglass step handshake      a lesson",
	.options = specs,
	.link_options = true,
	.min_args = 0,
	.max_args = 1,
	.args_name = "FILE",
	.set = set_option,
};

static void *map_zero(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* A whole file, ended by a NUL; NULL: errno tells. */
static char *read_whole(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused at once */
	struct stat st;
	char *text = NULL;
	size_t at = 0;

	if (fd < 0) {
		return NULL;
	}
	errno = EINVAL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		text = malloc((size_t)st.st_size + 1);
	} else if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
	}
	while (text != NULL && at < (size_t)st.st_size) {
		ssize_t n = read(fd, text + at, (size_t)st.st_size - at);

		if (n <= 0) {
			break;
		}
		at += (size_t)n;
	}
	close(fd);
	if (text != NULL) {
		text[at] = '\0';
		*bytes = at;
	}
	return text;
}

/* ---- Worlds ---------------------------------------------------------------------------------- */

static bool memory(struct tg_step_options *o, size_t bytes)
{
	o->mem = map_zero(bytes);
	o->mem_bytes = bytes;
	o->history = map_zero(HISTORY_BYTES);
	o->history_bytes = HISTORY_BYTES;
	return o->mem != NULL && o->history != NULL;
}

static void ends(struct repl *r, const char *first, const char *second)
{
	r->end_name[0] = first;
	r->end_name[1] = second;
}

/* The server listens already: a newcomer has to type `connect` only. */
static void lab_begin(struct repl *r)
{
	struct tg_step_action a = {.act = TG_ACT_LISTEN, .end = 1};
	const char *why = NULL;

	a.addr.port = 80;
	tg_stepper_act(r->w, &a, &r->last, &r->did, &why);
	moves_note(r);
	puts("A lab in virtual time: client 10.0.0.1 and server 10.0.0.2, which listens on port "
	     "80.\n"
	     "Type \"connect\", then \"step\" (or s) for one event after the other: what will "
	     "happen "
	     "is\nsaid before it does. \"back\" goes back, \"help\" lists the commands, \"quit\" "
	     "ends.");
}

static bool open_lab(struct step_verb *v, struct tg_step_options *o, const char **why)
{
	struct repl *r = &v->r;

	r->world = WORLD_LAB;
	ends(r, "client", "server");
	r->link = o->link = v->ethernet ? TG_LINK_ETHERNET : TG_LINK_IP;
	o->latency_ns = v->latency_ns;
	o->config.tcp.fast_path = false; /* the eight steps, one by one */
	r->w = tg_step_lab(o, why);
	return r->w != NULL;
}

static bool open_script(struct step_verb *v, struct tg_step_options *o, const char *text, size_t n,
	const char **why)
{
	static struct tg_drill_result result;
	static char message[400];
	struct tg_drill_options d;
	struct repl *r = &v->r;

	tg_drill_options_default(&d);
	d.name = v->file;
	r->world = WORLD_SCRIPT;
	r->script = text;
	r->script_bytes = n;
	r->link = TG_LINK_IP;
	ends(r, "stack", "script");
	r->w = tg_step_script(o, &d, text, n, &result, why);
	if (r->w == NULL && result.line > 0) {
		snprintf(message, sizeof message, "line %u, column %u: %s", result.line,
			result.column, result.message);
		printable(message);
		*why = message;
	}
	return r->w != NULL;
}

static bool open_journal(struct step_verb *v, struct tg_step_options *o, const char *file, size_t n,
	const char **why)
{
	v->r.world = WORLD_JOURNAL;
	v->r.link = TG_LINK_ETHERNET; /* of `tapglass up`; one of IP alone is known by its frames */
	ends(&v->r, "stack", "peer");
	v->r.w = tg_step_journal(o, file, n, why);
	return v->r.w != NULL;
}

/* The file named, or the lesson. NULL: neither, errno tells. */
static char *read_argument(const char *name, size_t *bytes)
{
	const struct listed_file *lesson = lesson_find(name);
	char *text = read_whole(name, bytes);

	if (text == NULL && errno == ENOENT && lesson != NULL) {
		*bytes = (size_t)(lesson->end - lesson->text);
		text = strndup(lesson->text, *bytes);
	}
	return text;
}

static int no_file(const char *name)
{
	if (errno == EINVAL) {
		return failure(
			"step: %s is no file that can be gone back in: copy it to one", name);
	}
	return failure(
		"step: %s: %s (\"step --lessons\" lists the lessons)", name, strerror(errno));
}

static int open_world(struct step_verb *v)
{
	struct tg_step_options o;
	const char *why = "there is no memory", *text = NULL;
	size_t bytes = TG_STEP_MEM_BYTES, n = 0;
	size_t journal = 0;
	bool good;

	tg_step_options_default(&o);
	if (v->live && v->file != NULL) {
		return usage_error("step: --live takes no file");
	}
	if (v->file != NULL) {
		text = v->text = read_argument(v->file, &n);
		if (text == NULL) {
			return no_file(v->file);
		}
		journal = tg_step_journal_bytes(text, n);
		bytes = journal > bytes ? journal : bytes;
	}
	good = memory(&o, v->live ? TG_STEP_LIVE_BYTES : bytes);
	if (good && v->live) {
		v->r.world = WORLD_LIVE;
		v->r.link = TG_LINK_ETHERNET;
		ends(&v->r, "stack", "host");
		return live_open(&v->r, &v->opt, &o);
	}
	if (good && text == NULL) {
		good = open_lab(v, &o, &why);
	} else if (good && journal > 0) {
		good = open_journal(v, &o, text, n, &why);
	} else if (good) {
		good = open_script(v, &o, text, n, &why);
	}
	if (!good) {
		return failure("step: %s%s%s", v->file ? v->file : "", v->file ? ": " : "", why);
	}
	return EXIT_OK;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static bool is_directory(FILE *f)
{
	struct stat st;

	return fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode);
}

static int run(struct step_verb *v)
{
	struct repl *r = &v->r;
	FILE *f = stdin;
	const char *line;
	int rc;

	if (v->commands != NULL) {
		f = fopen(v->commands, "re");
		if (f == NULL || is_directory(f)) {
			rc = failure(
				"step: %s: %s", v->commands, strerror(f != NULL ? EISDIR : errno));
			if (f != NULL) {
				fclose(f);
			}
			return rc;
		}
	}
	r->terminal = f == stdin && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	r->in = line_open(r, f);
	if (r->in == NULL) {
		return failure("out of memory");
	}
	if (v->position > 0) {
		run_begin(r, v->position);
	} else {
		stop_read(r, true);
		stop_show(r, NULL);
	}
	while (!r->quit && !(r->batch && r->failed) && (line = line_next(r->in, PROMPT)) != NULL) {
		command_run(r, line);
	}
	line_close(r->in);
	if (f != stdin) {
		fclose(f);
	}
	break_free(r);
	free(r->move);
	free(r->sent);
	return r->failed && !r->terminal ? EXIT_FAILED : EXIT_OK;
}

int step_main(int argc, char **argv)
{
	struct step_verb *v = calloc(1, sizeof *v);
	int first, rc;

	if (v == NULL) {
		return failure("out of memory");
	}
	options_default(&v->opt);
	v->latency_ns = 10 * NS_PER_MS;
	rc = options_parse(argc, argv, &step_spec, &v->opt, v, &first);
	if (rc == OPTIONS_GO) {
		v->file = first < argc ? argv[first] : NULL;
		v->r.batch = v->batch;
		if (v->lessons) {
			lessons_list();
			free(v);
			return EXIT_OK;
		}
		rc = open_world(v);
		if (rc == EXIT_OK && v->r.world == WORLD_LAB) {
			lab_begin(&v->r);
		}
		if (rc == EXIT_OK) {
			rc = run(v);
		}
		rc = live_close(&v->r, rc);
	}
	free(v->text);
	free(v);
	return rc;
}
