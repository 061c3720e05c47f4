/* The packet-script engine's language: what is refused, with the exact words and the place; what
 * code, calls and directives notice when the stack does something else; the bounds of a run. */
#define _GNU_SOURCE 1
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tapglass_drill.h"

#define MEM_BYTES (16u << 20)

static struct tg_drill_options opt;
static struct tg_drill_result res;

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(p, MAP_FAILED);
	return p;
}

static void setup(void)
{
	tg_drill_options_default(&opt);
	opt.mem = map(opt.mem_bytes = MEM_BYTES);
	opt.scratch = map(opt.scratch_bytes = TG_DRILL_SCRATCH_BYTES);
}

static void teardown(void)
{
	munmap(opt.mem, MEM_BYTES);
	munmap(opt.scratch, TG_DRILL_SCRATCH_BYTES);
}

static enum tg_drill_verdict run(const char *text)
{
	enum tg_drill_verdict v = tg_drill_run(&opt, text, strlen(text), &res);

	madvise(opt.mem, MEM_BYTES, MADV_DONTNEED);
	return v;
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

#define DGRAM "0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n+0 bind(3, ..., ...) = 0\n"

/* ---- Refused --------------------------------------------------------------------------------- */

static const struct bad {
	const char *text;
	uint32_t line, column;
	const char *message; /* all of it */
} bad[] = {
	{"0 socket(..., SOCK_STREAM, IPPROTO_TCP = 3\n", 2, 1, "',' or ')' is expected here"},
	{"0 socket(..., SOCK_STREAMS, 0) = 3\n", 1, 15, "unknown name 'SOCK_STREAMS'"},
	{"0 socket(..., \"abc, 0) = 3\n", 1, 15, "this string does not end"},
	{"0 splice(3, 0, 4, 0, 5, 0) = 0\n", 1, 3, "splice is not supported"},
	{"0 open(\"/etc/passwd\", O_RDONLY) = 3\n", 1, 3, "open is not supported"},
	{"0 recvmsg(3, {msg_iov(1)=[{..., 0}]}) = 0\n", 1, 3,
		"wrong number of arguments for recvmsg"},
	{"31000000 < . 1:1(0) ack 1 win 5\n", 1, 1, "no script lasts longer than 30 days"},
	{"* socket(..., SOCK_STREAM, 0) = 3\n", 1, 1, "only what is expected may come at any time"},
	{"0~1 < . 1:1(0) ack 1 win 5\n", 1, 1, "an injected packet needs an exact time"},
	{"0...1 %{ pass }%\n", 1, 1, "only a call can block"},
	{"0...1 `sysctl -q net.ipv4.tcp_sack=0`\n", 1, 1, "a command needs an exact time"},
	{"* `sysctl -q net.ipv4.tcp_sack=0`\n", 1, 1, "a command needs an exact time"},
	{"0 close(3) = 0\n+0 `sysctl -q net.ipv4.tcp_sack=0`\n", 2, 1,
		"settings stand before the first event"},
	{"0 close(3) = 0\n`sysctl -q net.ipv4.tcp_sack=0`\n0 close(3) = 0\n", 2, 2,
		"settings stand before the first event"},
	{"0 close(3) = 0\n--mtu=1500\n", 2, 1, "options stand before the first event"},
	{"`../common/defaults.sh`\n", 1, 2, "of commands only sysctl is understood"},
	{"`./defaults.sh\nsysctl -q net.ipv4.tcp_sack=0`\n", 1, 2,
		"of commands only sysctl is understood"},
	{"`sysctl -q net.ipv4.tcp_sack=0 ; tc qdisc add dev tun0 root pfifo`\n", 1, 34,
		"of commands only sysctl is understood"},
	{"`sysctl -q net.ipv4.tcp_sack`\n", 1, 29, "'=' is expected here"},
	{"`sysctl -q net.ipv4.tcp_rmem=\"1 2\"`\n", 1, 34, "a number is expected here"},
	{"`sysctl -q net.ipv4.tcp_rmem=\"1 2 3`\n", 1, 36, "this value should end here"},
	{"`sysctl -q net.ipv4.tcp_rmem=1 2 99999999999`\n", 1, 34, "a number is expected here"},
	{"`sysctl -q net.ipv4.ip_default_ttl=256`\n", 1, 36, "this value is too large"},
	{"`sysctl -q net.ipv4.tcp_sack=0 > /tmp/file`\n", 1, 32, "a setting is expected here"},
	{"--init_scripts=defaults.sh\n", 1, 1,
		"this option is not supported here: --init_scripts=defaults.sh"},
	{"--wire_client\n", 1, 1, "this option is not supported here: --wire_client"},
	{"--so_filename=./x.so\n", 1, 1, "this option is not supported here: --so_filename=./x.so"},
	{"--ip_version=ipv6\n", 1, 1, "bad value of an option: --ip_version=ipv6"},
	{"--ip_version=ipv4-mapped-ipv6\n", 1, 1,
		"bad value of an option: --ip_version=ipv4-mapped-ipv6"},
	{"--netmask_ip=255.0.255.0\n", 1, 1, "bad value of an option: --netmask_ip=255.0.255.0"},
	{"--tcp_ts_tick_usecs=10\n", 1, 1, "bad value of an option: --tcp_ts_tick_usecs=10"},
	{"--tolerance_percent=1.25\n", 1, 1, "bad value of an option: --tolerance_percent=1.25"},
	{"--define=3=4\n", 1, 1, "bad value of an option: --define=3=4"},
	{"--dry_run=1\n", 1, 1, "bad value of an option: --dry_run=1"},
	{"--nothing_such\n", 1, 1, "unknown option: --nothing_such"},
	{"0 < [flowlabel 0x5] S 0:0(0) win 5\n", 1, 6,
		"a flow label belongs to IPv6, which is not supported"},
	{"0 < (tos 0x100) S 0:0(0) win 5\n", 1, 10,
		"a number is expected here, or it is too large"},
	{"0 < [ttl] S 0:0(0) win 5\n", 1, 9, "a number is expected here, or it is too large"},
	{"0 < [ect0 S 0:0(0) win 5\n", 1, 11, "']' is expected here"},
	{"0 < [ect01] S 0:0(0) win 5\n", 1, 6, "what is injected is ect0 or ect1"},
	{"0 > ipv4 192.0.2.1 > 192.168.0.1: gre: . 1:1(0) ack 1\n", 1, 5,
		"tunnels are not supported: packets are TCP, UDP or ICMP over IPv4"},
	{"0 < gre: S 0:0(0) win 5\n", 1, 5,
		"tunnels are not supported: packets are TCP, UDP or ICMP over IPv4"},
	{"0 < mpls (label 0, tc 0, [S], ttl 0): S 0:0(0) win 5\n", 1, 5,
		"tunnels are not supported: packets are TCP, UDP or ICMP over IPv4"},
	{"0 < SA 0:0(0) win 5\n", 1, 6, "AccECN's flags are not supported"},
	{"0 < .5 1:1(0) ack 1 win 5\n", 1, 6, "AccECN's flags are not supported"},
	{"0 < . 1:1(0) ack 1 win 5 <ECN e1b 1>\n", 1, 27, "AccECN's options are not supported"},
	{"0 < . 1:1(0) ack 1 win 5 <md5 0g>\n", 1, 31, "'0g' is not hexadecimal"},
	{"0 < . 1:1(0) ack 1 win 5 <FO 123>\n", 1, 30, "two digits a byte, at most 16 bytes"},
	{"0 < . 1:1(0) ack 1 win 5 <FO 00112233445566778899aabbccddeeff00>\n", 1, 30,
		"two digits a byte, at most 16 bytes"},
	{"0 < . 1:1(0) ack 1 win 5 <FOEXP zz>\n", 1, 33, "'zz' is not hexadecimal"},
	{"0 < . 1:1(0) ack 1 win 5 <TS 1 ecr 2>\n", 1, 30, "'val' is expected here"},
	{"0 < . 1:1(0) ack 1 win 5 <wscale 256>\n", 1, 27, "this number is too large"},
	{"0 < . 1:1(0) ack 1 win 5 <sack>\n", 1, 31, "LEFT:RIGHT is expected here"},
	{"0 < . 1:1(0) ack 1 win 5 <md5 00112233445566778899aabbccddeeff,FO "
	 "00112233445566778899aabbccddeeff,FO 00112233445566778899aabbccddeeff>\n",
		1, 26, "these options exceed 40 bytes"},
	{"0 < . 1:1(0) ack 1 win 5 {mut tcp mss}\n", 1, 26,
		"mutations of packets are not supported"},
	{"0 < . 0:70000(70000) ack 1 win 5\n", 1, 5, "this packet is longer than IP allows"},
	{"0 < 70000 > 80 S 0:0(0) win 5\n", 1, 5, "a number is expected here, or it is too large"},
	{"0 < 80 S 0:0(0) win 5\n", 1, 8, "'>' is expected here"},
	{"0 < udp (70000)\n", 1, 10, "a number is expected here, or it is too large"},
	{"0 < udp 5 > (10)\n", 1, 13, "a number is expected here, or it is too large"},
	{"0 < icmp unreachable host_unreachable mtu 500 [1:1(0)]\n", 1, 10,
		"only unreachable frag_needed has an mtu"},
	{"0 < icmp type_256 [1:1(0)]\n", 1, 10, "unknown ICMP type 'type_256'"},
	{"0 < icmp unreachable code_300 [1:1(0)]\n", 1, 22, "unknown ICMP code 'code_300'"},
	{"0 < icmp echo_request [raw (7)]\n", 1, 30,
		"a number of bytes is expected here, or it is too large"},
	{"0 < icmp echo_request [raw 8]\n", 1, 28, "'(N)' is expected here"},
	{"0 < icmp unreachable net_unreachable [udp (5)\n", 1, 46, "']' is expected here"},
	{"0 < icmp unreachable net_unreachable mtu x [udp (5)]\n", 1, 42,
		"a number up to 65535 is expected here"},
	{"0 < [1:1(0)] tcp\n", 1, 14, "'icmp' is expected here"},
	{"0 %{ assert }%\n", 1, 13, "a value is expected here"},
	{"0 %{ assert tcpi_nothing == 1 }%\n", 1, 13, "unknown name 'tcpi_nothing'"},
	{"0 %{ assert tcpi_rto = 1 }%\n", 1, 22, "';', a line end or }% is expected here"},
	{"0 %{ import os }%\n", 1, 6,
		"of Python only assert, print(), pass and NAME = VALUE are understood"},
	{"0 %{ if tcpi_rto: pass }%\n", 1, 6,
		"of Python only assert, print(), pass and NAME = VALUE are understood"},
	{"0 %{ assert tcpi_rto == 1\n", 1, 5, "this code does not end"},
	{"0 %{ assert (1 + 2 }%\n", 1, 20, "',' or a closing bracket is expected here"},
	{"0 %{ assert 1 + }%\n", 1, 17, "a value is expected here"},
	{"0 %{ assert \"abc }%\n", 1, 20, "this string does not end"},
	{"0 %{ assert round(1) == 1 }%\n", 1, 13, "unknown function 'round'"},
	{"0 %{ assert abs(1, 2) }%\n", 1, 13, "wrong number of arguments for abs"},
	{"0 %{ assert max() }%\n", 1, 13, "wrong number of arguments for max"},
	{"0 %{ assert () }%\n", 1, 14, "there is nothing in these parentheses"},
	{"0 %{ assert [1 2] }%\n", 1, 16, "',' or a closing bracket is expected here"},
	{"0 %{ assert 99999999999999999999 }%\n", 1, 13, "this number is too large"},
	{"0 %{ assert 0.12345678 }%\n", 1, 21, "at most six digits behind the point"},
	{"0 %{ assert 1 2 }%\n", 1, 15, "';', a line end or }% is expected here"},
	{"0 %{ tcpi_rto = 5 }%\n", 1, 6, "'tcpi_rto' cannot be set"},
	{"0 %{ True = 5 }%\n", 1, 6, "'True' cannot be set"},
	{"0 %{ x }%\n", 1, 6,
		"of Python only assert, print(), pass and NAME = VALUE are understood"},
	{"0 %{ x == 1 }%\n", 1, 6,
		"of Python only assert, print(), pass and NAME = VALUE are understood"},
	{"0 %{ assert x == 1 }%\n", 1, 13, "unknown name 'x'"},
	{"0 %{ assert not not not not not not not not not not not not not not not not not not not "
	 "not not not not not not not not not not not not not not not not not not not not not not "
	 "1 }%\n",
		1, 172, "this is nested too deeply"},
	{"//@ next fragments\n", 1, 19, "a range of bytes such as 0-1480 is expected here"},
	{"//@ next fragments 4-8\n", 1, 20, "a fragment begins at a multiple of 8"},
	{"//@ next fragments 8-8\n", 1, 20, "this range is empty"},
	{"//@ next fragments 8-70000\n", 1, 20, "a packet has no more than 65535 bytes"},
	{"//@ next fragments 8\n", 1, 20, "a range of bytes such as 0-1480 is expected here"},
	{"//@ next nothing\n", 1, 10, "expected options, offset, checksum, fragments, src or dst"},
	{"//@ timer 4\n", 1, 12, "'' is none of rexmit, persist, delack, keepalive, state"},
	{"//@ timer 4 coffee 1s\n", 1, 13,
		"'coffee' is none of rexmit, persist, delack, keepalive, state"},
	{"//@ timer 4 rexmit soon\n", 1, 20, "a value is expected here"},
	{"//@ timer * rexmit 1s\n", 1, 11, "a descriptor is expected here"},
	{"//@ timer 4 rexmit off now\n", 1, 24, "the directive should end here"},
	{"0 fcntl(3, F_GETFL) = 0x802 (flags\n", 1, 29, "this remark does not end"},
	{"0 read(3, ..., 10) = -1 EAGAIN EINTR\n", 1, 32, "a time in seconds is expected here"},
	{"0 poll([{fd=3, events=POLLIN}, 1, 0) = 0\n", 1, 36, "',' or ']' is expected here"},
	{"0 socket(..., CC, 0) = 3\n", 1, 15, "unknown name 'CC'"},
	{"--define=CC=WHAT\n0 socket(..., CC, 0) = 3\n", 2, 15,
		"-D defines this as 'WHAT', which is unknown too"},
};

START_TEST (refuses_in_these_words) {
	const struct bad *b = &bad[_i];

	ck_assert_msg(run(b->text) == TG_DRILL_ERROR, "%s: not refused", b->text);
	ck_assert_str_eq(res.message, b->message);
	ck_assert_msg(res.line == b->line && res.column == b->column, "%s: at %u:%u, not %u:%u",
		b->text, res.line, res.column, b->line, b->column);
}
END_TEST

/* ---- Refused while it runs ------------------------------------------------------------------- */

static const struct bad late[] = {
	{"0 close(7) = -1 EBADF\n+0 socket(..., SOCK_STREAM, 0) = 300\n", 2, 34,
		"this descriptor is in use, or too large"},
	{OPEN "+0 read(4, ..., 70000) = 1\n", 8, 17, "at most 65536 bytes at a time"},
	{OPEN "+0 read(4, ..., -1) = 1\n", 8, 17, "at most 65536 bytes at a time"},
	{OPEN "+0 write(4, ..., [5]) = 5\n", 8, 18, "a number is expected here"},
	{OPEN "+0 writev(4, [{..., 5}], 2) = 5\n", 8, 26, "so many pieces are not given"},
	{OPEN "+0 writev(4, [{5, 5}], 1) = 5\n", 8, 15, "{..., N} is expected here"},
	{OPEN "+0 sendmsg(4, {msg_iov(2)=[{..., 5}]}, 0) = 5\n", 8, 24,
		"so many pieces are not given"},
	{OPEN "+0 sendmsg(4, {msg_flags=0}, 0) = 5\n", 8, 15, "msg_iov is missing"},
	{OPEN "+0 sendmsg(4, {msg_iov(1)=[{..., 5}], msg_colour=0}, 0) = 5\n", 8, 50,
		"a member 'msg_colour' is not known here"},
	{DGRAM "+0 sendmsg(3, {msg_iov(1)=[{..., 5}], msg_control=[{cmsg_level=SOL_TCP, "
	       "cmsg_type=1, cmsg_data=1}]}, 0) = 5\n",
		3, 52,
		"of control messages those of SOL_IP are supported, and of SOL_UDP UDP_SEGMENT "
		"and UDP_GRO"},
	{OPEN "+0 bind(3, {sa_family=AF_INET6, sin_port=htons(1), sin_addr=1}, 16) = 0\n", 8, 23,
		"the family of an address is AF_INET"},
	{OPEN "+0 setsockopt(4, SOL_TCP, TCP_NODELAY, [1, 2], 4) = 0\n", 8, 40,
		"[N] is expected here"},
	{OPEN "+0 setsockopt(4, SOL_TCP, TCP_CONGESTION, \"reno\", 40) = 0\n", 8, 51,
		"this is longer than the value"},
	{OPEN "+0 poll([{fd=4, events=POLLIN}], 2, 0) = 0\n", 8, 9,
		"[{fd=N, events=..., revents=...}, ...] and their number, up to 16"},
	{OPEN "+0 epoll_ctl(4, EPOLL_CTL_ADD, 4, [1]) = 0\n", 8, 35,
		"{events=..., fd=N} is expected here"},
	{OPEN "+0 %{ assert tcpi_rto / (tcpi_probes * 2) == 1 }%\n", 8, 23,
		"this cannot be calculated: a division by zero, a fraction where a whole number "
		"belongs, or more than 64 bits"},
	{OPEN "+0 %{ assert 2 ** 63 == 1 }%\n", 8, 16,
		"this cannot be calculated: a division by zero, a fraction where a whole number "
		"belongs, or more than 64 bits"},
	{OPEN "+0 %{ assert \"a\" == 1 }%\n", 8, 14, "a number is expected here"},
	{OPEN "+0 %{ assert 1 in 2 }%\n", 8, 19, "a list is expected behind 'in'"},
	{OPEN "//@ next fragments 0-24 80-\n+.1 < P. 1:5(4) ack 1 win 5\n", 8, 10,
		"the packet ends before a fragment"},
	{OPEN "//@ next fragments 0-25 32-\n+.1 < P. 1:50(49) ack 1 win 5\n", 8, 10,
		"a fragment that is not the last has a multiple of 8 bytes"},
};

START_TEST (refuses_when_it_comes_to_it) {
	const struct bad *b = &late[_i];

	ck_assert_msg(run(b->text) == TG_DRILL_ERROR, "%s: not refused: %s", b->text, res.message);
	ck_assert_str_eq(res.message, b->message);
	ck_assert_msg(res.line == b->line && res.column == b->column, "%s: at %u:%u, not %u:%u",
		b->text, res.line, res.column, b->line, b->column);
}
END_TEST

/* ---- Noticed --------------------------------------------------------------------------------- */

static const struct wrong {
	const char *text;
	uint32_t line, column;
	const char *message, *wanted, *got;
} wrong[] = {
	{OPEN "+0 %{ assert tcpi_snd_cwnd == 9, tcpi_snd_cwnd }%\n", 8, 14,
		"an assertion does not hold", "tcpi_snd_cwnd == 9", "tcpi_snd_cwnd 10"},
	{OPEN "+0 %{ x = 7 / 2\n assert x > 4 or tcpi_state == TCP_LISTEN, 'state %d' % tcpi_state "
	      "}%\n",
		9, 9, "an assertion does not hold", "x > 4 or tcpi_state == TCP_LISTEN",
		"x 7/2, tcpi_state 1; says state 1"},
	{OPEN "+0 %{ assert False }%\n", 8, 14, "an assertion does not hold", "False",
		"it does not"},
	{OPEN "+0 close(4) = 0\n+0 > F. 1:1(0) ack 1\n+0 %{ assert tcpi_state == 4 }%\n", 10, 1,
		"no descriptor leads to the connection spoken of last", "", ""},
	{OPEN "+0 getsockopt(4, SOL_SOCKET, SO_LINGER, {onoff=1, linger=3}, [8]) = 0\n", 8, 1,
		"the call tells another value", "{onoff=1, linger=3}", "{onoff=0, linger=0}"},
	{OPEN "+0 getsockopt(4, SOL_SOCKET, SO_RCVTIMEO, {tv_sec=1, tv_usec=0}, [16]) = 0\n", 8, 1,
		"the call tells another value", "{tv_sec=1, tv_usec=0}", "{tv_sec=0, tv_usec=0}"},
	{OPEN "+0 getsockopt(4, SOL_TCP, TCP_NODELAY, [0], [8]) = 0\n", 8, 1,
		"the call tells another value", "length 8", "length 4"},
	{OPEN "+0 ioctl(4, SIOCOUTQNSD, [5]) = 0\n", 8, 1, "the call tells another value", "5",
		"0"},
	{OPEN "+0 epoll_create(1) = 5\n+0 epoll_ctl(5, EPOLL_CTL_ADD, 4, {events=EPOLLOUT, u32=8}) "
	      "= "
	      "0\n+0 epoll_wait(5, {events=EPOLLOUT, u32=9}, 1, 0) = 1\n",
		10, 1, "the call tells another value", "data 9", "data 8"},
	{OPEN "+0 getpeername(4, {sa_family=AF_INET, sin_port=htons(9), "
	      "sin_addr=inet_addr(\"192.0.2.1\")}, ...) = 0\n",
		8, 1, "the call tells another value", "port 9", "port 40000"},
	{DGRAM "+.1 < [ttl 9] 5000 > 8080 udp (4)\n+0 setsockopt(3, SOL_IP, IP_RECVTTL, [1], 4) = "
	       "0\n"
	       "+0 recvmsg(3, {msg_iov(1)=[{..., 9}], msg_control=[{cmsg_level=SOL_IP, "
	       "cmsg_type=IP_TTL, cmsg_data=[8]}]}, 0) = 4\n",
		5, 1, "the call tells another value", "IP_TTL 8", "IP_TTL 9"},
	{DGRAM "+.1 < 5000 > 8080 udp (4)\n+0 recvmsg(3, {msg_iov(1)=[{..., 2}], msg_flags=0}, 0) "
	       "= "
	       "2\n",
		4, 1, "the call tells another value", "msg_flags 0", "msg_flags 32"},
	{DGRAM "+0 connect(3, ..., ...) = 0\n+0 write(3, ..., 3000) = 3000\n+0 > udp (3000)\n", 5,
		1, "another packet than expected: fragments", "one packet",
		"fragments 0-1480 1480-2960 2960-3008"},
	{DGRAM "+0 connect(3, ..., ...) = 0\n+0 write(3, ..., 30) = 30\n//@ next fragments 0-8 8-\n"
	       "+0 > udp (30)\n",
		6, 1, "another packet than expected: fragments", "fragments 0-8 8-", "one packet"},
	{OPEN "//@ timer 4 rexmit 1s\n", 8, 5, "another state of a timer than expected",
		"rexmit in 1.000000 s", "rexmit off"},
	{OPEN "+0 write(4, ..., 5) = 5\n+0 > P. 1:6(5) ack 1\n//@ timer 4 rexmit off\n", 10, 5,
		"another state of a timer than expected", "rexmit off", "rexmit in 0.300000 s"},
	{"//@ timer 4 rexmit off\n", 1, 5, "no connection is behind this descriptor", "", ""},
	{"0 < icmp echo_request id 3 [raw (20)]\n+0 > icmp echo_reply id 3 [raw (21)]\n", 2, 1,
		"another packet than expected: length", "icmp echo_reply id 3 [raw (21)]",
		"icmp echo_reply id 3 [raw (20)]   at 0.000000"},
	{"--tcp_ts_tick_usecs=1000\n" DGRAM
	 "+0 connect(3, ..., ...) = 0\n+0 write(3, ..., 2) = 2\n+0 > [tos 4] udp (2)\n",
		6, 1, "another packet than expected: TOS", "[tos 0x4] udp (2)",
		"[tos 0x0] udp (2)   at 0.000000"},
};

START_TEST (notices_in_these_words) {
	const struct wrong *w = &wrong[_i];

	ck_assert_msg(run(w->text) == TG_DRILL_FAILED, "%s: %u %s", w->text, res.line, res.message);
	ck_assert_str_eq(res.message, w->message);
	ck_assert_str_eq(res.wanted, w->wanted);
	ck_assert_str_eq(res.got, w->got);
	ck_assert_msg(res.line == w->line && res.column == w->column, "%s: at %u:%u", w->text,
		res.line, res.column);
}
END_TEST

/* ---- The rest -------------------------------------------------------------------------------- */

START_TEST (print_is_kept) {
	ck_assert_int_eq(run(OPEN "+0 %{ print('cwnd', tcpi_snd_cwnd); print('%d of %s%%' % (1, "
				  "2)) }%\n"),
		TG_DRILL_PASSED);
	ck_assert_str_eq(res.printed, "cwnd 10\n1 of 2%\n");
}
END_TEST

START_TEST (dry_run_reads_and_runs_nothing) {
	opt.dry_run = true;
	ck_assert_int_eq(run("0 read(4, ..., 10) = 10\n"), TG_DRILL_PASSED);
	ck_assert_int_eq(run("0 read(4, ..., 10)\n"), TG_DRILL_ERROR);
}
END_TEST

START_TEST (commands_are_skipped_if_asked) {
	static const char text[] = "`./defaults.sh\n tc qdisc`\n" OPEN "`cleanup.sh`\n";

	ck_assert_int_eq(run(text), TG_DRILL_ERROR);
	opt.skip_commands = true;
	ck_assert_int_eq(run(text), TG_DRILL_PASSED);
	ck_assert_int_eq(run("`./defaults.sh; sysctl -q net.ipv4.tcp_none=\"1 2\" "
			     "net.ipv4.tcp_rmem=\"1 8192 2\"\nip route \\\n add`\n" OPEN),
		TG_DRILL_FAILED);
	ck_assert_ptr_nonnull(strstr(res.got, "win 8192"));
}
END_TEST

START_TEST (the_command_line_defines_first) {
	static const char text[] = "--define=BYTES=6\n" OPEN "+0 write(4, ..., BYTES) = BYTES\n"
				   "+0 > P. 1:8(7) ack 1\n";
	static const char own[] = "--define=BYTES=7";

	ck_assert_int_eq(run(text), TG_DRILL_FAILED);
	ck_assert(tg_drill_option(&opt, own, sizeof(own) - 1));
	ck_assert_int_eq(run(text), TG_DRILL_PASSED);
}
END_TEST

/* A script that never comes to rest is an error, not a hang. */
START_TEST (a_run_is_bounded) {
	ck_assert_int_eq(run("//@ config tcp.keepalive_interval_ns 1us\n"
			     "//@ config tcp.keepalive_probes 255\n"
			     "//@ config tcp.keepalive_idle_ns 1us\n" OPEN
			     "+0 setsockopt(4, SOL_SOCKET, SO_KEEPALIVE, [1], 4) = 0\n"
			     "+2000000 close(4) = 0\n"),
		TG_DRILL_FAILED);
	ck_assert_int_eq(run("0 socket(..., SOCK_STREAM, 0) = 3\n+2000000 close(3) = 0\n"
			     "+2000000 socket(..., SOCK_STREAM, 0) = 3\n"),
		TG_DRILL_ERROR);
	ck_assert_str_eq(res.message, "no script lasts longer than 30 days");
	ck_assert_uint_eq(res.line, 3);
}
END_TEST

static Suite *drill_lang_suite(void)
{
	Suite *s = suite_create("drill_lang");
	TCase *t = tcase_create("language");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, refuses_in_these_words, 0, (int)ARRAY_LEN(bad));
	tcase_add_loop_test(t, refuses_when_it_comes_to_it, 0, (int)ARRAY_LEN(late));
	tcase_add_loop_test(t, notices_in_these_words, 0, (int)ARRAY_LEN(wrong));
	tcase_add_test(t, print_is_kept);
	tcase_add_test(t, dry_run_reads_and_runs_nothing);
	tcase_add_test(t, commands_are_skipped_if_asked);
	tcase_add_test(t, the_command_line_defines_first);
	tcase_add_test(t, a_run_is_bounded);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(drill_lang_suite)
