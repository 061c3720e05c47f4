/* `tapglass up`: brings up the stack with its services, says what is there, logs what happens, and
 * sums up at the end. */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "http_server.h"
#include "link.h"
#include "livelog.h"
#include "serve_simple.h"

#define PORT_HTTP           80
#define GOODBYE_SOCKS_MAX   65536u
#define GOODBYE_ROUNDS      200
#define GOODBYE_PATIENCE_NS (200 * NS_PER_MS)

struct up {
	struct options opt;
	const char *www;
	struct link link;
	struct livelog log;
	struct services services;
	struct simple_services *simple;
	struct http_server *http;
	uint64_t start_ns;
};

static const struct option_spec up_options[] = {
	{"www", 0, 1, "DIR", "serve the files of a directory on port 80"},
	{NULL, 0, 0, NULL, NULL},
};

static int up_set(void *ctx, int value, const char *arg)
{
	struct up *u = ctx;

	(void)value;
	u->www = arg;
	return 0;
}

static const struct verb_spec up_spec = {
	.usage = "up [OPTION]...",
	.about = "Brings up a TCP/IP stack with echo (7), discard (9), chargen (19) and HTTP (80) "
		 "on it, and logs\n"
		 "what happens. Ctrl-C ends it.",
	.example = "  sudo tapglass up                              then: ping 192.0.2.2, curl "
		   "http://192.0.2.2/\n"
		   "  sudo tapglass up --link tap:tap0 --drop 2% --delay 20ms --pcap out.pcapng\n",
	.options = up_options,
	.link_options = true,
	.set = up_set,
};

/* ---- In the loop ----------------------------------------------------------------------------- */

static void up_event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns)
{
	(void)arg;
	(void)s;
	svc_event(e, now_ns);
}

