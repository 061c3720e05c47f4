/* The packet-script engine: what is understood, what is refused with line and column, and that a
 * wrong expectation of every kind is noticed. */
#define _GNU_SOURCE 1
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tapglass_drill.h"

#define MEM_BYTES (16u << 20)

static struct tg_drill_options opt;
static struct tg_drill_result res;

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

static enum tg_drill_verdict run_bytes(const char *text, size_t n)
{
	enum tg_drill_verdict v = tg_drill_run(&opt, text, n, &res);

	madvise(opt.mem, MEM_BYTES, MADV_DONTNEED);
	return v;
}

static enum tg_drill_verdict run(const char *text)
{
	return run_bytes(text, strlen(text));
}

/* Lines 1 to 7: a connection on descriptor 4 at 0.2 s. */
#define OPEN                                                                                       \
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"                                            \
	"+0 bind(3, ..., ...) = 0\n"                                                               \
	"+0 listen(3, 1) = 0\n"                                                                    \
	"+.1 < S 0:0(0) win 1000 <mss 1460>\n"                                                     \
	"+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>\n"                                              \
	"+.1 < . 1:1(0) ack 1 win 1000\n"                                                          \
	"+0 accept(3, ..., ...) = 4\n"

/* ---- What is not understood ------------------------------------------------------------------ */

static const struct bad {
	const char *text;
	uint32_t line, column;
	const char *message; /* part of it */
} bad[] = {
	{"", 1, 1, "empty"},
	{"// only a comment\n", 2, 1, "empty"},
	{"/* no end", 1, 1, "comment does not end"},
	{"hello\n", 1, 1, "time in seconds"},
	{"0 !\n", 1, 3, "expected '<', '>', a call"},
	{"+x socket(..., 1, 0) = 3\n", 1, 2, "time in seconds"},
	{"2~1 > . 1:1(0) ack 1\n", 1, 2, "ends before"},
	{"1~+2 > . 1:1(0) ack 1\n", 1, 2, "absolute"},
	{"0~1 socket(..., SOCK_STREAM, 0) = 3\n", 1, 1, "only what is expected has a range"},
	{"0...1 > . 1:1(0) ack 1\n", 1, 1, "only a call can block"},
	{"* < . 1:1(0) ack 1 win 5\n", 1, 1, "exact time"},
	{"0 < S 0:0(0)\n", 1, 13, "win N"},
	{"0 < Q 0:0(0) win 5\n", 1, 5, "flags"},
	{"0 < SS 0:0(0) win 5\n", 1, 6, "flags"},
	{"0 < S 0:1(0) win 5\n", 1, 7, "add up"},
	{"0 < S 0-0(0) win 5\n", 1, 8, "':'"},
	{"0 < . 0:0(0) win 5\n", 1, 14, "ack N"},
	{"0 < S 0:0(0) win 65536\n", 1, 18, "too large"},
	{"0 < S 4294967296:0(0) win 1\n", 1, 7, "too large"},
	{"0 < S 0:0(0) win 5 <mss>\n", 1, 24, "number"},
	{"0 < S 0:0(0) win 5 <mss 65536>\n", 1, 21, "too large"},
	{"0 < S 0:0(0) win 5 <foo>\n", 1, 21, "unknown TCP option"},
	{"0 < S 0:0(0) win 5 <TS val 1>\n", 1, 29, "'ecr'"},
	{"0 < S 0:0(0) win 5 <...>\n", 1, 20, "needs its options"},
	{"0 < S 0:0(0) win 5 <mss 5\n", 1, 26, "'>'"},
	{"0 > . 1:1(0) ack 1 <sack 1:2 3:4 5:6 7:8 9:10>\n", 1, 42, "at most 4"},
	{"0 < [ect7] S 0:0(0) win 5\n", 1, 6, "noecn"},
	{"0 < icmp nonsense [udp (1)]\n", 1, 10, "unknown ICMP type"},
	{"0 < icmp unreachable nowhere [udp (1)]\n", 1, 22, "unknown ICMP code"},
	{"0 < icmp unreachable port_unreachable\n", 1, 10, "quotes"},
	{"0 frobnicate(3) = 0\n", 1, 3, "unknown call"},
	{"0 listen(3) = 0\n", 1, 3, "number of arguments"},
	{"0 listen(3, 1\n", 2, 1, "',' or ')'"},
	{"0 listen(3, FOO) = 0\n", 1, 13, "unknown name 'FOO'"},
	{"0 listen(3, 1)\n", 1, 15, "RESULT"},
	{"0 listen(3, 1) = -1\n", 1, 20, "name of an error"},
	{"0 listen(3, 1) = -1 EFOO\n", 1, 21, "unknown error name"},
	{"0 listen(3, 1) = 0 (half\n", 1, 20, "does not end"},
	{"0 listen(3, 1) = [1]\n", 1, 18, "number or '?'"},
	{"//@ frob 1\n", 1, 5, "unknown directive"},
	{"//@ state 4 ASLEEP\n", 1, 13, "unknown state"},
	{"//@ state x LISTEN\n", 1, 11, "descriptor"},
	{"//@ state 4 LISTEN now\n", 1, 20, "should end"},
	{"//@ drop nothing\n", 1, 10, "unknown drop reason"},
	{"//@ count sheep 3\n", 1, 11, "unknown counter"},
	{"//@ count tcp_in_segs\n", 1, 22, "value"},
	{"//@ status 4 mood 3\n", 1, 14, "unknown field"},
	{"//@ next options 0\n", 1, 19, "hexadecimal"},
	{"//@ next offset 16\n", 1, 17, "1 to 15"},
	{"//@ next src 1.2.3\n", 1, 14, "IPv4"},
	{"//@ config tcp.colour 3\n", 1, 12, "unknown setting"},
	{"//@ config tcp.sack 2\n", 1, 21, "too large"},
	{"//@ config tcp.delack_ns 4 parsecs\n", 1, 28, "should end"},
	{"//@ config tcp.delack_ns 4parsecs\n", 1, 26, "value"},
	{"0 socket(..., SOCK_STREAM, 0) = 3\n//@ config tcp.sack off\n", 2, 5, "before the first"},
	{"--mtu=5\n", 1, 1, "bad value of an option: --mtu=5"},
	{"--colour=blue\n", 1, 1, "unknown option"},
	{"`rm -rf /`\n", 1, 2, "only sysctl"},
	{"`sysctl -q net.ipv4.tcp_fack=0`\n", 1, 12, "no setting"},
	{"`sysctl -q net.ipv4.tcp_sack=x`\n", 1, 30, "number"},
	{"`sysctl\n", 1, 2, "does not end"},
	{"0 poll([[[[[[[[[[1]]]]]]]]]], 1, 0) = 0\n", 1, 16, "nested"},
};

