/* The packetdrill adapter: its flags, and whole scripts, which pass or fail as in `tapglass drill`.
 * Meant for ThreadSanitizer (CONFIG=tsan) as well.
 * timeout: 240 */
#include "pd_host.h"

#include "tapglass_drill.h"
#include "unit.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct pd_host *const h = &pd_the_host;

/* ---- Flags ----------------------------------------------------------------------------------- */

/* The SYN-ACK to a SYN with every option. */
static struct seg syn_ack(const char *flags)
{
	static const uint8_t opts[20] = {
		2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
	struct seg s = {.sport = 40000, .dport = 8080, .flags = F_SYN, .win = 65535, .n_opts = 20};

	memcpy(s.opts, opts, sizeof(opts));
	pd_open(h, flags);
	listener(0);
	pd_inject(h, &s);
	ck_assert(pd_receive(h, &s));
	ck_assert_uint_eq(s.flags, F_SYN | F_ACK);
	pd_close(h);
	return s;
}

static bool has_option(const struct seg *s, uint8_t kind)
{
	for (uint32_t i = 0; i < s->n_opts && s->opts[i]; i += s->opts[i] == 1 ? 1 : s->opts[i + 1])
		if (s->opts[i] == kind)
			return true;
	return false;
}

START_TEST (test_flags) {
	struct seg s = syn_ack(NULL);

	ck_assert_uint_eq((unsigned)s.opts[2] << 8 | s.opts[3], 1460);
	ck_assert(has_option(&s, 3) && has_option(&s, 4) && has_option(&s, 8));
	s = syn_ack("192.168.0.1/16,192.0.2.0/24,mtu=576,idle_ms=0");
	ck_assert_uint_eq((unsigned)s.opts[2] << 8 | s.opts[3], 536);
	s = syn_ack(PD_FLAGS ",ts=0,wscale=0,wnd=65535,cc=reno");
	ck_assert(!has_option(&s, 3) && has_option(&s, 4) && !has_option(&s, 8));
	ck_assert_uint_eq(s.win, 65535);
	s = syn_ack(PD_FLAGS ",net.ipv4.tcp_sack=0,tcp_timestamps=0");
	ck_assert(has_option(&s, 3) && !has_option(&s, 4) && !has_option(&s, 8));
	s = syn_ack("10.0.0.1/8,192.168.0.1/24,0.0.0.0/0,tcp.sack=0");
	ck_assert(!has_option(&s, 4));
	ck_assert_uint_eq(s.src, PD_LOCAL_IP);
}
END_TEST

/* delack_ms and iw, seen in what they do. */
START_TEST (test_flags_times) {
	struct conn c;
	struct seg s;
	char b[9000] = {0};
	unsigned n = 0;
	long long at;

	pd_open(h, QUICK ",delack_ms=77,iw=3,patience_s=1,rto_ms=5000,rto_min_ms=5000");
	c = established();
	at = pd_now_us(h);
	give(&c, 10);
	pd_expect(h, &s, F_ACK, c.snd, c.rcv, 0);
	ck_assert_int_eq(s.time_us - at, 77000);
	ck_assert_int_eq(h->ifc.write(h->u, c.fd, b, 9000), 9000);
	while (pd_receive(h, &s))
		n++;
	ck_assert_uint_eq(n, 3);
	pd_close(h);
}
END_TEST

static const char *const bad_flags[] = {"nonsense", "192.168.0.1", "192.168.0.1/33", "0.0.0.0/0",
	"1.2.3.4.5/8", PD_FLAGS ",mtu=67", PD_FLAGS ",mtu=65536", PD_FLAGS ",mtu=", PD_FLAGS ",=5",
	PD_FLAGS ",ts=2", PD_FLAGS ",iw=256", PD_FLAGS ",delack_ms=4x", PD_FLAGS ",cc=vegas",
	PD_FLAGS ",tcp.unknown=1", PD_FLAGS ",tcp_unknown=1", PD_FLAGS ",tcp_sack=`",
	PD_FLAGS ",tcp_sack=1`;x", PD_FLAGS ",patience_s=0", PD_FLAGS ",seed=-1",
	"1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/8,1.0.0.0/"
	"8,1.0.0.0/8",
	"tcp.0000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000=1"};

/* The table is there, all fails, nothing hangs. */
START_TEST (test_bad_flags) {
	struct pollfd p = {.fd = 0};
	struct seg s;
	char b[64] = {0x45};
	int silence = dup(2), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	dup2(null, 2);
	pd_open(h, bad_flags[_i]);
	dup2(silence, 2);
	close(silence);
	close(null);
	FAILS(h->ifc.socket(h->u, AF_INET, SOCK_STREAM, 0), EINVAL);
	FAILS(h->ifc.netdev_send(h->u, b, 40), ENOBUFS);
	FAILS(h->ifc.epoll_create(h->u, 1), EINVAL);
	FAILS(h->ifc.poll(h->u, &p, 1, 0), EINVAL);
	FAILS(h->ifc.bind(h->u, 999, addr(PD_LOCAL_IP, 1), ADDR_LEN), EBADF);
	ck_assert(!pd_receive(h, &s));
	pd_until(h, 1000000);
	pd_close(h);
}
END_TEST

START_TEST (test_bad_packets) {
	static char big[70000];

	FAILS(h->ifc.netdev_send(h->u, big, 0), EMSGSIZE);
	FAILS(h->ifc.netdev_send(h->u, big, 65536), EMSGSIZE);
	ck_assert_int_eq(h->ifc.netdev_send(h->u, big, 1), 0);
	ck_assert_int_eq(h->ifc.netdev_send(h->u, big, 65535), 0);
}
END_TEST

/* ---- Scripts, here and in `tapglass drill` --------------------------------------------------- */

static enum tg_drill_verdict drill_says(const char *text)
{
	static struct tg_drill_result r;
	struct tg_drill_options o;
	enum tg_drill_verdict v;

