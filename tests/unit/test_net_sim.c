/* The network simulator: its language, and its figures against arithmetic. */
#define _GNU_SOURCE 1
#include "unit.h"

#include <string.h>
#include <sys/mman.h>

#include "tapglass_sim.h"

#define MEM_BYTES ((size_t)2 << 30)

static struct tg_sim_options opt;
static struct tg_sim_report rep;

static enum tg_sim_verdict run(const char *text)
{
	enum tg_sim_verdict v;

	opt.mem_bytes = MEM_BYTES;
	opt.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(opt.mem, MAP_FAILED);
	v = tg_sim_run(&opt, text, strlen(text), &rep);
	munmap(opt.mem, MEM_BYTES);
	return v;
}

#define TWO "host a\nhost b\n"

START_TEST (test_refused) {
	static const struct {
		const char *text;
		uint32_t line;
		const char *message;
	} bad[] = {
		{"", 0, "no flow: nothing to do"},
		{"host\n", 1, "wants a name of at most 15 bytes"},
		{"host a\n# x\nhost a\n", 3, "this node is there already"},
		{"host aaaaaaaaaaaaaaaa\n", 1, "wants a name of at most 15 bytes"},
		{"router r sack off\n", 1, "something is left over at the end of the line"},
		{"host a sack maybe\n", 1, "wants on or off"},
		{"host a rcvbuf 1kb\n", 1, "a buffer has 4 KiB to 1 GiB"},
		{"host a colour red\n", 1, "no such property of a host"},
		{TWO "link a c\n", 3, "no such node"},
		{TWO "link a a\n", 3, "a link joins two nodes"},
		{TWO "link a b rate fast\n", 3, "wants a rate such as 10mbit or 1gbit"},
		{TWO "link a b rate 10mbits\n", 3, "wants a rate such as 10mbit or 1gbit"},
		{TWO "link a b rate 2000gbit\n", 3, "wants a rate such as 10mbit or 1gbit"},
		{TWO "link a b delay 10\n", 3, "wants a time such as 5s, 20ms or 100us"},
		{TWO "link a b delay 1.0000001s\n", 3, "wants a time such as 5s, 20ms or 100us"},
		{TWO "link a b loss 101%\n", 3, "wants a percentage such as 2% or .01%"},
		{TWO "link a b loss\n", 3, "wants a percentage such as 2% or .01%"},
		{TWO "link a b queue 0\n", 3, "this number is too small"},
		{TWO "link a b mtu 67\n", 3, "this number is too small"},
		{TWO "link a b mtu 65536\n", 3, "wants a number"},
		{TWO "link a b down 2s..1s\n", 3, "wants a span of time such as 1s..2.5s"},
		{TWO "link a b down 2s\n", 3, "wants a span of time such as 1s..2.5s"},
		{TWO "link a b smell 1\n", 3, "no such property of a link"},
		{TWO "flow f a a\n", 3, "a flow goes from one host to another"},
		{TWO "router r\nflow f a r\n", 4, "a flow goes from one host to another"},
		{TWO "flow f a b bytes 10\n", 3, "wants a size such as 1448b, 64kb or 4mib"},
		{TWO "flow f a b write 10kb\n", 3, "write and every belong together"},
		{TWO "flow f a b speed 1\n", 3, "no such property of a flow"},
		{TWO "flow f a b\nexpect g goodput > 1mbit\n", 4, "no such flow"},
		{TWO "flow f a b\nexpect f goodness > 1\n", 4, "no such figure of a flow"},
		{TWO "flow f a b\nexpect f goodput => 1mbit\n", 4, "wants ==, !=, <, <=, > or >="},
		{TWO "flow f a b\nexpect link a b used > 9%\n", 4, "no such link"},
		{TWO "link a b\nexpect link a b smell > 9%\n", 4, "no such figure of a link"},
		{"time\n", 1, "wants a time such as 5s, 20ms or 100us"},
		{"seed x\n", 1, "wants a number"},
		{"measure 1s..\n", 1, "wants a span of time such as 1s..2.5s"},
		{"hots a\n", 1,
			"wants host, router, link, flow, hosts, time, measure, seed or expect"},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(run(bad[i].text), TG_SIM_ERROR);
		ck_assert_str_eq(rep.message, bad[i].message);
		ck_assert_uint_eq(rep.error_line, bad[i].line);
	}
}
END_TEST

