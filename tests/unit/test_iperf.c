/* What iperf3 says: parameters and results as they are accepted, refused and written; numbers of
 * datagrams; amounts as people read them. */
#define _GNU_SOURCE
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "iperf.h"
#include "options.h"
#include "verbs.h"

static struct iperf_params p;
static char why[128];
static unsigned error;

static bool params(const char *text)
{
	return iperf_params_read(text, strlen(text), &p, &error, why);
}

START_TEST (parameters_of_a_stock_client) {
	ck_assert(params(
		"{\"tcp\":true,\"omit\":1,\"time\":10,\"num\":0,\"blockcount\":0,\"MSS\":1400,"
		"\"nodelay\":true,\"parallel\":4,\"reverse\":true,\"window\":307200,\"len\":131072,"
		"\"pacing_timer\":1000,\"TOS\":16,\"congestion\":\"reno\",\"client_version\":\"3."
		"12\"}"));
	ck_assert(!p.udp && p.reverse && !p.bidir && p.nodelay && !p.get_output);
	ck_assert_uint_eq(p.omit_s, 1);
	ck_assert_uint_eq(p.time_s, 10);
	ck_assert_uint_eq(p.parallel, 4);
	ck_assert_uint_eq(p.mss, 1400);
	ck_assert_uint_eq(p.window_bytes, 307200);
	ck_assert_uint_eq(p.block_bytes, 131072);
	ck_assert_uint_eq(p.tos, 16);
	ck_assert_str_eq(p.congestion, "reno");
	ck_assert(params(
		"{\"udp\":true,\"time\":1,\"bandwidth\":1000000000,\"burst\":10,\"len\":1460,"
		"\"udp_counters_64bit\":1,\"get_server_output\":1}"));
	ck_assert(p.udp && p.udp_64bit && p.get_output);
	ck_assert_uint_eq(p.rate_bps, 1000000000);
	ck_assert_uint_eq(p.burst_blocks, 10);
	ck_assert_uint_eq(p.parallel, 1);
	ck_assert_uint_eq(p.pacing_us, 1000);
}
END_TEST

START_TEST (parameters_that_are_refused) {
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"17",
		"{}",
		"{\"tcp\":true} x",
		"{\"tcp\":false}",
		"{\"tcp\":true,\"udp\":true}",
		"{\"tcp\":\"yes\"}",
		"{\"sctp\":true}",
		"{\"tcp\":true,\"parallel\":0}",
		"{\"tcp\":true,\"parallel\":129}",
		"{\"tcp\":true,\"parallel\":-1}",
		"{\"tcp\":true,\"parallel\":\"4\"}",
		"{\"tcp\":true,\"parallel\":[]}",
		"{\"tcp\":true,\"parallel\":null}",
		"{\"tcp\":true,\"len\":0}",
		"{\"tcp\":true,\"len\":1048577}",
		"{\"tcp\":true,\"len\":1e300}",
		"{\"tcp\":true,\"len\":NaN}",
		"{\"tcp\":true,\"len\":Infinity}",
		"{\"udp\":true,\"len\":65508}",
		"{\"udp\":true,\"len\":15}",
		"{\"tcp\":true,\"time\":86401}",
		"{\"tcp\":true,\"omit\":601}",
		"{\"tcp\":true,\"num\":-1}",
		"{\"tcp\":true,\"bandwidth\":1e30}",
		"{\"tcp\":true,\"TOS\":256}",
		"{\"tcp\":true,\"pacing_timer\":-5}",
		"{\"tcp\":true,\"reverse\":true,\"bidirectional\":true}",
		"{\"tcp\":true,\"congestion\":\"a name that is much too long for it\"}",
		"{\"tcp\":true,\"congestion\":17}",
		"{\"tcp\":true,\"title\":{}}",
		/* deeper than anything they say */
		"{\"tcp\":true,\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why[0] = '\0';
		ck_assert_msg(!params(bad[i]), "%s", bad[i]);
		ck_assert_uint_eq(error, IPERF_E_PARAMS);
		ck_assert_str_ne(why, "");
	}
	ck_assert(!params("{\"tcp\":true,\"congestion\":\"nonsense\"}"));
	ck_assert_uint_eq(error, IPERF_E_CONGESTION);
}
END_TEST

