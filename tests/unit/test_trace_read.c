/* Reading event logs: whatever the bytes are, every form of `tapglass trace` comes to an end, tells
 * damage from events, and touches no memory of others. */
#define _GNU_SOURCE
#include "../../apps/event_json.h"
#include "../../apps/trace.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define LOG_BYTES 65536u

static const char header[] =
	"\x1e{\"file_schema\":\"urn:ietf:params:qlog:file:sequential\",\"trace\":{}}\n";

static const struct trace_form *const forms[] = {
	&trace_form_text, &trace_form_csv, &trace_form_ladder, &trace_form_perfetto};

/* A log of n records of every kind; returns its length. */
static size_t log_make(struct unit_rng *r, char *log, unsigned n)
{
	size_t at = sizeof header - 1;

	memcpy(log, header, at);
	for (unsigned i = 0; i < n; i++) {
		struct tg_trace t;

		unit_bytes(r, &t, sizeof t);
		t.time_ns = 1000000u * i;
		t.kind = (uint8_t)(1 + unit_below(r, TG_TRACE_IMPAIRED));
		t.conn %= 4;
		t.lport %= 2;
		t.rport %= 2;
		memset(t.raddr, 0, sizeof t.raddr);
		if (t.kind == TG_TRACE_STATE) {
			t.a %= TG_STATE_COUNT;
			t.b %= TG_STATE_COUNT;
		}
		log[at++] = '\x1e';
		at += event_json(&t, 0, log + at);
		log[at++] = '\n';
	}
	return at;
}

struct verdict {
	unsigned events, damaged;
	bool cut, not_a_log;
};

static struct verdict read_all(const struct trace_form *form, char *log, size_t n)
{
	struct trace_reader *r = malloc(sizeof *r);
	FILE *f = fmemopen(log, n, "rb");
	struct verdict v = {0};
	struct trace_event e;
	enum trace_result rc;
	void *state;

	ck_assert(r != NULL && f != NULL && trace_reader_open(r, f));
	v.not_a_log = trace_header(r) != TRACE_EVENT;
	ck_assert(form->begin(&state));
	while (!v.not_a_log && (rc = trace_next(r, &e)) != TRACE_END && !v.cut) {
		if (rc == TRACE_EVENT) {
			form->event(state, &e);
		}
		v.events += rc == TRACE_EVENT;
		v.damaged += rc == TRACE_DAMAGED;
		v.cut = rc == TRACE_CUT;
	}
	form->end(state);
	trace_reader_close(r);
	free(r);
	fclose(f);
	return v;
}

START_TEST (whole_logs_are_read_whole) {
	char *log = malloc(LOG_BYTES);
	struct unit_rng r;

	unit_rng_start(&r, _i);
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
	for (size_t i = 0; i < 4; i++) {
		size_t n = log_make(&r, log, 100);
		struct verdict v = read_all(forms[i], log, n);

		ck_assert_uint_eq(v.events, 100);
		ck_assert(v.damaged == 0 && !v.cut && !v.not_a_log);
		v = read_all(forms[i], log, n - 1 - unit_below(&r, 20));
		ck_assert_uint_eq(v.events, 99);
		ck_assert(v.damaged == 0 && v.cut);
	}
	free(log);
}
END_TEST

START_TEST (damaged_logs_come_to_an_end) {
	static const char spice[] = "\x1e\n\"{}[]:,\\0e9-\x80";
	char *log = malloc(LOG_BYTES);
	struct unit_rng r;

	unit_rng_start(&r, _i);
	ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
	for (unsigned round = 0; round < 20; round++) {
		size_t n = log_make(&r, log, 40);
		unsigned hits = 1 + unit_below(&r, 200);

		for (unsigned k = 0; k < hits; k++) {
			log[sizeof header + unit_below(&r, (uint32_t)(n - sizeof header))] =
				spice[unit_below(&r, sizeof spice)];
		}
		for (size_t i = 0; i < 4; i++) {
			struct verdict v = read_all(forms[i], log, n);

			ck_assert(!v.not_a_log);
			ck_assert_uint_le(v.events + v.damaged, 41 + hits);
		}
	}
	free(log);
}
END_TEST

static Suite *trace_read_suite(void)
{
	Suite *s = suite_create("trace_read");
	TCase *t = tcase_create("logs");

	tcase_add_loop_test(t, whole_logs_are_read_whole, 0, 5);
	tcase_add_loop_test(t, damaged_logs_come_to_an_end, 0, 20);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(trace_read_suite)