	tg_drill_options_default(&o);
	o.mem_bytes = 64u << 20;
	o.mem = mmap(NULL, o.mem_bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	o.scratch_bytes = TG_DRILL_SCRATCH_BYTES;
	o.scratch = calloc(1, o.scratch_bytes);
	v = tg_drill_run(&o, text, strlen(text), &r);
	free(o.scratch);
	munmap(o.mem, o.mem_bytes);
	return v;
}

#define PASSIVE                                                                                    \
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"                                            \
	"+0 setsockopt(3, SOL_SOCKET, SO_REUSEADDR, [1], 4) = 0\n"                                 \
	"+0 bind(3, ..., ...) = 0\n"                                                               \
	"+0 listen(3, 5) = 0\n"                                                                    \
	"+.1 < S 0:0(0) win 65535 <mss 1460>\n"                                                    \
	"+0 > S. 0:0(0) ack 1 win 65535 <mss 1460>\n"                                              \
	"+.1 < . 1:1(0) ack 1 win 65535\n"                                                         \
	"+0 accept(3, ..., ...) = 4\n"

/* What must pass, and what must not: both runners have to say the same. */
static const struct {
	bool good;
	const char *text;
} agree[] = {{true, PASSIVE},
	{true, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n"
		       "+.3 > P. 1:101(100) ack 1\n+.6 > P. 1:101(100) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 1\n"
			"+.2 > P. 1:101(100) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:100(99) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > . 1:101(100) ack 1\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 100\n+0 > P. 1:101(100) ack 2\n"},
	{false, PASSIVE "+.1 write(4, ..., 100) = 99\n"},
	{true, PASSIVE "+.1 < P. 1:101(100) ack 1 win 65535\n+.04 > . 1:1(0) ack 101\n"
		       "+0 read(4, ..., 200) = 100\n"},
	{false, PASSIVE "+.1 < P. 1:101(100) ack 1 win 65535\n+.1 > . 1:1(0) ack 101\n"},
	{true, PASSIVE "+.1...0.3 read(4, ..., 200) = 100\n0.5 < P. 1:101(100) ack 1 win 65535\n"
		       "+.04 > . 1:1(0) ack 101\n"},
	{false, PASSIVE "+.1...0.2 read(4, ..., 200) = 100\n0.5 < P. 1:101(100) ack 1 win 65535\n"
			"+.04 > . 1:1(0) ack 101\n"},
	{true, PASSIVE "+.1 close(4) = 0\n+0 > F. 1:1(0) ack 1\n+.1 < F. 1:1(0) ack 2 win 65535\n"
		       "+0 > . 2:2(0) ack 2\n"},
	{false, PASSIVE "+.1 < R. 1:1(0) ack 1 win 0\n+0 fcntl(4, F_SETFL, O_NONBLOCK) = 0\n"
			"+0 read(4, ..., 1) = -1 EAGAIN (text)\n"},
	{true, PASSIVE "+.1 < R. 1:1(0) ack 1 win 0\n"
		       "+0 read(4, ..., 1) = -1 ECONNRESET (text)\n"},
	{true, "0 socket(..., SOCK_STREAM|SOCK_NONBLOCK, IPPROTO_TCP) = 4\n"
	       "+.1 connect(4, ..., ...) = -1 EINPROGRESS (text)\n+0 > S 0:0(0) <...>\n"
	       "+1 > S 0:0(0) <...>\n+2 > S 0:0(0) <...>\n+.1 < S. 0:0(0) ack 1 win 1000\n"
	       "+0 > . 1:1(0) ack 1\n"
	       "+0 getsockopt(4, SOL_SOCKET, SO_ERROR, [0], [4]) = 0\n"}};

START_TEST (test_agree) {
	char why[200] = "";
	enum pd_verdict v = pd_script(agree[_i].text, why, sizeof(why));

	ck_assert_msg(v == (agree[_i].good ? PD_PASSED : PD_FAILED), "%s: %s", agree[_i].text, why);
	ck_assert_int_eq(
		drill_says(agree[_i].text), agree[_i].good ? TG_DRILL_PASSED : TG_DRILL_FAILED);
}
END_TEST

/* ---- The repository's scripts ---------------------------------------------------------------- */

static unsigned passed, not_read;

static void play_file(const char *path)
{
	static char text[65536];
	char why[200] = "";
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	switch (pd_script(text, why, sizeof(why))) {
	case PD_PASSED: passed++; break;
	case PD_NOT_READ:
		not_read++;
		if (getenv("TG_PD_VERBOSE"))
			printf("# %s: %s\n", path, why);
		break;
	case PD_FAILED: ck_abort_msg("%s: %s", path, why);
	}
}

static void play_folder(const char *path, int every)
{
	struct dirent **e = NULL;
	int n = scandir(path, &e, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char sub[512];
		struct stat st;
		const char *dot = strrchr(e[i]->d_name, '.');

		snprintf(sub, sizeof(sub), "%s/%s", path, e[i]->d_name);
		if (e[i]->d_name[0] != '.' && stat(sub, &st) == 0 && S_ISDIR(st.st_mode))
			play_folder(sub, every);
		else if (dot && strcmp(dot, ".pkt") == 0 && i % every == 0)
			play_file(sub);
		free(e[i]);
	}
	free(e);
}

/* All of tests/drill that the host can read: what `tapglass drill` says of them, the adapter says.
 */
START_TEST (test_scripts) {
	int every = getenv("TG_TEST_BRIEF") ? 20 : 1;

	if (access("tests/drill", R_OK) != 0)
		return; /* run elsewhere than from the top */
	passed = not_read = 0;
	play_folder("tests/drill", every);
	printf("# %u scripts passed, %u not read\n", passed, not_read);
	ck_assert_uint_ge(passed * (unsigned)every, 250);
}
END_TEST

/* ---- The suite ------------------------------------------------------------------------------- */

static Suite *packetdrill_suite(void)
{
	Suite *s = suite_create("packetdrill adapter, scripts");
	TCase *c = tcase_create("on a host"), *f = tcase_create("with flags");

	tcase_set_timeout(c, 20);
	tcase_add_checked_fixture(c, open_quick, close_host);
	tcase_add_test(c, test_bad_packets);
	suite_add_tcase(s, c);
	tcase_set_timeout(f, 120);
	tcase_add_test(f, test_flags);
	tcase_add_test(f, test_flags_times);
	tcase_add_loop_test(f, test_bad_flags, 0, (int)(sizeof(bad_flags) / sizeof(*bad_flags)));
	tcase_add_loop_test(f, test_agree, 0, (int)(sizeof(agree) / sizeof(*agree)));
	tcase_add_test(f, test_scripts);
	suite_add_tcase(s, f);
	return s;
}

UNIT_MAIN(packetdrill_suite)
