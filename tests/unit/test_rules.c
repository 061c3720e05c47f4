/* What tools see from within: the TCB by the RFCs' names, and the rules that calls go through.
 * Every packet script is run with rules noted: there is no rule that none of them reaches, and
 * noting changes nothing. */
#define _GNU_SOURCE 1
#include "unit.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base.h"
#include "tapglass_drill.h"
#include "tapglass_rules.h"

#define MEM_BYTES (64u << 20)

static struct tg_drill_options opt;
static struct tg_drill_result res;
static bool seen[TG_RULE_COUNT];
static unsigned scripts, not_passed;

static void setup(void)
{
	tg_drill_options_default(&opt);
	opt.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	opt.mem_bytes = MEM_BYTES;
	opt.scratch = mmap(NULL, TG_DRILL_SCRATCH_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	opt.scratch_bytes = TG_DRILL_SCRATCH_BYTES;
	ck_assert_ptr_ne(opt.mem, MAP_FAILED);
	ck_assert_ptr_ne(opt.scratch, MAP_FAILED);
}

static void teardown(void)
{
	munmap(opt.mem, MEM_BYTES);
	munmap(opt.scratch, TG_DRILL_SCRATCH_BYTES);
}

static void fresh(void)
{
	madvise(opt.mem, MEM_BYTES, MADV_DONTNEED);
}

static struct tg *run(const char *text)
{
	fresh();
	tg_drill_run(&opt, text, strlen(text), &res);
	ck_assert_msg(res.verdict == TG_DRILL_PASSED, "%u: %s: %s", res.line, res.message, res.got);
	return res.instance;
}

/* ---- The TCB --------------------------------------------------------------------------------- */

#define HANDSHAKE                                                                                  \
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n"                  \
	"+0 listen(3, 1) = 0\n"                                                                    \
	"+0 < S 100:100(0) win 5000 <mss 1000,sackOK,nop,wscale 3>\n+0 > S. 0:0(0) ack 101 "       \
	"<...>\n"
#define ESTABLISHED HANDSHAKE "+.1 < . 101:101(0) ack 1 win 700\n+0 accept(3, ..., ...) = 4\n"

/* The first that is not a listener. */
static struct tg_tcb tcb_of(const struct tg *s)
{
	struct tg_tcb t;
	uint64_t cursor = 0;

	while (tg_tcb_next(s, &cursor, &t))
		if (t.v[TG_TCB_STATE] != TG_LISTEN)
			return t;
	ck_abort_msg("there is no connection");
	return t;
}

START_TEST (half_open) {
	struct tg_tcb t = tcb_of(run(HANDSHAKE));

	ck_assert_uint_eq(t.v[TG_TCB_STATE], TG_SYN_RECEIVED);
	ck_assert_uint_eq(t.v[TG_TCB_IRS], 100);
	ck_assert_uint_eq(t.v[TG_TCB_RCV_NXT], 101);
	ck_assert_uint_eq(t.v[TG_TCB_SND_UNA], t.v[TG_TCB_ISS]);
	ck_assert_uint_eq((uint32_t)(t.v[TG_TCB_SND_NXT] - t.v[TG_TCB_ISS]), 1);
	ck_assert_uint_eq(t.v[TG_TCB_WSCALE_SND], 3);
	ck_assert_uint_eq(t.v[TG_TCB_MSS_PEER], 1000);
	ck_assert_uint_eq(t.v[TG_TCB_PASSIVE], 1);
	ck_assert_uint_ne(t.v[TG_TCB_T_REXMIT], UINT64_MAX);
	ck_assert_uint_eq(t.v[TG_TCB_T_DELACK], UINT64_MAX);
	ck_assert_uint_eq(t.local.port, 8080);
	ck_assert_uint_eq(t.sock, 0);
}
END_TEST

START_TEST (established_and_sending) {
	struct tg_tcb t = tcb_of(run(ESTABLISHED "+0 write(4, ..., 2500) = 2500\n"
						 "+0 > . 1:2001(2000) ack 101\n"
						 "+.1 < . 101:111(10) ack 1001 win 700\n"));

	ck_assert_uint_eq(t.v[TG_TCB_STATE], TG_ESTABLISHED);
	ck_assert_uint_eq((uint32_t)(t.v[TG_TCB_SND_UNA] - t.v[TG_TCB_ISS]), 1001);
	ck_assert_uint_eq((uint32_t)(t.v[TG_TCB_SND_NXT] - t.v[TG_TCB_ISS]), 2001);
	ck_assert_uint_eq(t.v[TG_TCB_UNACKED], 1000);
	ck_assert_uint_eq(t.v[TG_TCB_FLIGHT], 1000);
	ck_assert_uint_eq(t.v[TG_TCB_UNSENT], 500); /* Nagle */
	ck_assert_uint_eq(t.v[TG_TCB_SND_WND], 5600);
	ck_assert_uint_eq(t.v[TG_TCB_RCV_NXT], 111);
	ck_assert_uint_eq(t.v[TG_TCB_UNREAD], 10);
	ck_assert_uint_eq(t.v[TG_TCB_MSS_SND], 1000);
	ck_assert_uint_eq(t.v[TG_TCB_SACK_OK], 1);
	ck_assert_uint_eq(t.v[TG_TCB_TS_OK], 0);
	ck_assert_uint_eq(t.v[TG_TCB_CWND], 10000);
	ck_assert_uint_eq(t.v[TG_TCB_SRTT] / 1000000, 100);
	ck_assert_uint_ne(t.v[TG_TCB_T_DELACK], UINT64_MAX);
	ck_assert_uint_ne(t.sock, 0);
}
END_TEST

START_TEST (time_wait) {
	struct tg_tcb t = tcb_of(run(ESTABLISHED "+0 close(4) = 0\n+0 > F. 1:1(0) ack 101\n"
						 "+.1 < F. 101:101(0) ack 2 win 700\n"
						 "+0 > . 2:2(0) ack 102\n"));

	ck_assert_uint_eq(t.v[TG_TCB_STATE], TG_TIME_WAIT);
	ck_assert_uint_eq(t.v[TG_TCB_RCV_NXT], 102);
	ck_assert_uint_ne(t.v[TG_TCB_T_STATE], UINT64_MAX);
}
END_TEST

START_TEST (words) {
	for (unsigned i = 0; i < TG_TCB_COUNT; i++) {
		ck_assert_str_ne(tg_tcb_name(i), "?");
		ck_assert_str_ne(tg_tcb_text(i), "?");
		for (unsigned k = 0; k < i; k++)
			ck_assert_str_ne(tg_tcb_name(i), tg_tcb_name(k));
	}
	ck_assert_str_eq(tg_tcb_name(TG_TCB_COUNT), "?");
	ck_assert_str_eq(tg_tcb_name(TG_TCB_SND_UNA), "snd.una");
	ck_assert_int_eq(tg_tcb_kind_of(TG_TCB_SND_UNA), TG_TCB_IS_SEQ_OURS);
	ck_assert_str_eq(tg_rule_name(TG_RULE_COUNT), "?");
	ck_assert_str_eq(tg_rule_name(TG_RULE_ACK_NEW), "ack_new");
}
END_TEST

/* ---- Rules ----------------------------------------------------------------------------------- */

static const struct tg_rule_hit *hit(const struct tg *s, enum tg_rule rule)
{
	const struct tg_rule_hit *h;
	uint32_t n = tg_rules(s, &h);

	for (uint32_t i = 0; i < n; i++)
		if (h[i].rule == rule)
			return &h[i];
	ck_abort_msg("%s is not among the rules", tg_rule_name(rule));
	return NULL;
}

START_TEST (numbers) {
	const struct tg_rule_hit *h;
	struct tg *s;

	opt.note_rules = true;
	s = run(HANDSHAKE "+.1 < . 101:101(0) ack 1 win 700\n");
	h = hit(s, TG_RULE_ACK_OF_SYN);
	ck_assert_uint_eq(h->n, 3);
	ck_assert_uint_eq(h->number[0] - h->iss, 0);
	ck_assert_uint_eq(h->number[1] - h->iss, 1);
	ck_assert_uint_eq(h->irs, 100);
	ck_assert_uint_ne(h->conn, 0);
	h = hit(s, TG_RULE_LISTEN_SYN);
	ck_assert_uint_eq(h->number[0], 100);
	tg_rules_clear(s);
	ck_assert_uint_eq(tg_rules(s, &h), 0);
	ck_assert(tg_rules_seen(s, TG_RULE_ACK_OF_SYN));
	ck_assert(!tg_rules_seen(s, TG_RULE_FIN_ACKED));
	ck_assert(tg_rules_note(s, false));
	ck_assert(!tg_rules_seen(s, TG_RULE_ACK_OF_SYN));
}
END_TEST

static int run_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	static char text[1 << 17];
	size_t n;
	FILE *f;

	(void)st;
	(void)at;
	if (type != FTW_F || !strstr(path, ".pkt"))
		return 0;
	f = fopen(path, "r");
	ck_assert_ptr_ne(f, NULL);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	fresh();
	scripts++;
	if (tg_drill_run(&opt, text, n, &res) != TG_DRILL_PASSED) {
		fprintf(stderr, "%s:%u: %s\n", path, res.line, res.message);
		not_passed++;
	}
	for (unsigned i = 1; res.instance && i < TG_RULE_COUNT; i++)
		seen[i] |= tg_rules_seen(res.instance, i);
	return 0;
}

