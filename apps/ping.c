/* `tapglass ping`: ICMP echo (RFC 792) over a raw socket, from the running stack or one of its own;
 * output and statistics as ping(8) has them. Left out: names (addresses only), record route,
 * timestamps, flood. */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alone.h"
#include "tapglass_inspect.h"

#define IPPROTO_ICMP_NUMBER 1
#define ICMP_ECHO_REPLY     0
#define ICMP_UNREACHABLE    3
#define ICMP_ECHO           8
#define ICMP_EXCEEDED       11
#define ICMP_HDR_BYTES      8u
#define PAYLOAD_MAX         65507u
#define PACKET_MAX          65535u

struct ping {
	struct options opt;
	/* what was asked for */
	struct tg_ip target;
	char target_text[16];
	uint64_t count; /* 0: without end */
	uint64_t interval_ns, wait_ns;
	uint32_t payload_bytes;
	unsigned ttl; /* 0: the stack's own */

	struct job *job;
	struct tg *s;
	tg_sock sock;
	uint16_t id;
	uint64_t start_ns, next_ns; /* next_ns UINT64_MAX: all are sent */
	uint64_t last_ns;           /* when the last one was sent */
	uint64_t sent, received, duplicates, errors;
	double min_ms, max_ms, sum_ms, sum2_ms;
	uint64_t sent_ns[65536]; /* by sequence number */
	uint8_t answered[65536];
	uint8_t packet[PACKET_MAX];
};

static const struct option_spec ping_options[] = {
	{NULL, 'c', 'c', "N", "stop after N requests"},
	{NULL, 'i', 'i', "SEC", "time between requests (1)"},
	{NULL, 's', 's', "BYTES", "data in each request, 0 to 65507 (56)"},
	{NULL, 'W', 'W', "SEC", "wait so long for the last reply (1)"},
	{NULL, 't', 't', "TTL", "time to live, 1 to 255 (64)"},
	{NULL, 0, 0, NULL, NULL},
};

static int ping_set(void *ctx, int value, const char *arg)
{
	struct ping *p = ctx;
	uint64_t n;

	switch (value) {
	case 'c':
		return parse_u64(arg, 1, UINT32_MAX, &p->count)
			       ? 0
			       : usage_error("-c %s: not a number from 1 up", arg);
	case 'i':
		if (!parse_seconds(arg, 1e6, &p->interval_ns) || p->interval_ns < NS_PER_MS) {
			return usage_error("-i %s: not a time of at least 0.001 seconds", arg);
		}
		return 0;
	case 'W':
		if (!parse_seconds(arg, 1e6, &p->wait_ns)) {
			return usage_error("-W %s: not a time in seconds", arg);
		}
		return 0;
	case 's':
		if (!parse_u64(arg, 0, PAYLOAD_MAX, &n)) {
			return usage_error("-s %s: not 0 to 65507 bytes", arg);
		}
		p->payload_bytes = (uint32_t)n;
		return 0;
	default:
		if (!parse_u64(arg, 1, 255, &n)) {
			return usage_error("-t %s: not 1 to 255", arg);
		}
		p->ttl = (unsigned)n;
		return 0;
	}
}

const struct verb_spec ping_spec = {
	.usage = "ping [OPTION]... ADDR",
	.about = "Sends ICMP echo requests and prints the replies: from the running stack, or, if "
		 "there is none or\n"
		 "options of a link are given, from one of its own. On --link sim 192.0.2.1 is the "
		 "other stack, on\n"
		 "any other link this machine's kernel.",
	.example = "  tapglass ping --link sim -c 3 192.0.2.1\n"
		   "  sudo tapglass ping -c 5 -s 1400 --drop 20% 192.0.2.1\n",
	.options = ping_options,
	.link_options = true,
	.min_args = 1,
	.max_args = 1,
	.args_name = "ADDR",
	.set = ping_set,
};

/* ---- Packets --------------------------------------------------------------------------------- */

/* [1071] over n bytes; in network order a byte at a time. */
static uint16_t checksum(const uint8_t *b, size_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		sum += (i & 1) == 0 ? (uint64_t)b[i] << 8 : b[i];
	}
	while (sum >> 16 != 0) {
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)~sum;
}

static uint16_t load16(const uint8_t *b)
{
	return (uint16_t)(b[0] << 8 | b[1]);
}

static void store16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static void error_print(struct ping *p, uint16_t seq, const char *from, const char *what)
{
	p->errors++;
	if (!p->opt.quiet) {
		job_print(p->job, "From %s icmp_seq=%u %s\n", from, (unsigned)seq, what);
	}
}

