/* `tapglass up`: brings up the stack with its services, says what is there, logs what happens, and
 * sums up at the end. */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "banner.h"
#include "control.h"
#include "eventlog.h"
#include "http_server.h"
#include "iperf.h"
#include "link.h"
#include "livelog.h"
#include "queues.h"
#include "relay.h"
#include "serve_simple.h"

#define PORT_HTTP           80
#define PORT_RELAY          8080
#define GOODBYE_SOCKS_MAX   65536u
#define GOODBYE_ROUNDS      200
#define GOODBYE_PATIENCE_NS (200 * NS_PER_MS)

struct up {
	struct options opt;
	const char *www;
	bool allow_put;
	struct link link;
	struct livelog log;
	const char *log_file; /* NULL: none; "json": standard output, in place of the live log */
	bool log_all;
	struct eventlog events;
	struct services services;
	struct simple_services *simple;
	struct http_server *http;
	struct iperf_opt iperf_opt;
	struct iperf_sink iperf_sink;
	struct iperf_server *iperf;
	uint16_t iperf_port; /* 0: none */
	struct queue_workers workers;
	struct relay *relay;
	struct control *control;
	int control_fd; /* listening; -1: none */
	char control_path[CONTROL_PATH_BYTES];
	char url[40];
	uint64_t start_ns;
};

static const struct option_spec up_options[] = {
	{"www", 0, 1, "DIR", "serve the files of a directory on port 80"},
	{"allow-put", 0, 3, NULL, "let PUT and DELETE change the files of --www"},
	{"relay", 0, 2, "PORT",
		"without an interface here: port of the way in from 127.0.0.1 (8080; 0: none)"},
	{"log", 0, 4, "FILE",
		"log events (qlog, JSON-SEQ); json: to standard output instead of text"},
	{"log-level", 0, 5, "LEVEL", "of --log: events (default), or all: every segment and call"},
	{"iperf3", 0, 7, "[=PORT]", "serve iperf3's tests as well (5201)"},
	{"record", 0, 6, "FILE", "write down the run, for tapglass replay (it has every byte)"},
	{"queues", 0, 8, "N[,learn]",
		"queues of the TAP, a stack and a thread each, all with one address; learn: the "
		"kernel learns a flow's queue, instead of computing it (BPF)"},
	{NULL, 0, 0, NULL, NULL},
};

static int set_queues(struct up *u, const char *arg)
{
	char number[8];
	size_t len = strcspn(arg, ",");
	uint64_t n;

	snprintf(number, sizeof number, "%.*s", len < sizeof number ? (int)len : 0, arg);
	u->opt.learned = strcmp(arg + len, ",learn") == 0;
	if (!parse_u64(number, 1, TG_QUEUES_MAX, &n) || (arg[len] != '\0' && !u->opt.learned)) {
		return usage_error("--queues %s: not 1 to %u, or such a number and \",learn\"", arg,
			TG_QUEUES_MAX);
	}
	u->opt.queues = (unsigned)n;
	return 0;
}

/* What is made for one queue and one thread. */
static int check_queues(const struct up *u)
{
	const struct options *o = &u->opt;

	if (o->queues <= 1) {
		return EXIT_OK;
	}
	if (o->link == LINK_VETH || o->link == LINK_SIM) {
		return usage_error("--queues %u: only a TAP has several queues", o->queues);
	}
	if (tg_impair_active(&o->in) || tg_impair_active(&o->out)) {
		return usage_error("--queues %u: a link that is impaired has one queue", o->queues);
	}
	if (u->log_file != NULL && strcmp(u->log_file, "json") == 0) {
		return usage_error("--queues %u: --log json is one queue's; --log FILE makes "
				   "FILE.1 and so on",
			o->queues);
	}
	return EXIT_OK;
}

static int up_set(void *ctx, int value, const char *arg)
{
	struct up *u = ctx;
	uint64_t port;

	if (value == 2) {
		if (!parse_u64(arg, 0, 65535, &port)) {
			return usage_error("--relay %s: not 0 to 65535", arg);
		}
		u->opt.relay_port = (int)port;
		u->opt.relay_asked = true;
		return 0;
	}
	if (value == 3) {
		u->allow_put = true;
		return 0;
	}
	if (value == 4) {
		u->log_file = arg;
		return 0;
	}
	if (value == 5) {
		u->log_all = strcmp(arg, "all") == 0;
		return u->log_all || strcmp(arg, "events") == 0
			       ? 0
			       : usage_error("--log-level %s: not events or all", arg);
	}
	if (value == 6) {
		u->opt.record = arg;
		return 0;
	}
	if (value == 7) {
		if (!parse_u64(arg != NULL ? arg : "5201", 1, 65535, &port)) {
			return usage_error("--iperf3=%s: not a port, 1 to 65535", arg);
		}
		u->iperf_port = (uint16_t)port;
		return 0;
	}
	if (value == 8) {
		return set_queues(u, arg);
	}
	u->www = arg;
	return 0;
}

