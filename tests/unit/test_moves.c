/* The table of moves between states that the code enforces (tcp/tcp_state.c), against Figure 5 of
 * RFC 9293 and the ways to end of its 3.10, both ways; and against tests/moves.tsv, which names
 * what shows each move: packet scripts are run, and have to.
 *
 * MOVES_WRITE=1 in the environment: runs all packet scripts and writes tests/moves.tsv anew. */
#define _GNU_SOURCE 1
#include "tcp_support.h"
#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base.h"
#include "tapglass_drill.h"
#include "tapglass_rules.h"

#define MEM_BYTES   (64u << 20)
#define LIST        "tests/moves.tsv"
#define TOP         "tests/"
#define SCRIPTS     "tests/drill"
#define SHOWN       3
#define SCRIPTS_MAX 2000
#define MOVES_MAX   128

/* ---- What RFC 9293 says ---------------------------------------------------------------------- */

struct edge {
	enum tg_state from, to;
	enum tg_cause cause;
};
#define E(from, to, cause)                                                                         \
	{                                                                                          \
		TG_##from, TG_##to, TG_CAUSE_##cause                                               \
	}

/* Figure 5, arrow by arrow. Two it has that we do not make: LISTEN -> SYN-SENT by a SEND, as a
 * listening socket refuses to send; and FIN-WAIT-1 -> TIME-WAIT of its note 2, which we make in two
 * moves within the one segment, as the fifth step of 3.10.7.4 says. */
static const struct edge figure_5[] = {E(CLOSED, LISTEN, LISTEN_CALL),
	E(CLOSED, SYN_SENT, CONNECT_CALL), E(LISTEN, CLOSED, CLOSE_CALL),
	E(LISTEN, SYN_RECEIVED, SYN), E(SYN_SENT, CLOSED, CLOSE_CALL),
	E(SYN_SENT, SYN_RECEIVED, SYN_CROSSING), E(SYN_SENT, ESTABLISHED, SYN_ACK),
	E(SYN_RECEIVED, LISTEN, RST_TO_LISTEN), E(SYN_RECEIVED, ESTABLISHED, ACK_OF_SYN),
	E(SYN_RECEIVED, FIN_WAIT_1, CLOSE_CALL), E(ESTABLISHED, FIN_WAIT_1, CLOSE_CALL),
	E(ESTABLISHED, CLOSE_WAIT, FIN), E(FIN_WAIT_1, FIN_WAIT_2, ACK_OF_FIN),
	E(FIN_WAIT_1, CLOSING, FIN), E(CLOSE_WAIT, LAST_ACK, CLOSE_CALL),
	E(FIN_WAIT_2, TIME_WAIT, FIN), E(CLOSING, TIME_WAIT, ACK_OF_FIN),
	E(LAST_ACK, CLOSED, ACK_OF_FIN), E(TIME_WAIT, CLOSED, TWO_MSL)};

