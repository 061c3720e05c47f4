/* Fuzz: packet scripts, read and run. Whatever the script, the run ends: it passes, fails or is
 * refused, with a place inside the text and words for it, and the same again the second time. An
 * input is a script as it is, or, when its first byte is below 0x80, a sequence of pieces of
 * scripts, so that inputs get far into the runner. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "tapglass_drill.h"

#define MEM_BYTES  (64u << 20)
#define TEXT_BYTES 65536u

const char *const fuzz_seeds[] = {
	/* open, then lines of every kind */
	"00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
	"00 00 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f",
	"00 01 20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f",
	"00 00 30 31 32 33 34 35 36 37 38 39 3a 3b 3c 3d 3e 3f",
	/* 0 %{ assert (1+2)*3 == 9 and tcpi_rto }% */
	"ff 30 20 25 7b 20 61 73 73 65 72 74 20 28 31 2b 32 29 2a 33 20 3d 3d 20 39 20 61 6e 64 20 "
	"74 63 70 69 5f 72 74 6f 20 7d 25 0a",
	NULL,
};

static const char *const pieces[] = {
	"0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n+0 bind(3, ..., ...) = 0\n+0 listen(3, 1) = "
	"0\n"
	"+.1 < S 0:0(0) win 1000 <mss 1460,sackOK,TS val 1 ecr 0,nop,wscale 3>\n"
	"+0 > S. 0:0(0) ack 1 <...>\n+.1 < . 1:1(0) ack 1 win 1000 <nop,nop,TS val 2 ecr 1>\n"
	"+0 accept(3, ..., ...) = 4\n",
	"0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n+0 connect(3, ..., "
	"...) = "
	"0\n",
	"+.1 < P. 1:101(100) ack 1 win 1000\n", "* > . 1:1(0) ack 101 <...>\n",
	"+0 read(4, ..., 50) = ?\n", "+0 write(4, ..., 60000) = ?\n",
	"+0 > P. 1:1001(1000) ack 1 <...>\n", "+0 close(4) = ?\n", "+0 > F. 1:1(0) ack 1 <...>\n",
	"+.1 < F. 1:1(0) ack 1 win 5\n", "+0 %{ assert tcpi_snd_cwnd }%\n",
	"//@ state 4 ESTABLISHED\n", "//@ quiet 5s\n", "//@ timer 4 rexmit off\n",
	"//@ next fragments 0-24 16- 24-\n", "+.1 < udp (100)\n", "+0...0.5 read(4, ..., 50) = ?\n",
	"+.2 ", "+0 ", "* > ", "+0 > ", "+.1 < ", "1...3 ", "+100~+1000 > ",
	"S 0:0(0) win 5 <mss 5>\n", "R. 1:1(0) ack 1 win 5\n", "ack 4294967295 ",
	". 4294967295:9(10) ", "win 0 ", "<nop,nop,sack 1:2 3:4>\n", "urg 5 ", "icmp ",
	"unreachable frag_needed mtu 68 [1:1(0)]\n", "echo_request [raw (60000)]\n",
	"udp (65507)\n", "udp 1 > 2 (0)\n", "+0 writev(4, [{..., 10}, {..., 65000}], 2) = ?\n",
	"+0 recvmsg(3, {msg_name(...)=..., msg_iov(1)=[{..., 9}], msg_flags=0, "
	"msg_control=[{cmsg_level=SOL_IP, cmsg_type=IP_TTL, cmsg_data=[8]}]}, 0) = ?\n",
	"+0 setsockopt(3, SOL_IP, IP_RECVTTL, [1], 4) = 0\n",
	"+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLIN|EPOLLET, fd=4}) "
	"= 0\n",
	"+0...9 epoll_wait(5, ..., 9, 1000) = ?\n",
	"+0...2 poll([{fd=4, events=POLLIN, revents=0}], 1, 500) = ?\n",
	"+0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0\n", "+100000 close(3) = ?\n",
	"//@ config tcp.keepalive_idle_ns 1us\n", "//@ config tcp.rto_min_ns 1\n",
	"//@ config tcp.rcvbuf_bytes 4294967295\n", "//@ config tcp.delack_ns 0\n",
	"//@ config tcp.r2_ns 18446744073709551615\n", "//@ config tcp.msl_ns 1000000s\n",
	"--mtu=68\n", "--mtu=65535\n", "--define=A=B\n",
	"`sysctl -q net.ipv4.tcp_rmem=\"1 2 3\"`\n", "%{ x = ", " 2 ** 63 ", "-(1 / 3) ", " }%\n",
	"assert ", "x in (1, 2), 'x %d' % x ", "\n", " ", "//@ next ", "options 01 02 03\n"};

/* Bytes of the script in out, at most TEXT_BYTES. */
static size_t make_text(const uint8_t *data, size_t n, char *out)
{
	size_t used = 0;

	if (n && data[0] >= 0x80) {
		n = n - 1 < TEXT_BYTES ? n - 1 : TEXT_BYTES;
		memcpy(out, data + 1, n);
		return n;
	}
	for (size_t i = 1; i < n; i++) {
		const char *p = pieces[data[i] % ARRAY_LEN(pieces)];
		size_t m = strlen(p);

		if (data[i] >= 0xc0) { /* a digit, where a piece ends in the middle of a line */
			p = &"0123456789:()., <>"[data[i] % 17];
			m = 1;
		}
		if (m > TEXT_BYTES - used)
			break;
		memcpy(out + used, p, m);
		used += m;
	}
	return used;
}

static void check(const struct tg_drill_result *r, const char *text, size_t n)
{
	FUZZ_CHECK(r->verdict <= TG_DRILL_ERROR);
	if (r->verdict == TG_DRILL_PASSED)
		return;
	FUZZ_CHECK(r->line >= 1 && r->column >= 1 && r->message[0]);
	FUZZ_CHECK(r->source >= text && r->source + r->source_bytes <= text + n);
	FUZZ_CHECK(r->trace[sizeof(r->trace) - 1] == 0 && r->printed[sizeof(r->printed) - 1] == 0);
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FUZZ_CHECK(p != MAP_FAILED);
	return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tg_drill_options opt;
	static struct tg_drill_result first, again;
	static char text[TEXT_BYTES];
	size_t n = make_text(data, size, text);
	char *guarded = (char *)fuzz_copy((const uint8_t *)text, n);

	if (!opt.mem) {
		tg_drill_options_default(&opt);
		opt.mem = map(opt.mem_bytes = MEM_BYTES);
		opt.scratch = map(opt.scratch_bytes = TG_DRILL_SCRATCH_BYTES);
	}
	tg_drill_run(&opt, guarded, n, &first);
	check(&first, guarded, n);
	madvise(opt.mem, MEM_BYTES, MADV_DONTNEED);
	if (size % 8 == 0) {
		tg_drill_run(&opt, guarded, n, &again);
		madvise(opt.mem, MEM_BYTES, MADV_DONTNEED);
		FUZZ_CHECK(memcmp(&first, &again, sizeof(first)) == 0);
	}
	free(guarded);
	return 0;
}