START_TEST (refuses_with_place) {
	const struct bad *b = &bad[_i];

	ck_assert_msg(run(b->text) == TG_DRILL_ERROR, "%s: not refused", b->text);
	ck_assert_msg(strstr(res.message, b->message) != NULL, "%s: says %s", b->text, res.message);
	ck_assert_msg(res.line == b->line && res.column == b->column,
		"%s: at %u:%u, not %u:%u (%s)", b->text, res.line, res.column, b->line, b->column,
		res.message);
}
END_TEST

/* ---- What passes ----------------------------------------------------------------------------- */

static const char *const good[] = {
	OPEN "//@ state 4 ESTABLISHED\n",
	OPEN "/* a\ncomment */ +0 write(4, ..., 0) = ? // rest\n# and this\n",
	/* ranges, any time, absolute times */
	OPEN "+.1 < P. 1:11(10) ack 1 win 1000\n+.01~+.05 > . 1:1(0) ack 11\n",
	OPEN "+.1 < P. 1:11(10) ack 1 win 1000\n* > . 1:1(0) ack 11\n+.1 < R 11:11(0) win 0\n",
	OPEN "0.3 < P. 1:11(10) ack 1 win 1000\n0.34 > . 1:1(0) ack 11\n",
	/* several segments glued together */
	OPEN "+.1 < . 1:1(0) ack 1 win 60000\n+0 write(4, ..., 5840) = 5840\n"
	     "+0 > P. 1:5841(5840) ack 1\n",
	/* a blocking call, events behind it, relative times from its start */
	OPEN
	"+.1...0.2 read(4, ..., 10) = 5\n+.1 < P. 1:6(5) ack 1 win 1000\n+.04 > . 1:1(0) ack 6\n",
	/* settings */
	"//@ config tcp.delack_ns 100ms\n" OPEN
	"+.1 < P. 1:11(10) ack 1 win 1000\n+.1 > . 1:1(0) ack 11\n",
	"`sysctl -q net.ipv4.tcp_rmem=\"4096 8192 16384\" \\\n net.ipv4.tcp_sack=0;\nsysctl -w "
	"net.ipv4.tcp_timestamps=0`\n"
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = "
	"0\n"
	"+.1 < S 0:0(0) win 9 <mss 1460,sackOK,TS val 1 ecr 0>\n"
	"+0 > S. 0:0(0) ack 1 win 8192 <mss 1460>\n",
	"--local_ip=192.168.7.7 --remote_ip=198.51.100.9\n--bind_port=99\n" OPEN,
};

START_TEST (passes) {
	ck_assert_msg(run(good[_i]) == TG_DRILL_PASSED, "%u:%u: %s\nwanted %s\ngot %s", res.line,
		res.column, res.message, res.wanted, res.got);
}
END_TEST