START_TEST (parameters_written_are_read_again) {
	struct iperf_params a = {.udp = true,
		.bidir = true,
		.udp_64bit = true,
		.get_output = true,
		.omit_s = 2,
		.time_s = 0,
		.bytes = 1ull << 40,
		.parallel = 128,
		.block_bytes = 1400,
		.window_bytes = 100000,
		.tos = 184,
		.burst_blocks = 7,
		.pacing_us = 500,
		.rate_bps = 123456789,
		.congestion = "cubic",
		.title = "a \"title\"",
		.extra = "more\\",
		.version = "x"};
	char *text = iperf_params_write(&a);

	ck_assert_ptr_nonnull(text);
	ck_assert_msg(params(text), "%s: %s", text, why);
	ck_assert_mem_eq(&a, &p, sizeof(p));
	free(text);
}
END_TEST

START_TEST (a_terminal_is_not_told_what_to_do) {
	ck_assert(params("{\"tcp\":true,\"title\":\"\\u001b[2Jx\\n\"}"));
	ck_assert_str_eq(p.title, "?[2Jx?");
}
END_TEST

/* ---- Results --------------------------------------------------------------------------------- */

static struct iperf_results *r;

static bool results(const char *text)
{
	iperf_results_free(r);
	free(r);
	r = malloc(sizeof(*r));
	return iperf_results_read(text, strlen(text), r, why);
}

START_TEST (results_of_a_stock_end) {
	ck_assert(results(
		"{\"cpu_util_total\":1.5,\"cpu_util_user\":0.5,\"cpu_util_system\":1,"
		"\"sender_has_retransmits\":18446744073709551615,\"congestion_used\":\"bbr\","
		"\"server_output_text\":\"one\\ntwo\\u001b\",\"streams\":[{\"id\":1,\"bytes\":"
		"1310720,"
		"\"retransmits\":18446744073709551615,\"jitter\":0.002,\"errors\":3,\"packets\":70,"
		"\"start_time\":0,\"end_time\":1.05},{\"id\":3,\"bytes\":9007199254740993,"
		"\"retransmits\":-1,\"jitter\":0,\"errors\":-2,\"packets\":0}]}"));
	ck_assert_uint_eq(r->n, 2);
	ck_assert_int_eq(r->has_retransmits, -1);
	ck_assert_int_eq(r->stream[0].id, 1);
	ck_assert_uint_eq(r->stream[0].bytes, 1310720);
	ck_assert_int_eq(r->stream[0].retransmits, -1);
	ck_assert_uint_eq(r->stream[0].lost, 3);
	ck_assert_double_eq(r->stream[0].jitter_s, 0.002);
	ck_assert_int_eq(r->stream[1].id, 3);
	ck_assert_uint_eq(r->stream[1].lost, 0);
	ck_assert_str_eq(r->output, "one\ntwo?");
	ck_assert_str_eq(r->congestion, "bbr");
	iperf_results_free(r);
	free(r);
	r = NULL;
}
END_TEST

START_TEST (results_that_are_refused) {
	static const char *const bad[] = {
		"",
		"null",
		"{}",
		"{\"streams\":{}}",
		"{\"streams\":[1]}",
		"{\"streams\":[{}]}",
		"{\"streams\":[{\"id\":0}]}",
		"{\"streams\":[{\"id\":1e9}]}",
		"{\"streams\":[{\"id\":1,\"bytes\":-1}]}",
		"{\"streams\":[{\"id\":1,\"bytes\":\"x\"}]}",
		"{\"streams\":[{\"id\":1,\"jitter\":\"x\"}]}",
		"{\"streams\":[],\"cpu_util_total\":\"x\"}",
		"{\"streams\":[],\"congestion_used\":\"a name that is much too long for it\"}",
	};
	char many[16384] = "{\"streams\":[";

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!results(bad[i]), "%s", bad[i]);
	for (unsigned i = 0; i <= IPERF_STREAMS_MAX; i++)
		strcat(many, i == 0 ? "{\"id\":1}" : ",{\"id\":1}");
	strcat(many, "]}");
	ck_assert(!results(many));
	iperf_results_free(r);
	free(r);
	r = NULL;
}
END_TEST

START_TEST (results_written_are_read_again) {
	struct iperf_results *a = calloc(1, sizeof(*a));
	char *text;

	a->cpu_total = 12.5;
	a->has_retransmits = 1;
	strcpy(a->congestion, "cubic");
	a->output = strdup("line\nline\n");
	a->n = 2;
	a->stream[0] = (struct iperf_stream_result){1, 1ull << 50, 7, 1, -1, 0.25, 0, 10.5};
	a->stream[1] = (struct iperf_stream_result){3, 5, 0, 0, 12, 0, 0, 10.5};
	text = iperf_results_write(a);
	ck_assert(results(text));
	ck_assert_mem_eq(r->stream, a->stream, 2 * sizeof(a->stream[0]));
	ck_assert_str_eq(r->output, a->output);
	ck_assert_int_eq(r->has_retransmits, 1);
	free(text);
	iperf_results_free(a);
	iperf_results_free(r);
	free(a);
	free(r);
	r = NULL;
}
END_TEST