const struct verb_spec up_spec = {
	.usage = "up [OPTION]...",
	.about = "Brings up a TCP/IP stack with echo (7), discard (9), chargen (19) and HTTP (80) "
		 "on it, and logs\n"
		 "what happens. Ctrl-C ends it.",
	.example = "  tapglass up                                   then: open "
		   "http://127.0.0.1:8080/, or "
		   "tapglass sh\n"
		   "  sudo tapglass up                              then: ping 192.0.2.2, curl "
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
	if (t->kind != TG_TRACE_IMPAIRED) {
		return; /* the others are read from the instance, in step with http's lines */
	}
	if (u->log.on) {
		livelog_trace(&u->log, t);
	}
	eventlog_trace(&u->events, t);
	if (u->http != NULL) {
		http_trace(u->http, t);
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
	due = min_of(due, min_of(relay_round(u->relay, now_ns), control_round(u->control, now_ns)));
	due = min_of(due, iperf_server_round(u->iperf, now_ns));
	due = min_of(due, eventlog_round(&u->events, now_ns));
	return min_of(due, livelog_round(&u->log, now_ns));
}

/* On the other instance, should there be one. */
static void peer_event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns)
{
	struct up *u = arg;

	(void)s;
	relay_event(u->relay, e, now_ns);
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
	sigaction(SIGHUP, &a, NULL);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void iperf_line(void *arg, const char *text, size_t n, bool error)
{
	struct up *u = arg;

	if (u->opt.quiet) {
		return;
	}
	if (error) {
		text += strlen("tapglass: ");
		n -= strlen("tapglass: ");
	}
	livelog_text(&u->log, "%s%.*s", error ? "" : "iperf3: ", (int)n - 1, text);
}

static int iperf_start(struct up *u, uint64_t now_ns)
{
	int rc;

	if (u->iperf_port == 0) {
		return EXIT_OK;
	}
	u->iperf_opt = (struct iperf_opt){.quiet = true, .idle_ns = IPERF_IDLE_NS};
	u->iperf_sink = (struct iperf_sink){.arg = u, .line = iperf_line};
	u->iperf = iperf_server_start(
		&u->services, u->iperf_port, &u->iperf_opt, &u->iperf_sink, now_ns, &rc);
	return u->iperf != NULL ? EXIT_OK : failure("cannot start iperf3: %s", errno_text(rc));
}

static int services_start(struct up *u)
{
	struct http_config c = {.port = PORT_HTTP,
		.www = u->www,
		.allow_put = u->allow_put,
		.arg = u,
		.host = u->link.host};
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
	u->workers.http = c;
	if (u->http == NULL && bad_www) {
		return usage_error("--www %s: %s", u->www, errno_text(rc));
	}
	if (u->http == NULL) {
		return failure("cannot start http: %s", errno_text(rc));
	}
	return iperf_start(u, now);
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
static void goodbye(struct tg_host *h, struct tg *s)
{
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
		tg_host_round(h, 0);
		now = tg_host_now();
		if (tg_next_deadline(s) > now) {
			break;
		}
	}
}

/* Takes the control socket, before a namespace is left in which others would look for it. Without
 * one the stack runs all the same, unless another has the name. */
static int control_take(struct up *u)
{
	struct tg_host_error err;

	u->control_fd = -1;
	if (!control_path(u->opt.name, u->control_path)) {
		return failure("the path of the control socket is too long");
	}
	u->control_fd = control_listen(u->control_path, &err);
	if (u->control_fd >= 0) {
		return EXIT_OK;
	}
	if (u->control_fd != -EADDRINUSE) {
		snprintf(err.meanwhile, sizeof err.meanwhile,
			"running without one: ss, sh and the like will not find this stack");
	}
	tg_host_print_error(&err);
	return u->control_fd == -EADDRINUSE ? EXIT_ENVIRONMENT : EXIT_OK;
}

static int doors_open(struct up *u)
{
	char stack[16];

	if (u->link.relay_fd >= 0) {
		snprintf(u->url, sizeof u->url, "http://127.0.0.1:%u/",
			(unsigned)u->link.relay_port);
		u->relay = relay_start(&u->link, PORT_HTTP);
	} else {
		snprintf(u->url, sizeof u->url, "http://%s/",
			tg_ip_format(&u->link.stack_ip, stack));
	}
	if (u->control_fd >= 0) {
		u->control = control_start(u->control_fd, &u->link, u->url);
	}
	if ((u->link.relay_fd >= 0 && u->relay == NULL) ||
		(u->control_fd >= 0 && u->control == NULL)) {
		return failure("out of memory");
	}
	return EXIT_OK;
}

static void doors_close(struct up *u)
{
	if (u->control_fd >= 0) {
		control_unlink(u->control_path);
		control_free(u->control);
		close(u->control_fd);
	}
	relay_free(u->relay);
	u->control_fd = -1;
	u->control = NULL;
	u->relay = NULL;
}

/* Before a namespace is left in which the file's path means something. */
static int log_open(struct up *u)
{
	int rc = u->log_file != NULL ? eventlog_open(&u->events, u->log_file, u->log_all) : 0;

	if (u->log_file != NULL && strcmp(u->log_file, "json") == 0) {
		u->opt.quiet = true; /* text would not be JSON */
	}
	return rc < 0 ? usage_error("--log %s: %s", u->log_file, strerror(-rc))
		      : queue_workers_log(&u->workers, u->log_file, u->log_all);
}

static void log_start(struct up *u)
{
	struct eventlog_about about = {.instance = u->opt.name};
	char self[16];

	if (u->log_file != NULL) {
		about.address = tg_ip_format(&u->link.stack_ip, self);
		eventlog_start(&u->events, u->link.stack, &about, u->start_ns);
	}
}

static void log_close(struct up *u)
{
	uint64_t lost = eventlog_close(&u->events, tg_host_now());

	for (unsigned i = 1; i < u->workers.n; i++) {
		lost += eventlog_close(&u->workers.w[i].events, tg_host_now());
	}

	if (lost > 0) {
		say("--log %s: the last %llu events could not be written", u->log_file,
			(unsigned long long)lost);
	}
}

static int up_run(struct up *u)
{
	bool impaired = tg_impair_active(&u->opt.in) || tg_impair_active(&u->opt.out);
	struct tg_host_app app = {
		u, up_event, impaired || u->opt.verbose > 1 ? up_trace : NULL, up_round};
	struct tg_host_app peer = {.arg = u, .event = peer_event};
	int rc = check_queues(u);

	if (rc == EXIT_OK) {
		rc = control_take(u);
	}
	if (rc == EXIT_OK) {
		rc = queue_workers_make(&u->workers, u->opt.queues);
	}
	if (rc == EXIT_OK) {
		rc = log_open(u);
	}
	if (rc == EXIT_OK) {
		rc = link_open_queues(&u->link, &u->opt, &app, &peer, u->workers.app);
	}
	if (rc == EXIT_OK) {
		livelog_open(&u->log, &u->opt, u->link.stack, &u->link.stack_ip, u->link.mac,
			u->start_ns);
		log_start(u);
		rc = services_start(u);
	}
	if (rc == EXIT_OK) {
		rc = doors_open(u);
	}
	if (rc == EXIT_OK) {
		rc = queue_workers_start(
			&u->workers, &u->link, &u->opt, &u->workers.http, u->start_ns);
	}
	if (rc != EXIT_OK) {
		return rc;
	}
	signals_set(u->link.host);
	if (!u->opt.quiet) {
		banner_print(&u->log, &u->opt, &u->link, u->www);
	}
	out_flush(&u->log.out);
	ready(u);
	rc = tg_host_run(u->link.host, u->opt.busy_ns);
	u->log.on = false;
	doors_close(u);
	if (u->iperf != NULL) {
		iperf_server_stop(u->iperf, tg_host_now());
	}
	queue_workers_stop(&u->workers, &u->link);
	for (unsigned i = 1; i < u->link.n_queues; i++) {
		goodbye(u->link.queue[i].host, u->link.queue[i].stack);
	}
	goodbye(u->link.host, u->link.stack);
	log_close(u);
	summary_print(&u->log, &u->opt, &u->link, u->start_ns);
	if (u->log_file != NULL && !u->opt.quiet) {
		livelog_text(&u->log, "  events    %s (tapglass trace)", u->log_file);
	}
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
	u->opt.relay_port = PORT_RELAY;
	rc = options_parse(argc, argv, &up_spec, &u->opt, u, &first);
	if (rc != OPTIONS_GO) {
		free(u);
		return rc;
	}
	if (u->allow_put && u->www == NULL) {
		free(u);
		return usage_error("--allow-put needs --www DIR");
	}
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	u->start_ns = tg_host_now();
	rc = up_run(u);
	doors_close(u);
	iperf_server_free(u->iperf, tg_host_now());
	queue_workers_stop(&u->workers, &u->link);
	livelog_close(&u->log);
	closed = link_close(&u->link, &u->opt);
	http_free(u->http);
	simple_free(u->simple);
	queue_workers_free(&u->workers);
	free(u);
	return rc != EXIT_OK ? rc : closed;
}
