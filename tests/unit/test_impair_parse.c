/* tg_impair_parse: tc's spelling understood, everything else refused with a reason. */
#include "tapglass_host.h"
#include "unit.h"

START_TEST (understood) {
	struct tg_impair i;
	char err[100];

#define YES(name, value, field, want)                                                              \
	do {                                                                                       \
		tg_impair_default(&i);                                                             \
		ck_assert_msg(tg_impair_parse(&i, name, value, err, sizeof(err)), "%s %s: %s",     \
			name, value, err);                                                         \
		ck_assert_msg(i.field == (want), "%s %s: %llu", name, value,                       \
			(unsigned long long)i.field);                                              \
		ck_assert(tg_impair_active(&i) == ((want) != 0));                                  \
	} while (0)
	YES("drop", "2%", drop_ppm, 20000);
	YES("drop", ".1%", drop_ppm, 1000);
	YES("drop", "0%", drop_ppm, 0);
	YES("dup", "100%", dup_ppm, 1000000);
	YES("reorder", "12.5%", reorder_ppm, 125000);
	YES("corrupt", "0.0001%", corrupt_ppm, 1);
	YES("delay", "20ms", delay_ns, 20000000);
	YES("delay", "1.5s", delay_ns, 1500000000);
	YES("delay", "250us", delay_ns, 250000);
	YES("delay", "250\xc2\xb5s", delay_ns, 250000);
	YES("delay", "7ns", delay_ns, 7);
	YES("delay", "20MS+-5ms", jitter_ns, 5000000);
	YES("delay", "20ms+-5ms", delay_ns, 20000000);
	YES("delay",
		"20ms\xc2\xb1"
		"5",
		jitter_ns, 5000000);
	YES("delay", "1s+-250us", jitter_ns, 250000);
	YES("delay", "3600s", delay_ns, 3600000000000);
	YES("rate", "10mbit", rate_bps, 10000000);
	YES("rate", "1gbit", rate_bps, 1000000000);
	YES("rate", "1.5Gbit", rate_bps, 1500000000);
	YES("rate", "500kbit", rate_bps, 500000);
	YES("rate", "8bit", rate_bps, 8);
	YES("rate", "2mbps", rate_bps, 16000000);
	YES("rate", "1000gbit", rate_bps, 1000000000000);
#undef YES
}
END_TEST

static const char *const refused[][3] = {
	{"drop", "2", "percentage"},
	{"drop", "", "percentage"},
	{"drop", "%", "percentage"},
	{"drop", "-1%", "percentage"},
	{"drop", "2%x", "percentage"},
	{"drop", "2 %", "percentage"},
	{"drop", "101%", "more than 100%"},
	{"drop", "99999999999999999999%", "percentage"},
	{"drop", "0.00001%", "finer"},
	{"drop", "0.0000001%", "percentage"},
	{"delay", "20", "time"},
	{"delay", "ms", "time"},
	{"delay", "20ms5", "time"},
	{"delay", "20ms+-", "time"},
	{"delay", "20ms+-x", "time"},
	{"delay", "20ms+-5msx", "time"},
	{"delay", "2h", "time"},
	{"delay", "3601s", "hour"},
	{"delay", "1ms+-4000s", "hour"},
	{"rate", "10", "rate"},
	{"rate", "0mbit", "less than"},
	{"rate", "10mbits", "rate"},
	{"rate", "1001gbit", "1000gbit"},
	{"rate", "fast", "rate"},
	{"loss", "2%", "no impairment"},
	{"dropx", "2%", "no impairment"},
};

START_TEST (is_refused) {
	struct tg_impair i, before;
	char err[100] = "", little[8];

	tg_impair_default(&i);
	before = i;
	ck_assert(!tg_impair_parse(&i, refused[_i][0], refused[_i][1], err, sizeof(err)));
	ck_assert_msg(
		strstr(err, refused[_i][2]), "%s %s: %s", refused[_i][0], refused[_i][1], err);
	ck_assert_msg(memcmp(&i, &before, sizeof(i)) == 0, "it changed something");
	memset(little, 'x', sizeof(little));
	ck_assert(!tg_impair_parse(&i, refused[_i][0], refused[_i][1], little, 5));
	ck_assert_uint_eq(strlen(little), 4);
	ck_assert(!tg_impair_parse(&i, refused[_i][0], refused[_i][1], NULL, 0));
}
END_TEST

START_TEST (default_is_inactive) {
	struct tg_impair i;

	tg_impair_default(&i);
	ck_assert(!tg_impair_active(&i));
	ck_assert_uint_eq(i.queue_pkts, 1000);
}
END_TEST

static Suite *impair_parse_suite(void)
{
	Suite *s = suite_create("impair_parse");
	TCase *t = tcase_create("impair_parse");

	tcase_add_test(t, understood);
	tcase_add_loop_test(t, is_refused, 0, (int)ARRAY_LEN(refused));
	tcase_add_test(t, default_is_inactive);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(impair_parse_suite)
