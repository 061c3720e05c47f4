/* The services of the benchmarks that `tapglass up` does not have, and streams without anything
 * around them, on the public interface: what is measured here is the library.
 *
 *   stack_serve [--plain] [--busy US] [--trace RECORDS]
 *
 * TCP: discard, chargen. UDP: discard, its count, datagrams on request (bench.h). --trace: length
 * of the trace ring, 0: no trace; without it, the library's default. Runs until it is killed. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tapglass_host.h"

#define BACKLOG     1024
#define CHUNK_BYTES 65536u
#define SPANS       16
#define FLOOD_BURST 256 /* calls between looks at the device */
#define RCVBUF      (4 << 20)

enum what { LISTEN_DISCARD = 1, LISTEN_CHARGEN, DISCARD, CHARGEN, SINK, COUNT, SOURCE };

struct server {
	struct tg *s;
	uint64_t sunk;
	/* the flood that is asked for */
	tg_sock source;
	struct flood_ask ask;
	struct tg_dgram to;
	uint64_t flood_end_ns;
	char out[CHUNK_BYTES];
};

static void welcome(struct server *v, const struct tg_event *e, enum what what, uint64_t now)
{
	tg_sock k;

	while (tg_sock_accept(v->s, e->sock, (uint64_t)what, &k, now) == 0)
		tg_sock_setopt(v->s, k, TG_TCP_NODELAY, 1, now);
}

/* 0: the end; else -TG_EAGAIN or an error. */
static int64_t discard(struct server *v, tg_sock k, uint64_t now)
{
	struct tg_span in[SPANS];
	int n;

	while ((n = tg_sock_peek(v->s, k, in, SPANS)) > 0) {
		size_t sum = 0;

		for (int i = 0; i < n; i++)
			sum += in[i].len;
		tg_sock_consume(v->s, k, sum, now);
	}
	return n;
}

static int64_t generate(struct server *v, tg_sock k, uint64_t now)
{
	int64_t n;

	while ((n = tg_sock_send(v->s, k, v->out, sizeof(v->out), 0, now)) > 0)
		continue;
	return n;
}

static void sink(struct server *v, tg_sock k, uint64_t now)
{
	char b[2048];
	int64_t n;

	while ((n = tg_sock_recvfrom(v->s, k, b, sizeof(b), 0, NULL, now)) != -TG_EAGAIN)
		v->sunk += n >= 0;
}

static void count(struct server *v, tg_sock k, uint64_t now)
{
	struct tg_dgram d;
	char b[64];

	while (tg_sock_recvfrom(v->s, k, b, sizeof(b), 0, &d, now) >= 0) {
		d.ttl = d.tos = 0;
		snprintf(b, sizeof(b), "%llu", (unsigned long long)v->sunk);
		tg_sock_sendto(v->s, k, b, strlen(b), 0, &d, now);
	}
}

static void ask(struct server *v, tg_sock k, uint64_t now)
{
	char b[64];
	int64_t n = tg_sock_recvfrom(v->s, k, b, sizeof(b), 0, &v->to, now);

	if (n < 0 || !flood_ask_get(&v->ask, b, (size_t)n) ||
		(uint32_t)v->ask.segs * v->ask.dgram_bytes > sizeof(v->out))
		return;
	v->source = k;
	v->to.ttl = v->to.tos = 0;
	v->to.segment = v->ask.segs > 1 ? v->ask.dgram_bytes : 0;
	v->flood_end_ns = now + (uint64_t)v->ask.duration_ms * 1000000u;
}

static void event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now)
{
	struct server *v = arg;
	int64_t rc = -TG_EAGAIN;

	(void)s;
	switch ((enum what)e->cookie) {
	case LISTEN_DISCARD: welcome(v, e, DISCARD, now); break;
	case LISTEN_CHARGEN: welcome(v, e, CHARGEN, now); break;
	case SINK: sink(v, e->sock, now); break;
	case COUNT: count(v, e->sock, now); break;
	case SOURCE: ask(v, e->sock, now); break;
	case DISCARD: rc = discard(v, e->sock, now); break;
	case CHARGEN:
		rc = discard(v, e->sock, now);
		rc = rc == -TG_EAGAIN ? generate(v, e->sock, now) : rc;
		break;
	}
	if (rc != -TG_EAGAIN)
		tg_sock_close(v->s, e->sock, now);
}