static void request_send(struct ping *p, uint64_t now_ns)
{
	uint16_t seq = (uint16_t)(p->sent + 1);
	struct tg_dgram to = {.peer = {.ip = p->target}};
	uint8_t *b = p->packet;
	size_t n = ICMP_HDR_BYTES + p->payload_bytes;
	char self[16];
	int64_t rc;

	memset(b, 0, ICMP_HDR_BYTES);
	b[0] = ICMP_ECHO;
	store16(b + 4, p->id);
	store16(b + 6, seq);
	for (size_t i = ICMP_HDR_BYTES; i < n; i++) {
		b[i] = (uint8_t)(i + seq);
	}
	store16(b + 2, checksum(b, n));
	p->sent++;
	p->sent_ns[seq] = now_ns;
	p->answered[seq] = 0;
	p->last_ns = now_ns;
	rc = tg_sock_sendto(p->s, p->sock, b, n, 0, &to, now_ns);
	if (rc < 0) {
		error_print(p, seq, tg_ip_format(&p->job->link->stack_ip, self), errno_text(rc));
	}
}

static void reply_count(struct ping *p, double ms)
{
	p->min_ms = p->received == 0 || ms < p->min_ms ? ms : p->min_ms;
	p->max_ms = ms > p->max_ms ? ms : p->max_ms;
	p->sum_ms += ms;
	p->sum2_ms += ms * ms;
	p->received++;
}

/* b: ICMP message of n bytes. */
static void echo_reply(
	struct ping *p, const struct tg_dgram *d, const uint8_t *b, size_t n, uint64_t now_ns)
{
	uint16_t seq = load16(b + 6);
	bool duplicate = p->answered[seq] != 0, differs = false;
	double ms;
	char from[16];

	if (load16(b + 4) != p->id || p->sent_ns[seq] == 0) {
		return;
	}
	for (size_t i = ICMP_HDR_BYTES; i < n; i++) {
		differs = differs || b[i] != (uint8_t)(i + seq);
	}
	ms = (double)(now_ns - p->sent_ns[seq]) / 1e6;
	p->answered[seq] = 1;
	p->duplicates += duplicate;
	if (!duplicate) {
		reply_count(p, ms);
	}
	if (!p->opt.quiet) {
		job_print(p->job, "%zu bytes from %s: icmp_seq=%u ttl=%u time=%.*f ms%s%s\n", n,
			tg_ip_format(&d->peer.ip, from), (unsigned)seq, (unsigned)d->ttl,
			ms < 1     ? 3
			: ms < 10  ? 2
			: ms < 100 ? 1
				   : 0,
			ms, duplicate ? " (DUP!)" : "",
			differs || n != ICMP_HDR_BYTES + p->payload_bytes ? " (data differ!)" : "");
	}
}

static const char *unreachable_text(uint8_t code)
{
	switch (code) {
	case 0: return "Destination Net Unreachable";
	case 1: return "Destination Host Unreachable";
	case 2: return "Destination Protocol Unreachable";
	case 3: return "Destination Port Unreachable";
	case 4: return "Fragmentation needed";
	default: return "Destination Unreachable";
	}
}

/* An error message: about one of our requests? */
static void icmp_error(struct ping *p, const struct tg_dgram *d, const uint8_t *b, size_t n)
{
	const uint8_t *ip = b + ICMP_HDR_BYTES, *echo;
	size_t hdr;
	char from[16];

	if (n < ICMP_HDR_BYTES + 20) {
		return;
	}
	hdr = (size_t)(ip[0] & 15) * 4;
	if (hdr < 20 || n < ICMP_HDR_BYTES + hdr + 8) {
		return;
	}
	echo = ip + hdr;
	if (echo[0] == ICMP_ECHO && load16(echo + 4) == p->id) {
		error_print(p, load16(echo + 6), tg_ip_format(&d->peer.ip, from),
			b[0] == ICMP_EXCEEDED ? "Time to live exceeded" : unreachable_text(b[1]));
	}
}

/* A packet with its IP header. */
static void packet_read(struct ping *p, const struct tg_dgram *d, size_t n, uint64_t now_ns)
{
	const uint8_t *b = p->packet;
	size_t hdr = n > 0 ? (size_t)(b[0] & 15) * 4 : 0;

	if (hdr < 20 || n < hdr + ICMP_HDR_BYTES || checksum(b + hdr, n - hdr) != 0) {
		return;
	}
	b += hdr;
	n -= hdr;
	if (b[0] == ICMP_ECHO_REPLY) {
		echo_reply(p, d, b, n, now_ns);
	} else if (b[0] == ICMP_UNREACHABLE || b[0] == ICMP_EXCEEDED) {
		icmp_error(p, d, b, n);
	}
}

/* ---- In the loop ----------------------------------------------------------------------------- */

static void replies_read(struct ping *p, uint64_t now_ns)
{
	struct tg_dgram d;
	char self[16];
	int64_t n;

	while ((n = tg_sock_recvfrom(p->s, p->sock, p->packet, sizeof p->packet, 0, &d, now_ns)) !=
		-TG_EAGAIN) {
		if (n == -TG_EBADF) {
			return;
		}
		if (n < 0) {
			error_print(p, (uint16_t)p->sent,
				tg_ip_format(&p->job->link->stack_ip, self),
				n == -TG_EHOSTUNREACH ? "Destination Host Unreachable"
						      : errno_text(n));
		} else {
			packet_read(p, &d, (size_t)n, now_ns);
		}
	}
}

static void ping_stop(struct job *j);