/* 3.10.5, 3.10.7.3, 3.10.7.4 and 3.10.8: RST, ABORT, time-out; what other RFCs and sockets add. */
static const struct edge others[] = {
	/* 3.10.5: ABORT in each state; in LISTEN it is a CLOSE, in TIME-WAIT it leaves the rest to
	 * the clock. */
	E(SYN_SENT, CLOSED, ABORT_CALL), E(SYN_RECEIVED, CLOSED, ABORT_CALL),
	E(ESTABLISHED, CLOSED, ABORT_CALL), E(FIN_WAIT_1, CLOSED, ABORT_CALL),
	E(FIN_WAIT_2, CLOSED, ABORT_CALL), E(CLOSE_WAIT, CLOSED, ABORT_CALL),
	E(CLOSING, CLOSED, ABORT_CALL), E(LAST_ACK, CLOSED, ABORT_CALL),
	/* 3.6.1: closed before all text was read */
	E(ESTABLISHED, CLOSED, UNREAD_DATA), E(FIN_WAIT_1, CLOSED, UNREAD_DATA),
	E(FIN_WAIT_2, CLOSED, UNREAD_DATA), E(CLOSE_WAIT, CLOSED, UNREAD_DATA),
	E(CLOSING, CLOSED, UNREAD_DATA), E(LAST_ACK, CLOSED, UNREAD_DATA),
	/* 3.10.7.3, 3.10.7.4 second: RST */
	E(SYN_SENT, CLOSED, RST_REFUSED), E(SYN_RECEIVED, CLOSED, RST_REFUSED),
	E(ESTABLISHED, CLOSED, RST), E(FIN_WAIT_1, CLOSED, RST), E(FIN_WAIT_2, CLOSED, RST),
	E(CLOSE_WAIT, CLOSED, RST), E(CLOSING, CLOSED, RST), E(LAST_ACK, CLOSED, RST),
	E(TIME_WAIT, CLOSED, RST),
	/* 3.8.3: R2, wherever something of ours can be unacknowledged; a half-open connection goes
	 * back to what it came from */
	E(SYN_SENT, CLOSED, RETRIES_OUT), E(SYN_RECEIVED, LISTEN, RETRIES_OUT),
	E(SYN_RECEIVED, CLOSED, RETRIES_OUT), E(ESTABLISHED, CLOSED, RETRIES_OUT),
	E(FIN_WAIT_1, CLOSED, RETRIES_OUT), E(CLOSE_WAIT, CLOSED, RETRIES_OUT),
	E(CLOSING, CLOSED, RETRIES_OUT), E(LAST_ACK, CLOSED, RETRIES_OUT),
	/* 3.10.8: the user timeout, in the same */
	E(SYN_SENT, CLOSED, USER_TIMEOUT), E(SYN_RECEIVED, CLOSED, USER_TIMEOUT),
	E(ESTABLISHED, CLOSED, USER_TIMEOUT), E(FIN_WAIT_1, CLOSED, USER_TIMEOUT),
	E(CLOSE_WAIT, CLOSED, USER_TIMEOUT), E(CLOSING, CLOSED, USER_TIMEOUT),
	E(LAST_ACK, CLOSED, USER_TIMEOUT),
	/* 3.8.4: keep-alives, once it stands */
	E(ESTABLISHED, CLOSED, KEEPALIVE_OUT), E(FIN_WAIT_1, CLOSED, KEEPALIVE_OUT),
	E(FIN_WAIT_2, CLOSED, KEEPALIVE_OUT), E(CLOSE_WAIT, CLOSED, KEEPALIVE_OUT),
	E(CLOSING, CLOSED, KEEPALIVE_OUT), E(LAST_ACK, CLOSED, KEEPALIVE_OUT),
	/* 3.9.2.2, with RFC 5461 4: only while it opens */
	E(SYN_SENT, CLOSED, ICMP_HARD), E(SYN_RECEIVED, CLOSED, ICMP_HARD),
	E(SYN_RECEIVED, LISTEN, ICMP_HARD), E(SYN_SENT, CLOSED, NO_ROUTE),
	/* 3.10.7.4 fourth: a SYN to what came of a passive OPEN; to TIME-WAIT */
	E(SYN_RECEIVED, LISTEN, SYN), E(TIME_WAIT, CLOSED, TIME_WAIT_REUSED),
	/* 3.10.4: CLOSE of a listener ends what half came of it */
	E(SYN_RECEIVED, CLOSED, LISTENER_CLOSED),
	/* RFC 4987: cookies, and a table that is full */
	E(LISTEN, SYN_RECEIVED, SYN_COOKIE), E(SYN_RECEIVED, LISTEN, SYN_COOKIE),
	E(SYN_RECEIVED, LISTEN, HALF_OPEN_EVICTED),
	/* our own bounds */
	E(FIN_WAIT_2, CLOSED, FIN_WAIT_2_OUT), E(TIME_WAIT, CLOSED, TIME_WAIT_EVICTED),
	E(TIME_WAIT, CLOSED, NO_MEMORY)};

static bool has(const struct edge *e, size_t n, const struct tg_move *m)
{
	for (size_t i = 0; i < n; i++)
		if (e[i].from == m->from && e[i].to == m->to && e[i].cause == m->cause)
			return true;
	return false;
}