START_TEST (test_memory) {
	opt.mem_bytes = 1 << 20;
	opt.mem = mmap(
		NULL, opt.mem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(tg_sim_run(&opt, TWO, strlen(TWO), &rep), TG_SIM_ERROR);
	ck_assert_str_eq(rep.message, "not enough memory for this network");
	munmap(opt.mem, opt.mem_bytes);
}
END_TEST

/* A clean link: every figure can be computed. */
START_TEST (test_clean) {
	const struct tg_sim_flow *f = &rep.flow[0];
	uint64_t least_ns;

	ck_assert_int_eq(run(TWO "link a b rate 10mbit delay 5ms queue 10000\n"
				 "flow f a b bytes 10mb\ntime 60s\n"),
		TG_SIM_OK);
	ck_assert(f->complete && f->error == 0);
	ck_assert_uint_eq(f->delivered_bytes, 10000000);
	ck_assert_uint_eq(f->retransmits, 0);
	/* 1,448 bytes in 1,500 at 10 Mbit/s, and not more than the handshake and slow start above
	 * that */
	least_ns = 10000000ull * 1500 * 800 / 1448;
	ck_assert_uint_gt(f->end_ns, least_ns);
	ck_assert_uint_lt(f->end_ns, least_ns + 200000000);
	/* the handshake: two headers of 60 bytes in 48 us each, and twice the delay */
	ck_assert_uint_eq(f->min_rtt_ns, 10000000 + 2 * 48000);
	ck_assert_uint_eq(rep.link[0].queue_drops, 0);
	ck_assert_uint_gt(rep.link[0].used_ppm, 980000);
	ck_assert_str_eq(rep.link[0].from, "a");
	ck_assert_str_eq(rep.link[1].from, "b");
	ck_assert_uint_eq(rep.jain_ppm / 1000, 999);
}
END_TEST

START_TEST (test_same_again) {
	static struct tg_sim_report first;
	static const char text[] = TWO "link a b rate 10mbit delay 5ms loss 1% dup 1% reorder 1%\n"
				       "flow f a b\nflow g b a start 1s\ntime 5s\n";

	run(text);
	first = rep;
	run(text);
	ck_assert_mem_eq(&first, &rep, sizeof(rep));
	opt.seed = 1;
	run(text);
	opt.seed = 0;
	ck_assert_mem_ne(&first, &rep, sizeof(rep));
}
END_TEST

/* In the long run p / (p + r) of the packets meet the bad state. */
START_TEST (test_gilbert_elliott) {
	uint64_t all;

	ck_assert_int_eq(run(TWO "link a b rate 100mbit delay 1ms there gemodel 1% 25%\n"
				 "flow f a b bytes 40mb\ntime 2000s\nexpect f complete == 1\n"),
		TG_SIM_OK);
	all = rep.link[0].packets + rep.link[0].losses;
	ck_assert_uint_gt(rep.link[0].losses * 1000 / all, 30); /* 3.8 % */
	ck_assert_uint_lt(rep.link[0].losses * 1000 / all, 47);
	ck_assert_uint_eq(rep.link[1].losses, 0);
}
END_TEST

START_TEST (test_codel) {
	uint64_t wait_ns;

	ck_assert_int_eq(run(TWO "link a b rate 10mbit delay 10ms queue 1000\n"
				 "flow f a b\ntime 30s\nmeasure 5s..30s\n"),
		TG_SIM_OK);
	wait_ns = rep.link[0].wait_mean_ns;
	ck_assert_uint_gt(wait_ns, 400000000); /* buffer bloat */
	ck_assert_int_eq(run(TWO "link a b rate 10mbit delay 10ms queue 1000 codel\n"
				 "flow f a b\ntime 30s\nmeasure 5s..30s\n"),
		TG_SIM_OK);
	ck_assert_uint_lt(rep.link[0].wait_mean_ns, 15000000);
	ck_assert_uint_gt(rep.link[0].used_ppm, 850000);
	ck_assert_uint_gt(rep.link[0].queue_drops, 3);
}
END_TEST

/* While a link is down nothing passes; then everything does. */
START_TEST (test_outage) {
	ck_assert_int_eq(
		run(TWO "link a b rate 10mbit delay 10ms down 1s..3s\nflow f a b bytes 5mb\n"
			"time 60s\nmeasure 1.5s..2.9s\n"
			"expect f delivered == 5mb\nexpect f goodput == 0bit\n"
			"expect f timeouts >= 1\nexpect f time > 6s\n"),
		TG_SIM_OK);
}
END_TEST

/* A router in between with a smaller MTU says so, and the sender heeds it. */
START_TEST (test_mtu) {
	ck_assert_int_eq(
		run(TWO "router r\nrouter q\nlink a r rate 100mbit\n"
			"link r q rate 100mbit mtu 1400\nlink q b rate 100mbit\n"
			"flow f a b bytes 1mb\nexpect f complete == 1\nexpect f time < 1s\n"),
		TG_SIM_OK);
	ck_assert_uint_ge(rep.link[2].too_big, 1);
}
END_TEST

START_TEST (test_expectations) {
	ck_assert_int_eq(run(TWO "link a b rate 1mbit\nflow f a b write 1kb every 100ms stop 1s\n"
				 "expect f delivered == 10kb\nexpect f delivered < 10kb\n"
				 "expect jain >= 99%\nexpect link a b drops == 0\n"),
		TG_SIM_FAILED);
	ck_assert_uint_eq(rep.n_expects, 4);
	ck_assert(rep.expect[0].holds && !rep.expect[1].holds && rep.expect[2].holds &&
		  rep.expect[3].holds);
	ck_assert_uint_eq(rep.expect[1].line, 6);
	ck_assert_uint_eq(rep.expect[1].got, 10000);
}
END_TEST

static Suite *net_sim_suite(void)
{
	Suite *s = suite_create("net_sim");
	TCase *t = tcase_create("net_sim");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_refused);
	tcase_add_test(t, test_memory);
	tcase_add_test(t, test_clean);
	tcase_add_test(t, test_same_again);
	tcase_add_test(t, test_gilbert_elliott);
	tcase_add_test(t, test_codel);
	tcase_add_test(t, test_outage);
	tcase_add_test(t, test_mtu);
	tcase_add_test(t, test_expectations);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(net_sim_suite)