START_TEST (every_rule_decides_somewhere) {
	unsigned missing = 0;

	opt.note_rules = true;
	ck_assert_int_eq(nftw("tests/drill", run_file, 16, FTW_PHYS), 0);
	ck_assert_uint_gt(scripts, 700);
	for (unsigned i = 1; i < TG_RULE_COUNT; i++) {
		if (seen[i])
			continue;
		fprintf(stderr, "no script reaches the rule %s\n", tg_rule_name(i));
		missing++;
	}
	ck_assert_uint_eq(missing, 0);
	ck_assert_uint_eq(not_passed, 0);
}
END_TEST

/* Rules name clauses of the list that code and tests are measured by, "-" where no RFC speaks. */
START_TEST (clauses_exist) {
	static char text[1 << 18];
	FILE *f = fopen("tests/clauses.tsv", "r");
	char line[64];
	size_t n;

	ck_assert_ptr_ne(f, NULL);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	for (unsigned i = 1; i < TG_RULE_COUNT; i++) {
		snprintf(line, sizeof(line), "\n%s\t", tg_rule_clause(i));
		ck_assert_msg(strcmp(tg_rule_clause(i), "-") == 0 || strstr(text, line),
			"%s: no clause %s", tg_rule_name(i), tg_rule_clause(i));
	}
}
END_TEST

static Suite *rules_suite(void)
{
	Suite *suite = suite_create("rules");
	TCase *tc = tcase_create("view");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, half_open);
	tcase_add_test(tc, established_and_sending);
	tcase_add_test(tc, time_wait);
	tcase_add_test(tc, words);
	suite_add_tcase(suite, tc);
	tc = tcase_create("rules");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, numbers);
	tcase_add_test(tc, every_rule_decides_somewhere);
	tcase_add_test(tc, clauses_exist);
	suite_add_tcase(suite, tc);
	return suite;
}

UNIT_MAIN(rules_suite)
