/* `tapglass replay`: makes the calls of a recorded run again, on an instance of its own and in no
 * time, and logs what happens as `up` did, or with --check only compares. */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "livelog.h"
#include "tapglass_journal.h"

#define RESERVED_MAX (1ull << 40)

struct replay_verb {
	struct tg_replay r;
	struct options opt;
	struct livelog log;
	bool check, step;
	uint64_t until;
	const char *path;
};

enum { OPT_CHECK = 1, OPT_UNTIL, OPT_VERBOSE, OPT_STEP };

static const struct option_spec specs[] = {
	{"check", 0, OPT_CHECK, NULL, "no log: compare, and say whether it is the same run"},
	{"until", 0, OPT_UNTIL, "N", "stop after N calls"},
	{"step", 0, OPT_STEP, NULL, "go through it call by call: tapglass step FILE"},
	{"verbose", 'v', OPT_VERBOSE, NULL, "log every segment; twice: also timers and calls"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_option(void *ctx, int value, const char *arg)
{
	struct replay_verb *v = ctx;

	if (value == OPT_CHECK) {
		v->check = true;
	} else if (value == OPT_STEP) {
		v->step = true;
	} else if (value == OPT_VERBOSE) {
		v->opt.verbose++;
	} else if (!parse_u64(arg, 0, UINT64_MAX, &v->until)) {
		return usage_error("--until %s: not a number of calls", arg);
	}
	return 0;
}

const struct verb_spec replay_spec = {
	.usage = "replay [OPTION]... FILE",
	.about = "Makes the calls of a run recorded with `tapglass up --record FILE` again, and "
		 "logs what\nhappens. Exit status: 0 it is the same run; 1 the file ends early or "
		 "is damaged (what is\ngood of it was replayed); 4 something differs, with "
		 "--check also an incomplete file.",
	.example = "  sudo tapglass up --record run.tgj    then: tapglass replay --check run.tgj",
	.options = specs,
	.min_args = 1,
	.max_args = 1,
	.args_name = "FILE",
	.set = set_option,
};

/* ---- Memory ---------------------------------------------------------------------------------- */

static const void *map_file(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		*bytes = st.st_size > 0 ? (size_t)st.st_size : 0;
		errno = *bytes == 0 ? ENODATA : 0;
		if (*bytes > 0) {
			p = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, fd, 0);
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return p == MAP_FAILED ? NULL : p;
}

static void *map_zero(uint64_t bytes)
{
	void *p = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Writes out what the log has, waiting for the reader: nothing else waits for us here. */
static void log_drain(struct livelog *g)
{
	while (out_flush(&g->out) && !g->out.dead) {
		struct pollfd p = {.fd = g->out.fd, .events = POLLOUT};

		poll(&p, 1, 1000);
	}
}

static void log_open(struct replay_verb *v)
{
	static const uint8_t no_mac[6];
	struct tg_ip none = {{0}};

	v->opt.quiet = v->check;
	livelog_open(&v->log, &v->opt, v->r.s, &none, no_mac, v->r.start_ns);
	v->log.lines_max = UINT32_MAX;
}

/* What the log says of "us" comes with the calls that set it. */
static void learn(struct replay_verb *v)
{
	const struct tg_record *rec = &v->r.rec;
	struct tg_ip ip;

	if (v->r.last == TG_RECORD_NETIF_ADD && rec->n_data == 2) {
		format_mac(rec->data[1].base, v->log.mac);
	} else if (v->r.last == TG_RECORD_ADDR_ADD && rec->n_data == 1) {
		memcpy(&ip, rec->data[0].base, sizeof ip);
		tg_ip_format(&ip, v->log.self);
	}
}

static void run(struct replay_verb *v)
{
	while (v->r.calls < v->until && tg_replay_next(&v->r) == TG_REPLAY_MORE) {
		if (v->check) {
			continue;
		}
		learn(v);
		livelog_round(&v->log, v->r.start_ns);
		log_drain(&v->log);
	}
	if (!v->check) {
		livelog_round(&v->log, v->r.start_ns);
		log_drain(&v->log);
	}
}

/* ---- The verdict ----------------------------------------------------------------------------- */

static int verdict(const struct replay_verb *v)
{
	const struct tg_replay *r = &v->r;

	switch ((enum tg_replay_state)r->state) {
	case TG_REPLAY_MORE:
		say("%s: stopped after %" PRIu64 " calls, the same so far", v->path, r->calls);
		return EXIT_OK;
	case TG_REPLAY_END:
		if (r->ended != TG_RECORD_STOPPED) {
			say("%s: the recording ended early: %s", v->path,
				tg_record_end_text((enum tg_record_end)r->ended));
		}
		if (v->check) {
			printf("%s: the same run: %" PRIu64 " calls, %" PRIu64
			       " frames out, %" PRIu64 " hashes of trace and counters\n",
				v->path, r->calls, r->frames_out, r->checks);
		}
		return EXIT_OK;
	case TG_REPLAY_CUT:
	case TG_REPLAY_DAMAGED:
		say("%s: %s at byte %" PRIu64 "; the %" PRIu64
		    " calls before it were replayed, the same",
			v->path, r->why, r->at, r->calls);
		return v->check ? EXIT_CHECK_FAILED : EXIT_FAILED;
	case TG_REPLAY_DIFFERENT:
		say("%s: not the same run: call %" PRIu64 " (%s), %s: %" PRIx64
		    ", recorded %" PRIx64 " (byte %" PRIu64 ", recorded by %s)",
			v->path, r->calls, tg_record_call((enum tg_record_type)r->last), r->why,
			r->got, r->wanted, r->at, r->build);
		return EXIT_CHECK_FAILED;
	}
	return EXIT_FAILED;
}

static int replay_file(struct replay_verb *v)
{
	size_t bytes = 0;
	const void *file = map_file(v->path, &bytes);
	void *mem, *scratch;

	if (file == NULL) {
		return failure("%s: %s", v->path,
			errno == ENODATA ? "an empty file, not a journal" : strerror(errno));
	}
	if (!tg_replay_open(&v->r, file, bytes)) {
		say("%s: %s", v->path, v->r.why);
		return v->check ? EXIT_CHECK_FAILED : EXIT_FAILED;
	}
	if (v->r.reserved_bytes > RESERVED_MAX) {
		return failure("%s: the instance is too large to be made again", v->path);
	}
	mem = map_zero(v->r.reserved_bytes);
	scratch = map_zero(TG_RECORD_BYTES_MAX);
	if (mem == NULL || scratch == NULL) {
		return failure("cannot reserve the %" PRIu64
			       " bytes of address space that the run had (look at ulimit -v)",
			v->r.reserved_bytes);
	}
	if (!tg_replay_begin(&v->r, mem, scratch)) {
		return failure("%s: %s", v->path, v->r.why);
	}
	log_open(v);
	run(v);
	livelog_close(&v->log);
	return verdict(v);
}

/* --until N: stopped behind the N-th call that is an event. */
static int replay_step(const struct replay_verb *v)
{
	char verb[] = "step", option[] = "--goto", at[24], path[PATH_MAX];
	char *args[] = {verb, path, NULL, NULL, NULL};

	if (v->check) {
		return usage_error("replay: --check compares, --step looks: one of them");
	}
	snprintf(path, sizeof path, "%s", v->path);
	if (v->until != UINT64_MAX) {
		snprintf(at, sizeof at, "%" PRIu64, v->until);
		args[1] = option;
		args[2] = at;
		args[3] = path;
	}
	return step_main(args[2] != NULL ? 4 : 2, args);
}

int replay_main(int argc, char **argv)
{
	struct replay_verb *v = calloc(1, sizeof *v);
	int first, rc;

	if (v == NULL) {
		return failure("out of memory");
	}
	options_default(&v->opt);
	v->until = UINT64_MAX;
	rc = options_parse(argc, argv, &replay_spec, &v->opt, v, &first);
	if (rc == OPTIONS_GO) {
		v->path = argv[first];
		rc = v->step ? replay_step(v) : replay_file(v);
	}
	free(v);
	return rc;
}