/* ---- What fails ------------------------------------------------------------------------------ */

static const struct wrong {
	const char *text;
	uint32_t line;
	const char *message, *wanted, *got; /* parts */
} wrong[] = {
	{OPEN "+0 > . 1:1(0) ack 1\n", 8, "no packet was sent", ". 1:1(0) ack 1",
		"nothing until 0.201000"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > . 1:6(5) ack 1\n", 9, "flags", ". 1:6(5)",
		"P. 1:6(5)"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > P. 2:7(5) ack 1\n", 9, "sequence", "2:7", "1:6"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > P. 1:5(4) ack 1\n", 9, "length", "1:5(4)", "1:6(5)"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > P. 1:6(5) ack 2\n", 9, "acknowledgment", "ack 2",
		"ack 1"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > P. 1:6(5) ack 1 win 7\n", 9, "window", "win 7",
		"win 65535"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > P. 1:6(5) ack 1 <nop>\n", 9, "options", "<nop>",
		"P. 1:6(5)"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > [ce] P. 1:6(5) ack 1\n", 9, "ECN", "[ce]", "[noecn]"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > [ttl 9] P. 1:6(5) ack 1\n", 9, "TTL", "ttl 9",
		"ttl 64"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > 8080 > 7 P. 1:6(5) ack 1\n", 9, "ports", "8080 > 7",
		""},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > udp (5)\n", 9, "protocol", "udp", "P."},
	{OPEN "+0 write(4, ..., 5) = 5\n+.1 > P. 1:6(5) ack 1\n", 9, "too early", "at 0.300000",
		"at 0.200000"},
	{OPEN "+0 write(4, ..., 5) = 5\n", 8, "no line expects", "nothing", "P. 1:6(5)"},
	{OPEN "+.1 < P. 1:11(10) ack 1 win 1000\n+.02 > . 1:1(0) ack 11\n", 9, "no packet", "",
		"nothing until 0.321000"},
	{OPEN "+.1 < P. 1:11(10) ack 1 win 1000\n+.03~+.035 > . 1:1(0) ack 11\n", 9, "no packet",
		"", ""},
	{OPEN "+.1 < P. 1:11(10) ack 1 win 1000\n+1 read(4, ..., 99) = 10\n", 9, "no line expects",
		"", "ack 11"},
	{OPEN "+0 read(4, ..., 10) = 0\n", 8, "the call blocks", "", ""},
	{OPEN "+0 write(9, ..., 10) = 10\n", 8, "another result", "10", "-1 EBADF"},
	{OPEN "+0 write(4, ..., 10) = -1 EPIPE (x)\n", 8, "another result", "-1 EPIPE", "10"},
	{OPEN "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [5], [4]) = 0\n", 8, "another value", "5",
		"0"},
	{OPEN "+0 ioctl(4, FIONREAD, [5]) = 0\n", 8, "another value", "5", "0"},
	{OPEN "+0 poll([{fd=4, events=POLLOUT, revents=0}], 1, 0) = 1\n", 8, "another value", "0",
		"4"},
	{OPEN "+0...0.5 read(4, ..., 10) = 5\n+.1 < P. 1:6(5) ack 1 win 1000\n+.04 > . 1:1(0) ack "
	      "6\n",
		8, "another time", "0.700000", "0.300000"},
	{OPEN "//@ state 4 LISTEN\n", 8, "another state", "LISTEN", "ESTABLISHED"},
	{OPEN "//@ state * TIME-WAIT\n", 8, "another state", "TIME-WAIT", "ESTABLISHED"},
	{OPEN "//@ drop tcp_paws\n", 8, "fared otherwise", "tcp_paws", "none"},
	{OPEN "//@ count tcp_in_segs 77\n", 8, "another value", "tcp_in_segs 77", "tcp_in_segs 2"},
	{OPEN "//@ status 4 snd_wnd 7\n", 8, "another value", "snd_wnd 7", "snd_wnd 1000"},
	{OPEN "+.1 < P. 1:11(10) ack 1 win 1000\n//@ quiet 1s\n", 9, "no line expects", "nothing",
		"ack 11"},
};

START_TEST (notices) {
	const struct wrong *w = &wrong[_i];

	ck_assert_msg(run(w->text) == TG_DRILL_FAILED, "%s: %s", w->text, res.message);
	ck_assert_msg(res.line == w->line, "%s: line %u", w->text, res.line);
	ck_assert_msg(strstr(res.message, w->message) != NULL, "%s: says %s", w->text, res.message);
	ck_assert_msg(strstr(res.wanted, w->wanted) != NULL, "%s: wanted %s", w->text, res.wanted);
	ck_assert_msg(strstr(res.got, w->got) != NULL, "%s: got %s", w->text, res.got);
	ck_assert_msg(res.trace[0] != 0, "%s: no trace", w->text);
	ck_assert(res.source_bytes > 0);
}
END_TEST