/* A part of the flood; it is sent when this returns. */
static uint64_t flood(void *arg, struct tg *s, uint64_t now)
{
	struct server *v = arg;
	size_t n = (size_t)v->ask.dgram_bytes * v->ask.segs;

	if (now >= v->flood_end_ns)
		return UINT64_MAX;
	for (int i = 0; i < FLOOD_BURST; i++) {
		if (tg_sock_sendto(s, v->source, v->out, n, 0, &v->to, now) < 0)
			break;
	}
	return now;
}

static int serve(struct server *v, enum tg_type type, uint16_t port, enum what what)
{
	struct tg_addr at = {.port = port};
	tg_sock k;
	int rc = tg_sock_open(v->s, type, 0, (uint64_t)what, &k);

	rc = rc < 0 ? rc : tg_sock_bind(v->s, k, &at);
	if (rc >= 0 && type == TG_STREAM)
		return tg_sock_listen(v->s, k, BACKLOG, now_ns());
	return rc < 0 ? rc : tg_sock_setopt(v->s, k, TG_SO_RCVBUF, RCVBUF, now_ns());
}

static int serve_all(struct server *v)
{
	int rc = serve(v, TG_STREAM, PORT_DISCARD, LISTEN_DISCARD);

	rc = rc < 0 ? rc : serve(v, TG_STREAM, PORT_CHARGEN, LISTEN_CHARGEN);
	rc = rc < 0 ? rc : serve(v, TG_DGRAM, PORT_DISCARD, SINK);
	rc = rc < 0 ? rc : serve(v, TG_DGRAM, PORT_UDP_COUNT, COUNT);
	return rc < 0 ? rc : serve(v, TG_DGRAM, PORT_UDP_SOURCE, SOURCE);
}

static int start(struct tg_host *h, struct server *v, const struct tg_config *c, bool plain)
{
	struct tg_host_app app = {.arg = v, .event = event, .round = flood};
	struct tg_ip host = tg_ip4(192, 0, 2, 1), ip = tg_ip4(192, 0, 2, 2);
	struct tg_link_options o;
	struct tg_host_error err;
	int rc = tg_host_add(h, c, 0, &app, &v->s), netif;

	if (rc < 0)
		return rc;
	tg_link_options_default(&o);
	memcpy(o.mac, "\x02\0\0\0\0\x02", 6);
	o.plain = plain;
	netif = tg_host_tap(h, v->s, "tap0", &host, 24, &o, &err);
	if (netif < 0) {
		tg_host_print_error(&err);
		return netif;
	}
	rc = tg_addr_add(v->s, (unsigned)netif, &ip, 24, now_ns());
	return rc < 0 ? rc : serve_all(v);
}

int main(int argc, char **argv)
{
	static struct server v;
	struct tg_host *h = tg_host_new();
	uint64_t busy_ns = 0;
	struct tg_config c;
	bool plain = false;

	if (!h || tg_host_config(&c) < 0)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--plain") == 0) {
			plain = true;
		} else if (strcmp(argv[i], "--busy") == 0 && i + 1 < argc) {
			busy_ns = strtoull(argv[++i], NULL, 10) * 1000u;
		} else if (strcmp(argv[i], "--trace") == 0 && i + 1 < argc) {
			c.trace_records = (uint32_t)strtoul(argv[++i], NULL, 10);
		} else {
			fputs("usage: stack_serve [--plain] [--busy US] [--trace RECORDS]\n",
				stderr);
			return 2;
		}
	}
	memset(v.out, '.', sizeof(v.out));
	if (start(h, &v, &c, plain) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	tg_host_run(h, busy_ns);
	tg_host_free(h);
	return 0;
}