/* ---- Datagrams ------------------------------------------------------------------------------- */

#define MS 1000000

START_TEST (losses_and_late_ones) {
	static const uint64_t order[] = {1, 2, 5, 3, 6, 6, 10, 4};
	struct iperf_arrivals a = {0};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		iperf_arrive(&a, order[i], 0, MS);
	ck_assert_uint_eq(a.packets, 10);
	/* 3, 4 before 5; 7, 8, 9 before 10; the second 6 is taken for a late one, as 3 and 4 were
	 */
	ck_assert_uint_eq(a.lost, 2);
	ck_assert_uint_eq(a.disorder, 3);
}
END_TEST

START_TEST (jitter_is_that_of_rfc_3550) {
	struct iperf_arrivals a = {0};
	double j = 0;

	/* transit times of 5, 5, 9, 2 ms, whatever the sender's clock is */
	iperf_arrive(&a, 1, -1000 * MS, -995 * MS);
	ck_assert_double_eq(a.jitter_s, 0);
	iperf_arrive(&a, 2, 10 * MS, 15 * MS);
	ck_assert_double_eq(a.jitter_s, 0);
	iperf_arrive(&a, 3, 20 * MS, 29 * MS);
	j += (0.004 - j) / 16;
	ck_assert_double_eq_tol(a.jitter_s, j, 1e-12);
	iperf_arrive(&a, 4, 30 * MS, 32 * MS);
	j += (0.007 - j) / 16;
	ck_assert_double_eq_tol(a.jitter_s, j, 1e-12);
	/* a clock at the other end of the world, and a number to match */
	iperf_arrive(
		&a, INT64_MAX, (int64_t)UINT32_MAX * 1000 * MS + (int64_t)UINT32_MAX * 1000, 5);
	ck_assert(isfinite(a.jitter_s));
}
END_TEST

START_TEST (amounts) {
	char b[24];

	ck_assert_str_eq(iperf_amount(0, b), "0.00 Bytes");
	ck_assert_str_eq(iperf_amount(1000, b), "1000 Bytes");
	ck_assert_str_eq(iperf_amount(1024, b), "1.00 KBytes");
	ck_assert_str_eq(iperf_amount(1.5 * 1048576, b), "1.50 MBytes");
	ck_assert_str_eq(iperf_amount(143.0 * 1048576, b), " 143 MBytes");
	ck_assert_str_eq(iperf_rate(9.38e9, 0, b), "9.38 Gbits/sec");
	ck_assert_str_eq(iperf_rate(1e7, 0, b), "10.0 Mbits/sec");
	ck_assert_str_eq(iperf_rate(1e7, 'k', b), "10000 Kbits/sec");
	ck_assert_str_eq(iperf_rate(8 * 1048576, 'M', b), "1.00 MBytes/sec");
}
END_TEST

static void count_letters(void *ctx, const struct option_spec *s)
{
	int *letters = ctx;

	letters[(unsigned char)s->letter]++;
}

START_TEST (no_letter_means_two_things) {
	int letters[256] = {0};

	options_each(&iperf3_spec, count_letters, letters);
	for (int c = 1; c < 256; c++)
		ck_assert_msg(letters[c] < 2, "-%c", c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("iperf");
	TCase *t = tcase_create("iperf");
	SRunner *k;
	int failed;

	tcase_add_test(t, parameters_of_a_stock_client);
	tcase_add_test(t, parameters_that_are_refused);
	tcase_add_test(t, parameters_written_are_read_again);
	tcase_add_test(t, a_terminal_is_not_told_what_to_do);
	tcase_add_test(t, results_of_a_stock_end);
	tcase_add_test(t, results_that_are_refused);
	tcase_add_test(t, results_written_are_read_again);
	tcase_add_test(t, losses_and_late_ones);
	tcase_add_test(t, jitter_is_that_of_rfc_3550);
	tcase_add_test(t, amounts);
	tcase_add_test(t, no_letter_means_two_things);
	suite_add_tcase(s, t);
	k = srunner_create(s);
	srunner_run_all(k, CK_NORMAL);
	failed = srunner_ntests_failed(k);
	srunner_free(k);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