START_TEST (time_gone_is_an_error) {
	ck_assert_int_eq(run(OPEN "0.1 write(4, ..., 5) = 5\n"), TG_DRILL_ERROR);
	ck_assert_uint_eq(res.line, 8);
	ck_assert_ptr_nonnull(strstr(res.message, "passed already"));
}
END_TEST

START_TEST (same_run_same_words) {
	static const char text[] = OPEN "+0 write(4, ..., 5) = 5\n+0 > . 1:6(5) ack 1\n";
	struct tg_drill_result first;

	run(text);
	first = res;
	run(text);
	ck_assert_mem_eq(&first, &res, sizeof(first));
}
END_TEST

START_TEST (options_from_a_command_line) {
	static const char *const no[] = {"", "--", "--mtu", "--mtu=", "--mtu=67", "--mtu=65536",
		"--mtu=1500x", "--local_ip=1.2.3", "--local_ip=1.2.3.4/33", "--bind_port=0",
		"--ip_version=ipv6", "mtu=1500"};

	for (size_t i = 0; i < ARRAY_LEN(no); i++)
		ck_assert_msg(!tg_drill_option(&opt, no[i], strlen(no[i])), "%s", no[i]);
	ck_assert(tg_drill_option(&opt, "--local_ip=10.1.2.3/8", 21));
	ck_assert_uint_eq(opt.local_ip, 0x0a010203);
	ck_assert_uint_eq(opt.prefix_len, 8);
	ck_assert(tg_drill_option(&opt, "--tolerance_usecs=12", 20));
	ck_assert_uint_eq(opt.tolerance_us, 12);
}
END_TEST

START_TEST (fixed_tolerance_beats_the_script) {
	static const char text[] = "--tolerance_usecs=50000\n" OPEN
				   "+.1 < P. 1:11(10) ack 1 win 1000\n+.02 > . 1:1(0) ack 11\n";

	ck_assert_int_eq(run(text), TG_DRILL_PASSED);
	opt.tolerance_fixed = true;
	ck_assert_int_eq(run(text), TG_DRILL_FAILED);
}
END_TEST

/* ---- Scripts that are broken in any way end, in one of the three ways -------------------------
 */

static const char whole[] =
	"//@ config tcp.delack_ns 40ms\n`sysctl -q net.ipv4.tcp_sack=1`\n--mtu=1500\n" OPEN
	"+.1 < P. 1:11(10) ack 1 win 1000\n//@ drop none\n+.03~+.05 > . 1:1(0) ack 11 <...>\n"
	"+0 setsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=0}, 8) = 0\n"
	"+0 poll([{fd=4, events=POLLIN|POLLOUT, revents=POLLIN|POLLOUT}], 1, 0) = 1\n"
	"+.1 < icmp unreachable frag_needed mtu 1200 [1:11(10)]\n//@ next options 01 01 01 01\n"
	"+.1 < [ect0] . 11:11(0) ack 1 win 5 <nop,nop,sack 1:2 3:4>\n+0 close(4) = 0\n";

START_TEST (truncated_anywhere) {
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *copy = malloc(n ? n : 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, whole, n);
		ck_assert_int_le(run_bytes(copy, n), TG_DRILL_ERROR);
		free(copy);
	}
}
END_TEST

START_TEST (garbled) {
	static const char letters[] = "0123456789+-*~.:()<>[]{},=|`\"%/@# \nSFRPUEWackwinoptx";
	char copy[sizeof(whole)];
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (unsigned k = 0; k < 40; k++) {
		memcpy(copy, whole, sizeof(copy));
		for (unsigned i = 0; i < 1 + k / 8; i++)
			copy[unit_below(&r, sizeof(copy))] =
				letters[unit_below(&r, (uint32_t)sizeof(letters) - 1)];
		UNIT_CHECK(run_bytes(copy, sizeof(copy) - 1) <= TG_DRILL_ERROR);
	}
}
END_TEST

static Suite *drill_suite(void)
{
	Suite *s = suite_create("drill");
	TCase *t = tcase_create("drill");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, refuses_with_place, 0, (int)ARRAY_LEN(bad));
	tcase_add_loop_test(t, passes, 0, (int)ARRAY_LEN(good));
	tcase_add_loop_test(t, notices, 0, (int)ARRAY_LEN(wrong));
	tcase_add_test(t, time_gone_is_an_error);
	tcase_add_test(t, same_run_same_words);
	tcase_add_test(t, options_from_a_command_line);
	tcase_add_test(t, fixed_tolerance_beats_the_script);
	tcase_add_test(t, truncated_anywhere);
	tcase_add_loop_test(t, garbled, 0, 20);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(drill_suite)