static void up_trace(void *arg, struct tg *s, const struct tg_trace *t)
{
	struct up *u = arg;

	(void)s;
	if (t->kind == TG_TRACE_IMPAIRED && u->log.on) {
		livelog_trace(&u->log,
			t); /* the others are read from the instance, in step with http's lines */
	}
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t up_round(void *arg, struct tg *s, uint64_t now_ns)
{
	struct up *u = arg;
	uint64_t due = UINT64_MAX;

	(void)s;
	if (u->http != NULL) {
		due = min_of(svc_round(&u->services, now_ns), http_round(u->http, now_ns));
	}
	return min_of(due, livelog_round(&u->log, now_ns));
}

static bool http_wants(void *arg, uint64_t now_ns)
{
	struct up *u = arg;

	return livelog_wants(&u->log, now_ns);
}

static void http_accessed(void *arg, const struct http_access *a, uint64_t now_ns)
{
	struct up *u = arg;

	livelog_http(&u->log, a, now_ns);
}

static struct tg_host *running;

static void on_signal(int number)
{
	(void)number;
	tg_host_stop(running);
}

static void signals_set(struct tg_host *h)
{
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	running = h;
	sigaction(SIGINT, &a, NULL); /* a second one ends us the hard way */
	sigaction(SIGTERM, &a, NULL);
}

/* ---- What is said ---------------------------------------------------------------------------- */

static void banner_link(struct up *u)
{
	struct link *l = &u->link;
	const char *offloads = tg_host_link_offloads(l->host, l->stack, l->netif);

	if (l->peer != NULL) {
		livelog_text(&u->log, "  link    sim                 two stacks on a virtual wire "
				      "in this process; "
				      "nothing on this machine was changed");
	} else {
		livelog_text(&u->log, "  link    %-18s  %s; %s", l->name,
			l->made ? "made in this network namespace, gone when this ends"
				: "was here before",
			offloads);
	}
	if (tg_impair_active(&u->opt.in) || tg_impair_active(&u->opt.out)) {
		livelog_text(
			&u->log, "  impair  on: packets are lost, changed or delayed as asked for");
	}
}

static void banner(struct up *u)
{
	struct link *l = &u->link;
	char host[16], stack[16], mac[18];

	if (u->opt.quiet) {
		return;
	}
	tg_ip_format(&l->host_ip, host);
	tg_ip_format(&l->stack_ip, stack);
	livelog_text(&u->log, "tapglass " TAPGLASS_VERSION " — a TCP/IP stack in one process.\n");
	banner_link(u);
	livelog_text(&u->log, "  host    %-18s  %s", host,
		l->peer != NULL ? "← another instance of the same code"
		: l->made       ? "← the kernel's end"
				: "← the kernel's end, if it has that address");
	livelog_text(&u->log,
		"  stack   %-18s  %s  ← all handwritten: Ethernet ARP IP ICMP UDP TCP", stack,
		format_mac(l->mac, mac));
	livelog_text(&u->log, "  serves  echo 7, discard 9, chargen 19 (TCP and UDP), http 80%s%s",
		u->www != NULL ? " with files of " : "", u->www != NULL ? u->www : "");
	if (u->opt.pcap != NULL) {
		livelog_text(&u->log, "  capture %s", u->opt.pcap);
	}
	if (l->peer != NULL) {
		livelog_text(&u->log,
			"\n  Try     tapglass ping --link sim %s     one stack pings the other\n",
			host);
	} else {
		livelog_text(
			&u->log, "\n  Try     ping %s\n          curl http://%s/\n", stack, stack);
	}
}

/* The commonest reasons, as many as fit. */
static void drops_text(const struct tg_counters *c, char *buf, size_t n)
{
	bool shown[TG_DROP_COUNT] = {false};
	size_t at = 0;
	char count[28];

	buf[0] = '\0';
	for (int round = 0; round < 6; round++) {
		int best = 0;

		for (int i = 1; i < TG_DROP_COUNT; i++) {
			uint64_t v = shown[i] ? 0 : c->drops[i] + c->discards[i];

			best = v > 0 && (best == 0 || v > c->drops[best] + c->discards[best])
				       ? i
				       : best;
		}
		if (best == 0 || at >= n) {
			return;
		}
		shown[best] = true;
		at += (size_t)snprintf(buf + at, n - at, "%s%s %s", at > 0 ? ", " : ": ",
			tg_drop_name((enum tg_drop)best),
			format_count(c->drops[best] + c->discards[best], count));
	}
}

static void summary(struct up *u)
{
	const struct tg_counters *c = tg_counters(u->link.stack);
	char a[28], b[28], d[16], e[16], drops[300];
	uint64_t dropped = 0;

	if (u->opt.quiet) {
		return;
	}
	for (int i = 1; i < TG_DROP_COUNT; i++) {
		dropped += c->drops[i] + c->discards[i];
	}
	livelog_text(&u->log, "\n  ran       %.1f s, %s connections accepted, %s opened",
		(double)(tg_host_now() - u->start_ns) / 1e9, format_count(c->tcp_passive_opens, a),
		format_count(c->tcp_active_opens, b));
	livelog_text(&u->log, "  segments  %s in, %s out; frames carried %s in, %s out",
		format_count(c->tcp_in_segs, a), format_count(c->tcp_out_segs, b),
		format_bytes(c->bytes_in, d), format_bytes(c->bytes_out, e));
	livelog_text(&u->log, "  resent    %s segments; %s fast retransmits, %llu timeouts",
		format_count(c->tcp_retrans_segs, a), format_count(c->tcp_fast_retransmits, b),
		(unsigned long long)c->tcp_timeouts);
	drops_text(c, drops, sizeof drops);
	livelog_text(&u->log, "  dropped   %s%s", format_count(dropped, a), drops);
	livelog_text(&u->log, "  capture   %s",
		u->opt.pcap != NULL ? u->opt.pcap : "none (--pcap FILE)");
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int services_start(struct up *u)
{
	struct http_config c = {.port = PORT_HTTP, .www = u->www, .arg = u};
	uint64_t now = tg_host_now();
	bool bad_www;
	int rc;

	u->services.s = u->link.stack;
	u->simple = simple_start(&u->services, now, &rc);
	if (rc < 0) {
		return failure("cannot start echo, discard and chargen: %s", errno_text(rc));
	}
	tg_ip_format(&u->link.stack_ip, c.self);
	if (!u->opt.quiet) {
		c.wants = http_wants;
		c.access = http_accessed;
	}
	u->http = http_start(&u->services, &c, now, &rc, &bad_www);
	if (u->http == NULL && bad_www) {
		return usage_error("--www %s: %s", u->www, errno_text(rc));
	}
	if (u->http == NULL) {
		return failure("cannot start http: %s", errno_text(rc));
	}
	return EXIT_OK;
}

static void ready(struct up *u)
{
	if (u->opt.ready_fd >= 0) {
		if (write(u->opt.ready_fd, "\n", 1) != 1) {
			say("nobody reads --ready-fd %d", u->opt.ready_fd);
		}
		close(u->opt.ready_fd);
	}
}

/* Resets what is still open, so that no peer is left waiting for a stack that has gone. */
static void goodbye(struct up *u)
{
	struct tg *s = u->link.stack;
	uint64_t cursor = 0, now = tg_host_now(), end = now + GOODBYE_PATIENCE_NS;
	tg_sock *open = malloc(GOODBYE_SOCKS_MAX * sizeof *open);
	struct tg_sock_row row;
	uint32_t n = 0;

	while (open != NULL && n < GOODBYE_SOCKS_MAX && tg_table_socks(s, &cursor, &row)) {
		if (row.sock != 0 && row.type == TG_STREAM) {
			open[n++] = row.sock;
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		tg_sock_abort(s, open[i], now);
	}
	free(open);
	for (int i = 0; i < GOODBYE_ROUNDS && n > 0 && now < end; i++) {
		tg_host_round(u->link.host, 0);
		now = tg_host_now();
		if (tg_next_deadline(s) > now) {
			break;
		}
	}
}

static int up_run(struct up *u)
{
	struct tg_host_app app = {u, up_event, u->opt.verbose > 1 ? up_trace : NULL, up_round};
	int rc;

	rc = link_open(&u->link, &u->opt, &app);
	if (rc == EXIT_OK) {
		livelog_open(&u->log, &u->opt, u->link.stack, &u->link.stack_ip, u->link.mac,
			u->start_ns);
		rc = services_start(u);
	}
	if (rc != EXIT_OK) {
		return rc;
	}
	signals_set(u->link.host);
	banner(u);
	out_flush(&u->log.out);
	ready(u);
	rc = tg_host_run(u->link.host, u->opt.busy_ns);
	u->log.on = false;
	goodbye(u);
	summary(u);
	return rc < 0 ? failure("the event loop failed: %s", errno_text(rc)) : EXIT_OK;
}

int up_main(int argc, char **argv)
{
	struct up *u = calloc(1, sizeof *u);
	struct rlimit files;
	int first, rc, closed;

	if (u == NULL) {
		return failure("out of memory");
	}
	options_default(&u->opt);
	rc = options_parse(argc, argv, &up_spec, &u->opt, u, &first);
	if (rc != OPTIONS_GO) {
		free(u);
		return rc;
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	u->start_ns = tg_host_now();
	rc = up_run(u);
	livelog_close(&u->log);
	closed = link_close(&u->link, &u->opt);
	http_free(u->http);
	simple_free(u->simple);
	free(u);
	return rc != EXIT_OK ? rc : closed;
}