/* The table's moves; how many. */
static unsigned all_moves(struct tg_move m[MOVES_MAX])
{
	uint32_t cursor = 0;
	unsigned n = 0;

	while (tg_moves(&cursor, &m[n]))
		ck_assert_uint_lt(++n, MOVES_MAX);
	return n;
}

static const char *text_of(const struct tg_move *m)
{
	static char text[128];

	snprintf(text, sizeof(text), "%s\t%s\t%s", tg_state_name((enum tg_state)m->from),
		tg_state_name((enum tg_state)m->to), tg_cause_text((enum tg_cause)m->cause));
	return text;
}

START_TEST (as_the_rfc_says) {
	struct tg_move m[MOVES_MAX];
	unsigned n = all_moves(m), wrong = 0;

	for (unsigned i = 0; i < n; i++) {
		ck_assert(tg_move_is_legal((enum tg_state)m[i].from, (enum tg_state)m[i].to));
		if (has(figure_5, ARRAY_LEN(figure_5), &m[i]) ==
			has(others, ARRAY_LEN(others), &m[i])) {
			fprintf(stderr, "the code alone allows %s\n", text_of(&m[i]));
			wrong++;
		}
	}
	for (unsigned i = 0; i < ARRAY_LEN(figure_5) + ARRAY_LEN(others); i++) {
		const struct edge *e =
			i < ARRAY_LEN(figure_5) ? &figure_5[i] : &others[i - ARRAY_LEN(figure_5)];
		struct tg_move want = {(uint8_t)e->from, (uint8_t)e->to, (uint16_t)e->cause};
		unsigned at = 0;

		while (at < n && memcmp(&m[at], &want, sizeof(want)) != 0)
			at++;
		if (at == n) {
			fprintf(stderr, "the code does not allow %s\n", text_of(&want));
			wrong++;
		}
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(n, ARRAY_LEN(figure_5) + ARRAY_LEN(others));
}
END_TEST

START_TEST (edges_without_a_cause_are_none) {
	struct tg_move m[MOVES_MAX];
	unsigned n = all_moves(m), edges = 0, seen[TG_STATE_COUNT][TG_STATE_COUNT] = {0};

	for (unsigned i = 0; i < n; i++)
		edges += seen[m[i].from][m[i].to]++ == 0;
	for (unsigned a = 0; a < TG_STATE_COUNT + 1; a++)
		for (unsigned b = 0; b < TG_STATE_COUNT + 1; b++)
			edges -= tg_move_is_legal((enum tg_state)a, (enum tg_state)b);
	ck_assert_uint_eq(edges, 0);
	ck_assert(!tg_move_is_legal(TG_LISTEN, TG_SYN_SENT));
	ck_assert(!tg_move_is_legal(TG_TIME_WAIT, TG_ESTABLISHED));
}
END_TEST

/* ---- What shows them ------------------------------------------------------------------------- */

static struct tg_drill_options opt;
static struct tg_drill_result res;
static struct script {
	char path[160];
	unsigned n; /* moves it shows: the fewer, the more it is about them */
	bool shows[MOVES_MAX];
} scripts[SCRIPTS_MAX];
static unsigned n_scripts;
static struct tg_move move[MOVES_MAX];
static unsigned n_moves;

static void setup(void)
{
	tg_drill_options_default(&opt);
	opt.note_rules = true;
	opt.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	opt.mem_bytes = MEM_BYTES;
	opt.scratch = mmap(NULL, TG_DRILL_SCRATCH_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	opt.scratch_bytes = TG_DRILL_SCRATCH_BYTES;
	ck_assert_ptr_ne(opt.mem, MAP_FAILED);
	ck_assert_ptr_ne(opt.scratch, MAP_FAILED);
	n_moves = all_moves(move);
	n_scripts = 0;
}

static void teardown(void)
{
	munmap(opt.mem, MEM_BYTES);
	munmap(opt.scratch, TG_DRILL_SCRATCH_BYTES);
}

static void run_script(struct script *sc)
{
	static char text[1 << 17];
	FILE *f = fopen(sc->path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "there is no %s", sc->path);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	madvise(opt.mem, MEM_BYTES, MADV_DONTNEED);
	opt.name = sc->path;
	ck_assert_msg(tg_drill_run(&opt, text, n, &res) == TG_DRILL_PASSED, "%s:%u: %s", sc->path,
		res.line, res.message);
	for (unsigned i = 0; i < n_moves; i++) {
		sc->shows[i] = tg_move_seen(res.instance, &move[i]);
		sc->n += sc->shows[i];
	}
}

static struct script *script_named(const char *path)
{
	struct script *sc;

	for (unsigned i = 0; i < n_scripts; i++)
		if (strcmp(scripts[i].path, path) == 0)
			return &scripts[i];
	ck_assert_uint_lt(n_scripts, SCRIPTS_MAX);
	sc = &scripts[n_scripts++];
	memset(sc, 0, sizeof(*sc));
	snprintf(sc->path, sizeof(sc->path), "%s", path);
	run_script(sc);
	return sc;
}

/* What no script can bring about, and the unit test that does and asserts it. */
static const char *unit_test_of(const struct tg_move *m)
{
	static const struct edge of[] = {E(SYN_SENT, CLOSED, NO_ROUTE),
		E(SYN_RECEIVED, LISTEN, SYN_COOKIE), E(TIME_WAIT, CLOSED, NO_MEMORY)};
	static const char *const test[] = {
		"unit/test_moves.c", "unit/test_tcp_cookie.c", "unit/test_moves.c"};

	for (unsigned i = 0; i < ARRAY_LEN(of); i++)
		if (has(&of[i], 1, m))
			return test[i];
	return NULL;
}

static bool world_shows(
	const struct tcp_world *w, enum tg_state from, enum tg_state to, enum tg_cause cause)
{
	struct tg_move m = {(uint8_t)from, (uint8_t)to, (uint16_t)cause};

	return tg_move_seen(w->s, &m);
}

START_TEST (no_route) {
	struct tcp_world *w = tw_new(NULL);
	struct tg_ip net = tg_ip4_of(0xcb007100);
	struct tg_addr peer = {tg_ip4_of(0xcb007101), 1};
	tg_sock k;

	ck_assert(tg_rules_note(w->s, true));
	ck_assert_int_eq(tg_route_add(w->s, &net, 24, NULL, w->netif, 0, w->now_ns), 0);
	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	ck_assert_int_eq(tg_route_del(w->s, &net, 24, NULL, w->netif, w->now_ns), 0);
	tw_step(w, NS_PER_SEC);
	ck_assert(world_shows(w, TG_SYN_SENT, TG_CLOSED, TG_CAUSE_NO_ROUTE));
	tg_sock_close(w->s, k, w->now_ns);
	tw_free(w);
}
END_TEST

START_TEST (no_memory_for_time_wait) {
	struct tcp_world *w = tw_new(NULL);
	struct tcp_seg g;

	ck_assert(tg_rules_note(w->s, true));
	w->listener = tw_listen(w, TW_PORT, 5);
	tw_establish(w, TW_FAR, (struct seq){TW_IRS});
	ck_assert_int_eq(tg_sock_shutdown(w->s, w->conn, TG_SHUT_WR, w->now_ns), 0);
	tw_step(w, NS_PER_MS);
	g = tw_seg(w);
	g.flags |= TCP_FIN;
	tg_memory_fail_after(w->s, 2, 1); /* the first is the packet's */
	tw_in(w, &g, NULL, 0);
	tg_memory_fail_after(w->s, 0, 0);
	ck_assert(world_shows(w, TG_TIME_WAIT, TG_CLOSED, TG_CAUSE_NO_MEMORY));
	ck_assert(world_shows(w, TG_FIN_WAIT_1, TG_FIN_WAIT_2, TG_CAUSE_ACK_OF_FIN));
	ck_assert(world_shows(w, TG_FIN_WAIT_2, TG_TIME_WAIT, TG_CAUSE_FIN));
	tg_sock_close(w->s, w->conn, w->now_ns);
	tg_sock_close(w->s, w->listener, w->now_ns);
	tw_free(w);
}
END_TEST

/* "FROM TO CAUSE SCRIPT..." with tabs between; the number of the move, MOVES_MAX: none. */
static unsigned move_of(const char *line, const char **scripts_at)
{
	for (unsigned i = 0; i < n_moves; i++) {
		size_t n = strlen(text_of(&move[i]));

		if (strncmp(line, text_of(&move[i]), n) == 0 && line[n] == '\t') {
			*scripts_at = line + n + 1;
			return i;
		}
	}
	return MOVES_MAX;
}

static bool shows(const char *path, unsigned i)
{
	const char *by_unit = unit_test_of(&move[i]);

	if (strncmp(path, TOP "unit/", strlen(TOP "unit/")) == 0)
		return by_unit && strcmp(path + strlen(TOP), by_unit) == 0;
	return script_named(path)->shows[i];
}

/* Every move has its line, every script on it shows it. */
START_TEST (every_move_is_shown) {
	unsigned rows[MOVES_MAX] = {0};
	char line[800], path[200];
	FILE *f = fopen(LIST, "r");

	ck_assert_ptr_ne(f, NULL);
	while (fgets(line, sizeof(line), f)) {
		const char *at = NULL;
		unsigned i = move_of(line, &at), n = 0;

		ck_assert_msg(i < MOVES_MAX, LIST ": no move of the code: %s", line);
		for (; *at && *at != '\n'; at += strcspn(at, "\t\n"), at += *at == '\t', n++) {
			snprintf(path, sizeof(path), TOP "%.*s", (int)strcspn(at, "\t\n"), at);
			ck_assert_msg(
				shows(path, i), "%s does not show %s", path, text_of(&move[i]));
		}
		ck_assert_msg(n >= 1 && n <= SHOWN, "%s: %u scripts", text_of(&move[i]), n);
		rows[i]++;
	}
	fclose(f);
	for (unsigned i = 0; i < n_moves; i++)
		ck_assert_msg(rows[i] == 1, LIST ": %u lines for %s; MOVES_WRITE=1 writes it anew",
			rows[i], text_of(&move[i]));
}
END_TEST

static int take_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	size_t n = strlen(path);

	(void)st;
	(void)at;
	if (type == FTW_F && n > 4 && strcmp(path + n - 4, ".pkt") == 0)
		script_named(path);
	return 0;
}

/* First what is about RFC 9293, then what shows little else. */
static int by_focus(const void *a, const void *b)
{
	const struct script *x = a, *y = b;
	bool x_9293 = strstr(x->path, "/rfc9293/"), y_9293 = strstr(y->path, "/rfc9293/");

	if (x_9293 != y_9293)
		return x_9293 ? -1 : 1;
	return x->n != y->n ? (x->n > y->n ? 1 : -1) : strcmp(x->path, y->path);
}

START_TEST (write_the_list) {
	FILE *f;

	ck_assert_int_eq(nftw(SCRIPTS, take_file, 16, FTW_PHYS), 0);
	qsort(scripts, n_scripts, sizeof(scripts[0]), by_focus);
	f = fopen(LIST, "w");
	ck_assert_ptr_ne(f, NULL);
	for (unsigned i = 0; i < n_moves; i++) {
		unsigned n = 0;

		fputs(text_of(&move[i]), f);
		for (unsigned k = 0; k < n_scripts && n < SHOWN; k++) {
			if (!scripts[k].shows[i])
				continue;
			fprintf(f, "\t%s", scripts[k].path + strlen(TOP));
			n++;
		}
		if (n == 0 && unit_test_of(&move[i]))
			fprintf(f, "\t%s", unit_test_of(&move[i]));
		else if (n == 0)
			fprintf(stderr, "no script shows %s\n", text_of(&move[i]));
		fputs("\n", f);
	}
	ck_assert_int_eq(fclose(f), 0);
}
END_TEST

static Suite *moves_suite(void)
{
	Suite *suite = suite_create("moves");
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, as_the_rfc_says);
	tcase_add_test(tc, edges_without_a_cause_are_none);
	suite_add_tcase(suite, tc);
	tc = tcase_create("shown");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, no_route);
	tcase_add_test(tc, no_memory_for_time_wait);
	if (getenv("MOVES_WRITE"))
		tcase_add_test(tc, write_the_list);
	tcase_add_test(tc, every_move_is_shown);
	suite_add_tcase(suite, tc);
	return suite;
}

UNIT_MAIN(moves_suite)