static uint64_t ping_round(struct job *j, uint64_t now_ns)
{
	struct ping *p = j->state;
	uint64_t due;

	replies_read(p, now_ns);
	if (now_ns >= p->next_ns) {
		request_send(p, now_ns);
		p->next_ns = now_ns + p->interval_ns;
		if (p->count != 0 && p->sent >= p->count) {
			p->next_ns = UINT64_MAX;
		}
	}
	if (p->next_ns != UINT64_MAX) {
		return p->next_ns;
	}
	due = p->last_ns + p->wait_ns;
	if (p->received + p->errors >= p->sent || now_ns >= due) {
		ping_stop(j);
	}
	return due;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* Newton's method; saves the mathematics library. */
static double square_root(double v)
{
	double r = v > 1 ? v : 1;

	for (int i = 0; i < 60; i++) {
		r = (r + v / r) / 2;
	}
	return v > 0 ? r : 0;
}

static void statistics(struct ping *p)
{
	double loss = p->sent > 0 ? 100.0 * (double)(p->sent - p->received) / (double)p->sent : 0;
	uint64_t ms = (tg_host_now() - p->start_ns) / NS_PER_MS;
	char duplicates[40] = "", errors[40] = "";

	if (p->duplicates > 0) {
		snprintf(duplicates, sizeof duplicates, ", +%" PRIu64 " duplicates", p->duplicates);
	}
	if (p->errors > 0) {
		snprintf(errors, sizeof errors, ", +%" PRIu64 " errors", p->errors);
	}
	job_print(p->job, "\n--- %s ping statistics ---\n", p->target_text);
	job_print(p->job,
		"%" PRIu64 " packets transmitted, %" PRIu64
		" received%s%s, %.6g%% packet loss, time %" PRIu64 "ms\n",
		p->sent, p->received, duplicates, errors, loss, ms);
	if (p->received > 0) {
		double n = (double)p->received, avg = p->sum_ms / n;

		job_print(p->job, "rtt min/avg/max/mdev = %.3f/%.3f/%.3f/%.3f ms\n", p->min_ms, avg,
			p->max_ms, square_root(p->sum2_ms / n - avg * avg));
	}
}

static int socket_open(struct ping *p)
{
	uint64_t now = tg_host_now();
	int rc = tg_sock_open(p->s, TG_RAW, IPPROTO_ICMP_NUMBER, 0, &p->sock);

	if (rc < 0) {
		return rc;
	}
	tg_sock_setopt(p->s, p->sock, TG_SO_BROADCAST, 1, now);
	tg_sock_setopt(p->s, p->sock, TG_SO_SNDBUF, 4 * (int64_t)PACKET_MAX, now);
	tg_sock_setopt(p->s, p->sock, TG_SO_RCVBUF, 16 * (int64_t)PACKET_MAX, now);
	return p->ttl != 0 ? tg_sock_setopt(p->s, p->sock, TG_IP_TTL, p->ttl, now) : 0;
}

static int ping_parse(struct ping *p, int argc, char **argv)
{
	int first, rc;

	options_default(&p->opt);
	p->interval_ns = p->wait_ns = NS_PER_S;
	p->payload_bytes = 56;
	rc = options_parse(argc, argv, &ping_spec, &p->opt, p, &first);
	if (rc == OPTIONS_GO && !tg_ip_parse(argv[first], &p->target)) {
		rc = usage_error("ping: \"%s\" is not an address like 192.0.2.1", argv[first]);
	}
	tg_ip_format(&p->target, p->target_text);
	return rc;
}

static int ping_start(struct job *j, int argc, char **argv)
{
	struct ping *p = calloc(1, sizeof *p);
	int rc;

	if (p == NULL) {
		return failure("out of memory");
	}
	j->state = p;
	p->job = j;
	p->s = j->link->stack;
	rc = ping_parse(p, argc, argv);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	rc = socket_open(p);
	if (rc < 0) {
		return failure("cannot open a raw socket: %s", errno_text(rc));
	}
	tg_host_random(&p->id, sizeof p->id);
	p->start_ns = p->next_ns = tg_host_now();
	job_print(j, "PING %s (%s) %u(%u) bytes of data.\n", p->target_text, p->target_text,
		p->payload_bytes, p->payload_bytes + 28);
	return JOB_GOES_ON;
}

static void ping_stop(struct job *j)
{
	struct ping *p = j->state;

	statistics(p);
	job_finish(j, p->received > 0 ? EXIT_OK : EXIT_FAILED);
}

static void ping_end(struct job *j)
{
	struct ping *p = j->state;

	if (p != NULL && p->sock != 0) {
		tg_sock_close(p->s, p->sock, tg_host_now());
	}
	free(p);
}

const struct job_verb ping_job = {"ping", ping_start, ping_round, ping_stop, ping_end};

int ping_main(int argc, char **argv)
{
	struct ping *p = calloc(1, sizeof *p);
	int rc;

	if (p == NULL) {
		return failure("out of memory");
	}
	rc = ping_parse(p, argc, argv);
	if (rc == OPTIONS_GO) {
		rc = verb_run(&ping_job, &p->opt, NULL, argc, argv);
	}
	free(p);
	return rc;
}
